package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"focalgrid/setting"
)

// layout describes what a folder of data has to hold.
const layout = "a folder in COCO's layout has annotations/instances_SPLIT.json beside a folder SPLIT of pictures for each split"

// ErrNoFolder is returned for a folder of data that does not exist.
var ErrNoFolder = errors.New("no such folder")

// CheckFolder returns an error if a path is not a folder, and proposes the folder that may be meant.
func CheckFolder(dir string) error {
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

// Splits lists the splits of a folder in COCO's layout, by name. The error about a
// folder without splits lists what it has instead.
func Splits(dir string) ([]string, error) {
	if err := CheckFolder(dir); err != nil {
		return nil, err
	}
	there, err := splitsIn(dir)
	if err == nil && len(there) == 0 {
		err = fmt.Errorf("%s: holds no data; %s%s", dir, layout, cmp.Or(inner(dir), unarranged(dir)))
	}
	return there, err
}

// splitsIn lists the splits that a folder in COCO's layout has, by name; none for any other.
func splitsIn(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(escapeGlob(dir), "annotations", "instances_*.json"))
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		name := filepath.Base(f)
		files[i] = name[len("instances_") : len(name)-len(".json")]
	}
	return files, nil
}

// escapeGlob keeps a folder's own name from being read as a pattern.
func escapeGlob(dir string) string {
	var b []byte
	for i := range len(dir) {
		if c := dir[i]; c == '*' || c == '?' || c == '[' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, dir[i])
	}
	return string(b)
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
	return "; nearest: " + filepath.Join(filepath.Dir(dir), setting.Nearest(filepath.Base(dir), names))
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
