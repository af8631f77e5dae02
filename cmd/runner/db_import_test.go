package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImportCompressed: an export that gzip has compressed is imported like the export itself, and one that was cut is
// refused as a whole.
func TestImportCompressed(t *testing.T) {
	export, err := os.ReadFile("testdata/study/trials.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(export); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	for _, test := range []struct {
		name  string
		file  []byte
		code  int
		wants string
	}{
		{"whole", whole, exitOK, "12 trials added"},
		{"cut", whole[:len(whole)/2], exitFailed, "cut.jsonl.gz: unexpected EOF"},
		{"not compressed after all", []byte("\x1f\x8b and no more"), exitUsage, "all.jsonl.gz: gzip: invalid header"},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			file, db := filepath.Join(folder, test.name+".jsonl.gz"), filepath.Join(folder, "some.db")
			if err := os.WriteFile(file, test.file, 0o666); err != nil {
				t.Fatal(err)
			}
			code, out, stderr := runHere(t.Context(), "db", "import", "--db", db, file)
			if code != test.code || !strings.Contains(out+stderr, test.wants) {
				t.Errorf("exit code %d, want %d and %q: %s%s", code, test.code, test.wants, out, stderr)
			}
			if code == exitFailed {
				if left := must(t, "db", "export", "--db", db); left != "" {
					t.Errorf("something was imported: %.100s", left)
				}
			}
			if code != exitOK {
				return
			}
			if again := must(t, "db", "export", "--db", db); again != string(export) {
				t.Error("the export of what was imported is another one")
			}
		})
	}
}
