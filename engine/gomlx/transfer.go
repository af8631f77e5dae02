package gomlx

import (
	"fmt"
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

// upload copies values to the device. Any goroutine may call it.
func (e *Engine) upload(values any, t dtypes.DType, dims ...int) (b compute.Buffer, err error) {
	shape := shapes.Make(t, dims...)
	err = guarded(func() (err error) {
		b, err = e.backend.BufferFromFlatData(0, values, shape)
		return err
	})
	e.traffic.up.Add(int64(shape.Size()) * int64(t.Size()))
	return b, err
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
	kind   engine.Kind
	shape  []int
	buffer compute.Buffer
}

func (s *staged) Kind() engine.Kind { return s.kind }
func (s *staged) Shape() []int      { return s.shape }
func (s *staged) Free()             { release([]compute.Buffer{s.buffer}); s.buffer = nil }

// Stage copies a feed to the device.
func (e *Engine) Stage(values any, shape ...int) (engine.Staged, error) {
	s := &staged{shape: shape}
	length := 0
	switch v := values.(type) {
	case []float32:
		s.kind, length = engine.Float32, len(v)
	case []byte:
		s.kind, length = engine.Bytes, len(v)
	case []int32:
		s.kind, length = engine.Int32, len(v)
	default:
		return nil, fmt.Errorf("a feed of %T", values)
	}
	if size := shapes.Make(kinds[s.kind], shape...).Size(); size != length {
		return nil, fmt.Errorf("%d values for shape %v", length, shape)
	}
	var err error
	s.buffer, err = e.upload(values, kinds[s.kind], shape...)
	return s, err
}
