// Package gomlx is the second engine: an engine.Graph lowered to a GoMLX graph, differentiated by GoMLX, and compiled
// for a device by XLA, through a PJRT plugin that is found when the program runs. GoMLX's backend in plain Go runs
// the same graph anywhere, slowly: it is for tests.
//
// A program is compiled for each role: a step, from feeds to updated parameters, and what is reported before it. The
// state stays on the device between steps; feeds go there in the kind in which they are fed; scalars go together.
// Programs of the same text are compiled once, whatever the State that they run on.
//
// Where a gradient of GoMLX's differs from the one that engine states, or costs another pass over memory, the op is
// composed or has its own gradient: see the files lower*.go.
package gomlx

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"

	"focalgrid/engine"
)

// The backends, precisions and layouts of Options.
const (
	Go  = "go"  // GoMLX's backend in plain Go
	XLA = "xla" // a PJRT plugin

	Float32 = "f32"
	Float64 = "f64" // inside; the seam stays float32: an oracle for the other

	NCHW = "nchw"
	NHWC = "nhwc"
)

// Options of the engine; an empty one means the first of its list.
type Options struct {
	Backend   string // Go or XLA
	Plugin    string // of XLA: the path of the plugin; empty: where FindPlugin finds one
	Precision string // Float32 or Float64
	Layout    string // of maps on the device: NCHW or NHWC
	Memory    int64  // bytes that the device lets programs take; 0: not known. XLA leaves a quarter of a GPU's to others

	// Devices is how many of the plugin's devices share each batch, 0 or 1: one. Each computes an equal part of the
	// images. Losses, gradients and the statistics of batch norm are those of the whole batch, as on one device: batch
	// norm is synchronised. See devices.go.
	Devices int
}

// idlePrograms is the number of compiled programs that are kept though no session uses them: a sweep returns to the
// programs of its trials, and shapes that never come again do not fill the device.
const idlePrograms = 16

// Engine compiles programs for a device, or for several that share each batch. It and its sessions belong to one
// goroutine at a time.
type Engine struct {
	opt      Options
	backend  compute.Backend
	info     engine.Info
	traffic  traffic
	plugin   func() string // what is loaded, with its hash
	virtual  bool          // the plugin makes as many devices as are asked for
	wide     dtypes.DType
	mesh     mesh
	held     map[*engine.State]*memory
	programs map[string]*program
	idle     []string // keys of programs that no session uses, the longest unused first
}

// New opens the backend. The error of XLA without a plugin says where one was looked for.
func New(opt Options) (*Engine, error) {
	choices := []struct {
		value *string
		known []string
	}{
		{&opt.Backend, []string{Go, XLA}}, {&opt.Precision, []string{Float32, Float64}}, {&opt.Layout, []string{NCHW, NHWC}},
	}
	for _, c := range choices {
		if *c.value == "" {
			*c.value = c.known[0]
		}
		if !slices.Contains(c.known, *c.value) {
			return nil, fmt.Errorf("%q is no option of the engine; known: %q", *c.value, c.known)
		}
	}
	if opt.Devices < 0 {
		return nil, fmt.Errorf("%d devices: want 1 or more, or 0 for one", opt.Devices)
	}
	opt.Devices = max(opt.Devices, 1)
	e := &Engine{opt: opt, wide: dtypes.Float32, held: map[*engine.State]*memory{}, programs: map[string]*program{}}
	if opt.Precision == Float64 {
		e.wide = dtypes.Float64
	}
	e.info = engine.Info{
		Kernels: opt.Backend,
		Device:  "CPU", Threads: runtime.GOMAXPROCS(0), Exact: true,
		Precision: map[string]string{Float32: "float32", Float64: "float64"}[opt.Precision], BFloat16: opt.Precision == Float32,
	}
	kind := Go
	err := guarded(func() (err error) {
		if e.mesh, err = newMesh(opt.Devices); err != nil {
			return err
		}
		if opt.Backend == XLA {
			kind, err = e.openXLA()
			return err
		}
		// Trap: by default this backend runs nodes at once, and for ever: a convolution waits for workers of the
		// pool in which it runs.
		if e.backend, err = gobackend.New("ops_sequential"); err != nil {
			return err
		}
		return e.enough("the backend in plain Go")
	})
	if err != nil {
		return nil, err
	}
	e.info.Name = fmt.Sprintf("gomlx-%s-%s-%s", kind, opt.Precision, opt.Layout)
	if opt.Devices > 1 {
		e.info.Name += fmt.Sprintf("-x%d", opt.Devices) // sums are in another order
	}
	return e, nil
}

// Info names the engine by backend, kind of device, precision, layout, and number of devices if they are several.
func (e *Engine) Info() engine.Info {
	i := e.info
	if e.plugin != nil {
		i.Plugin = e.plugin()
	}
	return i
}

// DeviceMemory returns Options.Memory.
func (e *Engine) DeviceMemory() int64 { return e.opt.Memory }

// Compile compiles the step of p, or what Forward reports where p has no loss.
func (e *Engine) Compile(p *engine.Program, s *engine.State) (engine.Session, error) {
	if p.BFloat16 && !e.info.BFloat16 {
		return nil, fmt.Errorf("bfloat16 in %s: %w", e.info.Precision, engine.ErrUnsupported)
	}
	a, err := engine.Analyze(p)
	if err != nil {
		return nil, err
	}
	if err := a.Prepare(s); err != nil {
		return nil, err
	}
	ses := &session{e: e, p: p, a: a, s: s, grads: map[string][]compute.Buffer{}}
	q, err := e.program(p, a, s, p.Loss != nil)
	if err != nil {
		return nil, err
	}
	if p.Loss != nil {
		ses.step = q
	} else {
		ses.before = q
	}
	if ses.m, err = e.hold(p, a, s); err != nil {
		e.leave(q)
		return nil, err
	}
	return ses, nil
}

// hold returns the device's copy of s, with all tensors of p.
func (e *Engine) hold(p *engine.Program, a *engine.Analysis, s *engine.State) (*memory, error) {
	m := e.held[s]
	if m == nil {
		m = &memory{e: e, tensors: map[string]held{}}
		e.held[s] = m
	}
	m.sessions++
	var names []string
	for _, n := range p.Graph.Nodes() {
		if n.Op == engine.OpParam || n.Op == engine.OpBuffer {
			names = append(names, n.Name)
		}
	}
	for _, n := range a.Params {
		names = append(names, p.Update.Slots(n.Name)...)
	}
	for _, name := range names {
		if _, ok := m.tensors[name]; ok {
			continue
		}
		if err := m.take(s, name); err != nil {
			e.drop(s, m)
			return nil, err
		}
	}
	return m, nil
}

// drop ends a session's use of m.
func (e *Engine) drop(s *engine.State, m *memory) {
	if m.sessions--; m.sessions == 0 {
		m.free()
		delete(e.held, s)
	}
}

// program returns a compiled program, which the caller leaves.
func (e *Engine) program(p *engine.Program, a *engine.Analysis, s *engine.State, step bool) (*program, error) {
	k := key(p, step)
	q := e.programs[k]
	if q == nil {
		var err error
		if q, err = e.build(p, a, s, step); err != nil {
			return nil, err
		}
		q.key = k
		e.programs[k] = q
	}
	if i := slices.Index(e.idle, k); i >= 0 {
		e.idle = slices.Delete(e.idle, i, i+1)
	}
	q.users++
	return q, nil
}

// leave ends a session's use of q, if there is one, and frees the programs that are idle the longest.
func (e *Engine) leave(q *program) {
	if q == nil {
		return
	}
	if q.users--; q.users > 0 {
		return
	}
	e.idle = append(e.idle, q.key)
	for len(e.idle) > idlePrograms {
		e.programs[e.idle[0]].close()
		delete(e.programs, e.idle[0])
		e.idle = e.idle[1:]
	}
}

// Load uploads the values of s.
func (e *Engine) Load(s *engine.State) error {
	m := e.held[s]
	if m == nil {
		return nil
	}
	for name := range m.tensors {
		if err := m.take(s, name); err != nil {
			return err
		}
	}
	m.ahead = false
	return nil
}

// Store downloads the values of s, if a step was made since the last time.
func (e *Engine) Store(s *engine.State) error {
	m := e.held[s]
	if m == nil || !m.ahead {
		return nil
	}
	if err := m.give(s); err != nil {
		return err
	}
	m.ahead = false
	return nil
}

// Close frees the programs and the device.
func (e *Engine) Close() error {
	if len(e.held) > 0 {
		return errors.New("the engine is closed while sessions are open")
	}
	for _, q := range e.programs {
		q.close()
	}
	clear(e.programs)
	e.idle = nil
	e.backend.Finalize()
	return nil
}
