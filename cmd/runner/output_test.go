package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"focalgrid/detector"
	"focalgrid/experiments/plan"
)

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		"plain γ – text\n\tindented\n": "plain γ – text\n\tindented\n",
		"\x1b[31mred\x1b[0m":           `\u001b[31mred\u001b[0m`,
		"bell\a back\b\r\x7f":          `bell\u0007 back\u0008\u000d\u007f`,
		"c1 \u009b31m":                 `c1 \u009b31m`,
		"turned \u202egnp.exe":         `turned \u202egnp.exe`,
		"no UTF-8 \x9b31m \xff":        `no UTF-8 \x9b31m \xff`,
		"the mark itself \ufffd":       "the mark itself \ufffd",
	} {
		if got := visible(text); got != want {
			t.Errorf("visible(%q) is %q, want %q", text, got, want)
		}
		// As writes cut it, also within a character.
		for cut := range len(text) {
			var out bytes.Buffer
			o := &output{raw: &out}
			o.Write([]byte(text[:cut]))
			o.Write([]byte(text[cut:]))
			if err := o.end(); err != nil || out.String() != want {
				t.Errorf("%q, cut at %d, is written as %q (%v), want %q", text, cut, out.String(), err, want)
			}
		}
	}
}

func TestFolded(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
	}{
		{"a sentence", "one two three four five\n", "one two\nthree four\nfive\n"},
		{"as long as the line", "12345 7890\n", "12345 7890\n"},
		{"a command stays whole", "do `runner ls --db x.db` now\n", "do\n`runner ls --db x.db`\nnow\n"},
		{"a table", "gamma       AP      n\n", "gamma       AP      n\n"},
		{"a command line", "  runner sweep gamma --seeds 0..4\n", "  runner sweep gamma --seeds 0..4\n"},
		{"one long word", "0123456789abcdef\n", "0123456789abcdef\n"},
		{"letters, not bytes", "γγγγγ γγγγ\n", "γγγγγ γγγγ\n"},
		{"no line end", "one two three", "one two\nthree"},
	} {
		if got := folded(tt.text, 10); got != tt.want {
			t.Errorf("%s: %q is folded to %q, want %q", tt.name, tt.text, got, tt.want)
		}
		if got := folded(tt.text, 0); got != tt.text {
			t.Errorf("%s: without a terminal it is %q", tt.name, got)
		}
	}
}

// full stands for a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, errors.New("write /dev/stdout: no space left on device")
}

// TestFullOutput: whatever a verb prints, an output that nobody can read is a failure.
func TestFullOutput(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	t.Chdir(t.TempDir())
	lines := []string{
		"", "version", "--version", "doctor", "model mini", "sweep smoke --dry-run", "completion bash", "completion zsh",
		"data synth syn --set data.images.train=1 --set data.images.tune=1 --set data.images.val=1 --set data.pixels=64 --set image.short=64",
		"data check syn", "data stats syn",
	}
	walk(freshRoot(), func(cmd *cobra.Command) {
		lines = append(lines, strings.TrimPrefix(cmd.CommandPath()+" --help", "runner "))
	})
	for _, line := range lines {
		var stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(line), full{}, &stderr)
		if want := "runner: write /dev/stdout: no space left on device\n"; code != exitFailed || !strings.HasSuffix(stderr.String(), want) {
			t.Errorf("runner %s: exit code %d, stderr %q; want %d and %q", line, code, stderr.String(), exitFailed, want)
		}
	}
	// What a file or flag is to blame for stays that.
	if code := run(t.Context(), []string{"model", "huge"}, full{}, &bytes.Buffer{}); code != exitUsage {
		t.Errorf("a bad name: exit code %d", code)
	}
}

func TestOneSeed(t *testing.T) {
	for flag, want := range map[string]string{
		"3": "One seed, number 3; for 3 seeds, from 0 on, write --seeds 0..2.\n", "0": "", "1": "", "": "", "3,4": "", "3..3": "", "5000": "",
	} {
		plan, err := detector.Settings.Load("smoke", plan.Selection{Seeds: flag})
		if err != nil {
			t.Fatal(err)
		}
		if got := oneSeed(plan, flag); got != want {
			t.Errorf("--seeds %s: %q, want %q", flag, got, want)
		}
	}
}
