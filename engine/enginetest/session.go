package enginetest

import (
	"errors"
	"math"
	"slices"
	"testing"

	"focalgrid/engine"
)

// line is the program y = w·x with loss Σ weight·(y-target)², all [n].
func line(t *testing.T, n int, u engine.Update) (*engine.Program, *engine.State) {
	t.Helper()
	p := &engine.Program{Update: u}
	var err error
	p.Graph, err = engine.Build(func(g *engine.Graph) error {
		w := g.Param("w", engine.Normal(1), true, n)
		y := g.Named(g.Mul(w, g.Input("x", n)), "y")
		d := g.Sub(y, g.Input("target", n))
		p.Predictions = []*engine.Node{y}
		p.Loss = g.Named(g.Sum(g.Mul(g.Input("weight", n), g.Mul(d, d))), "loss")
		p.Outputs = []*engine.Node{p.Loss}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := engine.NewState()
	if err := s.AddMissing(p.Graph, draw); err != nil {
		t.Fatal(err)
	}
	return p, s
}

// values returns those of a tensor after the steps that were made.
func (e *suite) values(t *testing.T, s *engine.State, name string) []float32 {
	t.Helper()
	if err := e.Store(s); err != nil {
		t.Fatal(err)
	}
	return s.Get(name).Values
}

func session(t *testing.T, e *suite) {
	const n = 6
	x, target, weight := random("x", n).values, random("target", n).values, []float32{1, 2, 0, 1, .5, 1}
	lr := []float32{.05}
	static := engine.Feeds{"x": x, "target": target, "weight": weight, engine.LR: lr}
	compile := func(t *testing.T, u engine.Update) (engine.Session, *engine.State) {
		t.Helper()
		p, s := line(t, n, u)
		ses, err := e.Compile(p, s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ses.Close() })
		return ses, s
	}
	grad := func(w []float32) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = 2 * float64(weight[i]) * (float64(w[i])*float64(x[i]) - float64(target[i])) * float64(x[i])
		}
		return out
	}

	t.Run("forward sees predictions without targets", func(t *testing.T) {
		ses, s := compile(t, engine.Update{Kind: "sgd"})
		got, err := ses.Forward(engine.Feeds{"x": x})
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float64, n)
		for i := range want {
			want[i] = float64(e.values(t, s, "w")[i]) * float64(x[i])
		}
		e.close32(t, "y", got["y"], want, 1e-6)
		if _, ok := got["loss"]; ok {
			t.Error("forward reports an output whose inputs were not fed")
		}
	})

	t.Run("targets from predictions equal static targets", func(t *testing.T) {
		a, sa := compile(t, engine.Update{Kind: "sgd", Momentum: .9})
		b, sb := compile(t, engine.Update{Kind: "sgd", Momentum: .9})
		for range 3 {
			ra, err := a.Step(static, nil)
			if err != nil {
				t.Fatal(err)
			}
			saw := 0
			rb, err := b.Step(engine.Feeds{"x": x, engine.LR: lr}, func(p engine.Values) (engine.Feeds, error) {
				saw = len(p["y"])
				return engine.Feeds{"target": target, "weight": weight}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if saw != n {
				t.Errorf("assign saw %d predictions, want %d", saw, n)
			}
			if ra.Loss != rb.Loss || !slices.Equal(e.values(t, sa, "w"), e.values(t, sb, "w")) {
				t.Errorf("losses %v and %v, or weights, differ", ra.Loss, rb.Loss)
			}
		}
	})

	t.Run("sgd with momentum and decay", func(t *testing.T) {
		ses, s := compile(t, engine.Update{Kind: "sgd", Momentum: .9, WeightDecay: .01, DecayBias: true})
		w, v := to64(e.values(t, s, "w")), make([]float64, n)
		for range 4 {
			g := grad(e.values(t, s, "w"))
			if _, err := ses.Step(static, nil); err != nil {
				t.Fatal(err)
			}
			for i := range w {
				v[i] = .9*v[i] + g[i] + .01*w[i]
				w[i] -= .05 * v[i]
			}
			e.close32(t, "w", e.values(t, s, "w"), w, 1e-5)
		}
	})

	t.Run("decay spares rank 1 unless asked", func(t *testing.T) {
		ses, s := compile(t, engine.Update{Kind: "sgd", WeightDecay: .5})
		before, g := to64(e.values(t, s, "w")), grad(e.values(t, s, "w"))
		if _, err := ses.Step(static, nil); err != nil {
			t.Fatal(err)
		}
		for i := range before {
			before[i] -= .05 * g[i]
		}
		e.close32(t, "w", e.values(t, s, "w"), before, 1e-6)
	})

	t.Run("adamw", func(t *testing.T) {
		ses, s := compile(t, engine.Update{Kind: "adamw", Beta1: .9, Beta2: .99, Eps: 1e-8, WeightDecay: .1, DecayBias: true})
		w, m, v := to64(e.values(t, s, "w")), make([]float64, n), make([]float64, n)
		for k := 1; k <= 4; k++ {
			g := grad(e.values(t, s, "w"))
			if _, err := ses.Step(static, nil); err != nil {
				t.Fatal(err)
			}
			for i := range w {
				m[i] = .9*m[i] + .1*g[i]
				v[i] = .99*v[i] + .01*g[i]*g[i]
				w[i] -= .05 * .1 * w[i]
				if mh, vh := m[i]/(1-math.Pow(.9, float64(k))), v[i]/(1-math.Pow(.99, float64(k))); vh > 0 {
					w[i] -= .05 * mh / (math.Sqrt(vh) + 1e-8)
				}
			}
			e.close32(t, "w", e.values(t, s, "w"), w, 1e-4)
		}
	})

	t.Run("clipping scales the whole gradient", func(t *testing.T) {
		ses, s := compile(t, engine.Update{Kind: "sgd", Clip: .1})
		before, g := to64(e.values(t, s, "w")), grad(e.values(t, s, "w"))
		r, err := ses.Step(static, nil)
		if err != nil {
			t.Fatal(err)
		}
		var norm float64
		for _, v := range g {
			norm += v * v
		}
		norm = math.Sqrt(norm)
		if math.Abs(r.GradNorm-norm) > 1e-5*norm || norm < .1 {
			t.Errorf("gradient norm %g, want %g, above .1", r.GradNorm, norm)
		}
		for i := range before {
			before[i] -= .05 * g[i] * .1 / norm
		}
		e.close32(t, "w", e.values(t, s, "w"), before, 1e-5)
	})

	t.Run("nothing changes where values are not finite", func(t *testing.T) {
		ses, s := compile(t, engine.Update{Kind: "sgd", Momentum: .9})
		before := s.Clone()
		bad := slices.Clone(x)
		bad[1] = float32(math.Inf(1))
		_, err := ses.Step(engine.Feeds{"x": bad, "target": target, "weight": weight, engine.LR: lr}, nil)
		if !errors.Is(err, engine.ErrNonFinite) {
			t.Fatalf("error %v, want one that is ErrNonFinite", err)
		}
		for _, name := range before.Names() {
			if !slices.Equal(before.Get(name).Values, e.values(t, s, name)) {
				t.Errorf("tensor %s changed", name)
			}
		}
	})

	t.Run("a missing or short feed is named", func(t *testing.T) {
		ses, _ := compile(t, engine.Update{Kind: "sgd"})
		for _, f := range []engine.Feeds{
			{"x": x, "weight": weight, engine.LR: lr},
			{"x": x, "target": target[:2], "weight": weight, engine.LR: lr},
			{"x": x, "target": target, "weight": weight},
		} {
			if _, err := ses.Step(f, nil); err == nil {
				t.Errorf("feeds %v are accepted", f)
			}
		}
	})

	t.Run("loads what was set", func(t *testing.T) {
		ses, s := compile(t, engine.Update{Kind: "sgd", Momentum: .9})
		first := s.Clone()
		var losses [2]float64
		for i := range losses {
			for range 3 {
				r, err := ses.Step(static, nil)
				if err != nil {
					t.Fatal(err)
				}
				losses[i] = r.Loss
			}
			if err := errors.Join(s.Restart(first), e.Load(s)); err != nil {
				t.Fatal(err)
			}
		}
		if losses[0] != losses[1] {
			t.Errorf("from the same values three steps end at loss %v and %v", losses[0], losses[1])
		}
	})

	t.Run("gradients are there where they are kept", func(t *testing.T) {
		for _, keep := range []bool{false, true} {
			p, s := line(t, n, engine.Update{Kind: "sgd"})
			p.KeepGradients = keep
			ses, err := e.Compile(p, s)
			if err != nil {
				t.Fatal(err)
			}
			defer ses.Close()
			want := grad(s.Get("w").Values)
			if _, err := ses.Step(static, nil); err != nil {
				t.Fatal(err)
			}
			if got := ses.Gradient("w"); keep {
				e.close32(t, "gradient", got, want, 1e-5)
			} else if got != nil {
				t.Errorf("gradient %v of a program that keeps none", got)
			}
			if got := ses.Gradient("x"); got != nil {
				t.Errorf("gradient %v of an input", got)
			}
		}
	})

	t.Run("every kind of feed", func(t *testing.T) {
		for kind, values := range map[engine.Kind]any{
			engine.Float32: []float32{0, 1, 2, 127, 128, 255}, engine.Bytes: []byte{0, 1, 2, 127, 128, 255}, engine.Int32: []int32{0, 1, 2, 127, 128, 255},
		} {
			_, ses := e.forward(t, func(g *engine.Graph) []*engine.Node {
				return []*engine.Node{g.Named(g.Neg(g.InputOf(kind, "x", n)), "y")}
			})
			got, err := ses.Forward(engine.Feeds{"x": values})
			if err != nil {
				t.Fatal(err)
			}
			e.close32(t, kind.String(), got["y"], []float64{0, -1, -2, -127, -128, -255}, 0)
			for _, other := range []any{[]float64{0, 1, 2, 3, 4, 5}, []float32{1}, []byte{1}, []int32{1}, nil} {
				if _, err := ses.Forward(engine.Feeds{"x": other}); err == nil {
					t.Errorf("an input that takes %s accepts %T %v", kind, other, other)
				}
			}
		}
	})

	t.Run("two sessions share a state", func(t *testing.T) {
		p, s := line(t, n, engine.Update{Kind: "sgd"})
		train, err := e.Compile(p, s)
		if err != nil {
			t.Fatal(err)
		}
		defer train.Close()
		eval, err := e.Compile(&engine.Program{Graph: p.Graph, Outputs: p.Predictions}, s)
		if err != nil {
			t.Fatal(err)
		}
		defer eval.Close()
		for range 2 {
			if _, err := train.Step(static, nil); err != nil {
				t.Fatal(err)
			}
			got, err := eval.Forward(engine.Feeds{"x": x})
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float64, n)
			for i := range want {
				want[i] = float64(e.values(t, s, "w")[i]) * float64(x[i])
			}
			e.close32(t, "y", got["y"], want, 1e-6)
		}
	})
}
