// Package files reads and writes the files that lie beside a results database.
//
// What is too big for the database is a blob, named by the SHA-256 of its content; all
// databases of a folder share them. Whatever is read is a regular file of bounded size, as a pipe
// may never answer; whatever is written appears whole or not at all. The package knows no
// trial and no SQL.
package files

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"focalgrid/atomicfile"
)

// MaxText bounds what is read as one bundle or difference: a trial that logs a
// million steps takes about 100 MB.
const MaxText = 256 << 20

// open opens a file for reading; a pipe or device, which may never answer, is refused.
func open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: it is %s, want a regular file", path, KindOf(info))
	}
	return os.Open(path)
}

// KindOf names what is not a regular file.
func KindOf(info fs.FileInfo) string {
	switch mode := info.Mode(); {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// Read reads a whole file of at most MaxText bytes.
func Read(path string) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxText {
		return nil, fmt.Errorf("%s: want a regular file of at most %d bytes", path, int64(MaxText))
	}
	text, err := io.ReadAll(io.LimitReader(f, MaxText))
	if err != nil {
		return nil, err
	}
	return text, nil
}

// Write writes a file whole or not at all, and makes its folder if need be.
func Write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
