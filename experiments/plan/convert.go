package plan

import (
	"fmt"
	"slices"

	"focalgrid/box"
	"focalgrid/dataset"
	"focalgrid/loss"
	"focalgrid/model"
	"focalgrid/optim"
	"focalgrid/sampler"
)

// This file hands the settings over to the packages that do the work. Each
// of them checks its own part once more, so that a plan fails before it runs.

// ModelConfig is the network for that many classes.
func (c *Config) ModelConfig(classes int) model.Config {
	m, a := &c.Model, &c.Anchors
	return model.Config{
		Depth: m.Depth, Width: m.Width, Norm: m.Norm, FreezeStages: m.FreezeStages,
		FPN: m.FPN, P6From: m.P6,
		HeadNorm: m.HeadNorm, GroupChannels: m.GroupChannels, HeadInit: m.HeadInit,
		Prior: m.Prior, Classes: classes,
		Anchors: model.AnchorConfig{Base: a.Base, Scales: a.Scales, Ratios: slices.Clone(a.Ratios), Offset: a.Offset, Round: a.Round},
	}
}

func (c *Config) SamplerConfig() sampler.Config {
	s := &c.Sampler
	target := "deltas"
	if b, err := loss.BoxByName(c.BoxLoss.Type); err == nil { // Validate knows the name
		target = b.Target
	}
	return sampler.Config{
		Matcher:    sampler.Matcher{Positive: s.Positive, Negative: s.Negative, Force: s.Force},
		Normaliser: s.Normalizer,
		BoxTarget:  target,
		BoxWeight:  c.BoxLoss.Weight,
		Miner:      s.Type,
		SSD:        sampler.SSD{Ratio: s.Ratio, IfNoObject: s.MinNegatives},
		OHEM: sampler.OHEM{
			Batch: s.Batch, NMS: s.NMS, Ratio: s.Ratio, Scope: s.Scope,
			Score: s.Score, ScoreBeta: s.ScoreBeta,
			NMSOn: s.NMSOn, NMSClass: s.NMSClass, NMSGroups: s.NMSGroups, Preselect: s.Preselect,
			Fill: s.Fill, Normaliser: s.ClassCount, BoxLoss: s.BoxLoss, BoxNormaliser: s.BoxCount,
		},
	}
}

func (c *Config) OptimConfig() optim.Config {
	o := &c.Optim
	return optim.Config{
		Type: o.Type, LR: o.LR, Momentum: o.Momentum, Beta1: o.Beta1, Beta2: o.Beta2, Eps: o.Eps,
		WeightDecay: o.WeightDecay, DecayBias: o.DecayBias, Clip: o.Clip,
		Warmup: o.Warmup, WarmupFactor: o.WarmupFactor,
		Schedule: "step", Steps: slices.Clone(o.Steps), Factor: o.Factor,
	}
}

// LossValues are the settings that the classification loss has; empty for an unknown loss.
func (c *Config) LossValues() loss.Values {
	l, err := loss.ClassificationByName(c.Loss.Type)
	if err != nil {
		return loss.Values{}
	}
	return c.values("loss.", l.Params)
}

// BoxLossValues are the settings that the box loss has; empty for an unknown loss.
func (c *Config) BoxLossValues() loss.Values {
	l, err := loss.BoxByName(c.BoxLoss.Type)
	if err != nil {
		return loss.Values{}
	}
	return c.values("box_loss.", l.Params)
}

// values reads the parameters from the settings named prefix + parameter.
// One without a setting keeps the loss's own default.
func (c *Config) values(prefix string, params []loss.Param) loss.Values {
	out := loss.Values{}
	for _, p := range params {
		fd, ok := schema.byKey[prefix+p.Name]
		if !ok {
			continue
		}
		out[p.Name] = nil
		if v, ok := schema.get(c, fd.key).(float64); ok {
			out[p.Name] = &v
		}
	}
	return out
}

// PostConfig makes detections of the network's outputs. They are kept from
// eval.low_score on; AP at eval.score leaves out the lower ones afterwards.
func (c *Config) PostConfig() box.Post {
	e := &c.Eval
	return box.Post{Score: e.LowScore, TopK: e.TopK, NMS: e.NMS, MaxDetections: e.MaxDets}
}

// Transform brings pictures to the network's input.
func (c *Config) Transform() dataset.Transform {
	im := &c.Image
	t := dataset.Transform{ShortSide: im.Short, LongSide: im.LongSide(), PadTo: im.Pad}
	for i := range t.Mean {
		t.Mean[i], t.Std[i] = float32(im.Mean[i]), float32(im.Std[i])
	}
	return t
}

// SynthConfig is the generated data set.
func (c *Config) SynthConfig() dataset.SynthConfig {
	d := &c.Data
	return dataset.SynthConfig{
		Pixels: d.Pixels, Classes: d.Classes,
		Train: d.Images.Train, Tune: d.Images.Tune, Val: d.Images.Val,
		Objects: d.Objects, Empty: d.Empty, Distractors: d.Distractors,
		MinSize: d.MinSize, MaxSize: d.MaxSize, Noise: d.Noise, Clutter: d.Clutter, Seed: d.Seed,
	}
}

// CropConfig is what the backbone is pretrained on. The crops look like the
// generated images: noise and clutter are theirs.
func (c *Config) CropConfig() dataset.CropConfig {
	p := &c.Pretrain
	return dataset.CropConfig{Pixels: p.Pixels, Classes: p.Classes, Noise: c.Data.Noise, Clutter: c.Data.Clutter, Seed: p.Seed}
}

// partProblems asks each package about its own part. c must have passed the
// checks of problems, so that nothing here is out of all bounds.
func (c *Config) partProblems() []Problem {
	var out []Problem
	ask := func(key string, err error) {
		if err != nil {
			out = append(out, Problem{key, ": " + err.Error()})
		}
	}
	ask("model", c.ModelConfig(max(1, c.Data.Classes)).Validate())
	ask("sampler", c.SamplerConfig().Validate())
	ask("optim", c.OptimConfig().Validate())
	ask("eval", c.PostConfig().Validate())
	ask("image", c.Transform().Validate())
	if l, err := loss.ClassificationByName(c.Loss.Type); err == nil {
		_, err = loss.Complete(l.Params, c.LossValues())
		ask("loss", err)
	}
	if l, err := loss.BoxByName(c.BoxLoss.Type); err == nil {
		_, err = loss.Complete(l.Params, c.BoxLossValues())
		ask("box_loss", err)
	}
	if Synthetic(c) {
		ask("data", c.SynthConfig().Validate())
		for _, s := range []struct{ split, has string }{{"train", c.Data.Train}, {"tune", c.Data.Tune}, {"val", c.Data.Val}} {
			if s.has != s.split {
				out = append(out, Problem{"data." + s.split, fmt.Sprintf("is %q, must be %s for the generated set; --data DIR reads a folder of your own", s.has, s.split)})
			}
		}
	}
	if Crops(c) {
		ask("pretrain", c.CropConfig().Validate())
	}
	return out
}
