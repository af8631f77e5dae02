package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"focalgrid/dataset"
	"focalgrid/setting"
)

// Missing says which input must still be passed before the trial can run: a
// plan needs neither images nor weights, a training does.
func (c *Config) Missing() error {
	var all problems
	if c.Text("data.name") == "coco" && c.Text("data.dir") == "" {
		all.list = append(all.list, fmt.Errorf("data.dir is empty: pass --data DIR, a folder with annotations/instances_%s.json and the images in %s/", c.Text("data.train"), c.Text("data.train")))
	}
	if c.Text("pretrain.type") == "file" && c.Text("pretrain.file") == "" {
		all.list = append(all.list, fmt.Errorf("pretrain.file is empty: pass --set pretrain.file=resnet%d.safetensors (or .pth) with ImageNet weights under torchvision's names; without them these settings do not reproduce the paper", c.Int("model.depth")))
	}
	return all.err()
}

// Missing says what must still be passed before the plan can be run, as
// Config.Missing does for one trial.
func (p *Plan) Missing() error {
	var found []error
	seen := map[string]bool{}
	for _, row := range p.Rows {
		if err := row.Config.Missing(); err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			found = append(found, err)
		}
	}
	return errors.Join(found...)
}

// MissingSplits says which splits the folders of the plan's rows do not have, and which they have.
func (p *Plan) MissingSplits() error {
	var found []error
	seen := map[string]bool{}
	for _, row := range p.Rows {
		c := row.Config
		if Synthetic(&c) || c.Text("data.dir") == "" {
			continue
		}
		if err := RequireSplits(c.Text("data.dir"), &c); err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			found = append(found, err)
		}
	}
	return errors.Join(found...)
}

// RequireSplits returns an error that says which splits of cfg a folder does not have, and which it has.
func RequireSplits(dir string, cfg *Config) error {
	missing, err := cfg.MissingSplits(dir)
	if err != nil {
		return err
	}
	var lines []error
	for _, text := range missing {
		lines = append(lines, fmt.Errorf("%s: %s", dir, text))
	}
	return errors.Join(lines...)
}

// MissingSplits says of each split that a sweep would read and that a folder does not have
// how to name another; a folder without any split is an error.
func (c *Config) MissingSplits(dir string) ([]string, error) {
	there, err := dataset.Splits(dir)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, want := range []struct{ key, split string }{{"data.train", c.Text("data.train")}, {"data." + c.Text("eval.split"), c.EvalSplit()}} {
		if !slices.Contains(there, want.split) {
			lines = append(lines, fmt.Sprintf("no split %s; it has %s: pass --set %s=%s, or another of them",
				want.split, strings.Join(there, ", "), want.key, c.nearestSplit(want.key, want.split, there)))
		}
	}
	return slices.Compact(lines), nil
}

// nearestSplit is the split there is whose name begins with that asked for, as train2017
// does, or else the one that is spelt most alike; to score, not the one that is trained on
// where there is another.
func (c *Config) nearestSplit(key, name string, there []string) string {
	if key != "data.train" {
		if others := slices.DeleteFunc(slices.Clone(there), func(s string) bool { return s == c.Text("data.train") }); len(others) > 0 {
			there = others
		}
	}
	for _, s := range there {
		if strings.HasPrefix(s, name) {
			return s
		}
	}
	return setting.Nearest(name, there)
}
