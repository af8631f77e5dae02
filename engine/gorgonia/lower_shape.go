package gorgonia

import (
	"fmt"

	gg "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"focalgrid/engine"
	"focalgrid/engine/kernel"
)

// binary lowers add, sub and mul: Gorgonia's op between equal shapes, ours
// with a scalar.
func (l *lowering) binary(n *engine.Node) (*gg.Node, error) {
	a, b := l.in(n, 0), l.in(n, 1)
	if len(n.In[1].Shape) > 0 || len(n.In[0].Shape) == 0 {
		switch n.Op {
		case engine.OpAdd:
			return gg.Add(a, b)
		case engine.OpSub:
			return gg.Sub(a, b)
		default:
			return gg.HadamardProd(a, b)
		}
	}
	return l.withScalar(n.Op, a, b)
}

func (l *lowering) withScalar(kind engine.Op, a, b *gg.Node) (*gg.Node, error) {
	return applyDiff(&op{
		name: string(kind) + " scalar", out: a.Shape(), over: []int{0},
		run: func(y []float32, in [][]float32) {
			s := in[1][0]
			kernel.Split(l.pool, len(y), func(from, to int) {
				for i, v := range in[0][from:to] {
					switch kind {
					case engine.OpAdd:
						y[from+i] = v + s
					case engine.OpSub:
						y[from+i] = v - s
					default:
						y[from+i] = v * s
					}
				}
			})
		},
		diff: []bool{true, true},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			ds, err := apply(string(kind)+" to scalar", tensor.Shape{}, func(y []float32, in [][]float32) {
				var sum float64
				for i, v := range in[0] {
					if kind == engine.OpMul {
						v *= in[1][i]
					}
					sum += float64(v)
				}
				if kind == engine.OpSub {
					sum = -sum
				}
				y[0] = float32(sum)
			}, dy, in[0])
			if err != nil || kind != engine.OpMul {
				return gg.Nodes{dy, ds}, err
			}
			dx, err := l.withScalar(kind, dy, in[1])
			return gg.Nodes{dx, ds}, err
		},
	}, a, b)
}

// scaleLevels lowers a stack of products with a scalar each.
func (l *lowering) scaleLevels(nodes []*engine.Node) (*gg.Node, error) {
	x, err := l.stacked(firstInputs(nodes))
	if err != nil {
		return nil, err
	}
	from := []int{0} // where each level begins
	ins := gg.Nodes{x}
	for i, n := range nodes {
		from, ins = append(from, from[i]+n.Size()), append(ins, l.in(n, 1))
	}
	return l.levelScales(from, ins)
}

// levelScales multiplies the levels of the first of ins, which begin at from, by the scalars that follow.
func (l *lowering) levelScales(from []int, ins gg.Nodes) (*gg.Node, error) {
	o := &op{name: fmt.Sprintf("scale levels %v", from), out: ins[0].Shape(), over: []int{0}}
	for range ins {
		o.diff = append(o.diff, true)
	}
	o.run = func(y []float32, in [][]float32) {
		for i, s := range in[1:] {
			y, x := y[from[i]:from[i+1]], in[0][from[i]:from[i+1]]
			kernel.Split(l.pool, len(y), func(from, to int) {
				for j, v := range x[from:to] {
					y[from+j] = v * s[0]
				}
			})
		}
	}
	o.grad = func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
		dx, err := l.levelScales(from, append(gg.Nodes{dy}, in[1:]...))
		if err != nil {
			return nil, err
		}
		out := gg.Nodes{dx}
		for i := range in[1:] {
			ds, err := apply(fmt.Sprintf("scale level %d of %v to scalar", i, from), tensor.Shape{}, func(y []float32, in [][]float32) {
				y[0] = dot(in[0][from[i]:from[i+1]], in[1][from[i]:from[i+1]])
			}, dy, in[0])
			if err != nil {
				return nil, err
			}
			out = append(out, ds)
		}
		return out, nil
	}
	return applyDiff(o, ins...)
}

// dot is the sum of the products of a and b.
func dot(a, b []float32) float32 {
	var sum float64
	for i, v := range a {
		sum += float64(v * b[i])
	}
	return float32(sum)
}

func (l *lowering) where(n *engine.Node) (*gg.Node, error) {
	pick := func(positive bool) func(y []float32, in [][]float32) { // dy where the condition is so, else 0
		return func(y []float32, in [][]float32) {
			kernel.Split(l.pool, len(y), func(from, to int) {
				for i := from; i < to; i++ {
					y[i] = 0
					if (in[0][i] > 0) == positive {
						y[i] = in[1][i]
					}
				}
			})
		}
	}
	return applyDiff(&op{
		name: "where", out: n.Shape,
		run: func(y []float32, in [][]float32) {
			kernel.Split(l.pool, len(y), func(from, to int) {
				for i := from; i < to; i++ {
					y[i] = in[2][i]
					if in[0][i] > 0 {
						y[i] = in[1][i]
					}
				}
			})
		},
		diff: []bool{false, true, true},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			da, err := apply("where true", n.Shape, pick(true), in[0], dy)
			if err != nil {
				return nil, err
			}
			db, err := apply("where false", n.Shape, pick(false), in[0], dy)
			return gg.Nodes{nil, da, db}, err
		},
	}, l.in(n, 0), l.in(n, 1), l.in(n, 2))
}

func (l *lowering) oneHot(n *engine.Node) (*gg.Node, error) {
	k := n.Attr.Size
	return apply(fmt.Sprintf("one hot %d", k), n.Shape, func(y []float32, in [][]float32) {
		kernel.Split(l.pool, len(in[0]), func(from, to int) {
			clear(y[from*k : to*k])
			for i, v := range in[0][from:to] {
				if c := int(v); v >= 0 && c < k {
					y[(from+i)*k+c] = 1
				}
			}
		})
	}, l.in(n, 0))
}

func (l *lowering) expand(n *engine.Node) (*gg.Node, error) {
	k := n.Attr.Size
	return applyDiff(&op{
		name: fmt.Sprintf("expand %d", k), out: n.Shape,
		run: func(y []float32, in [][]float32) {
			kernel.Split(l.pool, len(y), func(from, to int) {
				for i := from; i < to; i++ {
					y[i] = in[0][i/k]
				}
			})
		},
		diff: []bool{true},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			dx, err := apply(fmt.Sprintf("expand gradient %d", k), in[0].Shape(), func(dx []float32, in [][]float32) {
				kernel.Split(l.pool, len(dx), func(from, to int) {
					for i := from; i < to; i++ {
						var s float64
						for _, v := range in[0][i*k : (i+1)*k] {
							s += float64(v)
						}
						dx[i] = float32(s)
					}
				})
			}, dy)
			return gg.Nodes{dx}, err
		},
	}, l.in(n, 0))
}

func (l *lowering) sum(n *engine.Node) (*gg.Node, error) {
	return applyDiff(&op{
		name: "sum", out: tensor.Shape{},
		run: func(y []float32, in [][]float32) {
			var s float64
			for _, v := range in[0] {
				s += float64(v)
			}
			y[0] = float32(s)
		},
		diff: []bool{true},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			dx, err := apply("fill", in[0].Shape(), func(dx []float32, in [][]float32) {
				kernel.Split(l.pool, len(dx), func(from, to int) {
					for i := from; i < to; i++ {
						dx[i] = in[0][0]
					}
				})
			}, dy)
			return gg.Nodes{dx}, err
		},
	}, l.in(n, 0))
}

func (l *lowering) reshape(n *engine.Node) (*gg.Node, error) {
	move := func(y []float32, in [][]float32) {
		kernel.Split(l.pool, len(y), func(from, to int) { copy(y[from:to], in[0][from:to]) })
	}
	return applyDiff(&op{
		name: "reshape", out: n.Shape, over: []int{0}, run: move, diff: []bool{true},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			dx, err := applyOver("reshape back", in[0].Shape(), move, dy)
			return gg.Nodes{dx}, err
		},
	}, l.in(n, 0))
}

func (l *lowering) transpose(n *engine.Node) (*gg.Node, error) {
	perm := n.Attr.Dims
	inverse := make([]int, len(perm))
	for i, p := range perm {
		inverse[p] = i
	}
	return applyDiff(&op{
		name: fmt.Sprintf("transpose %v", perm), out: n.Shape,
		run: l.permute(n.In[0].Shape, perm), diff: []bool{true},
		grad: func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
			dx, err := apply(fmt.Sprintf("transpose %v", inverse), in[0].Shape(), l.permute(n.Shape, inverse), dy)
			return gg.Nodes{dx}, err
		},
	}, l.in(n, 0))
}

// permute returns the move of values that makes axis i of the result axis perm[i] of shape.
func (l *lowering) permute(shape, perm []int) func(y []float32, in [][]float32) {
	strides := make([]int, len(shape))
	for i, s := len(shape)-1, 1; i >= 0; i-- {
		strides[i], s = s, s*shape[i]
	}
	return func(y []float32, in [][]float32) {
		kernel.Split(l.pool, len(y), func(from, to int) {
			at := make([]int, len(perm)) // the index of the result's value
			for j, left := len(perm)-1, from; j >= 0; j-- {
				at[j], left = left%shape[perm[j]], left/shape[perm[j]]
			}
			for i := from; i < to; i++ {
				src := 0
				for j, p := range perm {
					src += at[j] * strides[p]
				}
				y[i] = in[0][src]
				for j := len(perm) - 1; j >= 0; j-- {
					if at[j]++; at[j] < shape[perm[j]] {
						break
					}
					at[j] = 0
				}
			}
		})
	}
}

func (l *lowering) concat(n *engine.Node) (*gg.Node, error) {
	axis := n.Attr.Axis
	outer, inner := 1, 1 // values before and after the axis
	for _, d := range n.Shape[:axis] {
		outer *= d
	}
	for _, d := range n.Shape[axis+1:] {
		inner *= d
	}
	row := n.Shape[axis] * inner
	o := &op{name: fmt.Sprintf("concat %d", axis), out: n.Shape}
	var ins gg.Nodes
	var first, width []int // of each input within a row
	at := 0
	for i, in := range n.In {
		first, width = append(first, at), append(width, in.Shape[axis]*inner)
		at += width[i]
		ins = append(ins, l.in(n, i))
		o.diff = append(o.diff, true)
	}
	o.run = func(y []float32, in [][]float32) {
		l.pool.Run(outer, func(r int) {
			for i, x := range in {
				copy(y[r*row+first[i]:][:width[i]], x[r*width[i]:])
			}
		})
	}
	o.grad = func(in gg.Nodes, _, dy *gg.Node) (gg.Nodes, error) {
		var out gg.Nodes
		for i := range in {
			dx, err := apply(fmt.Sprintf("slice axis %d from %d of %d", axis, first[i], row), in[i].Shape(), func(dx []float32, in [][]float32) {
				l.pool.Run(outer, func(r int) {
					copy(dx[r*width[i]:][:width[i]], in[0][r*row+first[i]:])
				})
			}, dy)
			if err != nil {
				return nil, err
			}
			out = append(out, dx)
		}
		return out, nil
	}
	return applyDiff(o, ins...)
}
