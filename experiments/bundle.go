package experiments

import (
	"bytes"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"focalgrid/atomicfile"
	"focalgrid/engine"
	"focalgrid/results/record"
)

// An attempt holds the work folder of its trial as long as no file there bears the number of a later attempt. No
// attempt overwrites the file of another, so the order in which they are written does not matter.
const (
	attemptFormat = "attempt-%08d"
	attemptPrefix = "attempt-"
	bundleSuffix  = ".bundle"
)

// Hold writes an attempt's number into its trial's folder: from then on earlier attempts write nothing there.
func Hold(dir string, attempt int) error {
	if err := makeFolder(dir); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf(attemptFormat, attempt)), nil, 0o666)
}

// Release removes an attempt's number and its bundle from its trial's folder.
func Release(dir string, attempt int) error {
	path := filepath.Join(dir, fmt.Sprintf(attemptFormat, attempt))
	for _, file := range []string{path + bundleSuffix, path} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// holds returns record.ErrLost if the order's attempt does not hold the folder.
func holds(dir string, o Order) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	holder := 0
	for _, e := range entries {
		if number, ok := strings.CutPrefix(e.Name(), attemptPrefix); ok {
			n, _ := strconv.Atoi(number) // 0 for the bundle of an attempt
			holder = max(holder, n)
		}
	}
	switch holder {
	case o.Attempt:
		return nil
	case 0:
		return fmt.Errorf("trial %.12s, attempt %d: %w: its folder %s was taken away", o.Key, o.Attempt, record.ErrLost, dir)
	}
	return fmt.Errorf("trial %.12s, attempt %d: %w: attempt %d took over", o.Key, o.Attempt, record.ErrLost, holder)
}

// writeBundle writes how an order's attempt ended into its folder: whole or not at all, the SHA-256 first.
func writeBundle(dir string, o Order, f *record.Finish) error {
	if err := holds(dir, o); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(f); err != nil {
		return fmt.Errorf("result of trial %.12s: %w", o.Key, err)
	}
	sum := sha256.Sum256(b.Bytes())
	return atomicfile.Write(bundlePath(dir, o.Attempt), func(w io.Writer) error {
		_, err := w.Write(append(sum[:], b.Bytes()...))
		return err
	})
}

func bundlePath(dir string, attempt int) string {
	return filepath.Join(dir, fmt.Sprintf(attemptFormat, attempt)+bundleSuffix)
}

// ReadBundle reads how an attempt ended from its trial's folder. The error is fs.ErrNotExist if there is none.
func ReadBundle(dir string, attempt int) (record.Finish, error) {
	var f record.Finish
	path := bundlePath(dir, attempt)
	text, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	if len(text) < sha256.Size || sha256.Sum256(text[sha256.Size:]) != [sha256.Size]byte(text[:sha256.Size]) {
		return f, fmt.Errorf("%s is damaged: its content has another hash than written down", path)
	}
	if err := gob.NewDecoder(bytes.NewReader(text[sha256.Size:])).Decode(&f); err != nil {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	if f.Status == record.StatusDiverged && f.DivergedStep == nil {
		f.DivergedStep = new(int) // gob leaves out a zero, also where a pointer leads to it
	}
	return f, nil
}

// advice follows an error that the user can do something about, and that is no fault of a trial's.
var advice = []struct {
	of   error
	text string
}{
	{syscall.ENOSPC, ": free some space and run the same command again, which goes on from the last checkpoint"},
	{engine.ErrMemory, ": end what else runs on the device and run the same command again, which goes on from the last checkpoint; or take a smaller batch, " +
		"which makes other trials"},
}

// WithAdvice adds advice to an error about a full disk, which stops all trials, or a full device, which stops those
// that need as much.
func WithAdvice(err error) error {
	for _, a := range advice {
		if errors.Is(err, a.of) && !strings.Contains(err.Error(), a.text) {
			err = fmt.Errorf("%w%s", err, a.text)
		}
	}
	return err
}
