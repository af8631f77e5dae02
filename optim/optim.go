// Package optim is the optimisers and learning-rate schedules: a Config as a
// grid file gives it, the learning rate at each step, and the update rules in
// float64, one parameter at a time, as documentation and oracle of what an
// engine does with all of them at once.
//
// Steps count from 0; iters is the number of steps of the whole run.
package optim

import (
	"fmt"
	"math"

	"focalgrid/engine"
	"focalgrid/portable"
)

// Config is an optimiser with its schedule; start from SGD or AdamW.
type Config struct {
	Type string  `yaml:"type"` // "sgd" or "adamw"
	LR   float64 `yaml:"lr"`   // at full rate

	Momentum float64 `yaml:"momentum"` // sgd
	Beta1    float64 `yaml:"beta1"`    // adamw
	Beta2    float64 `yaml:"beta2"`    // adamw
	Eps      float64 `yaml:"eps"`      // adamw

	WeightDecay float64 `yaml:"weight_decay"`
	DecayBias   bool    `yaml:"decay_bias"` // whether biases and norm parameters decay too
	Clip        float64 `yaml:"clip"`       // largest norm of the whole gradient; 0 is no clipping

	Warmup       int     `yaml:"warmup"`        // steps over which the rate rises linearly; 0 is none
	WarmupFactor float64 `yaml:"warmup_factor"` // fraction of the rate that the rise starts from

	Schedule string    `yaml:"schedule"` // "step" or "cosine"
	Steps    []float64 `yaml:"steps"`    // step: where the rate drops; below 1 a fraction of iters, else a step
	Factor   float64   `yaml:"factor"`   // step: what each drop multiplies the rate with
}

// SGD is the paper's optimiser (§4.1): rate .01 for 16 images a step, divided
// by 10 at 60k and 80k of 90k iterations, momentum .9, weight decay 1e-4. It
// mentions neither warm-up nor clipping, nor whether biases decay (here they do).
func SGD() Config {
	c := common()
	c.Type, c.LR, c.WeightDecay = "sgd", .01, 1e-4
	return c
}

// AdamW has the constants of Loshchilov and Hutter's method as commonly set.
func AdamW() Config {
	c := common()
	c.Type, c.LR, c.WeightDecay = "adamw", .001, .01
	return c
}

func common() Config {
	return Config{
		Momentum: .9, Beta1: .9, Beta2: .999, Eps: 1e-8,
		DecayBias: true, Schedule: "step", Steps: []float64{2. / 3, 8. / 9}, Factor: .1,
	}
}

// Validate names the first field that makes no sense.
func (c Config) Validate() error {
	if c.Type != "sgd" && c.Type != "adamw" {
		return fmt.Errorf("type: unknown optimiser %q; known: adamw, sgd", c.Type)
	}
	if c.Schedule != "step" && c.Schedule != "cosine" {
		return fmt.Errorf("schedule: unknown %q; known: cosine, step", c.Schedule)
	}
	for _, f := range []struct {
		name  string
		value float64
		ok    bool
		want  string
	}{
		{"lr", c.LR, c.LR > 0, "above 0"},
		{"momentum", c.Momentum, c.Momentum >= 0 && c.Momentum < 1, "in [0,1)"},
		{"beta1", c.Beta1, c.Beta1 >= 0 && c.Beta1 < 1, "in [0,1)"},
		{"beta2", c.Beta2, c.Beta2 >= 0 && c.Beta2 < 1, "in [0,1)"},
		{"eps", c.Eps, c.Eps > 0, "above 0"},
		{"weight_decay", c.WeightDecay, c.WeightDecay >= 0, "from 0 on"},
		{"clip", c.Clip, c.Clip >= 0, "from 0 on (0 is none)"},
		{"warmup", float64(c.Warmup), c.Warmup >= 0, "from 0 on"},
		{"warmup_factor", c.WarmupFactor, c.WarmupFactor >= 0 && c.WarmupFactor <= 1, "in [0,1]"},
		{"factor", c.Factor, c.Factor > 0 && c.Factor <= 1, "in (0,1]"},
	} {
		if !f.ok || math.IsInf(f.value, 0) {
			return fmt.Errorf("%s: %g is not a finite number %s", f.name, f.value, f.want)
		}
	}
	for i, s := range c.Steps {
		if !(s > 0) || math.IsInf(s, 1) || s >= 1 && s != math.Trunc(s) {
			return fmt.Errorf("steps: %g is neither a fraction in (0,1) nor a whole step from 1 on", s)
		}
		if i > 0 && s <= c.Steps[i-1] || s >= 1 != (c.Steps[0] >= 1) {
			return fmt.Errorf("steps: %v does not rise, or mixes fractions and steps", c.Steps)
		}
	}
	return nil
}

// LRAt is the learning rate of a step, 0 <= step < iters:
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

// Update is the rule as an engine takes it.
func (c Config) Update() engine.Update {
	return engine.Update{
		Kind: c.Type, Momentum: c.Momentum,
		Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps,
		WeightDecay: c.WeightDecay, DecayBias: c.DecayBias, Clip: c.Clip,
	}
}

// Scale applies the linear scaling rule to a recipe made for another batch
// size: the rate goes with the batch, iterations (and with them warm-up and
// schedule) against it, so that as many images are seen. The paper's .01 and
// 90k at batch 16 become .005 and 180k at batch 8.
func Scale(lr float64, iters, batch, recipeBatch int) (float64, int) {
	k := float64(batch) / float64(recipeBatch)
	return lr * k, int(math.Round(float64(iters) / k))
}
