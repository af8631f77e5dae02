package plan

import (
	"maps"
	"math"
	"strings"

	"focalgrid/dataset"
	"focalgrid/dataset/synthetic"
	"focalgrid/setting"
)

// Config holds a value for every setting of one trial. There are no defaults here: all values come
// from the profile files (ablations/profiles) and from what is laid over them. A key is a group and a name joined
// by a dot, as in loss.gamma. Copies of a Config may be changed independently.
type Config struct {
	groups map[string]setting.Values // never changed in place
	in     *Catalogue
}

// Group returns the settings of a group by name. The caller must not change them.
func (c *Config) Group(name string) setting.Values { return c.groups[name] }

func (c *Config) group(key string) (setting.Values, string) {
	group, name, _ := strings.Cut(key, ".")
	return c.groups[group], name
}

// Text returns the value of a setting that is text.
func (c *Config) Text(key string) string {
	g, name := c.group(key)
	return g.Text(name)
}

// Int returns the value of a setting that is a whole number.
func (c *Config) Int(key string) int {
	g, name := c.group(key)
	return g.Int(name)
}

// Number returns the value of a setting that is a number.
func (c *Config) Number(key string) float64 {
	g, name := c.group(key)
	return g.Number(name)
}

// Value returns the value of any setting: string, bool, int, uint64, float64, []float64, or
// nil for none.
func (c *Config) Value(key string) any {
	g, name := c.group(key)
	return g[name]
}

// Set gives a setting another value of its kind.
func (c *Config) Set(key string, value any) {
	group, name, _ := strings.Cut(key, ".")
	changed := maps.Clone(c.groups[group])
	if changed == nil {
		changed = setting.Values{}
	}
	changed[name] = value
	if c.groups = maps.Clone(c.groups); c.groups == nil {
		c.groups = map[string]setting.Values{}
	}
	c.groups[group] = changed
}

// stepsAt returns the iterations at which the learning rate falls.
func (c *Config) stepsAt() []int {
	steps := c.groups["optim"].Numbers("steps")
	out := make([]int, len(steps))
	for i, at := range steps {
		if at < 1 {
			at = math.Round(at * float64(c.Int("train.iters")))
		}
		out[i] = int(at)
	}
	return out
}

// EvalSplit returns the name of the split that is scored.
func (c *Config) EvalSplit() string { return c.Text("data." + c.Text("eval.split")) }

// Synthetic reports whether the data is the generated set.
func Synthetic(c *Config) bool { return c.Text("data.name") == "synthetic" }

// Crops reports whether the backbone is pretrained on crops.
func Crops(c *Config) bool { return c.Text("pretrain.type") == "crops" }

// Transform returns how pictures become the network's input.
func (c *Config) Transform() dataset.Transform { return dataset.NewTransform(c.Group("image")) }

// SynthConfig returns the settings of the generated data set.
func (c *Config) SynthConfig() synthetic.Config { return synthetic.NewConfig(c.Group("data")) }

// CropConfig returns the settings of the crops that the backbone is pretrained on.
func (c *Config) CropConfig() synthetic.CropConfig {
	return synthetic.NewCropConfig(c.Group("pretrain"), c.Group("data"))
}
