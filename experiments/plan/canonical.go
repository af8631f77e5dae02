package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"focalgrid/loss"
)

// Numerics is the version of everything that decides a trial's bits besides
// its settings: kernels, order of sums, random draws, initialisation. It is
// part of every trial's identity. Raise it when the hashes of the recorded
// short trajectories change on purpose; trials recorded before are then done
// again and not mixed with new ones. The code's revision is not part of the
// identity, so a change that moves no bit repeats nothing.
const Numerics = 3

// where tells which rows a setting matters to.
type where func(c *Config) bool

func never(*Config) bool { return false }

func Synthetic(c *Config) bool { return c.Data.Name == "synthetic" }
func mining(c *Config) bool    { return c.Sampler.Type != "all" }
func ohem(c *Config) bool      { return c.Sampler.Type == "ohem" }
func ohemNMS(c *Config) bool   { return ohem(c) && c.Sampler.NMS < 1 }
func sgd(c *Config) bool       { return c.Optim.Type == "sgd" }
func adamw(c *Config) bool     { return c.Optim.Type == "adamw" }
func Crops(c *Config) bool     { return c.Pretrain.Type == "crops" }

func has(v loss.Values, name string) bool { _, ok := v[name]; return ok }

// relevance names the settings that change a result only where others have
// certain values. One that isn't listed always matters. A setting that doesn't
// matter is left out of a trial's identity and of its row's factors: a sweep of
// OHEM's batch size does not train focal loss again for each.
//
// Folders and files never count by their name: what is in them does, by the
// identities of the data and of the initial weights that Key takes.
var relevance = map[string]where{
	"data.dir":          never,
	"pretrain.file":     never,
	"data.train":        func(c *Config) bool { return !Synthetic(c) },
	"data.tune":         func(c *Config) bool { return !Synthetic(c) && c.Eval.Split == "tune" },
	"data.val":          func(c *Config) bool { return !Synthetic(c) && c.Eval.Split == "val" },
	"data.pixels":       Synthetic,
	"data.classes":      Synthetic,
	"data.images.train": Synthetic,
	"data.images.tune":  func(c *Config) bool { return Synthetic(c) && c.Eval.Split == "tune" },
	"data.images.val":   func(c *Config) bool { return Synthetic(c) && c.Eval.Split == "val" },
	"data.objects":      Synthetic,
	"data.empty":        Synthetic,
	"data.distractors":  Synthetic,
	"data.min_size":     Synthetic,
	"data.max_size":     Synthetic,
	"data.noise":        func(c *Config) bool { return Synthetic(c) || Crops(c) },
	"data.clutter":      func(c *Config) bool { return Synthetic(c) || Crops(c) },
	"data.seed":         Synthetic,

	"model.group_channels": func(c *Config) bool { return c.Model.Norm == "group" || c.Model.HeadNorm == "group" },

	"sampler.ratio":         mining,
	"sampler.min_negatives": func(c *Config) bool { return c.Sampler.Type == "ssd" },
	"sampler.batch":         ohem,
	"sampler.scope":         ohem,
	"sampler.nms":           ohem,
	"sampler.score":         ohem,
	"sampler.score_beta":    func(c *Config) bool { return ohem(c) && c.Sampler.Score == "class+box" },
	"sampler.nms_on":        ohemNMS,
	"sampler.nms_class":     ohemNMS,
	"sampler.nms_groups":    ohemNMS,
	"sampler.preselect":     ohem,
	"sampler.fill":          func(c *Config) bool { return ohem(c) && c.Sampler.Ratio > 0 },
	"sampler.class_count":   ohem,
	"sampler.box_loss":      ohem,
	"sampler.box_count":     ohem,

	"loss.gamma":    func(c *Config) bool { return has(c.LossValues(), "gamma") },
	"loss.alpha":    func(c *Config) bool { return has(c.LossValues(), "alpha") },
	"loss.beta":     func(c *Config) bool { return has(c.LossValues(), "beta") },
	"box_loss.beta": func(c *Config) bool { return has(c.BoxLossValues(), "beta") },

	"optim.momentum":      sgd,
	"optim.beta1":         adamw,
	"optim.beta2":         adamw,
	"optim.eps":           adamw,
	"optim.decay_bias":    func(c *Config) bool { return c.Optim.WeightDecay != 0 },
	"optim.warmup_factor": func(c *Config) bool { return c.Optim.Warmup > 0 },
	"optim.factor":        func(c *Config) bool { return len(c.Optim.Steps) > 0 },

	"pretrain.iters":   Crops,
	"pretrain.batch":   Crops,
	"pretrain.pixels":  Crops,
	"pretrain.crops":   Crops,
	"pretrain.classes": Crops,
	"pretrain.lr":      Crops,
	"pretrain.seed":    Crops,
}

// matters tells whether the setting changes this trial's result.
func matters(c *Config, key string) bool {
	w, ok := relevance[key]
	return !ok || w(c)
}

// Paths are the folders and files of a trial, which tell rows of one plan apart too.
func Paths(c *Config) string {
	if c.Pretrain.Type == "file" {
		return c.Data.Dir + "\n" + c.Pretrain.File
	}
	return c.Data.Dir
}

// all keeps every setting.
func all(*Config, string) bool { return true }

// Canonical writes the settings that matter for the trial's result, as one line of
// JSON: dotted keys in alphabetical order, numbers in their shortest spelling,
// none as null, optim.steps in iterations. Two configs that would train the same
// bits on the same data have the same text.
func Canonical(c *Config) []byte { return canonical(c, matters) }

// Settings gives the settings in Canonical by key: string, bool, int, uint64,
// float64, []float64, or nil for none.
func Settings(c *Config) map[string]any {
	out := map[string]any{}
	for _, key := range schema.sorted {
		if matters(c, key) {
			out[key] = schema.get(c, key)
		}
	}
	return out
}

// Resolved writes every setting, in the form of Canonical but with optim.steps as
// given. ParseResolved reads it back.
func Resolved(c *Config) []byte { return write(c, all, false) }

// Telling returns those of a trial's recorded settings that have a meaning for it, and where its data
// and first weights were, in the form of Resolved. It returns the record unchanged where this
// version does not know the settings.
func Telling(recorded string) string {
	c, err := ParseResolved("the record", []byte(recorded))
	if err != nil {
		return recorded
	}
	return string(write(&c, func(c *Config, key string) bool {
		return matters(c, key) || key == "data.dir" && c.Data.Dir != "" || key == "pretrain.file" && c.Pretrain.Type == "file"
	}, false))
}

// ParseResolved reads what Resolved wrote, now or before settings were added; label names
// it in errors.
func ParseResolved(label string, text []byte) (Config, error) {
	r := &reader{file: label, recorded: true}
	settings, err := r.everySetting(text)
	if err != nil {
		return Config{}, err
	}
	var c Config
	for _, s := range settings {
		schema.set(&c, s)
	}
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", label, err)
	}
	return c, nil
}

// canonical leaves out what keep says, and settings that were added later where they have
// the value from before.
func canonical(c *Config, keep func(c *Config, key string) bool) []byte {
	return write(c, func(c *Config, key string) bool { return keep(c, key) && !schema.byKey[key].asBefore(c) }, true)
}

func write(c *Config, keep func(c *Config, key string) bool, iterations bool) []byte {
	b := make([]byte, 0, 2048) // what all settings take
	b = append(b, '{')
	for _, key := range schema.sorted {
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
			for i, at := range c.Optim.StepsAt(c.Train.Iters) {
				if i > 0 {
					b = append(b, ',')
				}
				b = strconv.AppendInt(b, int64(at), 10)
			}
			b = append(b, ']')
			continue
		}
		b = appendJSON(b, schema.get(c, key))
	}
	return append(b, '}')
}

func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case float64:
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	case []float64:
		b = append(b, '[')
		for i, f := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendFloat(b, f, 'g', -1, 64)
		}
		return append(b, ']')
	case string:
		text, err := json.Marshal(v)
		if err == nil {
			return append(b, text...)
		}
	}
	panic(fmt.Sprintf("experiments: no canonical text for %T", v)) // a new field type without its line above
}

// Identity is all that decides a trial's result.
type Identity struct {
	Config   []byte // Canonical
	Seed     uint64
	Data     string // hash of the images' files, or the generator's version and settings
	Init     string // hash of the initial weights' file, the pretraining's key, or empty for random ones
	Engine   string // engine.Info.Name
	Numerics int    // Numerics
}

// Key is the SHA-256 of the identity, hex.
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

// bodySettings are those a backbone's pretraining depends on besides its own:
// the body's shape, the scaling of pixels, and the look of the crops.
var bodySettings = map[string]bool{
	"model.depth": true, "model.width": true, "model.norm": true,
	"image.mean": true, "image.std": true,
	"data.noise": true, "data.clutter": true,
}

// PretrainCanonical is Canonical for the pretraining of the trial's backbone:
// the body's shape, the pixels' scaling and the pretrain settings.
func PretrainCanonical(c *Config) []byte {
	return canonical(c, func(c *Config, key string) bool {
		switch {
		case key == "model.group_channels":
			return c.Model.Norm == "group"
		case len(key) > 9 && key[:9] == "pretrain.":
			return matters(c, key)
		}
		return bodySettings[key]
	})
}

// PretrainKey is the identity of the pretraining: of its settings, its data (the crop
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
