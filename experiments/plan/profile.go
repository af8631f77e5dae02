package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"focalgrid/ablations"
	"focalgrid/setting"
)

// Profiles lists the embedded profiles by name.
func Profiles() []string { return yamlNames("profiles") }

// Ablations lists the embedded grid files by name.
func Ablations() []string { return yamlNames(".") }

func yamlNames(dir string) []string {
	found, err := fs.Glob(ablations.Files, filepath.ToSlash(filepath.Join(dir, "*.yaml")))
	if err != nil {
		return nil // the pattern is ours and well-formed
	}
	for i, f := range found {
		found[i] = strings.TrimSuffix(filepath.Base(f), ".yaml")
	}
	slices.Sort(found)
	return found
}

// Load reads a grid file and expands it. source is a path or, where no such
// file is, the name of an embedded ablation ("gamma").
//
// The layers, each over the one before: the profile (sel.Profile, else the
// file's), the file's baseline, sel.Set and sel.DataDir, the row's own settings.
// An error names file and line of everything that is wrong.
func (in *Catalogue) Load(source string, sel Selection) (*Plan, error) {
	label, text, err := read(source)
	if err != nil {
		if _, wrong := sel.parse(in); wrong != nil { // a slip in a flag is told first
			return nil, wrong
		}
		return nil, err
	}
	return in.Parse(label, text, sel)
}

// LoadInside expands the grid file of that name inside the program as Load does, whatever lies in the current folder.
func (in *Catalogue) LoadInside(name string, sel Selection) (*Plan, error) {
	label, text, err := readInside(name)
	if err != nil {
		return nil, err
	}
	return in.Parse(label, text, sel)
}

// Parse expands the text of a grid file as Load does; errors call it label.
func (in *Catalogue) Parse(label string, text []byte, sel Selection) (*Plan, error) {
	parsed, err := sel.parse(in)
	if err != nil {
		return nil, err
	}
	b, name, profile, err := in.grid(label, text, sel.Profile)
	if err != nil {
		return nil, err
	}
	p, err := b.plan(profile, parsed)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(text)
	p.File, p.FileHash, p.Profile = label, hex.EncodeToString(hash[:]), name
	p.Text = string(text)
	p.Name = strings.TrimSuffix(filepath.Base(label), filepath.Ext(label))
	return p, nil
}

// LoadBaseline returns the settings of a grid file's baseline, of an embedded
// ablation's, or of a profile, inside the program or in a file, with sel.Set and
// sel.DataDir over them. A path wins over an ablation's name, which wins over a profile's.
func (in *Catalogue) LoadBaseline(source string, sel Selection) (Config, error) {
	c, _, err := in.baseline(source, sel)
	return c, err
}

// baseline does what LoadBaseline does, and also returns where each setting was last written.
func (in *Catalogue) baseline(source string, sel Selection) (Config, map[string]place, error) {
	parsed, err := sel.parse(in)
	if err != nil {
		return Config{}, nil, err
	}
	b := body{in: in, file: source}
	label, text, err := read(source)
	var profile []entry
	switch {
	case err == nil && in.looksLikeProfile(label, text):
		if profile, err = (&reader{in: in, file: label, earlier: true}).everySetting(text); err == nil {
			err = alone(source, sel)
		}
		if err != nil {
			return Config{}, nil, err
		}
	case err == nil:
		if b, _, profile, err = in.grid(label, text, sel.Profile); err != nil {
			return Config{}, nil, err
		}
	case errors.Is(err, ErrNoGrid) && slices.Contains(Profiles(), source):
		if profile, err = in.loadProfile(source, ""); err == nil {
			err = alone(source, sel)
		}
		if err != nil {
			return Config{}, nil, err
		}
	case errors.Is(err, ErrNoGrid):
		return Config{}, nil, fmt.Errorf("%w; profiles: %s", err, strings.Join(Profiles(), ", "))
	default:
		return Config{}, nil, err
	}
	b.blocks, b.exclude, b.claims, b.tune, b.seeds, parsed.only = nil, nil, nil, nil, []uint64{0}, nil
	p, err := b.plan(profile, parsed)
	if err != nil {
		return Config{}, nil, err
	}
	_, at := b.base(profile, parsed)
	return p.Rows[0].Config, at, nil
}

// grid reads a grid file under a profile: the one given, else the file's. The path of a
// profile's file is relative to where it is written: to the grid file's folder, or to the
// working folder where the profile is given.
func (in *Catalogue) grid(label string, text []byte, profile string) (b body, name string, settings []entry, err error) {
	r := &reader{in: in, file: label}
	g := r.gridFile(text)
	if err := r.err(); err != nil {
		return body{}, "", nil, err
	}
	dir := ""
	if profile == "" {
		profile, dir = g.profile, filepath.Dir(label)
	}
	if profile == "" {
		return body{}, "", nil, fmt.Errorf("%s: no profile; add profile: mini to the file or pass --profile; known: %s", label, strings.Join(Profiles(), ", "))
	}
	settings, err = in.loadProfile(profile, dir)
	if err != nil {
		return body{}, "", nil, err
	}
	return g.under(profile), profile, settings, nil
}

// alone refuses another profile for a source that is a profile itself.
func alone(source string, sel Selection) error {
	if sel.Profile == "" || sel.Profile == source {
		return nil
	}
	return fmt.Errorf("--profile %s: %s is a profile itself; only the profile of a grid file or an ablation can be replaced", setting.Short(sel.Profile), setting.Short(source))
}

// looksLikeProfile reports whether a file begins with a group of settings, which a grid file does not have outside its
// baseline and rows.
func (in *Catalogue) looksLikeProfile(label string, text []byte) bool {
	root := (&reader{in: in, file: label}).document(text)
	return root != nil && len(root.Content) > 0 && in.groups[root.Content[0].Value]
}

// isProfile reports whether a name may be a profile's: the name of an embedded profile, or a file's.
func isProfile(name string) bool { return slices.Contains(Profiles(), name) || profileFile(name) }

func profileFile(name string) bool {
	return slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(name))
}

// unknownProfile returns the error about an unknown profile, which names the known ones.
func unknownProfile(name string) error {
	return fmt.Errorf("unknown profile %s; known: %s, or a file of your own, such as leaves.yaml", setting.Short(name), strings.Join(Profiles(), ", "))
}

// loadProfile reads a profile, which gives every setting: an embedded one, or a file whose
// path is relative to dir. No result depends on what it is called. A file may be older than
// some settings, which then have the value that the program had before them.
func (in *Catalogue) loadProfile(name, dir string) ([]entry, error) {
	if profileFile(name) {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		text, err := readFile(path)
		if err != nil {
			return nil, fmt.Errorf("profile %w", err)
		}
		return (&reader{in: in, file: path, earlier: true}).everySetting(text)
	}
	if !slices.Contains(Profiles(), name) {
		return nil, unknownProfile(name)
	}
	path := "profiles/" + name + ".yaml"
	text, err := fs.ReadFile(ablations.Files, path)
	if err != nil {
		return nil, err
	}
	return (&reader{in: in, file: "ablations/" + path}).everySetting(text)
}

// everySetting reads a mapping that gives every setting. It may leave out settings that are not in use
// and have a default, and a text may leave out settings that are newer than it.
func (r *reader) everySetting(text []byte) ([]entry, error) {
	root := r.document(text)
	if root == nil {
		return nil, r.err()
	}
	out := r.settings(root, "the profile")
	if len(r.problems) > 0 {
		return nil, r.err()
	}
	given := map[string]bool{}
	for _, s := range out {
		given[s.key] = true
	}
	c := r.in.config(out)
	for _, key := range r.in.sorted {
		switch fd := r.in.byKey[key]; {
		case given[key]:
		case r.earlier && fd.Was != "":
			out = append(out, entry{key: key, value: fd.was})
		case fd.Default != "" && len(fd.inUse(&c)) == 0:
			out = append(out, entry{key: key, value: fd.byDefault})
		default:
			r.problem(0, "no value for %s; a profile gives every setting", key)
		}
	}
	return out, r.err()
}

// read returns the text of a grid file and the name that errors call it by.
func read(source string) (label string, text []byte, err error) {
	if info, statErr := os.Stat(source); statErr == nil && !info.IsDir() {
		text, err := readFile(source)
		return source, text, err
	}
	if slices.Contains(Ablations(), source) {
		return readInside(source)
	}
	return "", nil, fmt.Errorf("%s: %w and no ablation of that name%s; known: %s", source, ErrNoGrid, instead(source), strings.Join(Ablations(), ", "))
}

// readInside returns the text of a grid file inside the program and the name that errors call it by.
func readInside(name string) (label string, text []byte, err error) {
	text, err = fs.ReadFile(ablations.Files, name+".yaml")
	return "ablations/" + name + ".yaml", text, err
}

// instead returns advice about a name that is neither a grid file's nor an ablation's.
func instead(source string) string {
	if info, err := os.Stat(source); err == nil && info.IsDir() {
		return "; it is a folder, which --data names beside one"
	}
	if slices.Contains(Profiles(), source) {
		return "; it is a profile, which --profile names beside one"
	}
	return ""
}

// readFile reads a file of settings, up to one byte more than is accepted.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

// ErrNoGrid is the error of a name that is neither a grid file's nor an ablation's.
var ErrNoGrid = errors.New("no such file")
