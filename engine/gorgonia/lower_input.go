package gorgonia

import (
	"cmp"
	"fmt"
	"slices"

	gg "gorgonia.org/gorgonia"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// pixels lowers the normalisation of bytes by a table of all 256 values a channel.
func (l *lowering) pixels(n *engine.Node) (*gg.Node, error) {
	s := n.Shape
	return apply("pixels", s, func(y []float32, in [][]float32) {
		var table [3][256]float32
		for c := range table {
			mean, std := float64(in[2][c]), float64(in[3][c])
			for b := range table[c] {
				table[c][b] = float32((float64(b)/255 - mean) / std)
			}
		}
		h, w := s[2], s[3]
		kernel.Split(l.pool, s[0]*3*h, func(from, to int) {
			for line := from; line < to; line++ {
				image, c, row := line/h/3, line/h%3, line%h
				high, wide := int(in[1][2*image]), int(in[1][2*image+1])
				out := y[line*w:][:w]
				if row >= high {
					clear(out)
					continue
				}
				clear(out[wide:])
				bytes := in[0][(image*h+row)*w*3:]
				for x := range out[:wide] {
					out[x] = table[c][byte(bytes[3*x+c])]
				}
			}
		})
	}, l.inputs(n)...)
}

func (l *lowering) gather(n *engine.Node) (*gg.Node, error) {
	priors, width, rows := n.Shape[1], n.Shape[2], n.In[0].Shape[1]
	return apply("gather", n.Shape, func(y []float32, in [][]float32) {
		kernel.Split(l.pool, len(in[1]), func(from, to int) {
			for at := from; at < to; at++ {
				row := at/priors*rows + int(in[1][at])
				copy(y[at*width:(at+1)*width], in[0][row*width:])
			}
		})
	}, l.inputs(n)...)
}

func (l *lowering) topRows(n *engine.Node) (*gg.Node, error) {
	s, k, levels, picked := n.In[0].Shape, n.Attr.Size, n.Attr.Dims, n.Shape[1]
	return apply(fmt.Sprintf("top rows %d %v", k, levels), n.Shape, func(y []float32, in [][]float32) {
		l.pool.Run(s[0], func(image int) {
			out, first := y[image*picked:image*picked], image*s[1]
			for _, level := range levels {
				largest := func(row int) float32 { return slices.Max(in[0][row*s[2] : (row+1)*s[2]]) }
				rows := make([]int, level)
				for i := range rows {
					rows[i] = first + i
				}
				if k < level {
					slices.SortFunc(rows, func(a, b int) int { return cmp.Or(cmp.Compare(largest(b), largest(a)), cmp.Compare(a, b)) })
					rows = rows[:k]
					slices.Sort(rows)
				}
				for _, row := range rows {
					out = append(out, float32(row-image*s[1]))
				}
				first += level
			}
		})
	}, l.inputs(n)...)
}
