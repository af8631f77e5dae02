package safecsv

import (
	"bytes"
	"errors"
	"testing"
)

func TestWrite(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, record := range [][]string{
		{"dog", "", "a=b", "γ"},
		{"=1+1", "+cmd", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1"},
		{"-0.5", "+3", "-1e-05", "-", "--1", "-Inf"},
		{`=HYPERLINK("http://x","y")`},
	} {
		if err := w.Write(record); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	want := "dog,,a=b,γ\n" +
		"'=1+1,'+cmd,'-cmd|' /C calc'!A0,'@SUM(A1),'\t=1,\"'\r=1\"\n" +
		"-0.5,+3,-1e-05,'-,'--1,'-Inf\n" +
		"\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"\n"
	if b.String() != want || w.Error() != nil {
		t.Errorf("written is %q (%v), want %q", b.String(), w.Error(), want)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestError(t *testing.T) {
	w := NewWriter(full{})
	w.Write([]string{"a"})
	w.Flush()
	if w.Error() == nil {
		t.Error("an error of the file is lost")
	}
}
