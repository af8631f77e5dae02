// Package optim declares the settings of optimisers and learning-rate schedules, and computes the learning rate of each
// step. The update itself is the engine's (engine.Update).
//
// Steps count from 0; iters is the number of steps of the whole run.
package optim

import (
	"errors"
	"math"

	"focalgrid/engine"
	"focalgrid/portable"
	"focalgrid/setting"
)

// rules names the optimisers, with the settings of each.
var rules = map[string][]setting.Param{
	"sgd": {{Name: "momentum", Kind: setting.Number, Max: 1, Below: true, Doc: "share of the last update that goes on"}},
	"adamw": {
		{Name: "beta1", Kind: setting.Number, Max: 1, Below: true, Doc: "of the mean gradient: the share of the mean so far"},
		{Name: "beta2", Kind: setting.Number, Max: 1, Below: true, Doc: "of the mean squared gradient: the share of the mean so far"},
		{Name: "eps", Kind: setting.Number, Above: true, Max: 1e6, Doc: "added to the root of the mean square"},
	},
}

// schedules names the ways in which the learning rate falls, with the settings of each.
var schedules = map[string][]setting.Param{
	"step": {
		{Name: "steps", Kind: setting.Numbers, Above: true, Max: maxSteps, Count: [2]int{0, 1000}, Check: checkSteps,
			Doc: "when lr is multiplied by factor: iterations, or below 1 a share of train.iters"},
		{Name: "factor", Kind: setting.Number, Above: true, Max: 1, Doc: "what each step multiplies lr with",
			When: func(v setting.Values) bool { return len(v.Numbers("steps")) > 0 }},
	},
	"cosine": nil,
}

const maxSteps = 100_000_000

// Params are the settings of an optimiser and its schedule.
var Params = []setting.Param{
	{Name: "type", Kind: setting.Text, Kinds: rules, Doc: "update rule"},
	{Name: "lr", Kind: setting.Number, Above: true, Max: 1e6, Doc: "learning rate at full height"},
	{Name: "weight_decay", Kind: setting.Number, Max: 1e6, Doc: "pull of the weights towards 0; sgd adds it to the gradient, adamw takes it off the weights"},
	{Name: "decay_bias", Kind: setting.Bool, Doc: "whether biases and the norms' weights decay too",
		When: func(v setting.Values) bool { return v.Number("weight_decay") != 0 }},
	{Name: "warmup", Kind: setting.Int, Max: maxSteps, Doc: "iterations over which lr rises linearly; 0: none"},
	{Name: "warmup_factor", Kind: setting.Number, Max: 1, Doc: "share of lr that the rise starts from",
		When: func(v setting.Values) bool { return v.Int("warmup") > 0 }},
	{Name: "schedule", Kind: setting.Text, Kinds: schedules, Was: "step", Doc: "how lr falls: in steps, or along half a cosine to 0"},
	{Name: "clip", Kind: setting.Number, Max: 1e6, Doc: "largest norm of the whole gradient; 0: none"},
}

func checkSteps(v setting.Values) error {
	steps := v.Numbers("steps")
	for i, at := range steps {
		if at >= 1 && at != math.Trunc(at) {
			return errors.New("must be whole iterations, or shares of train.iters below 1")
		}
		if i > 0 && (at <= steps[i-1] || (at < 1) != (steps[0] < 1)) {
			return errors.New("must rise, and be all iterations or all shares")
		}
	}
	return nil
}

// Config is an optimiser with its schedule, as Params describes it.
type Config struct {
	Type string
	LR   float64

	Momentum          float64 // sgd
	Beta1, Beta2, Eps float64 // adamw

	WeightDecay float64
	DecayBias   bool
	Clip        float64

	Warmup       int
	WarmupFactor float64

	Schedule string
	Steps    []float64 // step
	Factor   float64   // step
}

// New makes the optimiser of the settings.
func New(v setting.Values) Config {
	c := Config{
		Type: v.Text("type"), LR: v.Number("lr"),
		WeightDecay: v.Number("weight_decay"), DecayBias: v.Bool("decay_bias"), Clip: v.Number("clip"),
		Warmup: v.Int("warmup"), WarmupFactor: v.Number("warmup_factor"), Schedule: v.Text("schedule"),
	}
	switch c.Type {
	case "sgd":
		c.Momentum = v.Number("momentum")
	case "adamw":
		c.Beta1, c.Beta2, c.Eps = v.Number("beta1"), v.Number("beta2"), v.Number("eps")
	}
	if c.Schedule == "step" {
		c.Steps, c.Factor = v.Numbers("steps"), v.Number("factor")
	}
	return c
}

// LRAt returns the learning rate of a step, 0 <= step < iters:
//
//	LR · warm-up · schedule
//	warm-up   f + (1-f)·min(1, (step+1)/Warmup), f = WarmupFactor
//	step      Factor^(number of Steps reached)
//	cosine    (1 + cos(π·step/iters))/2
//
// A fraction s among Steps stands for the step nearest to s·iters.
func (c Config) LRAt(step, iters int) float64 {
	rate := c.LR
	if step < c.Warmup {
		rate *= c.WarmupFactor + (1-c.WarmupFactor)*float64(step+1)/float64(c.Warmup)
	}
	if c.Schedule == "cosine" {
		return rate * (1 + portable.Cos(math.Pi*float64(step)/float64(iters))) / 2
	}
	for _, s := range c.Steps {
		if s < 1 {
			s = math.Round(s * float64(iters))
		}
		if float64(step) >= s {
			rate *= c.Factor
		}
	}
	return rate
}

// Update returns the rule for an engine.
func (c Config) Update() engine.Update {
	return engine.Update{
		Kind: c.Type, Momentum: c.Momentum,
		Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps,
		WeightDecay: c.WeightDecay, DecayBias: c.DecayBias, Clip: c.Clip,
	}
}
