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

func TestPlan(t *testing.T) { enginetest.Run(t, open(gorgonia.Options{}), enginetest.Tolerance{}) }

func TestTapeMachine(t *testing.T) {
	enginetest.Run(t, open(gorgonia.Options{TapeMachine: true}), enginetest.Tolerance{})
}
