package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"focalgrid/dataset"
)

// TestLocate: a folder that is named is taken for what it holds, by its absolute path;
// anything else is said, and nothing is written.
func TestLocate(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	for _, dir := range []string{"birds/annotations", "birds/val", "empty", "above/birds2/annotations"} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"birds/annotations/instances_val.json", "above/birds2/annotations/instances_val.json", "file"} {
		if err := os.WriteFile(file, []byte("{}"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	set := []string{"data.images.train=1", "data.images.tune=1", "data.images.val=1", "data.pixels=32"}
	cfg, err := settings.LoadBaseline("mini", Selection{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dataset.Generate(t.Context(), "drawn", cfg.SynthConfig(), dataset.GenerateOptions{Own: true}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		dir, name string
		more      []string // settings
		problem   string
	}{
		{dir: "birds", name: "coco"},
		{dir: "birds", name: "coco", more: []string{"data.val=valid"}},
		{dir: "drawn", name: "synthetic"},
		{dir: "drawn", more: []string{"data.seed=2"}, problem: "--set data.name=coco takes it as it is"},
		{dir: "drawn", name: "coco", more: []string{"data.name=coco"}},
		{dir: "brids", problem: "brids: no such folder; nearest: birds; a folder in COCO's layout has annotations/instances_SPLIT.json"},
		{dir: "empty", problem: "empty: holds no data; "},
		{dir: "above", problem: "nearest: " + filepath.Join("above", "birds2")},
		{dir: "file", problem: "file: is a file, expected a folder"},
	} {
		got, err := settings.LoadBaseline("mini", Selection{Set: append(tt.more, set...), DataDir: tt.dir})
		switch {
		case tt.problem != "":
			if err == nil || !strings.HasPrefix(err.Error(), "--data "+tt.dir+": data.dir: ") || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("%s %v: %v, want %q", tt.dir, tt.more, err, tt.problem)
			}
		case err != nil || got.Text("data.name") != tt.name || got.Text("data.dir") != filepath.Join(root, tt.dir):
			t.Errorf("%s %v: %s in %s (%v), want %s in %s", tt.dir, tt.more, got.Text("data.name"), got.Text("data.dir"), err, tt.name, filepath.Join(root, tt.dir))
		}
	}
	if _, err := os.Stat("brids"); err == nil {
		t.Error("a mistyped folder was made")
	}
	file, err := settings.LoadBaseline("mini", Selection{Set: []string{"pretrain.type=file", "pretrain.file=w.safetensors"}})
	if err != nil || file.Text("pretrain.file") != filepath.Join(root, "w.safetensors") {
		t.Errorf("weights are in %s (%v), want the absolute path", file.Text("pretrain.file"), err)
	}
}
