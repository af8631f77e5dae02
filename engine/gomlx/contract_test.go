package gomlx

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"focalgrid/engine"
)

func TestInfo(t *testing.T) {
	for _, c := range []struct {
		opt  Options
		want engine.Info
	}{
		{Options{}, engine.Info{Name: "gomlx-go-f32-nchw", Precision: "float32", BFloat16: true}},
		{Options{Precision: Float64, Layout: NHWC}, engine.Info{Name: "gomlx-go-f64-nhwc", Precision: "float64"}},
	} {
		e, err := New(c.opt)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		c.want.Device, c.want.Kernels, c.want.Exact, c.want.Threads = "CPU", Go, true, runtime.GOMAXPROCS(0)
		if got := e.Info(); got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		opt  Options
		want string
	}{
		{Options{Backend: "cuda"}, `"cuda" is no option of the engine; known: ["go" "xla"]`},
		{Options{Precision: "f16"}, `"f16" is no option of the engine; known: ["f32" "f64"]`},
		{Options{Devices: -1}, "-1 devices: want 1 or more, or 0 for one"},
		{Options{Devices: 2}, "2 devices are asked for, and the backend in plain Go has 1"},
		{Options{Layout: "NHWC"}, `"NHWC" is no option of the engine; known: ["nchw" "nhwc"]`},
		{Options{Backend: XLA, Plugin: "testdata"}, "no PJRT plugin: the option names testdata"},
		{Options{Backend: XLA, Plugin: "plugin_test.go"}, "plugin_test.go: "}, // no library
	} {
		e, err := New(c.opt)
		if err == nil {
			e.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: error %v, want one line with %s", c.opt, err, c.want)
		}
	}
}

func TestGuarded(t *testing.T) {
	gone := errors.New("gone")
	var none []int
	for _, c := range []struct {
		name string
		f    func() error
		want string
	}{
		{"nothing", func() error { return nil }, ""},
		{"an error", func() error { return gone }, "gone"},
		{"a panic with an error", func() error { panic(gone) }, "within GoMLX: gone"},
		{"a panic with text", func() error { panic("bad shape") }, "within GoMLX: bad shape"},
		{"a mistake", func() error { _ = none[3]; return nil }, "within GoMLX: runtime error: index out of range [3] with length 0\n"},
	} {
		switch err := guarded(c.f); {
		case c.want == "" && err != nil:
			t.Errorf("%s: error %v", c.name, err)
		case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)):
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// small is a training of a convolution with a norm on batches of n images.
func small(t *testing.T, n int) (*engine.Program, *engine.State) {
	t.Helper()
	p := &engine.Program{Update: engine.Update{Kind: "sgd", Momentum: .9}, KeepGradients: true}
	var err error
	p.Graph, err = engine.Build(func(g *engine.Graph) error {
		x := g.Batched(g.InputOf(engine.Bytes, "x", n, 3, 8, 8))
		one, zero := engine.Constant(1), engine.Constant(0)
		y := g.Conv2D(x, g.Param("w", engine.Normal(.1), true, 4, 3, 3, 3), nil, 1, 1, false)
		y = g.BatchNorm(y, engine.Norm{
			Weight: g.Param("weight", one, true, 4), Bias: g.Param("bias", zero, true, 4),
			Mean: g.Buffer("mean", zero, 4), Var: g.Buffer("var", one, 4), Eps: 1e-5, Momentum: .1,
		}, nil, true, true)
		y = g.Named(g.MaxPool(y, 2, 2, 0), "y")
		p.Predictions = []*engine.Node{y}
		p.Loss = g.Sum(g.Mul(g.Mul(y, y), g.Input("scale")))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := engine.NewState()
	if err := s.AddMissing(p.Graph, func(string, uint64) *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }); err != nil {
		t.Fatal(err)
	}
	return p, s
}

func feeds(n int) engine.Feeds {
	x := make([]byte, n*3*8*8)
	for i := range x {
		x[i] = byte(i * 37)
	}
	return engine.Feeds{"x": x, "scale": []float32{1e-3}, engine.LR: []float32{.01}}
}

// TestSharesPrograms: programs of one text are compiled once; those without a session are kept up to a number.
func TestSharesPrograms(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var open []engine.Session
	for n := range idlePrograms + 3 {
		for range 2 { // each with a state of its own
			p, s := small(t, n+1)
			ses, err := e.Compile(p, s)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, ses)
		}
	}
	if got, want := len(e.programs), idlePrograms+3; got != want {
		t.Errorf("%d programs are compiled, want %d", got, want)
	}
	if err := e.Close(); err == nil {
		t.Error("the engine closes under open sessions")
	}
	for range 2 { // the second time does nothing
		for _, s := range open {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(e.programs) != idlePrograms || len(e.idle) != idlePrograms || len(e.held) != 0 {
		t.Errorf("%d programs, %d of them idle, and %d states are held after the sessions, want %[4]d, %[4]d and 0", len(e.programs), len(e.idle), len(e.held), idlePrograms)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// TestShapeOfStateChanged: what a session was compiled for is not replaced by something else.
func TestShapeOfStateChanged(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, s := small(t, 1)
	ses, err := e.Compile(p, s)
	if err != nil {
		t.Fatal(err)
	}
	defer ses.Close()
	if err := s.Set("w", []int{2}, []float32{1, 2}); err != nil {
		t.Fatal(err)
	}
	if err := e.Load(s); err == nil || !strings.Contains(err.Error(), "tensor w has shape [2], its sessions were compiled for [4 3 3 3]") {
		t.Errorf("error %v", err)
	}
}

// TestSteady: steps leave neither memory nor goroutines behind.
func TestSteady(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	const n = 16
	p, s := small(t, n)
	ses, err := e.Compile(p, s)
	if err != nil {
		t.Fatal(err)
	}
	level := func() (heap uint64, goroutines int) {
		runtime.GC()
		runtime.GC() // what pools hold goes with the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, runtime.NumGoroutine()
	}
	steps := func(count int) {
		for range count {
			r, err := ses.Step(feeds(n), func(engine.Values) (engine.Feeds, error) { return nil, nil })
			if err != nil || math.IsNaN(r.Loss) {
				t.Fatal(r, err)
			}
		}
	}
	steps(5)
	heap, goroutines := level()
	steps(50)
	after, running := level()
	if grown := int64(after) - int64(heap); grown > 64<<10 { // one step makes and frees a megabyte
		t.Errorf("50 steps add %d bytes to a heap of %d", grown, heap)
	}
	if running > goroutines {
		t.Errorf("%d goroutines run after 50 steps, %d before", running, goroutines)
	}
	if err := errors.Join(ses.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(ses.Gradient("w")) != "[]" {
		t.Error("a closed session has gradients")
	}
}
