package gorgonia

import (
	"math/rand/v2"
	"testing"
	"time"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// TestPack: what is needed at one time lies apart, and no layout is longer than all
// extents one after another.
func TestPack(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		extents := make([]extent, 1+r.IntN(40))
		sum := 0
		for i := range extents {
			first := r.IntN(30)
			extents[i] = extent{size: line * (1 + r.IntN(9)), first: first, last: first + r.IntN(10), offset: -1}
			sum += extents[i].size
		}
		total := pack(extents)
		if total > sum {
			t.Errorf("seed %d: %d values for extents of %d", seed, total, sum)
		}
		for i, a := range extents {
			if a.offset < 0 || a.offset+a.size > total {
				t.Errorf("seed %d: %+v is not in memory of %d", seed, a, total)
			}
			for _, b := range extents[:i] {
				if a.first <= b.last && b.first <= a.last && a.offset < b.offset+b.size && b.offset < a.offset+a.size {
					t.Errorf("seed %d: %+v and %+v overlap", seed, a, b)
				}
			}
		}
	}
}

func TestPackReuses(t *testing.T) {
	extents := []extent{{size: 32, first: 0, last: 1}, {size: 16, first: 1, last: 2}, {size: 32, first: 2, last: 3}}
	if total := pack(extents); total != 48 {
		t.Errorf("a chain of three takes %d values, want 48: the third where the first was", total)
	}
}

func TestTurn(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {36, 1}, {1, 36}, {16, 4}, {17, 5}, {36, 256}, {33, 47}} {
		rows, cols := size[0], size[1]
		x, y := make([]float32, rows*cols), make([]float32, rows*cols)
		for i := range x {
			x[i] = float32(i)
		}
		turn(y, x, rows, cols)
		for i, v := range y {
			if want := x[i%rows*cols+i/rows]; v != want {
				t.Fatalf("%d×%d: value %d is %g, want %g", rows, cols, i, v, want)
			}
		}
	}
}

func TestKindOf(t *testing.T) {
	for name, want := range map[string]string{
		"norm eps=1e-05 relu=true batch=true": "norm",
		"max pool 3 s2 p1":                    "max pool",
		"smooth l1 gradient":                  "smooth l1 gradient",
		"transpose [0 2 1]":                   "transpose",
		"unpack 4 level 0 of [{36 256 0}]":    "unpack",
		"+ false":                             "+ false",
	} {
		if got := kindOf(name); got != want {
			t.Errorf("kindOf(%q) = %q, want %q", name, got, want)
		}
	}
}

// shared is a program whose convolution weight serves three inputs, as a head's serves
// the levels of a pyramid: its gradient is a sum.
func shared(t *testing.T) (*engine.Program, *engine.State, engine.Feeds) {
	t.Helper()
	p := &engine.Program{Update: engine.Update{Kind: "sgd", Momentum: .9}}
	r := rand.New(rand.NewPCG(3, 4))
	feeds := engine.Feeds{engine.LR: []float32{.1}}
	var err error
	p.Graph, err = engine.Build(func(g *engine.Graph) error {
		w := g.Param("w", engine.Normal(.3), true, 8, 4, 3, 3)
		for _, name := range []string{"a", "b", "c"} {
			x := g.Input(name, 2, 4, 16, 16)
			values := make([]float32, x.Size())
			for i := range values {
				values[i] = float32(r.NormFloat64())
			}
			feeds[name] = values
			y := g.ReLU(g.Conv2D(x, w, nil, 1, 1, false))
			s := g.Sum(g.Mul(y, y))
			if p.Loss == nil {
				p.Loss = s
			} else {
				p.Loss = g.Add(p.Loss, s)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := engine.NewState()
	if err := s.AddMissing(p.Graph, func(string, uint64) *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }); err != nil {
		t.Fatal(err)
	}
	return p, s, feeds
}

// TestSumsMoveUp: each convolution's gradient is added to the others' as soon as it
// is there.
func TestSumsMoveUp(t *testing.T) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	program, state, _ := shared(t)
	ses, err := New(pool, Options{}).Compile(program, state)
	if err != nil {
		t.Fatal(err)
	}
	defer ses.Close()
	p := ses.(*session).run.(*plan)
	made, most := 0, 0
	for _, s := range p.steps {
		switch {
		case s.kind == "conv 3x3/1 to weights":
			made++
			most = max(most, made)
		case s.kind == "add" && len(s.out) == 8*4*9:
			made--
		}
	}
	if made != 1 || most != 2 {
		t.Errorf("%d weight gradients are left, at most %d at a time; want 1 and 2", made, most)
	}
}

// TestProfile counts every op of two steps, and the update.
func TestProfile(t *testing.T) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	now := time.Unix(0, 0)
	profile := engine.NewProfile(func() time.Time { now = now.Add(time.Millisecond); return now })
	program, state, feeds := shared(t)
	e := New(pool, Options{})
	e.Profile(profile)
	ses, err := e.Compile(program, state)
	if err != nil {
		t.Fatal(err)
	}
	defer ses.Close()
	for range 2 {
		if _, err := ses.Step(feeds, nil); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]engine.OpTime{}
	for _, o := range profile.Ops() {
		got[o.Op] = o
		if o.Time != time.Duration(o.Calls)*time.Millisecond {
			t.Errorf("%s: %v in %d calls of 1ms", o.Op, o.Time, o.Calls)
		}
	}
	const flops = 2 * 2 * 8 * 16 * 16 * 4 * 9
	for kind, want := range map[string]engine.OpTime{
		"conv 3x3/1": {Calls: 6, FLOPs: 6 * flops}, "conv 3x3/1 to weights": {Calls: 6, FLOPs: 6 * flops},
		"relu gradient": {Calls: 6}, "update": {Calls: 2}, "gradient norm": {Calls: 2},
	} {
		if g := got[kind]; g.Calls != want.Calls || g.FLOPs != want.FLOPs {
			t.Errorf("%s: %+v, want %d calls, %g operations", kind, g, want.Calls, want.FLOPs)
		}
	}
	profile.Reset()
	if n := len(profile.Ops()); n != 0 {
		t.Errorf("%d ops after Reset", n)
	}
}

// TestStepsAllocateLittle: after the first step nothing is made anew but the small
// closures that kernels hand to the pool.
func TestStepsAllocateLittle(t *testing.T) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	program, state, feeds := shared(t)
	ses, err := New(pool, Options{}).Compile(program, state)
	if err != nil {
		t.Fatal(err)
	}
	defer ses.Close()
	steps := len(ses.(*session).run.(*plan).steps)
	step := func() {
		if _, err := ses.Step(feeds, nil); err != nil {
			t.Fatal(err)
		}
	}
	step()
	if n := testing.AllocsPerRun(5, step); n > float64(12*steps) {
		t.Errorf("%g allocations in a step of %d ops", n, steps)
	}
}
