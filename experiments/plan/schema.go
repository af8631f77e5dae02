package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// kind is how a setting is written; its text completes "must be …".
type kind string

const (
	kindText     kind = "text"
	kindBool     kind = "true or false"
	kindInt      kind = "a whole number"
	kindSeed     kind = "a whole number from 0"
	kindNumber   kind = "a number"
	kindOptional kind = "a number or none"
	kindNumbers  kind = "a list of numbers"
)

// kinds gives each field type its kind.
var kinds = map[reflect.Type]kind{
	reflect.TypeFor[string]():    kindText,
	reflect.TypeFor[bool]():      kindBool,
	reflect.TypeFor[int]():       kindInt,
	reflect.TypeFor[uint64]():    kindSeed,
	reflect.TypeFor[float64]():   kindNumber,
	reflect.TypeFor[*float64]():  kindOptional,
	reflect.TypeFor[[]float64](): kindNumbers,
}

// field is one setting: where it stands in Config and how it is written.
type field struct {
	key   string
	kind  kind
	index []int

	added bool // after trials were recorded without it
	was   any  // then: its value before
}

// asBefore tells whether c has the value that all trials had before there was the setting.
func (fd *field) asBefore(c *Config) bool {
	return fd.added && reflect.DeepEqual(schema.get(c, fd.key), fd.was)
}

// schemaOf lists the settings of Config.
type schemaOf struct {
	fields []field // as ordered in Config
	byKey  map[string]*field
	sorted []string        // all keys
	groups map[string]bool // keys that have settings below them, such as loss
	names  []string        // keys and groups, as ordered in Config
}

// schema is read off the struct once; it never changes.
var schema = newSchema()

func newSchema() *schemaOf {
	s := &schemaOf{byKey: map[string]*field{}, groups: map[string]bool{}}
	var walk func(t reflect.Type, prefix string, index []int)
	walk = func(t reflect.Type, prefix string, index []int) {
		for i := range t.NumField() {
			f := t.Field(i)
			key, at := prefix+f.Tag.Get("yaml"), append(slices.Clone(index), i)
			s.names = append(s.names, key)
			if f.Type.Kind() == reflect.Struct {
				s.groups[key] = true
				walk(f.Type, key+".", at)
				continue
			}
			fd := field{key: key, kind: kinds[f.Type], index: at}
			if was, ok := f.Tag.Lookup("was"); ok {
				fd.mustAdd(was)
			}
			s.fields = append(s.fields, fd)
		}
	}
	walk(reflect.TypeFor[Config](), "", nil)
	for i := range s.fields {
		s.byKey[s.fields[i].key] = &s.fields[i]
		s.sorted = append(s.sorted, s.fields[i].key)
	}
	slices.Sort(s.sorted)
	return s
}

// mustAdd makes the setting one that was added later.
func (fd *field) mustAdd(was string) {
	v, err := fd.parseText(was)
	if err != nil {
		panic(fmt.Sprintf("experiments: setting %s has the tag was:%q: %v", fd.key, was, err)) // a slip in config.go, met by every test
	}
	fd.added, fd.was = true, v
}

// below lists the settings directly under a group.
func (s *schemaOf) below(group string) []string {
	var out []string
	for _, n := range s.names {
		if rest, ok := strings.CutPrefix(n, group+"."); ok && !strings.Contains(rest, ".") {
			out = append(out, rest)
		}
	}
	return out
}

// set puts a value of the field's type into c.
func (s *schemaOf) set(c *Config, v setting) {
	fd := s.byKey[v.key]
	dst := reflect.ValueOf(c).Elem().FieldByIndex(fd.index)
	switch {
	case fd.kind != kindOptional:
		dst.Set(reflect.ValueOf(v.value))
	case v.value == nil:
		dst.SetZero()
	default:
		f := v.value.(float64)
		dst.Set(reflect.ValueOf(&f))
	}
}

// get is the value under key: a string, bool, int, uint64, float64, []float64,
// or nil for none.
func (s *schemaOf) get(c *Config, key string) any {
	v := reflect.ValueOf(c).Elem().FieldByIndex(s.byKey[key].index)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		return v.Elem().Interface()
	}
	return v.Interface()
}

// Spell writes a setting's value as in a grid file, with the shortest text of
// a number: 0.1 for .1 and 1e-1.
func Spell(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []float64:
		parts := make([]string, len(v))
		for i, f := range v {
			parts[i] = Spell(f)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return fmt.Sprint(v)
}

// shown is a value in an error: short, on one line, text in quotes.
func shown(v any) string {
	if s, ok := v.(string); ok {
		return short(s)
	}
	return cut(Spell(v))
}

// short quotes text for an error, cut where it is long.
func short(s string) string { return strconv.Quote(cut(s)) }

func cut(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// SettingsNamed lists the settings whose key ends in that name, as train.iters in iters.
func SettingsNamed(name string) []string {
	var keys []string
	for _, key := range schema.sorted {
		if strings.HasSuffix(key, "."+name) {
			keys = append(keys, key)
		}
	}
	return keys
}

// nearestKey is the setting whose key ends in that name, or else the key or group with the
// fewest letters to change.
func nearestKey(name string) string {
	if keys := SettingsNamed(name); len(keys) > 0 {
		return strings.Join(keys, ", ")
	}
	return Nearest(name, schema.names)
}

// Nearest is the known name with the fewest letters to change; empty where none is known.
func Nearest(name string, known []string) string {
	const longest = 64 // a key is shorter; a pasted page would cost time
	a := []rune(name)
	if len(a) > longest {
		a = a[:longest]
	}
	best, least := "", -1
	for _, k := range known {
		if d := distance(a, []rune(k)); least < 0 || d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's: insertions, deletions and changes from a to b.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diag := row[0]
		row[0] = i + 1
		for j := range b {
			d := diag
			if a[i] != b[j] {
				d = 1 + min(diag, row[j], row[j+1])
			}
			diag, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
