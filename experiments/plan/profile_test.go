package plan

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"focalgrid/ablations"
)

// A profile may be a file: its path is relative to the grid file, or given by a flag to the
// working folder. What it is called decides nothing.
func TestOwnProfile(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(t.TempDir())
	mini, err := fs.ReadFile(ablations.Files, "profiles/mini.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write := func(path string, text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "leaves.yaml"), mini)
	const rows = "grid: {loss.gamma: [0, 2]}\nseeds: [0]\nat: {leaves.yaml: {seeds: [7]}}\n"
	own, err := gridText(t, dir, "profile: leaves.yaml\n"+rows, Selection{})
	if err != nil {
		t.Fatal(err)
	}
	theirs := mustPlan(t, "profile: mini\n"+rows, Selection{})
	if own.Profile != "leaves.yaml" || own.Seeds[0] != 7 {
		t.Errorf("profile %s, seeds %v", own.Profile, own.Seeds)
	}
	for i := range own.Rows {
		if string(own.Rows[i].Canonical) != string(theirs.Rows[i].Canonical) {
			t.Errorf("row %d: the identity depends on the profile's name", i)
		}
	}

	write("here.yaml", mini)
	if p, err := gridText(t, dir, rows, Selection{Profile: "here.yaml"}); err != nil || p.Profile != "here.yaml" {
		t.Errorf("a profile by a flag: %v", err)
	}
	if _, err := gridText(t, dir, "profile: here.yaml\n"+rows, Selection{}); err == nil || !strings.Contains(err.Error(), "profile "+filepath.Join(dir, "here.yaml")+": no such file") {
		t.Errorf("a profile that is not there: %v", err)
	}
	write(filepath.Join(dir, "leaves.yaml"), bytes.Replace(mini, []byte("\nloss:"), []byte("\nlos:"), 1))
	_, err = gridText(t, dir, "profile: leaves.yaml\n"+rows, Selection{})
	line := bytes.Count(mini[:bytes.Index(mini, []byte("\nloss:"))+1], []byte("\n")) + 1
	if want := fmt.Sprintf("%s:%d: unknown key \"los\"; nearest: loss", filepath.Join(dir, "leaves.yaml"), line); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a wrong key in a profile: %v, want %s", err, want)
	}
	var earlier []byte // from before three settings were added
	for line := range bytes.Lines(mini) {
		if !regexp.MustCompile(`^  (assigner|head|schedule): `).Match(line) {
			earlier = append(earlier, line...)
		}
	}
	write(filepath.Join(dir, "earlier.yaml"), earlier)
	older, err := gridText(t, dir, "profile: earlier.yaml\n"+rows, Selection{})
	if err != nil {
		t.Fatalf("a profile from before a setting: %v", err)
	}
	if now := mustPlan(t, "profile: mini\n"+rows, Selection{}); bytes.Count(mini, []byte("\n"))-bytes.Count(earlier, []byte("\n")) != 3 || !bytes.Equal(older.Rows[0].Canonical, now.Rows[0].Canonical) {
		t.Errorf("a profile from before a setting gives %s, the profile %s", older.Rows[0].Canonical, now.Rows[0].Canonical)
	}
	baseline := miniConfig(t)
	if c, err := settings.LoadBaseline(filepath.Join(dir, "earlier.yaml"), Selection{}); err != nil || string(Resolved(&c)) != string(Resolved(&baseline)) {
		t.Errorf("the settings of a profile's file: %v", err)
	}
	if _, err := settings.LoadBaseline(filepath.Join(dir, "earlier.yaml"), Selection{Profile: "paper"}); err == nil || !strings.Contains(err.Error(), "is a profile itself") {
		t.Errorf("a profile for a profile: %v", err)
	}
	write(filepath.Join(dir, "leaves.yaml"), []byte("train: {iters: 5}\n"))
	if _, err = gridText(t, dir, "profile: leaves.yaml\n"+rows, Selection{}); err == nil || !strings.Contains(err.Error(), "no value for anchors.base; a profile gives every setting") {
		t.Errorf("a profile with gaps: %v", err)
	}
}

// A hostile file is refused before it costs time and memory without end.
func TestHostileFiles(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'j'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	wide := "profile: mini\nseeds: [0]\ngrid:\n"
	for _, key := range []string{"loss.gamma", "loss.alpha", "optim.lr", "optim.clip", "image.flip"} {
		wide += "  " + key + ": [" + strings.TrimSuffix(strings.Repeat("1,", 1000), ",") + "]\n"
	}
	unknown := strings.Builder{}
	for i := range 100_000 {
		fmt.Fprintf(&unknown, "k%d: 1\n", i)
	}
	tests := []struct{ name, text, want string }{
		{"aliases of aliases", bomb, "anchors and aliases are not read"},
		{"a product of 10¹⁵", wide, "more than 100000 rows"},
		{"deep nesting", strings.Repeat("[", 200_000), "not valid YAML"},
		{"deep settings", "baseline: " + strings.Repeat("{loss: ", 5000) + "1" + strings.Repeat("}", 5000), `unknown key "loss.loss"`},
		{"a large file", "# " + strings.Repeat("x", maxFileBytes), "larger than 1048576 bytes"},
		{"many unknown keys", unknown.String(), "unknown key"},
		{"a long key", strings.Repeat("k", 1000) + ": 1\n", "unknown key"},
		{"a long value", "baseline: {loss.gamma: " + strings.Repeat("9", 100_000) + "}\n", "out of range"},
		{"many seeds", "profile: mini\nseeds: 0..9223372036854775807\n", "more than 100000 seeds"},
		{"many comments", strings.Repeat("#\n", 200_000), "file is empty"},
	}
	for _, tt := range tests {
		_, err := gridText(t, t.TempDir(), tt.text, Selection{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %.300v, want %q", tt.name, err, tt.want)
		} else if len(err.Error()) > 10_000 {
			t.Errorf("%s: an error of %d bytes", tt.name, len(err.Error()))
		}
	}
}
