// Package filelock locks open files and folders against other processes of this machine.
//
// A lock lasts until the file is closed, by this process and by those that inherited it, and so no longer than they
// live. Whether a file lies where locks hold is package localdisk's question.
package filelock

import "os"

// Try locks an open file or folder; held is false where it was opened and locked elsewhere, in this process too. The
// error reports that files cannot be locked here.
func Try(f *os.File) (held bool, err error) { return try(f) }
