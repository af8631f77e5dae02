package experiments

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"

	"focalgrid/weights"
)

// metaHash names the metadata of a sealed file with the hash of its content: the SHA-256 of the file written without
// this entry.
const metaHash = "sha256"

// seal adds the hash of the content to the metadata of a file with these tensors.
func seal(ts []weights.Tensor, meta map[string]string) error {
	hash, err := contentHash(ts, meta)
	if err == nil {
		meta[metaHash] = hash
	}
	return err
}

// checkSeal returns an error if a file's content is not what was sealed.
func checkSeal(f *weights.File) error {
	want, ok := f.Metadata[metaHash]
	if !ok {
		return errors.New("it has no hash of its content")
	}
	meta := maps.Clone(f.Metadata)
	delete(meta, metaHash)
	got, err := contentHash(f.Tensors, meta)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("its content has hash %.12s, written down is %.12q", got, want)
	}
	return nil
}

func contentHash(ts []weights.Tensor, meta map[string]string) (string, error) {
	h := sha256.New()
	if err := weights.Encode(h, ts, meta, weights.F32); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// unreadable returns the system's error if a file could not be opened or read, nil if err is about its content. The
// system's error may pass and proves nothing about the content: nothing may be deleted or made again because of it.
func unreadable(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e
	}
	return nil
}
