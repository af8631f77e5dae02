package usage

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"focalgrid/detector"
	"focalgrid/setting"
)

// FlagError describes what is wrong with a flag, and which flag may be meant.
func FlagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1:
		text += meant(cmd, unknown.GetSpecifiedName())
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		text = fmt.Sprintf("--%s %s: want %s", f.Name, invalid.GetValue(), kindOf(f.Value.Type()))
	}
	return fmt.Errorf("%s; see `%s --help`", text, cmd.CommandPath())
}

// meant names the flag with the same beginning as an unknown one, or the settings with its name, or else
// the nearest flag.
func meant(cmd *cobra.Command, name string) string {
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	})
	nearest := setting.Nearest(name, known)
	alike := strings.HasPrefix(nearest, name) || strings.HasPrefix(name, nearest)
	if keys := detector.Settings.Named(name); !alike && len(keys) > 0 && slices.Contains(known, "set") {
		return fmt.Sprintf("; a setting is changed by --set %s=…", strings.Join(keys, "=… or --set "))
	}
	return "; nearest: --" + nearest
}

// kindOf names the kind of value that a flag of a type takes.
func kindOf(flagType string) string {
	switch flagType {
	case "int", "int64":
		return "a whole number"
	case "uint", "uint64":
		return "a whole number from 0"
	case "float64":
		return "a number"
	case "intSlice":
		return "whole numbers, such as 1,10,100"
	case "bool":
		return "true or false"
	}
	return "a " + flagType
}

// Verb refuses an unknown verb, and names the nearest verb and all verbs.
func Verb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
	}
	cmd.SuggestionsMinimumDistance = 2
	nearest := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		nearest = fmt.Sprintf("did you mean `%s %s`? ", cmd.CommandPath(), near[0])
	}
	return fmt.Errorf("%s has no command %q; %sit has %s", cmd.CommandPath(), args[0], nearest, strings.Join(known, ", "))
}

// Args checks that there are as many arguments as the usage of the command names, such as FILE|NAME. A
// name in brackets is optional, and FILE... stands for one or more.
func Args(cmd *cobra.Command, args []string) error {
	var names []string
	for _, word := range strings.Fields(cmd.Use)[1:] {
		if strings.HasPrefix(word, "-") {
			break // a flag that is always given
		}
		names = append(names, word)
	}
	usage := "; see `" + cmd.CommandPath() + " --help`"
	if strings.Contains(cmd.Use, " ") {
		usage = "; usage: " + strings.TrimSuffix(cmd.CommandPath(), cmd.Name()) + cmd.Use + usage
	}
	switch missing := slices.IndexFunc(names[min(len(args), len(names)):], func(n string) bool { return n[0] != '[' }); {
	case missing >= 0:
		return fmt.Errorf("%s: %s is missing%s", cmd.CommandPath(), names[len(args)+missing], usage)
	case len(args) > len(names) && (len(names) == 0 || !strings.HasSuffix(names[len(names)-1], "...")):
		return fmt.Errorf("%s: %q is one argument too many%s", cmd.CommandPath(), args[len(names)], usage)
	}
	return nil
}
