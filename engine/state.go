package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Draw returns the random source of one purpose ("init/…", "flip") at one
// index. Equal arguments give equal sources.
type Draw func(purpose string, index uint64) *rand.Rand

// Init describes how a parameter or buffer starts.
type Init struct {
	Kind  string  // "constant", "normal" (mean 0) or "uniform" (in ±Value)
	Value float64 // the constant, the standard deviation or the half-width
}

// Constant starts every value at v.
func Constant(v float64) Init { return Init{Kind: "constant", Value: v} }

// Normal starts values as Gaussian with mean 0 and standard deviation sd.
func Normal(sd float64) Init { return Init{Kind: "normal", Value: sd} }

// Uniform starts values uniformly in [-half, half).
func Uniform(half float64) Init { return Init{Kind: "uniform", Value: half} }

// State holds tensors by name: parameters, running statistics ("buffers") and
// the optimiser's slots (under Slot names). It is everything that a checkpoint
// must keep besides the step number.
type State struct {
	tensors map[string]*Tensor
}

// Tensor is a named shape with its values.
type Tensor struct {
	Shape  []int
	Values []float32
}

// NewState returns an empty state.
func NewState() *State { return &State{tensors: map[string]*Tensor{}} }

// Slot names the optimiser's value of one kind ("momentum", "adam_m", "adam_v") for a parameter.
func Slot(kind, param string) string { return kind + "/" + param }

// AddMissing gives every parameter and buffer of g that s lacks its initial
// value; the values of a tensor depend on draw and its name alone. A tensor
// present with another shape is an error.
func (s *State) AddMissing(g *Graph, draw Draw) error {
	for _, n := range g.Nodes() {
		if n.Op != OpParam && n.Op != OpBuffer {
			continue
		}
		if t, ok := s.tensors[n.Name]; ok {
			if !slices.Equal(t.Shape, n.Shape) {
				return fmt.Errorf("tensor %s has shape %v, the graph wants %v", n.Name, t.Shape, n.Shape)
			}
			continue
		}
		v := make([]float32, n.Size())
		switch in := n.Attr.Init; in.Kind {
		case "constant":
			for i := range v {
				v[i] = float32(in.Value)
			}
		case "normal":
			r := draw("init/"+n.Name, 0)
			for i := range v {
				v[i] = float32(r.NormFloat64() * in.Value)
			}
		case "uniform":
			r := draw("init/"+n.Name, 0)
			for i := range v {
				v[i] = float32((2*float64(r.Float64()) - 1) * in.Value)
			}
		default:
			return fmt.Errorf("tensor %s: unknown initialisation %q", n.Name, in.Kind)
		}
		s.tensors[n.Name] = &Tensor{Shape: slices.Clone(n.Shape), Values: v}
	}
	return nil
}

// Get returns the tensor of that name, or nil. Its values are shared, not copied: they are read, never written, and
// where sessions have made steps Engine.Store comes first.
func (s *State) Get(name string) *Tensor { return s.tensors[name] }

// Set copies values under the name, replacing what was there. Sessions go on from them after Engine.Load.
func (s *State) Set(name string, shape []int, values []float32) error {
	n := 1
	for _, d := range shape {
		n *= d
	}
	if n != len(values) {
		return fmt.Errorf("tensor %s: shape %v holds %d values, got %d", name, shape, n, len(values))
	}
	if t, ok := s.tensors[name]; ok && slices.Equal(t.Shape, shape) {
		copy(t.Values, values) // sessions on the CPU compute in the slice
		return nil
	}
	s.tensors[name] = &Tensor{Shape: slices.Clone(shape), Values: slices.Clone(values)}
	return nil
}

// Restart gives s the values of another state of the same network, and clears what that one has not: the slots of
// steps that it did not make. Sessions go on from them after Engine.Load.
func (s *State) Restart(from *State) error {
	for name, t := range s.tensors {
		if from.tensors[name] == nil {
			clear(t.Values)
		}
	}
	for name, t := range from.tensors {
		if err := s.Set(name, t.Shape, t.Values); err != nil {
			return err
		}
	}
	return nil
}

// Names lists all tensors in order.
func (s *State) Names() []string {
	out := make([]string, 0, len(s.tensors))
	for n := range s.tensors {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// Clone returns a deep copy.
func (s *State) Clone() *State {
	c := NewState()
	for n, t := range s.tensors {
		c.tensors[n] = &Tensor{Shape: slices.Clone(t.Shape), Values: slices.Clone(t.Values)}
	}
	return c
}

// NonFinite returns the first tensor, in order of names, that holds a NaN or
// infinite value, or "".
func (s *State) NonFinite() string {
	for _, n := range s.Names() {
		for _, v := range s.tensors[n].Values {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return n
			}
		}
	}
	return ""
}
