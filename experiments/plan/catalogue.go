package plan

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"focalgrid/setting"
)

// Catalogue lists the settings of all components. It never changes.
type Catalogue struct {
	byKey  map[string]*field
	fields []*field        // as ordered in the groups
	sorted []string        // all keys
	groups map[string]bool // keys that have settings below them, such as loss
	names  []string        // keys and groups, as ordered in the groups
}

// field is one setting, which several components may declare.
type field struct {
	setting.Param // of the first component, with None where any has it
	key           string
	brought       []component
	byDefault     any // where Default is given
	was           any // where Was is given
}

// component is a declaration of a setting, by the group itself or by a component that is in use where
// the setting chooser has the value kind.
type component struct {
	chooser, kind string
	param         *setting.Param
}

// NewCatalogue joins the settings of all components. It panics if a declaration contradicts
// itself or another.
func NewCatalogue(groups []setting.Group) *Catalogue {
	c := &Catalogue{byKey: map[string]*field{}, groups: map[string]bool{}}
	for _, g := range groups {
		c.group(g.Name)
		c.add(g.Name, g.Params, component{})
	}
	c.sorted = slices.Sorted(maps.Keys(c.byKey))
	return c
}

func (c *Catalogue) group(name string) {
	if !c.groups[name] {
		c.groups[name] = true
		c.names = append(c.names, name)
	}
}

func (c *Catalogue) add(group string, params []setting.Param, by component) {
	for i := range params {
		p := &params[i]
		key := group + "." + p.Name
		if dot := strings.LastIndexByte(p.Name, '.'); dot >= 0 {
			c.group(group + "." + p.Name[:dot])
		}
		fd := c.byKey[key]
		if fd == nil {
			fd = &field{Param: *p, key: key}
			c.byKey[key] = fd
			c.fields, c.names = append(c.fields, fd), append(c.names, key)
		}
		fd.join(p)
		by.param = p
		fd.brought = append(fd.brought, by)
		for _, kind := range slices.Sorted(maps.Keys(p.Kinds)) {
			c.add(group, p.Kinds[kind], component{chooser: key, kind: kind})
		}
	}
}

// join adds another component's declaration of the setting.
func (fd *field) join(p *setting.Param) {
	if p.Kind != fd.Kind {
		panic(fmt.Sprintf("plan: setting %s is declared as %s and as %s", fd.key, fd.Kind, p.Kind)) // a slip in a component, met by every test
	}
	read := func(text string) any {
		v, err := p.Parse(text)
		if err != nil {
			panic(fmt.Sprintf("plan: setting %s is declared with %q: %v", fd.key, text, err)) // likewise
		}
		return v
	}
	fd.None = fd.None || p.None
	for _, v := range [][2]string{{fd.Default, p.Default}, {fd.Was, p.Was}} {
		if v[0] != "" && v[1] != "" && v[0] != v[1] {
			panic(fmt.Sprintf("plan: components share the setting %s, one with the default %s and one with %s: give one of them another name", fd.key, v[0], v[1])) // likewise
		}
	}
	if p.Default != "" {
		fd.Default, fd.byDefault = p.Default, read(p.Default)
	}
	if p.Was != "" {
		fd.Was, fd.was = p.Was, read(p.Was)
	}
}

// inUse lists the declarations of the setting by the components that c chooses.
func (fd *field) inUse(c *Config) []*setting.Param {
	var out []*setting.Param
	for _, by := range fd.brought {
		if by.chooser == "" || c.Value(by.chooser) == by.kind {
			out = append(out, by.param)
		}
	}
	return out
}

// asBefore reports whether c has the value that all trials had before the setting existed.
func (fd *field) asBefore(c *Config) bool {
	return fd.Was != "" && reflect.DeepEqual(c.Value(fd.key), fd.was)
}

// understood reports whether a record of c without the setting is read as c.
func (fd *field) understood(c *Config) bool {
	return fd.asBefore(c) || fd.Was == "" && fd.Default != "" && len(fd.inUse(c)) == 0 && reflect.DeepEqual(c.Value(fd.key), fd.byDefault)
}

// below lists the settings directly under a group.
func (c *Catalogue) below(group string) []string {
	var out []string
	for _, n := range c.names {
		if rest, ok := strings.CutPrefix(n, group+"."); ok && !strings.Contains(rest, ".") {
			out = append(out, rest)
		}
	}
	return out
}

// Named lists the settings whose key ends in that name, as train.iters in iters.
func (c *Catalogue) Named(name string) []string {
	var keys []string
	for _, key := range c.sorted {
		if strings.HasSuffix(key, "."+name) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Nearest returns the settings whose keys end in that name, or else the key or group with the
// fewest letters to change.
func (c *Catalogue) Nearest(name string) string {
	if keys := c.Named(name); len(keys) > 0 {
		return strings.Join(keys, ", ")
	}
	return setting.Nearest(name, c.names)
}
