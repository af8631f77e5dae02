package enginetest

import (
	"fmt"
	"testing"

	"focalgrid/engine"
)

// feeding tests the ops that write a network's input and targets from what is fed compactly, and make its output so.
func feeding(t *testing.T, e *suite) {
	// Two images of 2×3 bytes: one of the full size, one of 1×2.
	bytes := []byte{
		0, 51, 255, 102, 153, 204, 255, 0, 51, 10, 20, 30, 40, 50, 60, 70, 80, 90,
		255, 255, 255, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
	}
	sizes, mean, std := []int32{2, 3, 1, 2}, []float32{0, .5, .25}, []float32{1, .5, 2}
	var pixels []float64
	for image := range 2 {
		for c := range 3 {
			for y := range 2 {
				for x := range 3 {
					v := 0.
					if y < int(sizes[2*image]) && x < int(sizes[2*image+1]) {
						v = (float64(bytes[((image*2+y)*3+x)*3+c])/255 - float64(mean[c])) / float64(std[c])
					}
					pixels = append(pixels, v)
				}
			}
		}
	}
	boxes := random("encode", 2, 3, 4)
	for i := range 6 {
		b := boxes.values[4*i : 4*i+4]
		b[2], b[3] = b[0]+3+b[2], b[1]+4+b[3] // sides above 0
	}
	priors := []float32{0, 0, 4, 8, 1, 2, 5, 4, -2, -1, 0, 7}

	want := map[string][]float64{"pixels": pixels}
	feeds := engine.Feeds{
		"bytes": bytes, "sizes": sizes, "mean": mean, "std": std,
		"tables": []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, "boxes": boxes.values, "priors": priors,
	}
	indices := map[engine.Kind]any{
		engine.Float32: []float32{2, 0, 0, 1, 1, 2, 1, 0}, engine.Bytes: []byte{2, 0, 0, 1, 1, 2, 1, 0}, engine.Int32: []int32{2, 0, 0, 1, 1, 2, 1, 0},
	}
	graph, ses := e.forward(t, func(g *engine.Graph) (outputs []*engine.Node) {
		report := func(n *engine.Node, name string) { outputs = append(outputs, g.Named(n, name)) }
		report(g.Pixels(g.InputOf(engine.Bytes, "bytes", 2, 2, 3, 3), g.InputOf(engine.Int32, "sizes", 2, 2), g.Input("mean", 3), g.Input("std", 3)), "pixels")
		x := g.Input("x", 2, 6, 2) // levels of 4 and 2 rows; equal values in the first image
		feeds["x"] = []float32{1, 5, 9, -1, 5, 0, 9, 9, 0, 1, 3, 2, -3, -4, -1, -9, -2, -2, -8, -1.5, 7, 0, 0, 8}
		report(g.TopRows(x, 3, 4, 2), "top 3")
		report(g.TopRows(x, 1, 4, 2), "top 1")
		want["top 3"], want["top 1"] = []float64{0, 1, 3, 4, 5, 1, 2, 3, 4, 5}, []float64{1, 5, 1, 5}
		tables := g.Input("tables", 2, 3, 2)
		for kind, values := range indices {
			name := fmt.Sprintf("rows by %s", kind)
			feeds[name+" at"] = values
			report(g.Gather(tables, g.InputOf(kind, name+" at", 2, 4)), name)
			want[name] = []float64{5, 6, 1, 2, 1, 2, 3, 4, 9, 10, 11, 12, 9, 10, 7, 8}
		}
		b, at := g.Input("boxes", 2, 3, 4), g.Input("priors", 3, 4)
		for _, c := range []engine.BoxCode{{Kind: "deltas", MaxLogSize: 4}, {Kind: "distances"}, {Kind: "distances", InSides: true}} {
			name := fmt.Sprintf("%+v", c)
			report(g.DecodeBoxes(c, g.EncodeBoxes(c, b, at), at), name)
			want[name] = to64(boxes.values)
		}
		report(g.EncodeBoxes(engine.BoxCode{Kind: "distribution", Bins: 3}, b, at), "distribution")
		for r := range 6 {
			box, prior := to64(boxes.values[4*r:4*r+4]), to64(priors[r%3*4:][:4])
			for side := range 4 {
				a, sign := side%2, float64(side/2*2-1)
				v := sign * (box[side] - (prior[a]+prior[2+a])/2) / (prior[2+a] - prior[a])
				want["distribution"] = append(want["distribution"], min(max(v, 0), 1.9))
			}
		}
		return outputs
	})
	check := func(t *testing.T, f engine.Feeds) {
		t.Helper()
		got, err := ses.Forward(f)
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range want {
			e.close32(t, name, got[name], values, 2e-6)
		}
	}
	t.Run("values", func(t *testing.T) { check(t, feeds) })

	stager, ok := e.Engine.(engine.Stager)
	if !ok {
		return
	}
	t.Run("staged", func(t *testing.T) {
		staged := engine.Feeds{}
		for _, n := range graph.Nodes() {
			if n.Op != engine.OpInput {
				continue
			}
			v, err := stager.Stage(feeds[n.Name], n.Attr.Batch, n.Shape...)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Free()
			staged[n.Name] = v
		}
		clear(bytes) // they have been copied
		check(t, staged)
		check(t, staged) // they are there until they are freed
		staged["mean"] = staged["priors"]
		if _, err := ses.Forward(staged); err == nil {
			t.Error("values of another shape are fed")
		}
	})
	t.Run("staging refuses", func(t *testing.T) {
		for _, c := range []struct {
			values any
			batch  bool
			shape  []int
		}{
			{[]float32{1}, false, nil}, {[]float32{1}, true, nil}, {[]float32{1, 2}, false, []int{3}}, {[]byte{1, 2}, false, []int{-2}},
			{[]float64{1, 2}, false, []int{2}}, {nil, false, []int{1}},
		} {
			if v, err := stager.Stage(c.values, c.batch, c.shape...); err == nil {
				v.Free()
				t.Errorf("%T %v is staged with shape %v", c.values, c.values, c.shape)
			}
		}
	})
}
