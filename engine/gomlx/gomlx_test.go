package gomlx_test

import (
	"testing"

	"focalgrid/engine"
	"focalgrid/engine/enginetest"
	"focalgrid/engine/gomlx"
)

func open(opt gomlx.Options) func(t *testing.T) engine.Engine {
	return func(t *testing.T) engine.Engine {
		t.Helper()
		e, err := gomlx.New(opt)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
		return e
	}
}

// TestSuite runs the conformance suite on the backend in plain Go.
func TestSuite(t *testing.T) {
	for _, opt := range []gomlx.Options{{}, {Layout: gomlx.NHWC}, {Precision: gomlx.Float64}} {
		t.Run(opt.Precision+opt.Layout, func(t *testing.T) { enginetest.Run(t, open(opt), enginetest.Tolerance{}) })
	}
}
