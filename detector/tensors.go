package detector

import (
	"strings"

	"focalgrid/engine"
	"focalgrid/weights"
)

type Tensors map[string]weights.Tensor

func ByName(f *weights.File) Tensors {
	out := Tensors{}
	for _, t := range f.Tensors {
		out[t.Name] = t
	}
	return out
}

// IsBody tells a tensor of the backbone from heads, pyramid and optimiser slots.
func IsBody(name string) bool { return strings.HasPrefix(name, "backbone.body.") }

// isNetwork tells parameters and running statistics from optimiser slots.
func isNetwork(name string) bool {
	return strings.HasPrefix(name, "backbone.") || strings.HasPrefix(name, "head.")
}

// NetworkTensors is a state without the optimiser's slots.
func NetworkTensors(s *engine.State) []weights.Tensor {
	var ts []weights.Tensor
	for _, name := range s.Names() {
		if isNetwork(name) {
			t := s.Get(name)
			ts = append(ts, weights.Tensor{Name: name, Shape: t.Shape, Data: t.Values})
		}
	}
	return ts
}

func StateTensors(s *engine.State) []weights.Tensor {
	var ts []weights.Tensor
	for _, name := range s.Names() {
		t := s.Get(name)
		ts = append(ts, weights.Tensor{Name: name, Shape: t.Shape, Data: t.Values})
	}
	return ts
}
