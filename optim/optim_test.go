package optim

import (
	"math"
	"strings"
	"testing"

	"focalgrid/engine"

	"pgregory.net/rapid"
)

func close(got, want, tol float64) bool { return math.Abs(got-want) <= tol*math.Abs(want) }

// "90k iterations with an initial learning rate of 0.01, which is then divided
// by 10 at 60k and again at 80k iterations": §4.1. The same schedule in
// fractions and in steps.
func TestPaperSchedule(t *testing.T) {
	steps := SGD()
	steps.Steps = []float64{60000, 80000}
	for _, c := range []Config{SGD(), steps} {
		for _, tt := range []struct {
			step int
			want float64
		}{{0, .01}, {59999, .01}, {60000, .001}, {79999, .001}, {80000, .0001}, {89999, .0001}} {
			if got := c.LRAt(tt.step, 90000); !close(got, tt.want, 1e-12) {
				t.Errorf("steps %v: rate %g at step %d, want %g", c.Steps, got, tt.step, tt.want)
			}
		}
	}
}

func TestWarmup(t *testing.T) {
	c := SGD()
	c.LR, c.Warmup, c.Steps = .1, 50, []float64{.67, .89}
	tests := []struct {
		factor float64
		step   int
		want   float64
	}{
		{0, 0, .1 / 50}, {0, 24, .05}, {0, 48, .1 * 49 / 50}, {0, 49, .1}, {0, 50, .1},
		{0, 401, .1}, {0, 402, .01}, {0, 533, .01}, {0, 534, .001}, // .67 and .89 of 600
		{.5, 0, .1 * (.5 + .5/50)}, {.5, 49, .1}, {1, 0, .1},
	}
	for _, tt := range tests {
		c.WarmupFactor = tt.factor
		if got := c.LRAt(tt.step, 600); !close(got, tt.want, 1e-12) {
			t.Errorf("factor %g: rate %g at step %d, want %g", tt.factor, got, tt.step, tt.want)
		}
	}
}

func TestCosine(t *testing.T) {
	c := SGD()
	c.Schedule, c.LR = "cosine", .2
	for _, tt := range []struct {
		step int
		want float64
	}{{0, .2}, {250, .1 * (1 + math.Sqrt2/2)}, {500, .1}, {750, .1 * (1 - math.Sqrt2/2)}} {
		if got := c.LRAt(tt.step, 1000); !close(got, tt.want, 1e-12) {
			t.Errorf("rate %g at step %d, want %g", got, tt.step, tt.want)
		}
	}
}

// After warm-up no schedule raises the rate, and it never leaves (0, LR].
func TestScheduleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := SGD()
		c.Warmup = rapid.IntRange(0, 40).Draw(t, "warmup")
		c.WarmupFactor = rapid.Float64Range(0, 1).Draw(t, "factor")
		c.Schedule = rapid.SampledFrom([]string{"step", "cosine"}).Draw(t, "schedule")
		iters := rapid.IntRange(1, 200).Draw(t, "iters")
		last := math.Inf(1)
		for step := range iters {
			lr := c.LRAt(step, iters)
			if lr <= 0 || lr > c.LR*(1+1e-12) {
				t.Fatalf("rate %g at step %d of %d, want in (0, %g]", lr, step, iters, c.LR)
			}
			if step > c.Warmup && lr > last {
				t.Fatalf("rate rises from %g to %g at step %d", last, lr, step)
			}
			last = lr
		}
	})
}

func TestScale(t *testing.T) {
	if lr, iters := Scale(.01, 90000, 8, 16); lr != .005 || iters != 180000 {
		t.Errorf("batch 8: rate %g for %d iterations, want .005 for 180000", lr, iters)
	}
	if lr, iters := Scale(.01, 90000, 16, 16); lr != .01 || iters != 90000 {
		t.Errorf("batch 16: rate %g for %d iterations, want the recipe", lr, iters)
	}
}

// The figures are PyTorch 2.15's, float64, one parameter of three values.
func TestRulesAgainstPyTorch(t *testing.T) {
	lrs := []float64{.1, .1, .05, .005}
	grads := [][]float64{{.5, -1, .25}, {.1, .2, -.3}, {0, 0, 2}, {-1, .5, .125}}
	sgd, adamw := SGD().Update(), AdamW().Update()
	sgd.WeightDecay = .01
	plain := engine.Update{Kind: "sgd"}
	other := engine.Update{Kind: "adamw", Beta1: .8, Beta2: .99, Eps: 1e-3}
	tests := []struct {
		name  string
		u     engine.Update
		decay bool
		want  [][]float64
	}{
		{"sgd, momentum .9, decay .01", sgd, true, [][]float64{
			{0.949, -1.898, 0.4745}, {0.892151, -1.824302, 0.4810755},
			{0.8661228745, -1.790225749, 0.38379393725}, {0.868737037061275, -1.78956937512255, 0.374394406905638}}},
		{"plain sgd", plain, true, [][]float64{
			{0.95, -1.9, 0.475}, {0.94, -1.92, 0.505}, {0.94, -1.92, 0.405}, {0.945, -1.9225, 0.404375}}},
		{"adamw, decay .01", adamw, true, [][]float64{
			{0.899000002, -1.898000001, 0.399500004}, {0.817796906382652, -1.84499939398949, 0.413394976543747},
			{0.78635035879475, -1.82432566268934, 0.382896828148122}, {0.787746831385258, -1.82406283719965, 0.380223056380078}}},
		{"adamw, betas .8 .99, eps 1e-3, no decay", other, false, [][]float64{
			{0.900199600798403, -1.9000999000999, 0.400398406374502}, {0.823192676769158, -1.85383161206861, 0.420435820363743},
			{0.795309668888156, -1.83707330374538, 0.38718081518228}, {0.79734903723036, -1.83742021201316, 0.384433650975402}}},
	}
	for _, tt := range tests {
		p, s := []float64{1, -2, .5}, NewSlots(3)
		for i, g := range grads {
			Step(tt.u, p, g, s, lrs[i], tt.decay)
			for j := range p {
				if !close(p[j], tt.want[i][j], 1e-13) {
					t.Errorf("%s, step %d, value %d: %.15g, want %.15g", tt.name, i, j, p[j], tt.want[i][j])
				}
			}
		}
	}
}

// A parameter that does not decay moves as with weight decay 0.
func TestDecayIsPerParameter(t *testing.T) {
	for _, u := range []engine.Update{SGD().Update(), AdamW().Update()} {
		with, without := u, u
		with.WeightDecay, without.WeightDecay = .3, 0
		p, q := []float64{1, 2}, []float64{1, 2}
		Step(with, p, []float64{.1, -.1}, NewSlots(2), .1, false)
		Step(without, q, []float64{.1, -.1}, NewSlots(2), .1, true)
		if p[0] != q[0] || p[1] != q[1] {
			t.Errorf("%s: %v undecayed, %v without decay", u.Kind, p, q)
		}
	}
}

func TestUpdate(t *testing.T) {
	c := SGD()
	c.Clip, c.DecayBias = 10, false
	want := engine.Update{Kind: "sgd", Momentum: .9, Beta1: .9, Beta2: .999, Eps: 1e-8, WeightDecay: 1e-4, Clip: 10}
	if got := c.Update(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []Config{SGD(), AdamW()} {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", c.Type, err)
		}
	}
	tests := []struct {
		edit func(c *Config)
		want string
	}{
		{func(c *Config) { c.Type = "adam" }, `type: unknown optimiser "adam"; known: adamw, sgd`},
		{func(c *Config) { c.Schedule = "" }, `schedule: unknown ""; known: cosine, step`},
		{func(c *Config) { c.LR = 0 }, "lr: 0 is not"},
		{func(c *Config) { c.LR = math.Inf(1) }, "lr: +Inf is not"},
		{func(c *Config) { c.LR = math.NaN() }, "lr: NaN is not"},
		{func(c *Config) { c.Momentum = 1 }, "momentum: 1 is not"},
		{func(c *Config) { c.Beta1 = -1 }, "beta1: -1 is not"},
		{func(c *Config) { c.Beta2 = 1 }, "beta2: 1 is not"},
		{func(c *Config) { c.Eps = 0 }, "eps: 0 is not"},
		{func(c *Config) { c.WeightDecay = -1 }, "weight_decay: -1 is not"},
		{func(c *Config) { c.Clip = -1 }, "clip: -1 is not"},
		{func(c *Config) { c.Warmup = -1 }, "warmup: -1 is not"},
		{func(c *Config) { c.WarmupFactor = 2 }, "warmup_factor: 2 is not"},
		{func(c *Config) { c.Factor = 0 }, "factor: 0 is not"},
		{func(c *Config) { c.Steps = []float64{0} }, "steps: 0 is neither"},
		{func(c *Config) { c.Steps = []float64{1.5} }, "steps: 1.5 is neither"},
		{func(c *Config) { c.Steps = []float64{.9, .5} }, "does not rise"},
		{func(c *Config) { c.Steps = []float64{.5, 100} }, "mixes fractions and steps"},
	}
	for _, tt := range tests {
		c := SGD()
		tt.edit(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want one with %q", err, tt.want)
		}
	}
}
