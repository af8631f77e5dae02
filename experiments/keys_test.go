package experiments

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"focalgrid/dataset/synthetic"
	"focalgrid/detector"
	"focalgrid/experiments/plan"
)

var updateKeys = flag.Bool("update-keys", false, "rewrite testdata/keys.golden; a line that changes orphans every trial recorded under its key")

// earlier are recipes that a profile once had: trials recorded under them are still found with --set.
var earlier = []struct {
	profile   string
	set       []string
	ablations []string // those that were trained by it and follow it
}{
	{"mini", []string{"optim.warmup=50"}, []string{"alpha", "depth_scale", "gamma", "ohem"}},
	{"paper", []string{"image.batches=mixed"}, plan.Ablations()},
}

// keysOf lists the identity of every row of every ablation at every profile, and at what the profile was
// earlier, with the text that it is a hash of. What only files can tell (the identities of a COCO folder
// and of a weights file) has stand-ins.
func keysOf(t *testing.T) []byte {
	t.Helper()
	const folder, file = "identity of the folder", "hash of the weights"
	var b bytes.Buffer
	list := func(name string, sel plan.Selection, title string) {
		p, err := detector.Settings.Load(name, sel)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range p.Rows {
			cfg := row.Config
			id := plan.Identity{Config: plan.Canonical(&cfg), Seed: p.Seeds[0], Data: folder, Engine: "gorgonia", Numerics: 3}
			if plan.Synthetic(&cfg) {
				id.Data = synthetic.Identity(cfg.SynthConfig())
			}
			switch cfg.Text("pretrain.type") {
			case "crops":
				id.Init = plan.PretrainKey(&cfg, synthetic.CropIdentity(cfg.CropConfig()), id.Engine, id.Numerics)
			case "file":
				id.Init = file
			}
			fmt.Fprintf(&b, "%s at %s, row %d, seed %d: %s\n  data %s\n  init %s\n  %s\n",
				name, title, row.Index+1, id.Seed, id.Key(), id.Data, id.Init, id.Config)
		}
	}
	for _, name := range plan.Ablations() {
		for _, profile := range plan.Profiles() {
			title := profile
			for _, e := range earlier {
				if e.profile == profile && slices.Contains(e.ablations, name) {
					list(name, plan.Selection{Profile: profile, Set: e.set}, profile)
					title += " of today"
				}
			}
			list(name, plan.Selection{Profile: profile}, title)
		}
	}
	return b.Bytes()
}

// Every trial that anybody recorded keeps its identity: a key that moves makes it "to do"
// again. A new setting must stay out of the text where it has the value that the program
// had before there was the setting. New rows may be added.
func TestGoldenKeys(t *testing.T) {
	path := filepath.Join("testdata", "keys.golden")
	got := keysOf(t)
	if *updateKeys {
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	now := identitiesIn(got)
	recorded := identitiesIn(want)
	for _, e := range recorded {
		if !slices.Contains(now, e) {
			t.Errorf("this identity is no longer computed:\n%s", e)
		}
	}
	if len(recorded) < 60 || len(now) < len(recorded) {
		t.Errorf("%d identities are recorded, %d are computed, expected 60 or more and no fewer", len(recorded), len(now))
	}
	for _, e := range now {
		if !slices.Contains(recorded, e) {
			t.Errorf("this identity is not recorded (after adding rows run this test with -update-keys):\n%s", e)
		}
	}
}

// identitiesIn cuts the text at the lines that are not indented.
func identitiesIn(text []byte) []string {
	var out []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "  ") && len(out) > 0 {
			out[len(out)-1] += line
		} else {
			out = append(out, line)
		}
	}
	return out
}
