package engine

import "testing"

// memoryGraph is a network of two images of 4×4 pixels: a convolution from 3 to 5 channels that is trained or not, a
// norm with ReLU, and a 1×1 convolution to 2 channels with a bias. The loss is the sum of squares of what comes out, or
// cross entropy of its mean.
func memoryGraph(trained bool, norm, loss string) *Program {
	p := &Program{Update: Update{Kind: "sgd", Momentum: .9}}
	p.Graph, _ = Build(func(g *Graph) error {
		one := Constant(1)
		image := g.Pixels(g.InputOf(Bytes, "bytes", 2, 4, 4, 3), g.InputOf(Int32, "sizes", 2, 2), g.Input("mean", 3), g.Input("std", 3))
		x := g.Conv2D(image, g.Param("w", one, trained, 5, 3, 3, 3), nil, 1, 1, false)
		n := Norm{Mean: g.Buffer("mean of x", one, 5), Var: g.Buffer("var of x", one, 5), Eps: 1e-5, Momentum: .1}
		if norm == "frozen" {
			n.Weight, n.Bias = g.Buffer("weight", one, 5), g.Buffer("bias", one, 5)
			x = g.FrozenNorm(x, n, nil, true)
		} else {
			n.Weight, n.Bias = g.Param("weight", one, true, 5), g.Param("bias", one, true, 5)
			x = g.BatchNorm(x, n, nil, true, true)
		}
		y := g.Named(g.Conv2D(x, g.Param("v", one, true, 2, 5, 1, 1), g.Param("b", one, true, 2), 1, 0, false), "y")
		p.Predictions = []*Node{y}
		if p.Loss = g.Sum(g.Mul(y, y)); loss == "cross entropy" {
			p.Loss = g.SoftmaxCE(g.GlobalAvgPool(y), g.InputOf(Int32, "label", 2))
		}
		return nil
	})
	return p
}

// TestMemory: by hand, in values of four bytes unless said otherwise. The maps are an image of 2·3·4·4 = 96 values, x
// and its norm of 160 each, and y of 64; the norm's ReLU keeps a byte a value. Parameters: w 135, weight and bias 10, v
// 10, b 2; statistics 10.
func TestMemory(t *testing.T) {
	const inputs = 2 * (96 + 4*(4+3+3)) // bytes, sizes, mean and std, twice
	for _, tt := range []struct {
		name   string
		change func() *Program
		want   Memory
	}{
		// As they are 135+10+10+2+10; a step writes all of them anew, and each parameter has momentum, old and new. Kept:
		// the image and the norm for the convolutions, x for the norm, and y for the square.
		{"batch norm", func() *Program { return memoryGraph(true, "batch", "squares") },
			Memory{State: 4 * (167 + 167 + 2*157), Gradients: 4 * 157, Inputs: inputs, Kept: 160 + 4*(96+160+160+64)}},
		// Adam has two moments, and a count of one value for each of five parameters.
		{"adamw", func() *Program {
			p := memoryGraph(true, "batch", "squares")
			p.Update = Update{Kind: "adamw", Beta1: .9, Beta2: .999}
			return p
		}, Memory{State: 4 * (167 + 167 + 2*(2*157+5)), Gradients: 4 * 157, Inputs: inputs, Kept: 160 + 4*(96+160+160+64)}},
		// Maps have two bytes a value, and rounded weights of 135 and 10 values join them; y is squared as float32, from two.
		{"bfloat16", func() *Program {
			p := memoryGraph(true, "batch", "squares")
			p.BFloat16 = true
			return p
		}, Memory{State: 4 * (167 + 167 + 2*157), Gradients: 4 * 157, Inputs: inputs, Kept: 160 + 2*(96+160+160+64+145)}},
		// Weight, bias and statistics of the norm are constants, 20 values; its gradient does not read x.
		{"frozen norm", func() *Program { return memoryGraph(true, "frozen", "squares") },
			Memory{State: 4 * (135 + 12 + 20 + 147 + 2*147), Gradients: 4 * 147, Inputs: inputs, Kept: 160 + 4*(96+160+64)}},
		// Below the second convolution nothing learns: it reads its input, and the square y.
		{"frozen below", func() *Program { return memoryGraph(false, "frozen", "squares") },
			Memory{State: 4 * (135 + 12 + 20 + 12 + 2*12), Gradients: 4 * 12, Inputs: inputs, Kept: 4 * (160 + 64)}},
		// Labels are fed too. The loss reads the four means, and keeps eight values for each.
		{"cross entropy", func() *Program { return memoryGraph(true, "batch", "cross entropy") },
			Memory{State: 4 * (167 + 167 + 2*157), Gradients: 4 * 157, Inputs: inputs + 2*8, Kept: 160 + 4*(96+160+160+4+8*4)}},
		{"forward", func() *Program {
			p := memoryGraph(true, "frozen", "squares")
			p.Loss = nil
			return p
		}, Memory{State: 4 * (135 + 12 + 20), Inputs: inputs}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Work = 4*4*160 + tt.want.Kept/5 // of the largest map, and copies
			got, err := tt.change().Memory()
			if err != nil || got != tt.want {
				t.Errorf("%+v, %v\nwant %+v", got, err, tt.want)
			}
			if sum := got.State + got.Gradients + got.Inputs + got.Kept + got.Work; got.Total() != sum {
				t.Errorf("total %d of %d", got.Total(), sum)
			}
		})
	}
	if _, err := (&Program{}).Memory(); err == nil {
		t.Error("a program without a graph has an estimate")
	}
}
