package kernel

import (
	"math"

	"focalgrid/portable"
)

// A Focal is the focal loss on a table of logits, one row an anchor, one column
// a class (§3.2 of Lin et al., eq. 5):
//
//	FL(x) = α_t · e^(-γ·sp(z)) · sp(-z), z = x for the row's class and -x else,
//	sp(t) = max(t, 0) + log(1+e^-|t|)
//
// which is -α_t(1-p_t)^γ log p_t without its infinities: value and gradient are
// finite for every finite logit and every γ ≥ 0.
type Focal struct {
	Rows, Classes int
	Gamma         float32 // γ ≥ 0; 0 is α-balanced cross entropy
	AlphaPos      float32 // α of the row's class
	AlphaNeg      float32 // α of the other classes; 1 and 1 mean no balancing
}

// Sum is Σ_rows weight·Σ_classes FL. logits is [Rows, Classes]; label is the
// row's class, 0 … Classes-1, or below 0 for background; weight 0 leaves the row out.
func (f Focal) Sum(p *Pool, logits, label, weight []float32) float64 {
	f.check("Focal.Sum", logits, label, weight)
	rows := f.taskRows()
	return sum(p, (f.Rows+rows-1)/rows, func(task int) float64 {
		from, to := task*rows, min(f.Rows, (task+1)*rows)
		values := p.scratch.take((to - from) * f.Classes)
		focal(p.set, values, logits[from*f.Classes:to*f.Classes], f.Gamma)
		var total float64
		f.runs(from, to, weight, func(r0, r1 int, w float32) {
			if w == 0 {
				return
			}
			for r := r0; r < r1; r++ {
				if c := int(label[r]); c >= 0 && c < f.Classes {
					i := (r-from)*f.Classes + c
					values[i] = 0
					one := [1]float32{-logits[r*f.Classes+c]}
					f.one(p.set, focal, &one)
					total += float64(float64(w*f.AlphaPos) * float64(one[0]))
				}
			}
			total += float64(float64(w*f.AlphaNeg) * wideSum(values[(r0-from)*f.Classes:(r1-from)*f.Classes]))
		})
		p.scratch.give(values)
		return total
	})
}

// wideSum adds in float64, which values near the largest float32 can't overflow,
// in four chains.
func wideSum(v []float32) float64 {
	var s [4]float64
	for ; len(v) >= 4; v = v[4:] {
		s[0] += float64(v[0])
		s[1] += float64(v[1])
		s[2] += float64(v[2])
		s[3] += float64(v[3])
	}
	for i, x := range v {
		s[i] += float64(x)
	}
	return s[0] + s[1] + (s[2] + s[3])
}

// one applies a kernel for vectors to one logit.
func (f Focal) one(set set, kernel func(set set, y, x []float32, gamma float32), v *[1]float32) {
	var all [lanes]float32
	all[0] = v[0]
	kernel(set, all[:], all[:], f.Gamma)
	v[0] = all[0]
}

// runs cuts rows from … to-1 into runs of one weight.
func (f Focal) runs(from, to int, weight []float32, each func(r0, r1 int, w float32)) {
	for r := from; r < to; {
		w, first := weight[r], r
		for r < to && weight[r] == w {
			r++
		}
		r = max(r, first+1) // a NaN isn't equal to itself
		each(first, r, w)
	}
}

// Grad computes d[r,k] = factor·weight[r]·dFL/dx, zero in rows of weight 0:
//
//	dFL/dx = -α_t · y · e^(-γ·sp(z)) · (γ·p_t·sp(-z) + 1-p_t), y = ±1
func (f Focal) Grad(p *Pool, d, logits, label, weight []float32, factor float32) {
	f.check("Focal.Grad", logits, label, weight)
	need("Focal.Grad", "d", d, f.Rows*f.Classes)
	rows := f.taskRows()
	p.Run((f.Rows+rows-1)/rows, func(task int) {
		from, to := task*rows, min(f.Rows, (task+1)*rows)
		focalGrad(p.set, d[from*f.Classes:to*f.Classes], logits[from*f.Classes:to*f.Classes], f.Gamma)
		f.runs(from, to, weight, func(r0, r1 int, w float32) {
			all := d[r0*f.Classes : r1*f.Classes]
			if w == 0 {
				clear(all)
				return
			}
			scale(p.set, all, factor*w*f.AlphaNeg)
			for r := r0; r < r1; r++ {
				if c := int(label[r]); c >= 0 && c < f.Classes {
					one := [1]float32{-logits[r*f.Classes+c]}
					f.one(p.set, focalGrad, &one)
					d[r*f.Classes+c] = -factor * w * f.AlphaPos * one[0]
				}
			}
		})
	})
}

// taskRows is the number of rows of a task: about 4 Ki logits.
func (f Focal) taskRows() int { return max(1, chunk/4/max(1, f.Classes)) }

func (f Focal) check(name string, logits, label, weight []float32) {
	need(name, "logits", logits, f.Rows*f.Classes)
	need(name, "label", label, f.Rows)
	need(name, "weight", weight, f.Rows)
}

// A SmoothL1 is the box loss of the paper on a table of Rows × Cols values: h(d) = d²/(2β)
// of differences |d| < β and |d|-β/2 elsewhere; β = 0 is |d|.
type SmoothL1 struct {
	Rows, Cols int
	Beta       float32
}

// Sum is Σ_rows weight·Σ_cols h(pred-target). pred and target are [Rows, Cols], weight
// is [Rows]; rows of weight 0 are left out.
func (s SmoothL1) Sum(p *Pool, pred, target, weight []float32) float64 {
	s.check("SmoothL1.Sum", pred, target, weight)
	b := float64(s.Beta)
	return sum(p, s.tasks(), func(task int) float64 {
		var sum float64
		for r := task * lossRows; r < min(s.Rows, (task+1)*lossRows); r++ {
			if weight[r] == 0 {
				continue
			}
			for i := r * s.Cols; i < (r+1)*s.Cols; i++ {
				d := math.Abs(float64(pred[i]) - float64(target[i]))
				if d < b {
					d = d * d / (2 * b)
				} else {
					d -= float64(b / 2)
				}
				sum += float64(float64(weight[r]) * d)
			}
		}
		return sum
	})
}

// Grad computes d = factor·weight·h'(pred-target), where h'(d) is d/β inside and the
// sign of d outside; at d = 0 it is 0 also for β = 0.
func (s SmoothL1) Grad(p *Pool, d, pred, target, weight []float32, factor float32) {
	s.check("SmoothL1.Grad", pred, target, weight)
	need("SmoothL1.Grad", "d", d, s.Rows*s.Cols)
	beta := s.Beta
	p.Run(s.tasks(), func(task int) {
		for r := task * lossRows; r < min(s.Rows, (task+1)*lossRows); r++ {
			w := weight[r] * factor
			if weight[r] == 0 {
				clear(d[r*s.Cols : (r+1)*s.Cols])
				continue
			}
			for i := r * s.Cols; i < (r+1)*s.Cols; i++ {
				e := pred[i] - target[i]
				switch {
				case e >= beta && e > 0:
					e = 1
				case e <= -beta && e < 0:
					e = -1
				case e != 0:
					e /= beta
				}
				d[i] = w * e
			}
		}
	})
}

// lossRows is the number of rows a task of smooth L1 takes.
const lossRows = 4096

func (s SmoothL1) tasks() int { return max(1, (s.Rows+lossRows-1)/lossRows) }

func (s SmoothL1) check(name string, pred, target, weight []float32) {
	need(name, "pred", pred, s.Rows*s.Cols)
	need(name, "target", target, s.Rows*s.Cols)
	need(name, "weight", weight, s.Rows)
}

// A SoftmaxCE is the mean over rows of -log softmax(logits)[label], on a table of logits
// [Rows, Classes]; label is [Rows] with values 0 … Classes-1.
type SoftmaxCE struct{ Rows, Classes int }

// Mean returns the loss.
func (c SoftmaxCE) Mean(p *Pool, logits, label []float32) float64 {
	c.check("SoftmaxCE.Mean", logits, label)
	return rowSum(p, c.Rows, c.last().taskRows(), func(r int) float64 {
		x := c.last().row(logits, r)
		return logSumExp(x) - float64(x[int(label[r])])
	}) / float64(c.Rows)
}

// Grad computes d = factor·(softmax(logits)-onehot(label))/Rows.
func (c SoftmaxCE) Grad(p *Pool, d, logits, label []float32, factor float32) {
	c.check("SoftmaxCE.Grad", logits, label)
	need("SoftmaxCE.Grad", "d", d, c.Rows*c.Classes)
	s := float64(factor) / float64(c.Rows)
	c.last().each(p, func(r int) {
		x := c.last().row(logits, r)
		l := logSumExp(x)
		for k, v := range x {
			q := portable.Exp(float64(v) - l)
			if k == int(label[r]) {
				q--
			}
			d[r*c.Classes+k] = float32(s * q)
		}
	})
}

func (c SoftmaxCE) last() Last { return Last{c.Rows, c.Classes} }

func (c SoftmaxCE) check(name string, logits, label []float32) {
	need(name, "logits", logits, c.Rows*c.Classes)
	need(name, "label", label, c.Rows)
}
