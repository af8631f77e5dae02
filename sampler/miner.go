package sampler

import (
	"cmp"
	"math"
	"slices"

	"focalgrid/box"
	"focalgrid/portable"
)

// Miner decides by predictions which priors of a batch count.
type Miner interface {
	// mine narrows scratch.selected and scratch.boxed, which come as "all but
	// the ignored" and "all positives", and may change what the normaliser
	// counts.
	mine(s *Sampler, m Matched, p box.Predicted)
	// readsLogits reports whether the loss of each prior is not enough.
	readsLogits() bool
}

// miners names every way to choose examples. To add one, write a file and add a line.
var miners = map[string]kind[Miner]{
	"all":  {},
	"ssd":  {ssdParams, newSSD},
	"ohem": {ohemParams, newOHEM},
}

// scratch is a Sampler's memory between steps.
type scratch struct {
	selected, boxed      []bool    // [N·A], whether class and box are learnt
	classCount, boxCount []float64 // [N], what the normalisers count
	counts               []counts  // [N]

	group, pool []example
	boxes       [][4]float32 // [A]
	labels      []int32      // [A]
	order, keep []int
}

// example is a prior of the batch with its loss.
type example struct {
	loss float64
	at   int // image·A + prior
}

// byHardness orders by falling loss, equal losses by index; NaN comes last.
func byHardness(x, y example) int {
	return cmp.Or(cmp.Compare(y.loss, x.loss), cmp.Compare(x.at, y.at))
}

// hardest brings the k hardest examples to the front, sorted, and returns
// them; the rest is in any order. It selects before it sorts, since k is
// mostly a small part of e.
func hardest(e []example, k int) []example {
	k = min(k, len(e))
	for lo, hi := 0, len(e); k > lo && k < hi; {
		pivot := e[lo+(hi-lo)/2]
		i, j := lo, hi-1
		for i <= j {
			for byHardness(e[i], pivot) < 0 {
				i++
			}
			for byHardness(e[j], pivot) > 0 {
				j--
			}
			if i <= j {
				e[i], e[j] = e[j], e[i]
				i++
				j--
			}
		}
		switch { // e[lo:j+1] <= pivot <= e[i:hi], and what is between equals it
		case k <= j+1:
			hi = j + 1
		case k >= i:
			lo = i
		default:
			lo, hi = k, k
		}
	}
	slices.SortFunc(e[:k], byHardness)
	return e[:k]
}

// hardness is the cross entropy of a prior of the batch: what stands under "loss", or else is computed of the logits.
func (s *Sampler) hardness(p box.Predicted, at int, label int32) float64 {
	if loss := p["loss"]; loss != nil {
		return float64(loss[at])
	}
	return crossEntropy(p["class"][at*s.classes:(at+1)*s.classes], float32(label))
}

// crossEntropy is Σ_k log(1+exp(±x_k)) over the classes' logits, the plain
// cross entropy of K sigmoids; label is the class, or negative for background.
//
// It takes one logarithm for many classes: the log of a product of 1+exp(-|x|),
// each factor at most 2, so 512 of them stay finite.
func crossEntropy(logits []float32, label float32) float64 {
	sum, product, target := 0.0, 1.0, int(label)
	for k, v := range logits {
		x := float64(v)
		if k == target {
			x = -x
		}
		sum += max(x, 0)
		product *= 1 + portable.Exp(-math.Abs(x))
		if k%512 == 511 {
			sum += portable.Log(product)
			product = 1
		}
	}
	return sum + portable.Log(product)
}
