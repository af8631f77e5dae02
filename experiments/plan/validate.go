package plan

import (
	"fmt"
	"slices"
	"strings"

	"focalgrid/loss"
)

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
		k.params("loss.", cls.Params, c.LossValues())
	}

	b := &c.BoxLoss
	if reg, err := loss.BoxByName(b.Type); err != nil {
		k.oneOf("box_loss.type", b.Type, loss.BoxNames()...)
	} else {
		k.params("box_loss.", reg.Params, c.BoxLossValues())
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
