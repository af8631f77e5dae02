package detector

import (
	"slices"
	"strings"

	"focalgrid/engine"
	"focalgrid/weights"
)

// Tensors are weights by name.
type Tensors map[string]weights.Tensor

// ByName returns a file's tensors by name.
func ByName(f *weights.File) Tensors {
	out := Tensors{}
	for _, t := range f.Tensors {
		out[t.Name] = t
	}
	return out
}

// IsBody reports whether a tensor is the backbone's, and not a head's, the pyramid's or the optimiser's.
func IsBody(name string) bool { return strings.HasPrefix(name, "backbone.body.") }

// isNetwork reports whether a tensor is a parameter or a running statistic, and not an optimiser slot.
func isNetwork(name string) bool {
	return strings.HasPrefix(name, "backbone.") || strings.HasPrefix(name, "head.")
}

// NetworkTensors returns a state's tensors without the optimiser's slots.
func NetworkTensors(s *engine.State) []weights.Tensor {
	return slices.DeleteFunc(StateTensors(s), func(t weights.Tensor) bool { return !isNetwork(t.Name) })
}

// StateTensors returns all tensors of a state, which share its memory.
func StateTensors(s *engine.State) []weights.Tensor {
	var ts []weights.Tensor
	for _, name := range s.Names() {
		t := s.Get(name)
		ts = append(ts, weights.Tensor{Name: name, Shape: t.Shape, Data: t.Values})
	}
	return ts
}
