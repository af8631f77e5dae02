package gomlx

import (
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"focalgrid/engine"
)

// traffic counts the bytes that went to the device and came from it.
type traffic struct{ up, down atomic.Int64 }

// Traffic returns the bytes that went to the device, and that came from it, since the engine was opened.
func (e *Engine) Traffic() (up, down int64) { return e.traffic.up.Load(), e.traffic.down.Load() }

// upload brings a tensor to the devices of m: an equal part of its first axis to each, or all of it. Any goroutine may
// call it.
func (e *Engine) upload(m mesh, values any, split bool, t dtypes.DType, dims ...int) ([]compute.Buffer, error) {
	shape, parts := shapes.Make(t, dims...), 1
	if split {
		parts = m.size
		shape.Dimensions[0] /= parts
	}
	all := reflect.ValueOf(values)
	size := all.Len() / parts
	var out []compute.Buffer
	err := guarded(func() error {
		for i := range m.size {
			from := i % parts * size
			on, err := e.backend.BufferFromFlatData(compute.DeviceNum(i), all.Slice(from, from+size).Interface(), shape)
			if err != nil {
				return err
			}
			out = append(out, on)
			e.traffic.up.Add(int64(size) * int64(t.Size()))
		}
		return nil
	})
	if err != nil {
		release(out)
		return nil, err
	}
	return out, nil
}

// download copies a buffer into values, whose type is the buffer's.
func (e *Engine) download(b compute.Buffer, t dtypes.DType, values any, size int) error {
	e.traffic.down.Add(int64(size) * int64(t.Size()))
	return guarded(func() error { return b.ToFlatData(values) })
}

// kinds are the types in which feeds go to the device.
var kinds = map[engine.Kind]dtypes.DType{engine.Float32: dtypes.Float32, engine.Bytes: dtypes.Uint8, engine.Int32: dtypes.Int32}

// staged is a feed on the device.
type staged struct {
	kind  engine.Kind
	shape []int
	on    []compute.Buffer // each device
}

func (s *staged) Kind() engine.Kind { return s.kind }
func (s *staged) Shape() []int      { return s.shape }
func (s *staged) Free()             { release(s.on); s.on = nil }

// Stage copies a feed to the devices, in parts if it is of the batch.
func (e *Engine) Stage(values any, batch bool, shape ...int) (engine.Staged, error) {
	kind, err := engine.CheckStage(values, shape)
	if err != nil {
		return nil, err
	}
	if batch && shape[0]%e.mesh.size != 0 {
		return nil, fmt.Errorf("a batch of %d cannot be split among %d devices", shape[0], e.mesh.size)
	}
	on, err := e.upload(e.mesh, values, batch, kinds[kind], shape...)
	if err != nil {
		return nil, err
	}
	return &staged{kind, slices.Clone(shape), on}, nil
}
