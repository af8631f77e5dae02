package experiments

import (
	"focalgrid/engine"
	"focalgrid/weights"
	"strings"
)

type tensors map[string]weights.Tensor

func byName(f *weights.File) tensors {
	out := tensors{}
	for _, t := range f.Tensors {
		out[t.Name] = t
	}
	return out
}

// isBody tells a tensor of the backbone from heads, pyramid and optimiser slots.
func isBody(name string) bool { return strings.HasPrefix(name, "backbone.body.") }

// isNetwork tells parameters and running statistics from optimiser slots.
func isNetwork(name string) bool {
	return strings.HasPrefix(name, "backbone.") || strings.HasPrefix(name, "head.")
}

// networkTensors is a state without the optimiser's slots.
func networkTensors(s *engine.State) []weights.Tensor {
	var ts []weights.Tensor
	for _, name := range s.Names() {
		if isNetwork(name) {
			t := s.Get(name)
			ts = append(ts, weights.Tensor{Name: name, Shape: t.Shape, Data: t.Values})
		}
	}
	return ts
}

func stateTensors(s *engine.State) []weights.Tensor {
	var ts []weights.Tensor
	for _, name := range s.Names() {
		t := s.Get(name)
		ts = append(ts, weights.Tensor{Name: name, Shape: t.Shape, Data: t.Values})
	}
	return ts
}
