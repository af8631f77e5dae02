package plan

import (
	"fmt"
	"path/filepath"

	"focalgrid/dataset"
	"focalgrid/dataset/synthetic"
)

// locator finds out what the folders and files are that rows name, each once.
type locator map[[3]string]located

// located is what became of a row's data.
type located struct {
	name, dir string // data.name and data.dir
	problem   string // or what is wrong with the folder
}

// locate settles where a row's data and weights lie: their paths become absolute, so that
// what is recorded means the same from everywhere. A folder given in place of
// the generator's own is used, never filled: one in COCO's layout is read as such,
// and one that holds the very synthetic set asked for is that set.
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

// Absolute is the path from the root; as it is where nobody knows the current folder.
func Absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// whatIsIn returns the data.name that fits the folder of a row that names one for
// the synthetic set, or says why there is none.
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
