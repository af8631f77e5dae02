package kernel

import (
	"math"

	"focalgrid/portable"
)

// SoftmaxCE is the mean over rows of -log softmax(logits)[label]. logits is
// [rows, classes], label is [rows] with values 0 … classes-1.
func SoftmaxCE(logits, label []float32, rows, classes int) float64 {
	need("SoftmaxCE", "logits", logits, rows*classes)
	need("SoftmaxCE", "label", label, rows)
	var sum float64
	for r := range rows {
		x := logits[r*classes : (r+1)*classes]
		sum += logSumExp(x) - float64(x[int(label[r])])
	}
	return sum / float64(rows)
}

// SoftmaxCEGrad computes d = scale·(softmax(logits)-onehot(label))/rows.
func SoftmaxCEGrad(d, logits, label []float32, scale float32, rows, classes int) {
	need("SoftmaxCEGrad", "d", d, rows*classes)
	need("SoftmaxCEGrad", "logits", logits, rows*classes)
	need("SoftmaxCEGrad", "label", label, rows)
	s := float64(scale) / float64(rows)
	for r := range rows {
		x := logits[r*classes : (r+1)*classes]
		l := logSumExp(x)
		for k, v := range x {
			p := portable.Exp(float64(v) - l)
			if k == int(label[r]) {
				p--
			}
			d[r*classes+k] = float32(s * p)
		}
	}
}

func logSumExp(x []float32) float64 {
	m := math.Inf(-1)
	for _, v := range x {
		m = max(m, float64(v))
	}
	var s float64
	for _, v := range x {
		s += portable.Exp(float64(v) - m)
	}
	return m + portable.Log(s)
}
