package plan

import (
	"fmt"
	"path/filepath"

	"focalgrid/dataset"
	"focalgrid/dataset/synthetic"
)

// locator looks at the folders that rows name, at each once.
type locator map[[3]string]located

// located holds the result for a row's data.
type located struct {
	name, dir string // data.name and data.dir
	problem   string // or what is wrong with the folder
}

// locate settles where a row's data and weights lie: their paths become absolute, so that
// records do not depend on the current folder. A folder given in place of the generator's
// own is used, never filled: it is read as COCO's layout, or as the synthetic set if it holds
// exactly the set asked for.
func (l locator) locate(c *Config) []Problem {
	if c.Text("pretrain.type") == "file" && c.Text("pretrain.file") != "" {
		c.Set("pretrain.file", Absolute(c.Text("pretrain.file")))
	}
	if c.Text("data.dir") == "" {
		return nil
	}
	key := [3]string{c.Text("data.name"), c.Text("data.dir")}
	if Synthetic(c) {
		key[2] = synthetic.Identity(c.SynthConfig())
	}
	found, ok := l[key]
	if !ok {
		found = located{name: c.Text("data.name"), dir: Absolute(c.Text("data.dir"))}
		if Synthetic(c) {
			found.name, found.problem = whatIsIn(c)
		}
		l[key] = found
	}
	if found.problem != "" {
		return []Problem{{Key: "data.dir", Msg: ": " + found.problem}}
	}
	c.Set("data.name", found.name)
	c.Set("data.dir", found.dir)
	return nil
}

// Locate settles where the data and the weights of one trial lie, as locator.locate does for the rows of a plan.
func Locate(c *Config) []Problem { return locator{}.locate(c) }

// Absolute returns the path from the root, or the path unchanged where the current folder is not known.
func Absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// whatIsIn returns the data.name that fits the folder of a row that names one for
// the synthetic set, or the reason why there is none.
func whatIsIn(c *Config) (name, problem string) {
	dir := c.Text("data.dir")
	if err := dataset.CheckFolder(dir); err != nil {
		return "", err.Error() + "; `runner data synth DIR` draws the synthetic set into a new one"
	}
	switch is, err := dataset.IsSynthetic(dir, c.SynthConfig()); {
	case err != nil:
		return "", fmt.Sprintf("%v; --set data.name=coco takes it as it is", err)
	case is:
		return "synthetic", ""
	}
	if _, err := dataset.Splits(dir); err != nil {
		return "", err.Error()
	}
	return "coco", ""
}
