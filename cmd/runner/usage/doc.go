// Package usage knows the command line of runner: how arguments and flags are checked (args.go) and
// completed by a shell (complete.go), and how a command is written that a user can type next
// (command.go).
package usage
