package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"focalgrid/ablations"
)

func freshRoot() *cobra.Command {
	root := newRoot(newApp(io.Discard, io.Discard))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	return root
}

// walk calls f for every command that help shows.
func walk(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, f)
	}
}

// parses tells what is wrong with a command line of ours, without running it.
func parses(t *testing.T, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " #")
	line, _, _ = strings.Cut(line, " > ")
	line, _, _ = strings.Cut(line, " | ")
	words := strings.Fields(line)
	if len(words) == 0 || words[0] != "runner" {
		t.Errorf("%q is no command of ours", line)
		return
	}
	cmd, rest, err := freshRoot().Find(words[1:])
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err != nil {
		t.Errorf("%q does not parse: %v", line, err)
	}
}

// TestHelp holds that every command says what it does, and shows how to use it by
// examples that parse.
func TestHelp(t *testing.T) {
	walk(freshRoot(), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if cmd.Hidden { // not for people
			return
		}
		if cmd.Short == "" {
			t.Errorf("%s has no short help", path)
		}
		if cmd.Long == "" {
			t.Errorf("%s has no long help", path)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s has no help", path, f.Name)
			}
		})
		if cmd.Example == "" {
			if !strings.Contains(path, " completion") && cmd.Name() != "help" { // cobra's own have theirs in the text
				t.Errorf("%s has no examples", path)
			}
			return
		}
		for line := range strings.Lines(cmd.Example) {
			parses(t, line)
		}
	})
}

// TestAblationFilesCommands: the commands in the comments of the grid files parse.
func TestAblationFilesCommands(t *testing.T) {
	found := 0
	err := fs.WalkDir(ablations.Files, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := fs.ReadFile(ablations.Files, path)
		for line := range strings.Lines(string(text)) {
			if command, ok := strings.CutPrefix(line, "#   runner "); ok {
				found++
				parses(t, "runner "+command)
			}
		}
		return err
	})
	if err != nil || found == 0 {
		t.Errorf("%d commands in the files (%v)", found, err)
	}
}

// TestPagesCommands: the commands on our pages parse.
func TestPagesCommands(t *testing.T) {
	pages := []string{"../../README.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../bench/*/README.md"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, more...)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		inCode := false
		for line := range strings.Lines(string(text)) {
			line = strings.TrimRight(line, "\n")
			if strings.HasPrefix(line, "```") {
				inCode = !inCode
			}
			if !inCode && !strings.HasPrefix(line, "    ") {
				continue
			}
			line = strings.TrimSpace(line)
			line = strings.Replace(line, "go run ./cmd/runner ", "runner ", 1)
			line, _, _ = strings.Cut(line, " | ") // what reads the output is another program
			if strings.HasPrefix(line, "runner ") && !strings.HasSuffix(line, "\\") {
				parses(t, line)
			}
		}
	}
}
