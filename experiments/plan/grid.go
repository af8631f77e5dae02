package plan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"focalgrid/paper"
	"focalgrid/setting"
)

// What a grid file may be at most. A file written by a person is far below;
// a hostile one is refused before it costs time or memory.
const (
	maxFileBytes = 1 << 20
	MaxTrials    = 100_000
	maxProblems  = 20 // reported of one file
)

// A place is where a setting was written: a file's line, or a flag (line 0).
type place struct {
	file string
	line int
}

func (p place) String() string {
	if p.line == 0 {
		return p.file
	}
	return p.file + ":" + strconv.Itoa(p.line)
}

// An entry is a known key with a value of its field's type: string, bool, int,
// uint64, float64, []float64, or nil for the word none.
type entry struct {
	key   string
	value any
	at    place
}

// An axis is a key with its values in turn.
type axis struct {
	key    string
	values []entry
	at     place
}

// A block is one of grid, zip, ablate and list as written.
type block struct {
	kind string
	axes []axis    // of grid, zip and ablate
	rows [][]entry // of list
	at   place
}

// bodyKeys are the keys of a grid file that an at: section may replace.
var bodyKeys = []string{"table", "title", "description", "baseline", "grid", "zip", "ablate", "list", "seeds", "tune", "exclude", "claims"}

// body is the part of a grid file that an at: section may replace.
type body struct {
	in                 *Catalogue
	file               string   // as errors call it
	given              []string // the keys present, in file order
	table              string
	title, description string
	baseline           []entry
	blocks             []block // in file order
	seeds              []uint64
	tune               *tuneSection // nil: none
	exclude            []exclusion
	claims             []claim
}

type exclusion struct {
	settings []entry
	at       place
}

// gridFile is a grid file read and type-checked, not yet expanded.
type gridFile struct {
	body
	profile string
	at      map[string]body
}

// reader collects everything wrong with one source, so that a user sees all of
// it at once.
type reader struct {
	in       *Catalogue
	file     string
	recorded bool // the program's own JSON, where null is none
	earlier  bool // the text may be older than some settings, which then have the value from before
	problems []error
}

func (r *reader) problem(line int, format string, a ...any) {
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, fmt.Errorf("%s: %s", place{r.file, line}, fmt.Sprintf(format, a...)))
	}
}

func (r *reader) err() error { return errors.Join(r.problems...) }

var (
	yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)
	// yamlLow matches the messages whose line yaml.v3 counts from 0; other
	// messages count from 1.
	yamlLow = regexp.MustCompile(`^(did not find expected (<|node content|'-' indicator|key$|',' or)|found (undefined tag|duplicate %|incompatible YAML))`)
)

// document returns the one mapping that text consists of.
func (r *reader) document(text []byte) *yaml.Node {
	if len(text) > maxFileBytes {
		r.problem(0, "larger than %d bytes", maxFileBytes)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err == io.EOF {
		r.problem(0, "file is empty")
		return nil
	} else if err != nil {
		r.syntax(err)
		return nil
	}
	root := doc.Content[0]
	if root.Tag == "!!null" {
		r.problem(0, "file is empty")
		return nil
	}
	if err := dec.Decode(&more); err == nil {
		r.problem(more.Line, "a second document; one file is one grid")
		return nil
	} else if err != io.EOF {
		r.syntax(err)
		return nil
	}
	if root.Kind != yaml.MappingNode {
		r.problem(root.Line, "must be a list of key: value, is %s", kindOf(root))
		return nil
	}
	return root
}

func (r *reader) syntax(err error) {
	msg, line := err.Error(), 0
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1]) // the pattern holds digits only
		msg = msg[len(m[0]):]
	}
	msg = strings.TrimPrefix(msg, "yaml: ")
	if yamlLow.MatchString(msg) {
		line++
	}
	if strings.Contains(msg, "cannot start any token") {
		msg += "; a tab indents nothing in YAML, spaces do"
	}
	r.problem(line, "not valid YAML: %s", msg)
}

// each calls f for the pairs of a mapping, and reports keys that are not plain text.
func (r *reader) each(node *yaml.Node, what string, f func(key string, k, v *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		r.problem(node.Line, "%s must be key: value pairs, is %s", what, kindOf(node))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content) && len(r.problems) < maxProblems; i += 2 {
		k, v := node.Content[i], node.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode || k.Tag == "!!merge":
			r.problem(k.Line, "%s: a key must be plain text, is %s", what, kindOf(k))
			continue
		case k.Anchor != "" || v.Anchor != "" || v.Kind == yaml.AliasNode:
			r.problem(k.Line, "%s: anchors and aliases are not read; write the value out", setting.Short(k.Value))
			continue
		}
		if line, dup := seen[k.Value]; dup {
			r.problem(k.Line, "%s is given twice, first in line %d", setting.Short(k.Value), line)
			continue
		}
		seen[k.Value] = k.Line
		f(k.Value, k, v)
	}
}

// leaves calls f for every setting below node, whose keys are dotted or nested.
func (r *reader) leaves(node *yaml.Node, what string, f func(fd *field, k, v *yaml.Node)) {
	seen := map[string]int{}
	var walk func(node *yaml.Node, prefix string)
	walk = func(node *yaml.Node, prefix string) {
		r.each(node, what, func(name string, k, v *yaml.Node) {
			key := prefix + name
			fd, isLeaf := r.in.byKey[key]
			switch {
			case !isLeaf && !r.in.groups[key] && slices.Contains(bodyKeys, key):
				r.problem(k.Line, "%s is no setting; it belongs at the top of the file, beside %s", key, what)
			case !isLeaf && !r.in.groups[key]:
				r.problem(k.Line, "unknown key %s; nearest: %s", setting.Short(key), r.in.Nearest(key))
			case !isLeaf && v.Kind != yaml.MappingNode:
				r.problem(k.Line, "%s is a group of settings, not a value; it has %s", key, strings.Join(r.in.below(key), ", "))
			case !isLeaf:
				walk(v, key+".")
			case seen[key] != 0:
				r.problem(k.Line, "%s is given twice, first in line %d", key, seen[key])
			default:
				seen[key] = k.Line
				f(fd, k, v)
			}
		})
	}
	walk(node, "")
}

// settings reads partial settings.
func (r *reader) settings(node *yaml.Node, what string) []entry {
	var out []entry
	r.leaves(node, what, func(fd *field, k, v *yaml.Node) {
		if s, ok := r.value(fd, v); ok {
			out = append(out, s)
		}
	})
	return out
}

// axes reads keys with lists of values.
func (r *reader) axes(node *yaml.Node, what string) []axis {
	var out []axis
	r.leaves(node, what, func(fd *field, k, v *yaml.Node) {
		if v.Kind != yaml.SequenceNode {
			r.problem(k.Line, "%s: %s must be a list of values, is %s", what, fd.key, kindOf(v))
			return
		}
		if len(v.Content) == 0 {
			r.problem(k.Line, "%s: %s has no values", what, fd.key)
			return
		}
		ax := axis{key: fd.key, at: place{r.file, k.Line}}
		for _, e := range v.Content {
			if s, ok := r.value(fd, e); ok {
				ax.values = append(ax.values, s)
			}
		}
		out = append(out, ax)
	})
	return out
}

// value reads node as the field's type.
func (r *reader) value(fd *field, node *yaml.Node) (entry, bool) {
	if r.recorded && fd.None && node.Tag == "!!null" {
		return entry{fd.key, nil, place{r.file, node.Line}}, true
	}
	v, err := fd.parse(node)
	if err != nil {
		r.problem(node.Line, "%s %v", fd.key, err)
		return entry{}, false
	}
	return entry{fd.key, v, place{r.file, node.Line}}, true
}

// gridFile reads a whole grid file.
func (r *reader) gridFile(text []byte) gridFile {
	g := gridFile{body: body{in: r.in, file: r.file}, at: map[string]body{}}
	root := r.document(text)
	if root == nil {
		return g
	}
	known := append(slices.Clone(bodyKeys), "profile", "at")
	r.each(root, "the file", func(name string, k, v *yaml.Node) {
		switch name {
		case "profile":
			g.profile = r.text(name, v)
			r.knownProfile(v.Line, g.profile)
		case "at":
			r.each(v, "at", func(profile string, k, v *yaml.Node) {
				r.knownProfile(k.Line, profile)
				var b body
				r.each(v, "at: "+profile, func(name string, k, v *yaml.Node) {
					if !slices.Contains(bodyKeys, name) {
						r.notOfBody(k.Line, name, " in at", bodyKeys)
						return
					}
					r.bodyKey(&b, name, k, v)
				})
				g.at[profile] = b
			})
		default:
			if !slices.Contains(bodyKeys, name) {
				r.notOfBody(k.Line, name, "", known)
				return
			}
			r.bodyKey(&g.body, name, k, v)
		}
	})
	return g
}

// notOfBody reports a key that a grid file's top and its at: sections don't have.
func (r *reader) notOfBody(line int, name, where string, known []string) {
	group, _, _ := strings.Cut(name, ".")
	if r.in.groups[group] {
		r.problem(line, "%s is a setting; it belongs under baseline, or under grid, zip, ablate or list to vary it", setting.Short(name))
		return
	}
	r.problem(line, "unknown key %s%s; nearest: %s", setting.Short(name), where, setting.Nearest(name, known))
}

func (r *reader) knownProfile(line int, name string) {
	if name != "" && !isProfile(name) {
		r.problem(line, "%v", unknownProfile(name))
	}
}

func (r *reader) text(name string, v *yaml.Node) string {
	if v.Kind != yaml.ScalarNode || v.Tag == "!!null" {
		r.problem(v.Line, "%s must be text, is %s", name, kindOf(v))
		return ""
	}
	return v.Value
}

func (r *reader) bodyKey(b *body, name string, k, v *yaml.Node) {
	b.given = append(b.given, name)
	blk := block{kind: name, at: place{r.file, k.Line}}
	switch name {
	case "table":
		b.table = r.text(name, v)
		if ids := paper.IDs(); b.table != "" && !slices.Contains(ids, b.table) {
			r.problem(v.Line, "the paper has no table %s; it has %s", setting.Short(b.table), strings.Join(ids, ", "))
		}
	case "title":
		b.title = r.text(name, v)
	case "description":
		b.description = r.text(name, v)
	case "baseline":
		b.baseline = r.settings(v, name)
	case "seeds":
		b.seeds = r.seeds(v)
	case "tune":
		b.tune = r.tune(k, v)
	case "exclude":
		r.items(v, name, func(i int, e *yaml.Node) {
			s := r.settings(e, name)
			if len(s) == 0 {
				r.problem(e.Line, "exclude: an empty entry would leave out every row")
			}
			b.exclude = append(b.exclude, exclusion{s, place{r.file, e.Line}})
		})
	case "claims":
		b.claims = r.claims(v)
	case "list":
		r.items(v, name, func(i int, e *yaml.Node) {
			blk.rows = append(blk.rows, r.settings(e, name))
		})
		b.blocks = append(b.blocks, blk)
	default: // grid, zip, ablate
		blk.axes = r.axes(v, name)
		if name == "zip" {
			r.equalLengths(blk.axes)
		}
		b.blocks = append(b.blocks, blk)
	}
}

func (r *reader) equalLengths(axes []axis) {
	for _, ax := range axes {
		if n := len(axes[0].values); len(ax.values) != n {
			r.problem(ax.at.line, "zip: %s has %d values, %s has %d; a zip pairs them one to one", ax.key, len(ax.values), axes[0].key, n)
		}
	}
}

func (r *reader) items(v *yaml.Node, what string, f func(i int, e *yaml.Node)) {
	if v.Kind != yaml.SequenceNode {
		r.problem(v.Line, "%s must be a list, is %s", what, kindOf(v))
		return
	}
	for i, e := range v.Content {
		f(i, e)
	}
}

func (r *reader) seeds(v *yaml.Node) []uint64 {
	switch v.Kind {
	case yaml.ScalarNode:
		s, err := parseSeeds(v.Value)
		if err != nil {
			r.problem(v.Line, "seeds: %v", err)
		}
		return s
	case yaml.SequenceNode:
		var out []uint64
		seen := map[uint64]bool{}
		fd := &field{Param: setting.Param{Kind: setting.Seed}, key: "seeds"}
		for _, e := range v.Content {
			s, ok := r.value(fd, e)
			if !ok {
				continue
			}
			seed := s.value.(uint64)
			if err := CheckSeed(seed); err != nil {
				r.problem(e.Line, "seeds: %v", err)
			}
			if seen[seed] {
				r.problem(e.Line, "seeds: %d is given twice", seed)
			}
			seen[seed] = true
			if out = append(out, seed); len(out) > MaxTrials {
				r.problem(e.Line, "seeds: more than %d", MaxTrials)
				return nil
			}
		}
		if len(v.Content) == 0 {
			r.problem(v.Line, "seeds is empty; give at least one, such as [0]")
		}
		return out
	}
	r.problem(v.Line, "seeds must be a list of whole numbers or a range such as 0..9, is %s", kindOf(v))
	return nil
}
