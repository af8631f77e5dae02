package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

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

func TestReport(t *testing.T) {
	err := bad(errors.Join(errors.New("a.yaml:1: one"), errors.New("a.yaml:2: two")))
	var c *coded
	if !errors.As(err, &c) || c.code != exitUsage {
		t.Errorf("%v has no exit code", err)
	}
}
