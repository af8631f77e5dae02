package engine

import (
	"strings"
	"testing"
)

// TestAnalyzeMisuse: a program of nodes that are not its graph's, or a state whose tensors do not fit, is an error
// before the first step.
func TestAnalyzeMisuse(t *testing.T) {
	program := func() *Program {
		p := &Program{Update: Update{Kind: "adamw"}}
		var err error
		p.Graph, err = Build(func(g *Graph) error {
			y := g.Named(g.Mul(g.Param("w", Constant(1), true, 3), g.Input("x", 3)), "y")
			p.Outputs, p.Loss = []*Node{y}, g.Sum(y)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, tt := range []struct {
		change func(p *Program)
		want   string
	}{
		{func(p *Program) { p.Graph = nil }, "program without a graph"},
		{func(p *Program) { p.Outputs = append(p.Outputs, nil) }, "an output is not a node of the program's graph"},
		{func(p *Program) { p.Predictions = program().Outputs }, "an output is not a node of the program's graph"},
		{func(p *Program) { p.Loss = program().Loss }, "the loss is not a node of the program's graph"},
		{func(p *Program) { p.Update.Kind = "lamb" }, `update "lamb"; known: adamw, sgd`},
	} {
		p := program()
		tt.change(p)
		if _, err := Analyze(p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want an error with %q", err, tt.want)
		}
	}
	for _, tt := range []struct {
		tensors map[string][]int
		want    string
	}{
		{map[string][]int{}, "tensor w is missing from the state"},
		{map[string][]int{"w": {1, 3}}, "tensor w has shape [1 3], the graph wants [3]"},
		{map[string][]int{"w": {3}, "adam_v/w": {2}}, "tensor adam_v/w has shape [2], the update wants [3]"},
		{map[string][]int{"w": {3}, "adam_t/w": {3}}, "tensor adam_t/w has shape [3], the update wants [1]"},
	} {
		a, err := Analyze(program())
		if err != nil {
			t.Fatal(err)
		}
		s := NewState()
		for name, shape := range tt.tensors {
			n := 1
			for _, d := range shape {
				n *= d
			}
			if err := s.Set(name, shape, make([]float32, n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Prepare(s); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}
