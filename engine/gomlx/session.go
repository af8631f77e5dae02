package gomlx

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"

	"focalgrid/engine"
)

type session struct {
	e      *Engine
	p      *engine.Program
	a      *engine.Analysis
	s      *engine.State
	m      *memory
	step   *program // nil where there is no loss
	before *program // what Forward reports; compiled when it is first asked for

	grads map[string][]compute.Buffer // of the last step
}

// report is what a program computed for the host.
type report struct {
	loss, norm float64
	values     engine.Values
}

// collect downloads what q reports, the last of its outputs, and frees them.
func (s *session) collect(q *program, out [][]compute.Buffer) (report, error) {
	defer release(out...)
	r := report{values: engine.Values{}}
	for i, n := range q.tensors {
		parts := out[i]
		if !q.mesh.splits(n.Shape) {
			parts = parts[:1]
		}
		v, err := s.e.floats(parts, dtypes.Float32, n.Shape)
		if err != nil {
			return r, fmt.Errorf("output %s: %w", n.Name, err)
		}
		r.values[n.Name] = v
	}
	first := 0
	if q.rate {
		first = 2 // loss and norm
	}
	if first+len(q.values) == 0 {
		return r, nil
	}
	all, err := s.e.doubles(out[len(q.tensors)][0], s.e.wide, first+len(q.values))
	if err != nil {
		return r, fmt.Errorf("scalar outputs: %w", err)
	}
	if q.rate {
		r.loss, r.norm = all[0], all[1]
	}
	for i, n := range q.values {
		r.values[n.Name] = []float32{float32(all[first+i])}
	}
	return r, nil
}

func (s *session) Forward(f engine.Feeds) (engine.Values, error) {
	if s.before == nil {
		q, err := s.e.program(s.p, s.a, s.s, false)
		if err != nil {
			return nil, err
		}
		s.before = q
	}
	out, err := s.before.run(s.m, f)
	if err != nil {
		return nil, err
	}
	r, err := s.collect(s.before, out)
	return r.values, err
}

// Step runs the part before the targets only for assign: the program of a step computes it again, together with its
// gradient.
func (s *session) Step(f engine.Feeds, assign engine.Assign) (engine.Result, error) {
	if s.step == nil {
		return engine.Result{}, errors.New("the program has no loss to step on")
	}
	if _, err := f.Rate(); err != nil {
		return engine.Result{}, err
	}
	if assign != nil {
		all, err := s.Forward(f)
		if err != nil {
			return engine.Result{}, err
		}
		predictions := engine.Values{}
		for _, n := range s.p.Predictions {
			predictions[n.Name] = all[n.Name]
		}
		if f, err = f.With(assign, predictions); err != nil {
			return engine.Result{}, err
		}
	}
	out, err := s.step.run(s.m, f)
	if err != nil {
		return engine.Result{}, err
	}
	moved, out := out[:len(s.step.moved)], out[len(s.step.moved):]
	grads, reported := out[:len(s.step.grads)], out[len(s.step.grads):]
	r, err := s.collect(s.step, reported)
	if err != nil { // what a device could not compute may show only now
		release(moved...)
		release(grads...)
		return engine.Result{}, err
	}
	for i, name := range s.step.moved {
		s.m.replace(name, moved[i])
	}
	s.m.ahead = true
	s.forget()
	for i, name := range s.step.grads {
		s.grads[name] = grads[i]
	}
	outputs := engine.Values{}
	for _, n := range s.p.Outputs {
		outputs[n.Name] = r.values[n.Name]
	}
	result := engine.Result{Loss: r.loss, GradNorm: r.norm, Outputs: outputs}
	return result, result.CheckFinite()
}

func (s *session) Gradient(param string) []float32 {
	on, n := s.grads[param], s.p.Graph.Node(param)
	if on == nil || n == nil {
		return nil
	}
	v, err := s.e.floats(on[:1], dtypes.Float32, n.Shape)
	if err != nil {
		return nil
	}
	return v
}

// forget frees the gradients of the last step.
func (s *session) forget() {
	for _, on := range s.grads {
		release(on)
	}
	clear(s.grads)
}

func (s *session) Close() error {
	if s.m == nil {
		return nil
	}
	s.forget()
	s.e.leave(s.step)
	s.e.leave(s.before)
	s.e.drop(s.s, s.m)
	s.m = nil
	return nil
}
