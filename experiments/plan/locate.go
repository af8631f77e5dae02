package plan

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"focalgrid/dataset"
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
		key[2] = dataset.Identity(c.SynthConfig())
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

// layout is what a folder of data has to hold.
const layout = "a folder in COCO's layout has annotations/instances_SPLIT.json beside a folder SPLIT of pictures for each split"

// whatIsIn returns the data.name that fits the folder of a row that names one for
// the synthetic set, or says why there is none.
func whatIsIn(c *Config) (name, problem string) {
	dir := c.Text("data.dir")
	if err := noFolder(dir); err != nil {
		return "", err.Error() + "; `runner data synth DIR` draws the synthetic set into a new one"
	}
	switch is, err := dataset.IsSynthetic(dir, c.SynthConfig()); {
	case err != nil:
		return "", fmt.Sprintf("%v; --set data.name=coco takes it as it is", err)
	case is:
		return "synthetic", ""
	}
	if _, err := Splits(dir); err != nil {
		return "", err.Error()
	}
	return "coco", ""
}

// ErrNoFolder is that of data whose folder is not there.
var ErrNoFolder = errors.New("no such folder")

// noFolder says why a path is no folder, and which may be meant; nil: it is one.
func noFolder(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w%s; %s", dir, ErrNoFolder, neighbour(dir), layout)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s: is a file, expected a folder; %s", dir, layout)
	}
	return nil
}

// neighbour names the folder beside a missing one whose name is nearest.
func neighbour(dir string) string {
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; nearest: " + filepath.Join(filepath.Dir(dir), Nearest(filepath.Base(dir), names))
}

// inner names the folders inside one that are in COCO's layout, where dir is one too high.
func inner(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		if splits, err := splitsIn(filepath.Join(dir, e.Name())); err == nil && len(splits) > 0 {
			return "; nearest: " + filepath.Join(dir, e.Name())
		}
	}
	return ""
}

// unarranged names the JSON files of a folder that is not in COCO's layout: what other tools
// export has the annotations in other places.
func unarranged(dir string) string {
	const most = 3
	var found []string
	for _, pattern := range []string{"*.json", "*/*.json"} {
		files, err := filepath.Glob(filepath.Join(escapeGlob(dir), filepath.FromSlash(pattern)))
		if err != nil {
			return ""
		}
		found = append(found, files...)
	}
	if len(found) == 0 {
		return ""
	}
	more := ""
	if len(found) > most {
		found, more = found[:most], ", …"
	}
	return "; it has " + strings.Join(found, ", ") + more + ": what is COCO's JSON there, copy to annotations/instances_SPLIT.json"
}
