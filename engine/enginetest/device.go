package enginetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"focalgrid/engine"
)

// Device returns an engine that computes as e does, but holds states as an engine on a device would: apart from the
// State of the caller, whose values turn to NaN with every step until Store. Whoever reads them before, loads
// them, or closes the last session without Store meets those NaN. What is staged is copied, and fed no more once it is
// free. Closing the engine fails while anything staged is not.
func Device(e engine.Engine) engine.Engine {
	return &device{Engine: e, held: map[*engine.State]*memory{}}
}

type device struct {
	engine.Engine
	held   map[*engine.State]*memory
	staged atomic.Int64
}

// staged are values on the device.
type staged struct {
	d      *device
	kind   engine.Kind
	shape  []int
	values any // nil: free
}

func (s *staged) Kind() engine.Kind { return s.kind }
func (s *staged) Shape() []int      { return s.shape }
func (s *staged) Free()             { s.values = nil; s.d.staged.Add(-1) }

func (d *device) Stage(values any, _ bool, shape ...int) (engine.Staged, error) {
	kind, err := engine.CheckStage(values, shape)
	if err != nil {
		return nil, err
	}
	s := &staged{d: d, kind: kind, shape: slices.Clone(shape)}
	switch v := values.(type) {
	case []float32:
		s.values = slices.Clone(v)
	case []byte:
		s.values = slices.Clone(v)
	case []int32:
		s.values = slices.Clone(v)
	}
	d.staged.Add(1)
	return s, nil
}

// unstaged returns the values of what is staged in place of it.
func unstaged(f engine.Feeds) (engine.Feeds, error) {
	out := engine.Feeds{}
	for name, v := range f {
		if s, ok := v.(*staged); ok {
			if v = s.values; v == nil {
				return nil, fmt.Errorf("input %s is fed what is free", name)
			}
		}
		out[name] = v
	}
	return out, nil
}

func (d *device) Close() error {
	if n := d.staged.Load(); n != 0 {
		return errors.Join(fmt.Errorf("%d staged feeds are not free", n), d.Engine.Close())
	}
	return d.Engine.Close()
}

// memory is the device's copy of a State.
type memory struct {
	state    *engine.State
	sessions int
}

func (d *device) Compile(p *engine.Program, s *engine.State) (engine.Session, error) {
	m := d.held[s]
	if m == nil {
		m = &memory{state: engine.NewState()}
	}
	if err := move(m.state, s, func(name string) bool { return m.state.Get(name) == nil }); err != nil {
		return nil, err
	}
	ses, err := d.Engine.Compile(p, m.state)
	if err != nil {
		return nil, err
	}
	if err := move(s, m.state, func(name string) bool { return s.Get(name) == nil }); err != nil { // slots
		return nil, err
	}
	d.held[s] = m
	m.sessions++
	return &deviceSession{ses, d, s}, nil
}

func (d *device) Load(s *engine.State) error {
	if m := d.held[s]; m != nil {
		return move(m.state, s, func(string) bool { return true })
	}
	return nil
}

func (d *device) Store(s *engine.State) error {
	if m := d.held[s]; m != nil {
		return move(s, m.state, func(string) bool { return true })
	}
	return nil
}

// move sets the tensors of one state that another has and which accepts.
func move(to, from *engine.State, which func(name string) bool) error {
	for _, name := range from.Names() {
		if t := from.Get(name); which(name) {
			if err := to.Set(name, t.Shape, t.Values); err != nil {
				return err
			}
		}
	}
	return nil
}

type deviceSession struct {
	engine.Session
	d *device
	s *engine.State
}

func (s *deviceSession) Forward(f engine.Feeds) (engine.Values, error) {
	f, err := unstaged(f)
	if err != nil {
		return nil, err
	}
	return s.Session.Forward(f)
}

func (s *deviceSession) Step(f engine.Feeds, assign engine.Assign) (engine.Result, error) {
	f, err := unstaged(f)
	if err != nil {
		return engine.Result{}, err
	}
	r, err := s.Session.Step(f, assign)
	nan := []float32{float32(math.NaN())}
	for _, name := range s.d.held[s.s].state.Names() {
		t := s.s.Get(name)
		if err := s.s.Set(name, t.Shape, slices.Repeat(nan, len(t.Values))); err != nil {
			return r, err
		}
	}
	return r, err
}

func (s *deviceSession) Close() error {
	m := s.d.held[s.s]
	if m.sessions--; m.sessions == 0 {
		delete(s.d.held, s.s)
	}
	return s.Session.Close()
}
