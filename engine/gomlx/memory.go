package gomlx

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"focalgrid/engine"
)

// memory is what the devices hold of a State: each the same.
type memory struct {
	e        *Engine
	tensors  map[string]held
	sessions int
	ahead    bool // steps were made since the values came from the State, or went there
}

// held is a tensor on the devices.
type held struct {
	shape []int
	on    []compute.Buffer // device by device
}

// take uploads the named tensor of s in place of what is held under the name.
func (m *memory) take(s *engine.State, name string) error {
	t := s.Get(name)
	if t == nil {
		return fmt.Errorf("tensor %s is missing from the state", name)
	}
	old, had := m.tensors[name]
	if had && !slices.Equal(old.shape, t.Shape) {
		return fmt.Errorf("tensor %s has shape %v, its sessions were compiled for %v", name, t.Shape, old.shape)
	}
	var values any = t.Values
	if m.e.wide == dtypes.Float64 {
		wide := make([]float64, len(t.Values))
		for i, v := range t.Values {
			wide[i] = float64(v)
		}
		values = wide
	}
	on, err := m.e.upload(m.e.mesh, values, false, m.e.wide, t.Shape...)
	if err != nil {
		return fmt.Errorf("tensor %s: %w", name, err)
	}
	m.tensors[name] = held{slices.Clone(t.Shape), on}
	release(old.on)
	return nil
}

// replace puts a step's output in place of what is held under the name.
func (m *memory) replace(name string, on []compute.Buffer) {
	t := m.tensors[name]
	m.tensors[name] = held{t.shape, on}
	release(t.on)
}

// give writes all tensors to s.
func (m *memory) give(s *engine.State) error {
	for name, t := range m.tensors {
		values, err := m.e.floats(t.on[:1], m.e.wide, t.shape)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", name, err)
		}
		if err := s.Set(name, t.shape, values); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) free() {
	for _, t := range m.tensors {
		release(t.on)
	}
	clear(m.tensors)
}

// floats downloads a tensor of float32 or float64, whose parts along the first axis are given.
func (e *Engine) floats(parts []compute.Buffer, t dtypes.DType, shape []int) ([]float32, error) {
	out := make([]float32, shapes.Make(t, shape...).Size())
	size := len(out) / len(parts)
	for i, b := range parts {
		part := out[i*size : (i+1)*size]
		if t == dtypes.Float32 {
			if err := e.download(b, t, part, size); err != nil {
				return nil, err
			}
			continue
		}
		wide, err := e.doubles(b, t, size)
		if err != nil {
			return nil, err
		}
		for j, v := range wide {
			part[j] = float32(v)
		}
	}
	return out, nil
}

// doubles downloads a buffer of float32 or float64.
func (e *Engine) doubles(b compute.Buffer, t dtypes.DType, size int) ([]float64, error) {
	out := make([]float64, size)
	if t == dtypes.Float64 {
		return out, e.download(b, t, out, size)
	}
	narrow := make([]float32, size)
	err := e.download(b, t, narrow, size)
	for i, v := range narrow {
		out[i] = float64(v)
	}
	return out, err
}
