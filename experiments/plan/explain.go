package plan

import (
	"slices"
	"strings"

	"focalgrid/setting"
)

// Explained is one setting, with its value, for a reader.
type Explained struct {
	Key     string
	Value   string // as a grid file spells it
	From    string // where the value was last written: a file's line or a flag
	Matters bool   // whether the value changes a result beside the others
	Uses    []Use  // its meanings to components
}

// Use describes the meaning of a setting to some components.
type Use struct {
	With    string // the components that bring the setting: "sampler.type=ohem, ssd"; empty: always there
	Allowed string // kind and range
	Doc     string
}

// Explain returns every setting, in the order of the groups, with the value that LoadBaseline
// gives it.
func (in *Catalogue) Explain(source string, sel Selection) ([]Explained, error) {
	c, at, err := in.baseline(source, sel)
	if err != nil {
		return nil, err
	}
	var out []Explained
	for _, fd := range in.fields {
		e := Explained{Key: fd.key, Value: setting.Spell(c.Value(fd.key)), From: "default", Uses: fd.uses()}
		e.Matters = matters(&c, fd.key) || fd.Path && len(fd.inUse(&c)) > 0
		if fd.Was != "" {
			e.From = "as before there was the setting"
		}
		if p := at[fd.key]; p.file != "" {
			e.From = p.String()
		}
		out = append(out, e)
	}
	return out, nil
}

// uses joins equal declarations.
func (fd *field) uses() []Use {
	var out []Use
	for _, by := range fd.brought {
		use := Use{Allowed: by.param.Allowed(), Doc: by.param.Doc}
		same := slices.IndexFunc(out, func(u Use) bool { return u.Allowed == use.Allowed && u.Doc == use.Doc })
		if same < 0 {
			same, out = len(out), append(out, use)
		}
		switch u := &out[same]; {
		case by.chooser == "":
		case strings.Contains(u.With, by.chooser+"="):
			u.With += ", " + by.kind
		case u.With == "":
			u.With = by.chooser + "=" + by.kind
		default:
			u.With += " or " + by.chooser + "=" + by.kind
		}
	}
	return out
}

// Keys lists all settings by key, in alphabetical order.
func (in *Catalogue) Keys() []string { return slices.Clone(in.sorted) }

// Below lists the settings that key names: one, or all of a group; none for any other text.
func (in *Catalogue) Below(key string) []string {
	if in.byKey[key] != nil {
		return []string{key}
	}
	if !in.groups[key] {
		return nil
	}
	return slices.DeleteFunc(in.Keys(), func(k string) bool { return !strings.HasPrefix(k, key+".") })
}

// Choices lists the values of a setting that has a choice of them, as a grid file spells them.
func (in *Catalogue) Choices(key string) []string {
	fd := in.byKey[key]
	if fd == nil {
		return nil
	}
	var out []string
	for _, by := range fd.brought {
		out = append(out, by.param.Options()...)
		if by.param.None {
			out = append(out, "none")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
