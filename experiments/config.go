package experiments

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"focalgrid/loss"
)

// Config is one trial's settings, every one of them given: there are no
// defaults here, they stand in the profile files (ablations/profiles) alone.
// The yaml tag is a setting's name in grid files and on the command line; nested
// names are joined by dots, as in loss.gamma. A pointer is a number that may
// also be the word none.
//
// A new setting is one line here, one line in each profile, and, where it does not
// always matter, one line in irrelevant (canonical.go).
type Config struct {
	Data     Data     `yaml:"data"`
	Image    Image    `yaml:"image"`
	Model    Model    `yaml:"model"`
	Anchors  Anchors  `yaml:"anchors"`
	Sampler  Sampler  `yaml:"sampler"`
	Loss     Loss     `yaml:"loss"`
	BoxLoss  BoxLoss  `yaml:"box_loss"`
	Optim    Optim    `yaml:"optim"`
	Train    Train    `yaml:"train"`
	Eval     Eval     `yaml:"eval"`
	Pretrain Pretrain `yaml:"pretrain"`
}

// Data says which images are trained and tested on. The settings from Pixels
// on are those of the synthetic generator; a COCO folder answers them itself.
type Data struct {
	Name string `yaml:"name"` // synthetic, or coco: annotations and images on disk
	Dir  string `yaml:"dir"`  // the COCO folder; for synthetic, empty means the cache folder

	Train string `yaml:"train"` // names of the splits
	Tune  string `yaml:"tune"`  // where settings are chosen
	Val   string `yaml:"val"`   // what tables report

	Pixels      int        `yaml:"pixels"`  // side of the square images
	Classes     int        `yaml:"classes"` // kinds of object
	Images      DataImages `yaml:"images"`
	Objects     float64    `yaml:"objects"`     // mean number in an image that is not empty
	Empty       float64    `yaml:"empty"`       // share of images without objects
	Distractors float64    `yaml:"distractors"` // mean number of shapes of no class in an image
	MinSize     float64    `yaml:"min_size"`    // of an object, as a share of the side; sizes are log-uniform
	MaxSize     float64    `yaml:"max_size"`
	Noise       float64    `yaml:"noise"`   // standard deviation, in grey levels of 0…255
	Clutter     float64    `yaml:"clutter"` // of the background, 0…1
	Seed        uint64     `yaml:"seed"`    // of the images, not of the training
}

// DataImages counts the generated images of each split.
type DataImages struct {
	Train int `yaml:"train"`
	Tune  int `yaml:"tune"`
	Val   int `yaml:"val"`
}

// Image says how a picture becomes the network's input.
type Image struct {
	Short int       `yaml:"short"` // pixels the shorter side is brought to
	Long  int       `yaml:"long"`  // the longer side's cap in pixels; 0 caps it at 5/3 of the shorter one
	Pad   int       `yaml:"pad"`   // sides are padded to a multiple of it
	Mean  []float64 `yaml:"mean"`  // red, green, blue in 0…1, subtracted
	Std   []float64 `yaml:"std"`   // red, green, blue in 0…1, divided by
	Flip  float64   `yaml:"flip"`  // probability of a horizontal flip in training
}

// Model is the network of §4: a residual backbone, a feature pyramid, two heads.
type Model struct {
	Depth         int      `yaml:"depth"`          // 18, 34, 50, 101 or 152
	Width         float64  `yaml:"width"`          // multiplies the backbone's channels
	Norm          string   `yaml:"norm"`           // of the backbone: frozen, batch or group
	FreezeStages  int      `yaml:"freeze_stages"`  // 0 none, 1 the stem, 2 the stem and the first stage, …
	FPN           int      `yaml:"fpn"`            // channels of pyramid and heads
	P6            string   `yaml:"p6"`             // made from c5 (the paper) or p5
	HeadNorm      string   `yaml:"head_norm"`      // none (the paper), group or batch
	GroupChannels int      `yaml:"group_channels"` // channels a group, where a norm is group
	HeadInit      string   `yaml:"head_init"`      // of the four 3×3 layers: gaussian (σ .01, the paper) or kaiming
	Prior         *float64 `yaml:"prior"`          // π of §3.3; none leaves the last bias at 0
}

// Anchors are the boxes at each cell of P3…P7.
type Anchors struct {
	Base   float64   `yaml:"base"`   // side at scale 1, in strides; 4 in the paper
	Scales int       `yaml:"scales"` // n scales 2^(k/n), k < n
	Ratios []float64 `yaml:"ratios"` // height / width
	Offset float64   `yaml:"offset"` // of the first centre, in strides: 0 or .5
	Round  string    `yaml:"round"`  // none, or torchvision: whole-pixel sides
}

// Sampler says which anchors learn what.
type Sampler struct {
	Type     string  `yaml:"type"`     // all (the paper), ssd: 3:1 mining, or ohem
	Positive float64 `yaml:"positive"` // IoU from which an anchor is an object's
	Negative float64 `yaml:"negative"` // IoU below which it is background; between, it is left out
	Force    string  `yaml:"force"`    // each object's best anchor: none, detectron2 or torchvision
	// Normalizer is what losses are divided by: the positives of the batch, of each
	// image, or their moving average: batch, image, ema.
	Normalizer string `yaml:"normalizer"`

	// Mining only. What §5.1 leaves open about OHEM is a setting.
	Ratio        float64 `yaml:"ratio"`         // negatives for each positive: 3 for ssd and for OHEM 1:3; 0: ohem takes whatever is hardest
	MinNegatives int     `yaml:"min_negatives"` // ssd: negatives of an image without positives
	Batch        int     `yaml:"batch"`         // ohem: examples kept
	Scope        string  `yaml:"scope"`         // ohem: of each image, or of the whole batch: image, batch
	NMS          float64 `yaml:"nms"`           // ohem: IoU above which the easier of two examples goes; 1: none goes
	Score        string  `yaml:"score"`         // ohem: hard by class (cross entropy) or class+box (and the box loss)
	ScoreBeta    float64 `yaml:"score_beta"`    // ohem: smooth L1's beta in class+box
	NMSOn        string  `yaml:"nms_on"`        // ohem: overlap of decoded boxes or of anchors: decoded, anchors
	NMSClass     string  `yaml:"nms_class"`     // ohem: agnostic, or per_class of the largest logit
	NMSGroups    string  `yaml:"nms_groups"`    // ohem: positives and negatives joint or separate; auto: separate with a ratio
	Preselect    int     `yaml:"preselect"`     // ohem: hardest examples of an image that enter the NMS; 0: all
	Fill         bool    `yaml:"fill"`          // ohem with a ratio: fill up with negatives where positives are few
	ClassCount   string  `yaml:"class_count"`   // ohem: what the normalizer counts: selected, positives, or batch: the setting above
	BoxLoss      string  `yaml:"box_loss"`      // ohem: positives whose box is learnt: selected, all
	BoxCount     string  `yaml:"box_count"`     // ohem: what divides the box loss: positives, or same as class_count
}

// Loss is the classification loss.
type Loss struct {
	Type  string   `yaml:"type"`  // focal (eq. 5), ce (eq. 3), focal_star (appendix A)
	Gamma float64  `yaml:"gamma"` // of focal and focal_star
	Alpha *float64 `yaml:"alpha"` // weight of the positive class; none: no weights
	Beta  float64  `yaml:"beta"`  // of focal_star
}

// BoxLoss is the regression loss.
type BoxLoss struct {
	Type   string  `yaml:"type"`   // smooth_l1, l1 or giou
	Beta   float64 `yaml:"beta"`   // where smooth_l1 turns from square to straight
	Weight float64 `yaml:"weight"` // beside the classification loss
}

// Optim is the optimiser and its schedule.
type Optim struct {
	Type         string    `yaml:"type"` // sgd or adamw
	LR           float64   `yaml:"lr"`
	Momentum     float64   `yaml:"momentum"` // sgd
	Beta1        float64   `yaml:"beta1"`    // adamw
	Beta2        float64   `yaml:"beta2"`    // adamw
	Eps          float64   `yaml:"eps"`      // adamw
	WeightDecay  float64   `yaml:"weight_decay"`
	DecayBias    bool      `yaml:"decay_bias"`    // false spares biases and the norms' weights
	Warmup       int       `yaml:"warmup"`        // iterations
	WarmupFactor float64   `yaml:"warmup_factor"` // share of lr at the first iteration; linear from there
	Steps        []float64 `yaml:"steps"`         // when lr is multiplied by factor: iterations, or below 1 a share of train.iters
	Factor       float64   `yaml:"factor"`
	Clip         float64   `yaml:"clip"` // largest norm of the gradient; 0: none
}

// Train is how long and how wide training is.
type Train struct {
	Iters int `yaml:"iters"`
	Batch int `yaml:"batch"` // images
}

// Eval says what is scored and how detections are made.
type Eval struct {
	Split    string  `yaml:"split"`     // train, tune or val: which of data's three
	Score    float64 `yaml:"score"`     // AP counts detections above this score; .05 in §4.1
	LowScore float64 `yaml:"low_score"` // second AP; detections are kept from here on
	TopK     int     `yaml:"topk"`      // most candidates of a pyramid level
	NMS      float64 `yaml:"nms"`       // IoU
	MaxDets  int     `yaml:"max_dets"`  // of an image
}

// Pretrain says where the backbone's first weights come from.
type Pretrain struct {
	Type    string  `yaml:"type"`    // crops: a classifier of synthetic crops, trained first; file; none: random
	File    string  `yaml:"file"`    // safetensors, for type file
	Iters   int     `yaml:"iters"`   // the rest is for type crops
	Batch   int     `yaml:"batch"`   //
	Pixels  int     `yaml:"pixels"`  // side of a crop
	Crops   int     `yaml:"crops"`   // how many different ones
	Classes int     `yaml:"classes"` // kinds of object; "none" comes on top
	LR      float64 `yaml:"lr"`      // at the start of a cosine
	Seed    uint64  `yaml:"seed"`
}

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
			s.fields = append(s.fields, field{key, kinds[f.Type], at})
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

// nearest is the known name with the fewest letters to change.
func nearest(name string, known []string) string {
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

// A Problem is a setting whose value is impossible.
type Problem struct {
	Key string // the setting
	Msg string // "is -1, must be at least 0"
}

func (p Problem) String() string {
	if strings.HasPrefix(p.Msg, ":") {
		return p.Key + p.Msg
	}
	return p.Key + " " + p.Msg
}

// Validate reports every impossible value at once.
func (c *Config) Validate() error {
	var all problems
	for _, p := range c.problems() {
		all.list = append(all.list, fmt.Errorf("%s", p))
	}
	return all.err()
}

// checker collects problems of one Config.
type checker struct {
	c   *Config
	out []Problem
}

func (k *checker) bad(key, format string, a ...any) {
	k.out = append(k.out, Problem{key, "is " + shown(schema.get(k.c, key)) + ", " + fmt.Sprintf(format, a...)})
}

// oneOf wants the text under key to be one of the choices.
func (k *checker) oneOf(key, v string, choices ...string) {
	if !slices.Contains(choices, v) {
		k.bad(key, "must be one of %s", strings.Join(choices, ", "))
	}
}

// within wants lo ≤ v ≤ hi.
func (k *checker) within(key string, v, lo, hi float64) {
	if !(v >= lo && v <= hi) {
		k.bad(key, "must be from %s to %s", Spell(lo), Spell(hi))
	}
}

func (k *checker) count(key string, v, lo, hi int) {
	if v < lo || v > hi {
		k.bad(key, "must be from %d to %d", lo, hi)
	}
}

func (k *checker) positive(key string, v float64) {
	if !(v > 0 && v <= huge) {
		k.bad(key, "must be above 0 and at most %g", huge)
	}
}

// params asks the loss itself about each of its parameters.
func (k *checker) params(prefix string, params []loss.Param, values loss.Values) {
	for _, p := range params {
		if v, ok := values[p.Name]; ok {
			if _, err := loss.Complete([]loss.Param{p}, loss.Values{p.Name: v}); err != nil {
				k.out = append(k.out, Problem{prefix + p.Name, strings.TrimPrefix(err.Error(), p.Name+": ")})
			}
		}
	}
}

// Limits that no sensible setting reaches, so that products stay far from overflow.
const (
	huge      = 1e6
	maxImages = 1_000_000
	maxSide   = 8192
	maxIters  = 100_000_000
)

// problems lists every impossible value. What only a package knows about its
// part (do the channels split into groups?) is asked of it where all else is in order.
func (c *Config) problems() []Problem {
	if out := c.rangeProblems(); len(out) > 0 {
		return out
	}
	return c.partProblems()
}

func (c *Config) rangeProblems() []Problem {
	k := &checker{c: c}

	d := &c.Data
	k.oneOf("data.name", d.Name, "synthetic", "coco")
	for _, s := range []struct{ key, v string }{{"data.train", d.Train}, {"data.tune", d.Tune}, {"data.val", d.Val}} {
		if s.v == "" || strings.ContainsAny(s.v, `/\`) || s.v == ".." {
			k.bad(s.key, "must be the name of a split, not a path")
		}
	}
	if d.Name == "synthetic" {
		k.count("data.pixels", d.Pixels, 32, 1024)
		k.count("data.classes", d.Classes, 1, 12)
		k.count("data.images.train", d.Images.Train, 1, maxImages)
		k.count("data.images.tune", d.Images.Tune, 1, maxImages)
		k.count("data.images.val", d.Images.Val, 1, maxImages)
		k.within("data.objects", d.Objects, 1, 50)
		k.within("data.empty", d.Empty, 0, 1)
		k.within("data.distractors", d.Distractors, 0, 50)
		k.within("data.min_size", d.MinSize, .01, 1)
		k.within("data.max_size", d.MaxSize, d.MinSize, 1)
		k.within("data.noise", d.Noise, 0, 64)
		k.within("data.clutter", d.Clutter, 0, 1)
	}

	im := &c.Image
	k.count("image.short", im.Short, 32, maxSide)
	if im.Long != 0 {
		k.count("image.long", im.Long, im.Short, maxSide)
	}
	k.count("image.pad", im.Pad, 1, 1024)
	for _, s := range []struct {
		key string
		v   []float64
		lo  float64
	}{{"image.mean", im.Mean, -1}, {"image.std", im.Std, 1e-3}} {
		if len(s.v) != 3 || slices.ContainsFunc(s.v, func(x float64) bool { return !(x >= s.lo && x <= 255) }) {
			k.bad(s.key, "must be three numbers (red, green, blue; pixels are 0…1) from %s", Spell(s.lo))
		}
	}
	k.within("image.flip", im.Flip, 0, 1)

	m := &c.Model
	if !slices.Contains([]int{18, 34, 50, 101, 152}, m.Depth) {
		k.bad("model.depth", "must be one of 18, 34, 50, 101, 152")
	}
	k.within("model.width", m.Width, 1./64, 4)
	k.oneOf("model.norm", m.Norm, "frozen", "batch", "group")
	k.count("model.freeze_stages", m.FreezeStages, 0, 5)
	k.count("model.fpn", m.FPN, 1, 4096)
	k.oneOf("model.p6", m.P6, "c5", "p5")
	k.oneOf("model.head_norm", m.HeadNorm, "none", "group", "batch")
	k.oneOf("model.head_init", m.HeadInit, "gaussian", "kaiming")
	if m.Norm == "group" || m.HeadNorm == "group" {
		k.count("model.group_channels", m.GroupChannels, 1, 4096)
	}
	if m.Prior != nil && !(*m.Prior > 0 && *m.Prior < 1) {
		k.bad("model.prior", "must be between 0 and 1, or none")
	}

	a := &c.Anchors
	k.within("anchors.base", a.Base, .01, 1000)
	k.count("anchors.scales", a.Scales, 1, 64)
	if len(a.Ratios) == 0 || len(a.Ratios) > 64 || slices.ContainsFunc(a.Ratios, func(r float64) bool { return !(r >= .01 && r <= 100) }) {
		k.bad("anchors.ratios", "must be 1 to 64 numbers from 0.01 to 100")
	}
	if a.Offset != 0 && a.Offset != .5 {
		k.bad("anchors.offset", "must be 0 or .5")
	}
	k.oneOf("anchors.round", a.Round, "none", "torchvision")

	s := &c.Sampler
	k.oneOf("sampler.type", s.Type, "all", "ssd", "ohem")
	k.within("sampler.positive", s.Positive, 0, 1)
	k.within("sampler.negative", s.Negative, 0, s.Positive)
	k.oneOf("sampler.force", s.Force, "none", "detectron2", "torchvision")
	k.oneOf("sampler.normalizer", s.Normalizer, "batch", "image", "ema")
	if s.Type == "ssd" {
		k.within("sampler.ratio", s.Ratio, .01, huge)
		k.count("sampler.min_negatives", s.MinNegatives, 0, maxImages)
	}
	if s.Type == "ohem" {
		k.within("sampler.ratio", s.Ratio, 0, huge)
		k.count("sampler.batch", s.Batch, 1, maxImages)
		k.oneOf("sampler.scope", s.Scope, "image", "batch")
		k.within("sampler.nms", s.NMS, 0, 1)
		k.oneOf("sampler.score", s.Score, "class", "class+box")
		k.within("sampler.score_beta", s.ScoreBeta, 0, huge)
		k.oneOf("sampler.nms_on", s.NMSOn, "decoded", "anchors")
		k.oneOf("sampler.nms_class", s.NMSClass, "agnostic", "per_class")
		k.oneOf("sampler.nms_groups", s.NMSGroups, "auto", "joint", "separate")
		k.count("sampler.preselect", s.Preselect, 0, 10*maxImages)
		k.oneOf("sampler.class_count", s.ClassCount, "selected", "positives", "batch")
		k.oneOf("sampler.box_loss", s.BoxLoss, "selected", "all")
		k.oneOf("sampler.box_count", s.BoxCount, "positives", "same")
	}

	l := &c.Loss
	if cls, err := loss.ClassificationByName(l.Type); err != nil {
		k.oneOf("loss.type", l.Type, loss.ClassificationNames()...)
	} else {
		k.params("loss.", cls.Params, c.lossValues())
	}

	b := &c.BoxLoss
	if reg, err := loss.BoxByName(b.Type); err != nil {
		k.oneOf("box_loss.type", b.Type, loss.BoxNames()...)
	} else {
		k.params("box_loss.", reg.Params, c.boxLossValues())
	}
	k.within("box_loss.weight", b.Weight, 0, huge)

	o := &c.Optim
	k.oneOf("optim.type", o.Type, "sgd", "adamw")
	k.positive("optim.lr", o.LR)
	below1 := func(key string, v float64) {
		if !(v >= 0 && v < 1) {
			k.bad(key, "must be at least 0 and below 1")
		}
	}
	if o.Type == "sgd" {
		below1("optim.momentum", o.Momentum)
	}
	if o.Type == "adamw" {
		below1("optim.beta1", o.Beta1)
		below1("optim.beta2", o.Beta2)
		k.positive("optim.eps", o.Eps)
	}
	k.within("optim.weight_decay", o.WeightDecay, 0, huge)
	k.count("optim.warmup", o.Warmup, 0, maxIters)
	k.within("optim.warmup_factor", o.WarmupFactor, 0, 1)
	for i, at := range o.Steps {
		if !(at > 0) || at >= 1 && at != float64(int(at)) || at > maxIters {
			k.bad("optim.steps", "must be whole iterations, or shares of train.iters below 1")
			break
		}
		if i > 0 && (at <= o.Steps[i-1] || (at < 1) != (o.Steps[0] < 1)) {
			k.bad("optim.steps", "must rise, and be all iterations or all shares")
			break
		}
	}
	if !(o.Factor > 0 && o.Factor <= 1) {
		k.bad("optim.factor", "must be above 0 and at most 1")
	}
	k.within("optim.clip", o.Clip, 0, huge)

	k.count("train.iters", c.Train.Iters, 0, maxIters)
	k.count("train.batch", c.Train.Batch, 1, 4096)

	e := &c.Eval
	k.oneOf("eval.split", e.Split, "train", "tune", "val")
	below1("eval.score", e.Score)
	k.within("eval.low_score", e.LowScore, 0, e.Score)
	k.count("eval.topk", e.TopK, 1, maxImages)
	k.within("eval.nms", e.NMS, 0, 1)
	k.count("eval.max_dets", e.MaxDets, 1, 10_000)

	p := &c.Pretrain
	k.oneOf("pretrain.type", p.Type, "crops", "file", "none")
	if p.Type == "crops" {
		k.count("pretrain.iters", p.Iters, 1, maxIters)
		k.count("pretrain.batch", p.Batch, 1, 4096)
		k.count("pretrain.pixels", p.Pixels, 32, 1024)
		k.count("pretrain.crops", p.Crops, 1, maxImages)
		k.count("pretrain.classes", p.Classes, 1, 11)
		k.positive("pretrain.lr", p.LR)
	}
	return k.out
}

// StepsAt gives the iterations at which the learning rate falls, for a training of iters.
func (o *Optim) StepsAt(iters int) []int {
	out := make([]int, len(o.Steps))
	for i, at := range o.Steps {
		if at < 1 {
			at = math.Round(at * float64(iters))
		}
		out[i] = int(at)
	}
	return out
}

// LongSide is the longer side's cap in pixels.
func (im *Image) LongSide() int {
	if im.Long == 0 {
		return (5*im.Short + 1) / 3 // rounded; 600 gives 1000 and 800 gives 1333
	}
	return im.Long
}

// Missing says which input must still be passed before the trial can run: a
// plan needs neither images nor weights, a training does.
func (c *Config) Missing() error {
	var all problems
	if c.Data.Name == "coco" && c.Data.Dir == "" {
		all.list = append(all.list, fmt.Errorf("data.dir is empty: pass --data DIR, a folder with annotations/instances_%s.json and the images in %s/", c.Data.Train, c.Data.Train))
	}
	if c.Pretrain.Type == "file" && c.Pretrain.File == "" {
		all.list = append(all.list, fmt.Errorf("pretrain.file is empty: pass --set pretrain.file=resnet%d.safetensors with ImageNet weights under torchvision's names; without them these settings do not reproduce the paper", c.Model.Depth))
	}
	return all.err()
}
