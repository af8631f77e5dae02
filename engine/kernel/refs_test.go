package kernel

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"testing"
)

// The reference numbers were made by PyTorch in float64; testdata/*.json.gz says
// by which version. An array is {"dtype","shape","data"}, data row-major, null
// where a number isn't finite.

type refArray struct {
	Shape []int
	Data  []*float64
}

func (a refArray) f64() []float64 {
	v := make([]float64, len(a.Data))
	for i, x := range a.Data {
		v[i] = math.NaN()
		if x != nil {
			v[i] = *x
		}
	}
	return v
}

func (a refArray) f32() []float32 {
	v := make([]float32, len(a.Data))
	for i, x := range a.f64() {
		v[i] = float32(x)
	}
	return v
}

// shape4 is the array's shape, with ones in front of a shorter one.
func (a refArray) shape4() Shape {
	d := append(make([]int, 0, 4), a.Shape...)
	for len(d) < 4 {
		d = append([]int{1}, d...)
	}
	return Shape{d[0], d[1], d[2], d[3]}
}

type refCase struct {
	Name, Op        string
	Stride, Padding int
	Kernel          int
	Size            []int
	Groups          int
	Training        bool
	Momentum, Eps   float64
	Inputs, Grads   map[string]refArray
	Buffers         map[string]refArray
	Before, After   map[string]refArray
	Output          refArray
	GradOutput      refArray `json:"grad_output"`
}

func readRef(t *testing.T, name string, into any) {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// refTol bounds the error of float32 arithmetic, inputs rounded to float32
// included, in units of the root mean square of the result.
const refTol = 5e-6

func close32(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %d elements, want %d", what, len(got), len(want))
		return
	}
	if d := far(got, want); !(d <= tol) {
		t.Errorf("%s: off by %.3g of its size, allowed is %.3g", what, d, tol)
	}
}

// everyLevel runs f on a pool of each kernel set this machine has.
func everyLevel(t *testing.T, f func(t *testing.T, p *Pool)) {
	for _, l := range Levels() {
		t.Run(string(l), func(t *testing.T) {
			p, err := NewPoolLevel(2, l)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			f(t, p)
		})
	}
}

func TestLayerReferences(t *testing.T) {
	var ref struct{ Cases []refCase }
	readRef(t, "layers", &ref)
	everyLevel(t, func(t *testing.T, p *Pool) {
		for _, c := range ref.Cases {
			x, dy := c.Inputs["x"].f32(), c.GradOutput.f32()
			s, o := c.Inputs["x"].shape4(), c.Output.shape4()
			y, dx := make([]float32, o.Len()), make([]float32, s.Len())
			switch c.Op {
			case "conv2d":
				w := c.Inputs["weight"]
				v := Conv{N: s.N, C: s.C, H: s.H, W: s.W, K: w.Shape[0], R: w.Shape[2], Stride: c.Stride, Pad: c.Padding}
				if v.OutH() != o.H || v.OutW() != o.W {
					t.Errorf("%s: output is %d × %d, want %d × %d", c.Name, v.OutH(), v.OutW(), o.H, o.W)
					continue
				}
				var bias []float32
				if b, ok := c.Inputs["bias"]; ok {
					bias = b.f32()
					db := make([]float32, v.K)
					GradBias(p, db, dy, o)
					close32(t, c.Name+": dbias", db, c.Grads["bias"].f64(), refTol)
				}
				dw := make([]float32, v.Weights())
				NewLayer(p, v).Forward(y, x, w.f32(), bias, false)
				NewLayer(p, v).GradInput(dx, dy, w.f32())
				NewLayer(p, v).GradWeights(dw, x, dy)
				close32(t, c.Name+": dw", dw, c.Grads["weight"].f64(), refTol)
			case "max_pool2d":
				q := Pooling{c.Kernel, c.Stride, c.Padding}
				if q.Out(s) != o {
					t.Errorf("%s: output is %v, want %v", c.Name, q.Out(s), o)
					continue
				}
				idx := make([]int32, o.Len())
				q.Max(p, y, idx, x, s)
				q.MaxGrad(p, dx, dy, idx, s)
			case "upsample_nearest":
				UpsampleNearest(p, y, x, nil, c.Size[0], c.Size[1], s)
				UpsampleGrad(p, dx, dy, c.Size[0], c.Size[1], s)
			case "relu":
				ReLU(p, y, x)
				ReLUGrad(p, dx, dy, x)
			case "frozen_batch_norm":
				weight, scale := c.Buffers["weight"].f32(), make([]float32, s.C)
				InvStd(scale, c.Buffers["running_var"].f32(), float32(c.Eps))
				BatchNormApply(p, y, x, c.Buffers["running_mean"].f32(), scale, weight, c.Buffers["bias"].f32(), nil, false, s)
				for i, w := range weight {
					scale[i] *= w
				}
				AffineGrad(p, dx, dy, scale, s)
			default:
				t.Fatalf("%s: no kernel for op %q", c.Name, c.Op)
			}
			close32(t, c.Name+": y", y, c.Output.f64(), refTol)
			close32(t, c.Name+": dx", dx, c.Grads["x"].f64(), refTol)
		}
	})
}

func TestNormReferences(t *testing.T) {
	var ref struct{ Cases []refCase }
	readRef(t, "norms", &ref)
	everyLevel(t, func(t *testing.T, p *Pool) {
		for _, c := range ref.Cases {
			x, w, b, dy := c.Inputs["x"].f32(), c.Inputs["weight"].f32(), c.Inputs["bias"].f32(), c.GradOutput.f32()
			s := c.Inputs["x"].shape4()
			y, dx, dw, db := make([]float32, s.Len()), make([]float32, s.Len()), make([]float32, s.C), make([]float32, s.C)
			tol := refTol
			// Around a mean of 50 with sd .01 the inputs themselves are rounded to
			// 2e-6, which is 2e-4 standard deviations.
			if wide := c.Inputs["x"].f64(); math.Abs(wide[0]) > 10 {
				tol = 1e-3
			}
			// With two elements a group, x̂ is ±1 and the three terms of dx cancel to
			// a thousandth of their size.
			if c.Name == "group_norm_one_pixel" {
				tol = 5e-3
			}
			switch {
			case c.Op == "group_norm":
				mean, variance := make([]float32, s.N*c.Groups), make([]float32, s.N*c.Groups)
				GroupNormStats(p, mean, variance, x, c.Groups, s)
				InvStd(variance, variance, float32(c.Eps))
				GroupNormApply(p, y, x, mean, variance, w, b, false, c.Groups, s)
				GroupNormGrad(p, dx, dw, db, dy, x, mean, variance, w, c.Groups, s)
			case c.Training:
				mean, variance, inv := make([]float32, s.C), make([]float32, s.C), make([]float32, s.C)
				BatchNormStats(p, mean, variance, x, s)
				InvStd(inv, variance, float32(c.Eps))
				BatchNormApply(p, y, x, mean, inv, w, b, nil, false, s)
				BatchNormGradSums(p, db, dw, dy, x, mean, inv, s)
				BatchNormGradInput(p, dx, dy, x, mean, inv, w, db, dw, s)
				rm, rv := c.Before["running_mean"].f32(), c.Before["running_var"].f32()
				RunningUpdate(rm, rv, mean, variance, float32(c.Momentum), s.N*s.Area())
				close32(t, c.Name+": running mean", rm, c.After["running_mean"].f64(), refTol)
				close32(t, c.Name+": running variance", rv, c.After["running_var"].f64(), refTol)
			default:
				mean, inv := c.Before["running_mean"].f32(), make([]float32, s.C)
				InvStd(inv, c.Before["running_var"].f32(), float32(c.Eps))
				BatchNormApply(p, y, x, mean, inv, w, b, nil, false, s)
				BatchNormGradSums(p, db, dw, dy, x, mean, inv, s)
				for i := range inv {
					inv[i] *= w[i]
				}
				AffineGrad(p, dx, dy, inv, s)
			}
			close32(t, c.Name+": y", y, c.Output.f64(), tol)
			close32(t, c.Name+": dx", dx, c.Grads["x"].f64(), tol)
			close32(t, c.Name+": dweight", dw, c.Grads["weight"].f64(), tol)
			close32(t, c.Name+": dbias", db, c.Grads["bias"].f64(), tol)
		}
	})
}

func TestFocalReferences(t *testing.T) {
	var ref struct {
		Alpha, Gamma, Target, Logit []float64
		Loss, Grad                  refArray
	}
	readRef(t, "focal", &ref)
	loss, grad := ref.Loss.f64(), ref.Grad.f64()
	everyLevel(t, func(t *testing.T, p *Pool) {
		i := 0
		for _, alpha := range ref.Alpha {
			for _, gamma := range ref.Gamma {
				for _, target := range ref.Target {
					for _, logit := range ref.Logit {
						f := Focal{Rows: 17, Classes: 1, Gamma: float32(gamma), AlphaPos: float32(alpha), AlphaNeg: float32(1 - alpha)}
						if alpha < 0 {
							f.AlphaPos, f.AlphaNeg = 1, 1
						}
						// Seventeen equal rows use the vector and the scalar path; row 3 is ignored.
						x, l, w, d := make([]float32, f.Rows), make([]float32, f.Rows), make([]float32, f.Rows), make([]float32, f.Rows)
						for r := range x {
							x[r], l[r], w[r] = float32(logit), float32(target)-1, 2
						}
						x[3], w[3] = float32(math.NaN()), 0
						got := f.Sum(p, x, l, w) / float64(2*(f.Rows-1))
						f.Grad(p, d, x, l, w, .5)
						// e^(-γ·sp) in float32 has a relative error of about γ·sp·2⁻²⁴.
						tol := 3e-7 * (4 + gamma*(1+math.Abs(logit)))
						if want := loss[i]; !(math.Abs(got-want) <= tol*math.Abs(want)+1e-35) {
							t.Errorf("α=%g γ=%g target %g logit %g: loss %g, want %g", alpha, gamma, target, logit, got, want)
						}
						for r, g := range d {
							want := grad[i]
							if r == 3 {
								want = 0
							}
							if !(math.Abs(float64(g)-want) <= tol*math.Abs(want)+1e-35) {
								t.Errorf("α=%g γ=%g target %g logit %g row %d: gradient %g, want %g", alpha, gamma, target, logit, r, g, want)
								break
							}
						}
						i++
					}
				}
			}
		}
	})
}

func TestSmoothL1References(t *testing.T) {
	var ref struct {
		Diff []float64
		Rows []struct {
			Beta       float64
			Loss, Grad []float64
		}
	}
	readRef(t, "smooth_l1", &ref)
	everyLevel(t, func(t *testing.T, p *Pool) {
		n := len(ref.Diff)
		pred, zero, w, d := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		for i, v := range ref.Diff {
			pred[i] = float32(v)
		}
		for _, row := range ref.Rows {
			l := SmoothL1{Rows: n, Cols: 1, Beta: float32(row.Beta)}
			for i := range n {
				clear(w)
				w[i] = 2
				got := l.Sum(p, pred, zero, w)
				// Differences near zero are rounded to float32, relatively 2⁻²⁴, twice in d².
				if math.Abs(got/2-row.Loss[i]) > 3e-7*math.Abs(row.Loss[i]) {
					t.Errorf("β=%g, difference %g: loss %g, want %g", row.Beta, ref.Diff[i], got/2, row.Loss[i])
				}
			}
			for i := range w {
				w[i] = 2
			}
			l.Grad(p, d, pred, zero, w, .5)
			close32(t, "gradient", d, row.Grad, 3e-7)
		}
	})
}
