package optim

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"focalgrid/engine"
	"focalgrid/setting"

	"pgregory.net/rapid"
)

func close(got, want, tol float64) bool { return math.Abs(got-want) <= tol*math.Abs(want) }

// sgd is the paper's optimiser (§4.1), its drops of the rate as shares of the 90k iterations.
func sgd() Config {
	return Config{Type: "sgd", LR: .01, Momentum: .9, WeightDecay: 1e-4, DecayBias: true, Schedule: "step", Steps: []float64{2. / 3, 8. / 9}, Factor: .1}
}

// adamw has the constants of Loshchilov and Hutter's method as commonly set.
func adamw() Config {
	return Config{Type: "adamw", LR: .001, Beta1: .9, Beta2: .999, Eps: 1e-8, WeightDecay: .01, DecayBias: true, Schedule: "cosine"}
}

// "90k iterations with an initial learning rate of 0.01, which is then divided
// by 10 at 60k and again at 80k iterations": §4.1. The same schedule in
// fractions and in steps.
func TestPaperSchedule(t *testing.T) {
	steps := sgd()
	steps.Steps = []float64{60000, 80000}
	for _, c := range []Config{sgd(), steps} {
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
	c := sgd()
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
	c := sgd()
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
		c := sgd()
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

// The figures are PyTorch 2.15's, float64, one parameter of three values.
func TestRulesAgainstPyTorch(t *testing.T) {
	lrs := []float64{.1, .1, .05, .005}
	grads := [][]float64{{.5, -1, .25}, {.1, .2, -.3}, {0, 0, 2}, {-1, .5, .125}}
	momentum, adam := sgd().Update(), adamw().Update()
	momentum.WeightDecay = .01
	plain := engine.Update{Kind: "sgd"}
	other := engine.Update{Kind: "adamw", Beta1: .8, Beta2: .99, Eps: 1e-3}
	tests := []struct {
		name  string
		u     engine.Update
		decay bool
		want  [][]float64
	}{
		{"sgd, momentum .9, decay .01", momentum, true, [][]float64{
			{0.949, -1.898, 0.4745}, {0.892151, -1.824302, 0.4810755},
			{0.8661228745, -1.790225749, 0.38379393725}, {0.868737037061275, -1.78956937512255, 0.374394406905638}}},
		{"plain sgd", plain, true, [][]float64{
			{0.95, -1.9, 0.475}, {0.94, -1.92, 0.505}, {0.94, -1.92, 0.405}, {0.945, -1.9225, 0.404375}}},
		{"adamw, decay .01", adam, true, [][]float64{
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
	for _, u := range []engine.Update{sgd().Update(), adamw().Update()} {
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
	c := sgd()
	c.Clip, c.DecayBias = 10, false
	want := engine.Update{Kind: "sgd", Momentum: .9, WeightDecay: 1e-4, Clip: 10}
	if got := c.Update(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// values are the settings that give sgd and adamw above.
func values() setting.Values {
	return setting.Values{
		"type": "sgd", "lr": .01, "momentum": .9, "beta1": .9, "beta2": .999, "eps": 1e-8, "weight_decay": 1e-4, "decay_bias": true, "clip": 0.,
		"warmup": 0, "warmup_factor": 0., "schedule": "step", "steps": []float64{2. / 3, 8. / 9}, "factor": .1,
	}
}

// An optimiser has what its rule and its schedule bring, and nothing of the others.
func TestNew(t *testing.T) {
	if got := New(values()); !reflect.DeepEqual(got, sgd()) {
		t.Errorf("sgd is %+v", got)
	}
	v := values()
	v["type"], v["schedule"], v["lr"], v["weight_decay"] = "adamw", "cosine", .001, .01
	if got := New(v); !reflect.DeepEqual(got, adamw()) {
		t.Errorf("adamw is %+v", got)
	}
}

// A value is judged alone, and the steps beside each other.
func TestParams(t *testing.T) {
	params := slices.Concat(Params, rules["sgd"], rules["adamw"], schedules["step"])
	for _, p := range params {
		if v := values()[p.Name]; v != nil {
			if err := errors.Join(p.Judge(v), p.JudgeGroup(values())); err != nil {
				t.Errorf("%s: %v", p.Name, err)
			}
		}
	}
	tests := []struct {
		name  string
		value any
		want  string
	}{
		{"type", "adam", `is "adam", must be one of adamw, sgd`},
		{"schedule", "", `is "", must be one of cosine, step`},
		{"lr", 0., "is 0, must be above 0 and at most 1e+06"},
		{"lr", math.Inf(1), "is +Inf, must be"},
		{"lr", math.NaN(), "is NaN, must be"},
		{"momentum", 1., "is 1, must be at least 0 and below 1"},
		{"beta1", -1., "is -1, must be at least 0 and below 1"},
		{"beta2", 1., "is 1, must be at least 0 and below 1"},
		{"eps", 0., "is 0, must be above 0"},
		{"weight_decay", -1., "is -1, must be from 0"},
		{"clip", -1., "is -1, must be from 0"},
		{"warmup", -1, "is -1, must be from 0"},
		{"warmup_factor", 2., "is 2, must be from 0 to 1"},
		{"factor", 0., "is 0, must be above 0 and at most 1"},
		{"steps", []float64{0}, "is [0], must be 0 to 1000 numbers above 0"},
		{"steps", []float64{1.5}, "is [1.5], must be whole iterations"},
		{"steps", []float64{.9, .5}, "is [0.9,0.5], must rise"},
		{"steps", []float64{.5, 100}, "is [0.5,100], must rise, and be all iterations or all shares"},
	}
	for _, tt := range tests {
		v := values()
		v[tt.name] = tt.value
		p := params[slices.IndexFunc(params, func(p setting.Param) bool { return p.Name == tt.name })]
		err := p.Judge(tt.value)
		if err == nil {
			err = p.JudgeGroup(v)
		}
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one that starts with %q", tt.name, err, tt.want)
		}
	}
}
