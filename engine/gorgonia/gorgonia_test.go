package gorgonia_test

import (
	"testing"

	"focalgrid/engine"
	"focalgrid/engine/enginetest"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
)

func open(opt gorgonia.Options) func(t *testing.T) engine.Engine {
	return func(t *testing.T) engine.Engine {
		p := kernel.NewPool(2)
		t.Cleanup(p.Close)
		return gorgonia.New(p, opt)
	}
}

// TestInfo: engines whose results differ in bits have other names, and both promise the same bits every time.
func TestInfo(t *testing.T) {
	p := kernel.NewPool(2)
	e := gorgonia.New(p, gorgonia.Options{})
	want := engine.Info{Name: "gorgonia", Device: "CPU", Threads: 2, Precision: "float32", Exact: true, Kernels: string(kernel.Best())}
	if got := e.Info(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	p.Exact, want.Name = true, "gorgonia-exact"
	if got := e.Info(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestPlan(t *testing.T) { enginetest.Run(t, open(gorgonia.Options{}), enginetest.Tolerance{}) }

func TestTapeMachine(t *testing.T) {
	enginetest.Run(t, open(gorgonia.Options{TapeMachine: true}), enginetest.Tolerance{})
}

// TestDevice: the suite leaves room for engines that hold states on a device.
func TestDevice(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) engine.Engine { return enginetest.Device(open(gorgonia.Options{})(t)) }, enginetest.Tolerance{})
}
