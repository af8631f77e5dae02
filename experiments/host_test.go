package experiments

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"focalgrid/engine"
)

// gitIn runs git in dir, apart from the settings of whoever runs the test.
func gitIn(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.org"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("git %v: %v: %s", args, err, out)
	}
}

func writeIn(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// git tells the revision of a checkout of this program alone, and what was changed.
func TestCheckout(t *testing.T) {
	dir := t.TempDir()
	if got := checkoutAt(dir); got.revision != "unknown" || got.dirty || got.diff != nil {
		t.Errorf("no checkout: %+v", got)
	}
	gitIn(t, dir, "init", "-q")
	writeIn(t, dir, "go.mod", "module other\n")
	gitIn(t, dir, "add", "go.mod")
	gitIn(t, dir, "commit", "-qm", "one")
	if got := checkoutAt(dir); got.revision != "unknown" {
		t.Errorf("another program's checkout: %+v", got)
	}
	writeIn(t, dir, "go.mod", "module focalgrid\n\ngo 1.26\n")
	gitIn(t, dir, "commit", "-qam", "two")
	clean := checkoutAt(dir)
	if len(clean.revision) != 40 || clean.dirty || clean.diff != nil {
		t.Errorf("a clean checkout: %+v", clean)
	}
	writeIn(t, dir, "go.mod", "module focalgrid\n\ngo 1.27\n")
	writeIn(t, dir, "new file.go", "package main // new\n")
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o777); err != nil {
		t.Fatal(err)
	}
	got := checkoutAt(dir)
	if got.revision != clean.revision || !got.dirty {
		t.Errorf("a changed checkout: %+v", got)
	}
	for _, want := range []string{"-go 1.26", "+go 1.27", "+package main // new"} {
		if !strings.Contains(string(got.diff), want) {
			t.Errorf("the change lacks %q:\n%s", want, got.diff)
		}
	}
	t.Setenv("GIT_DIR", filepath.Join(dir, "nowhere"))
	if again := checkoutAt(dir); again.revision != got.revision {
		t.Errorf("with another GIT_DIR: %+v", again)
	}
	writeIn(t, sub, "go.mod", "module focalgrid\n")
	if got := checkoutAt(sub); got.revision != "unknown" {
		t.Errorf("a copy inside another checkout: %+v", got)
	}
	writeIn(t, dir, "big", strings.Repeat("0123456789\n", maxDiff/11+1))
	if got := checkoutAt(dir); !got.dirty || got.diff != nil {
		t.Errorf("a change of more than %d bytes: %d are kept", maxDiff, len(got.diff))
	}
}

// A repository whose settings and attributes name programs to run, in every way that git
// has for what is asked of it, is read without running one; and the folder that one
// stands in is not asked at all.
func TestHostileRepository(t *testing.T) {
	dir := t.TempDir()
	ran := filepath.Join(dir, "ran")
	program := filepath.Join(dir, "program")
	writeIn(t, dir, "program", "#!/bin/sh\necho \"$0 $*\" >> '"+ran+"'\ncat\n")
	if err := os.Chmod(program, 0o777); err != nil {
		t.Fatal(err)
	}
	top := filepath.Join(dir, "top")
	if err := os.Mkdir(top, 0o777); err != nil {
		t.Fatal(err)
	}
	gitIn(t, top, "init", "-q")
	writeIn(t, top, "go.mod", "module focalgrid\n")
	writeIn(t, top, "a.go", "package a\n")
	writeIn(t, top, "b.go", "package b\n")
	gitIn(t, top, "add", ".")
	gitIn(t, top, "commit", "-qm", "one")
	writeIn(t, top, ".gitattributes", "a.go filter=evil diff=evil\nb.go filter=Long.Running\n*.c diff=evil\n")
	writeIn(t, top, "a.go", "package aa\n")
	writeIn(t, top, "b.go", "package bb\n")
	writeIn(t, top, "c.c", "new\n")
	for name, value := range map[string]string{
		"core.fsmonitor": program, "core.pager": program, "pager.status": program, "pager.diff": program, "diff.external": program,
		"diff.evil.command": program, "diff.evil.textconv": program, "filter.evil.clean": program, "filter.evil.required": "true",
		"filter.Long.Running.process": program, "filter.Long.Running.required": "true", "core.hooksPath": dir, "alias.status": "!" + program,
	} {
		gitIn(t, top, "config", name, value)
	}
	if err := os.Symlink(program, filepath.Join(dir, "post-index-change")); err != nil {
		t.Fatal(err)
	}
	os.Remove(ran)
	got := checkoutAt(top)
	for _, want := range []string{"+package aa", "+package bb", "+new"} {
		if !got.dirty || !strings.Contains(string(got.diff), want) {
			t.Errorf("the change lacks %q: %+v\n%s", want, got, got.diff)
		}
	}
	t.Chdir(top)
	if h := DescribeHost(engine.Info{Kernels: "test", Threads: 1}); h.Revision == got.revision {
		t.Error("the folder one stands in tells the revision")
	}
	if text, err := os.ReadFile(ran); err == nil {
		t.Errorf("it ran\n%s", text)
	}
	gitIn(t, top, "status", "--porcelain")
	if _, err := os.Stat(ran); err != nil {
		t.Errorf("git runs nothing there by itself: %v; this test shows nothing", err)
	}
	gitIn(t, top, "config", "filter.a=b.clean", program)
	if got := checkoutAt(top); got.revision != "unknown" {
		t.Errorf("a filter that cannot be switched off: %+v", got)
	}
}
