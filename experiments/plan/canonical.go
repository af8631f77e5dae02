package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"focalgrid/setting"
)

// Numerics is the version of everything that decides a trial's bits besides
// its settings: kernels, order of sums, random draws, initialisation. It is
// part of every trial's identity. Raise it when the hashes of the recorded
// short trajectories change on purpose; trials recorded before are then done
// again and not mixed with new ones. The code's revision is not part of the
// identity, so a change that moves no bit repeats nothing.
const Numerics = 3

// across names the settings that change a result only beside certain values of other groups. A setting
// that depends on values of its own group alone declares that itself (setting.Param.When).
var across = map[string]func(c *Config) bool{
	"data.tune":        func(c *Config) bool { return c.Text("eval.split") == "tune" },
	"data.val":         func(c *Config) bool { return c.Text("eval.split") == "val" },
	"data.images.tune": func(c *Config) bool { return c.Text("eval.split") == "tune" },
	"data.images.val":  func(c *Config) bool { return c.Text("eval.split") == "val" },
	"data.noise":       func(c *Config) bool { return Synthetic(c) || Crops(c) },
	"data.clutter":     func(c *Config) bool { return Synthetic(c) || Crops(c) },
}

// matters reports whether the setting changes this trial's result. A setting that doesn't
// matter is left out of a trial's identity and of its row's factors: a sweep of
// OHEM's batch size does not train focal loss again for each.
//
// The names of folders and files never matter: their content does, by the identities
// of the data and of the initial weights in an Identity.
func matters(c *Config, key string) bool {
	fd := c.in.byKey[key]
	if fd.Path || across[key] != nil && !across[key](c) {
		return false
	}
	group, _ := c.group(key)
	return slices.ContainsFunc(fd.inUse(c), func(p *setting.Param) bool { return p.When == nil || p.When(group) })
}

// Paths returns the folders and files of a trial, by which rows of one plan may differ too.
func Paths(c *Config) string {
	if c.Text("pretrain.type") == "file" {
		return c.Text("data.dir") + "\n" + c.Text("pretrain.file")
	}
	return c.Text("data.dir")
}

// Canonical writes the settings that matter for the trial's result, as one line of
// JSON: dotted keys in alphabetical order, numbers in their shortest spelling,
// none as null, optim.steps in iterations. Two configs that would train the same
// bits on the same data have the same text.
func Canonical(c *Config) []byte { return canonical(c, matters) }

// Settings returns the settings in Canonical by key: string, bool, int, uint64,
// float64, []float64, or nil for none.
func Settings(c *Config) map[string]any {
	out := map[string]any{}
	for _, key := range c.in.sorted {
		if matters(c, key) {
			out[key] = c.Value(key)
		}
	}
	return out
}

// Resolved writes every setting, in the form of Canonical but with optim.steps as given. It leaves out what
// ParseResolved would fill in, so that records do not change with the program.
func Resolved(c *Config) []byte {
	return write(c, func(c *Config, key string) bool { return !c.in.byKey[key].understood(c) }, false)
}

// Meaningful returns the recorded settings of a trial that matter for it, and where its data and first
// weights were, in the form of Resolved. It returns the record unchanged where this version does not
// know the settings.
func (in *Catalogue) Meaningful(recorded string) string {
	c, err := in.ParseResolved("the record", []byte(recorded))
	if err != nil {
		return recorded
	}
	return string(write(&c, func(c *Config, key string) bool {
		return matters(c, key) && !c.in.byKey[key].asBefore(c) || key == "data.dir" && c.Text(key) != "" || key == "pretrain.file" && c.Text("pretrain.type") == "file"
	}, false))
}

// ParseResolved reads what Resolved wrote, now or before settings were added; label names
// it in errors.
func (in *Catalogue) ParseResolved(label string, text []byte) (Config, error) {
	r := &reader{in: in, file: label, recorded: true, earlier: true}
	settings, err := r.everySetting(text)
	if err != nil {
		return Config{}, err
	}
	c := in.config(settings)
	if err := c.validate(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", label, err)
	}
	return c, nil
}

// canonical writes the settings that keep selects, without settings that were added later and have
// the value from before.
func canonical(c *Config, keep func(c *Config, key string) bool) []byte {
	return write(c, func(c *Config, key string) bool { return keep(c, key) && !c.in.byKey[key].asBefore(c) }, true)
}

func write(c *Config, keep func(c *Config, key string) bool, iterations bool) []byte {
	b := make([]byte, 0, 2048) // what all settings take
	b = append(b, '{')
	for _, key := range c.in.sorted {
		if !keep(c, key) {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, key...)
		b = append(b, '"', ':')
		if key == "optim.steps" && iterations {
			b = append(b, '[')
			for i, at := range c.stepsAt() {
				if i > 0 {
					b = append(b, ',')
				}
				b = strconv.AppendInt(b, int64(at), 10)
			}
			b = append(b, ']')
			continue
		}
		b = appendJSON(b, c.Value(key))
	}
	return append(b, '}')
}

// appendJSON writes values as setting.Spell does, but none as null and text in quotes.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // text always has one
		}
		return append(b, text...)
	}
	return append(b, setting.Spell(v)...)
}

// Identity holds everything that decides a trial's result.
type Identity struct {
	Config   []byte // Canonical
	Seed     uint64
	Data     string // hash of the images' files, or the generator's version and settings
	Init     string // hash of the initial weights' file, the pretraining's key, or empty for random ones
	Engine   string // engine.Info.Name
	Numerics int    // Numerics
}

// Key returns the SHA-256 of the identity, hex.
func (id Identity) Key() string {
	return hash(id.Config, struct {
		Data, Engine, Init string
		Numerics           int
		Seed               uint64
	}{id.Data, id.Engine, id.Init, id.Numerics, id.Seed})
}

func hash(config []byte, rest any) string {
	text, err := json.Marshal(rest)
	if err != nil {
		panic(err) // strings and numbers always have a text
	}
	h := sha256.New()
	h.Write(config)
	h.Write([]byte{'\n'})
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil))
}

// bodySettings are the settings besides its own that a backbone's pretraining depends on:
// the body's shape, the scaling of pixels, and the look of the crops.
var bodySettings = map[string]bool{
	"model.depth": true, "model.width": true, "model.norm": true,
	"image.mean": true, "image.std": true,
	"data.noise": true, "data.clutter": true,
}

// PretrainCanonical does what Canonical does, for the pretraining of the trial's backbone: it writes
// the body's shape, the pixels' scaling and the pretrain settings.
func PretrainCanonical(c *Config) []byte {
	return canonical(c, func(c *Config, key string) bool {
		switch {
		case key == "model.group_channels":
			return c.Text("model.norm") == "group"
		case strings.HasPrefix(key, "pretrain."):
			return matters(c, key)
		}
		return bodySettings[key]
	})
}

// PretrainKey returns the identity of the pretraining: a hash of its settings, its data (the crop
// generator's version), the engine and the numerics.
func PretrainKey(c *Config, cropsIdentity, engineName string, numerics int) string {
	return hash(PretrainCanonical(c), struct {
		Crops, Engine string
		Numerics      int
	}{cropsIdentity, engineName, numerics})
}

// Work writes the settings that decide how long a trial takes.
func Work(cfg *Config) string {
	return string(canonical(cfg, func(c *Config, key string) bool {
		for _, free := range []string{"loss.", "optim.", "pretrain.", "data.seed"} {
			if strings.HasPrefix(key, free) {
				return false
			}
		}
		return matters(c, key)
	}))
}
