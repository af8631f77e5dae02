package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"focalgrid/dataset"
	"focalgrid/setting"
)

// Missing reports the input that must still be passed before the trial can run: a
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

// Missing reports the input that must still be passed before the plan can be run, as
// Config.Missing does for one trial.
func (p *Plan) Missing() error { return p.check((*Config).Missing) }

// MissingSplits reports the splits that the folders of the plan's rows do not have, and the splits that they have.
func (p *Plan) MissingSplits() error {
	return p.check(func(c *Config) error {
		if Synthetic(c) || c.Text("data.dir") == "" {
			return nil
		}
		return RequireSplits(c.Text("data.dir"), c)
	})
}

// check joins the errors about the rows, each once.
func (p *Plan) check(row func(*Config) error) error {
	var found []error
	seen := map[string]bool{}
	for i := range p.Rows {
		if err := row(&p.Rows[i].Config); err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			found = append(found, err)
		}
	}
	return errors.Join(found...)
}

// RequireSplits returns an error that names the splits of cfg that a folder does not have, and the splits that it has.
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

// MissingSplits returns, for each split that a sweep would read and a folder does not have,
// advice how to name another; a folder without any split is an error.
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

// nearestSplit returns the split whose name begins with the one asked for, as train2017 begins with train,
// or else the split with the most similar name. For scoring it prefers other splits than the one trained on.
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
