package gorgonia

import (
	"fmt"

	gg "gorgonia.org/gorgonia"
)

// tape runs the graph on Gorgonia's TapeMachine, one machine a group. It is
// the oracle of plan: slower, since it computes a group's needs anew and
// allocates as it goes, but by independent code.
type tape struct {
	machines []machine
	read     map[int64]*gg.Value
}

type machine interface {
	RunAll() error
	Reset()
	Close() error
}

func newTape(wanted [][]*gg.Node) (*tape, error) {
	t := &tape{read: map[int64]*gg.Value{}}
	var roots []*gg.Node
	for _, want := range wanted {
		for _, n := range want {
			if t.read[n.ID()] != nil {
				continue
			}
			v := new(gg.Value)
			t.read[n.ID()] = v
			roots = append(roots, gg.Read(n, v))
		}
		if len(roots) == 0 {
			t.machines = append(t.machines, nil)
			continue
		}
		sub := roots[0].Graph().SubgraphRoots(roots...)
		t.machines = append(t.machines, gg.NewTapeMachine(sub))
	}
	return t, nil
}

func (t *tape) bind(input *gg.Node, v []float32) { gg.Let(input, wrap(input.Shape(), v)) }

func (t *tape) value(n *gg.Node) []float32 {
	v, ok := t.read[n.ID()]
	if !ok || *v == nil {
		return nil
	}
	x, err := view(*v)
	if err != nil {
		return nil
	}
	return x
}

func (t *tape) run(group int) error {
	m := t.machines[group]
	if m == nil {
		return nil
	}
	defer m.Reset()
	if err := m.RunAll(); err != nil {
		return fmt.Errorf("tape machine: %w", err)
	}
	return nil
}

func (t *tape) close() error {
	for _, m := range t.machines {
		if m != nil {
			if err := m.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}
