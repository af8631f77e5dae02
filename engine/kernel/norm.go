package kernel

import "math"

// InvStd writes 1/√(variance+eps) for each element.
func InvStd(dst, variance []float32, eps float32) {
	for i, v := range variance {
		dst[i] = float32(1 / math.Sqrt(float64(v)+float64(eps)))
	}
}

// BatchNormStats computes the mean and the biased variance of each channel of
// x (shape s) over batch and pixels. mean and variance are [C].
//
// A channel is taken in pieces of a map; each piece's mean and squared distance
// from it come from two passes, and pieces are joined in float64 (Chan, Golub
// and LeVeque 1979), so that a mean far from zero costs no precision.
func BatchNormStats(p *Pool, mean, variance, x []float32, s Shape) {
	need("BatchNormStats", "mean", mean, s.C)
	need("BatchNormStats", "variance", variance, s.C)
	need("BatchNormStats", "x", x, s.Len())
	span(p, s.C, s.Len(), func(from, to int) { batchStats(p.set, mean[from:to], variance[from:to], x, from, s) })
}

// batchStats is BatchNormStats for the channels from first on.
func batchStats(set set, mean, variance, x []float32, first int, s Shape) {
	hw := s.Area()
	for i := range mean {
		var count, m, sq float64
		for n := range s.N {
			end := (n*s.C + first + i + 1) * hw
			for at := end - hw; at < end; at += piece {
				v := x[at:min(at+piece, end)]
				k := float64(len(v))
				a, _ := moments(set, v, 0)
				near := float32(a / k)
				d, e := moments(set, v, near)
				d /= k
				delta := float64(near) + d - m
				total := count + k
				sq += e - float64(d*d*k) + delta*delta*count*k/total
				m += delta * k / total
				count = total
			}
		}
		mean[i], variance[i] = float32(m), float32(max(sq, 0)/count)
	}
}

// piece is the longest run of pixels summed in float32.
const piece = 4096

// span runs f over [0, n), cut so that a task gets about a chunk of elements.
func span(p *Pool, n, elements int, f func(from, to int)) {
	tasks := max(1, min(n, (elements+chunk-1)/chunk))
	p.Run(tasks, func(task int) { f(task*n/tasks, (task+1)*n/tasks) })
}

// span adds what the function span runs.
func (j *jobs) span(n, elements int, f func(from, to int)) {
	tasks := max(1, min(n, (elements+chunk-1)/chunk))
	j.add(tasks, func(task int) { f(task*n/tasks, (task+1)*n/tasks) })
}

// productSums is Σ dy and Σ dy·(x-m) over two maps.
func productSums(set set, dy, x []float32, m float32) (a, b float64) {
	for i := 0; i < len(dy); i += piece {
		j := min(i+piece, len(dy))
		u, v := products(set, dy[i:j], x[i:j], m)
		a += u
		b += v
	}
	return a, b
}

// RunningUpdate moves running statistics towards those of a batch, as PyTorch
// does: mean += momentum·(batchMean-mean), and the variance likewise with the
// unbiased batch variance batchVar·count/(count-1), count = N·H·W. A count of 1
// has no unbiased variance; the biased one is then taken.
func RunningUpdate(mean, variance, batchMean, batchVar []float32, momentum float32, count int) {
	unbias := 1.0
	if count > 1 {
		unbias = float64(count) / float64(count-1)
	}
	for i := range mean {
		mean[i] = float32((1-momentum)*mean[i]) + float32(momentum*batchMean[i])
		variance[i] = float32((1-momentum)*variance[i]) + float32(momentum*float32(float64(batchVar[i])*unbias))
	}
}

// BatchNormApply computes y = (x-mean)·invstd·weight + bias [+ residual], and
// then max(y, 0) with relu. x, y and residual (nil: none) have shape s, the
// other four are [C]. y may be x.
func BatchNormApply(p *Pool, y, x, mean, invstd, weight, bias, residual []float32, relu bool, s Shape) {
	need("BatchNormApply", "mean", mean, s.C)
	need("BatchNormApply", "invstd", invstd, s.C)
	need("BatchNormApply", "weight", weight, s.C)
	need("BatchNormApply", "bias", bias, s.C)
	normApply(p, "BatchNormApply", y, x, residual, relu, s, func(_, c int) (m, a, b float32) {
		return mean[c], invstd[c] * weight[c], bias[c]
	})
}

// AffineGrad computes dx = dy·scale[c], the gradient to x of BatchNormApply with
// frozen or running statistics, scale being invstd·weight. dx may be dy.
func AffineGrad(p *Pool, dx, dy, scale []float32, s Shape) {
	need("AffineGrad", "scale", scale, s.C)
	normApply(p, "AffineGrad", dx, dy, nil, false, s, func(_, c int) (m, a, b float32) {
		return 0, scale[c], 0
	})
}

// normApply computes y = (x-m)·a + b [+ residual] [relu] for every map.
func normApply(p *Pool, name string, y, x, residual []float32, relu bool, s Shape, f func(n, c int) (m, a, b float32)) {
	var j jobs
	j.norm(p.set, name, y, x, residual, relu, s, f)
	j.run(p)
}

// norm adds what normApply runs.
func (j *jobs) norm(set set, name string, y, x, residual []float32, relu bool, s Shape, f func(n, c int) (m, a, b float32)) {
	need(name, "y", y, s.Len())
	need(name, "x", x, s.Len())
	if residual != nil {
		need(name, "residual", residual, s.Len())
	}
	floor := float32(math.Inf(-1))
	if relu {
		floor = 0
	}
	hw := s.Area()
	j.span(s.N*s.C, s.Len(), func(from, to int) {
		for t := from; t < to; t++ {
			m, a, b := f(t/s.C, t%s.C)
			u, v := y[t*hw:(t+1)*hw], x[t*hw:(t+1)*hw]
			if residual != nil {
				affineAdd(set, u, v, residual[t*hw:(t+1)*hw], m, a, b, floor)
			} else {
				affine(set, u, v, m, a, b, floor)
			}
		}
	})
}

// BatchNormGradSums computes, for each channel, sumDy = Σ dy (the gradient to
// bias) and sumDyXhat = Σ dy·(x-mean)·invstd (the gradient to weight). Both are
// [C]; dy and x have shape s. The same sums serve running statistics.
func BatchNormGradSums(p *Pool, sumDy, sumDyXhat, dy, x, mean, invstd []float32, s Shape) {
	need("BatchNormGradSums", "sumDy", sumDy, s.C)
	need("BatchNormGradSums", "sumDyXhat", sumDyXhat, s.C)
	need("BatchNormGradSums", "dy", dy, s.Len())
	need("BatchNormGradSums", "x", x, s.Len())
	hw := s.Area()
	span(p, s.C, s.Len(), func(from, to int) {
		for c := from; c < to; c++ {
			var a, b float64
			for n := range s.N {
				i := (n*s.C + c) * hw
				u, v := productSums(p.set, dy[i:i+hw], x[i:i+hw], mean[c])
				a += u
				b += v
			}
			sumDy[c], sumDyXhat[c] = float32(a), float32(b*float64(invstd[c]))
		}
	})
}

// BatchNormGradInput computes the gradient to x of batch norm in training:
//
//	dx = weight·invstd·(dy - sumDy/M - x̂·sumDyXhat/M), x̂ = (x-mean)·invstd, M = N·H·W
//
// with the sums of BatchNormGradSums. dx may be dy.
func BatchNormGradInput(p *Pool, dx, dy, x, mean, invstd, weight, sumDy, sumDyXhat []float32, s Shape) {
	need("BatchNormGradInput", "dx", dx, s.Len())
	need("BatchNormGradInput", "dy", dy, s.Len())
	need("BatchNormGradInput", "x", x, s.Len())
	hw := s.Area()
	m := 1 / float64(s.N*hw)
	span(p, s.N*s.C, s.Len(), func(from, to int) {
		for t := from; t < to; t++ {
			c := t % s.C
			a := weight[c] * invstd[c]
			b := -a * float32(float64(sumDyXhat[c])*float64(invstd[c])*m)
			k := -a * float32(float64(sumDy[c])*m)
			normGrad(p.set, dx[t*hw:(t+1)*hw], dy[t*hw:(t+1)*hw], x[t*hw:(t+1)*hw], mean[c], a, b, k)
		}
	})
}

// GroupNormStats computes the mean and the biased variance over the C/groups
// channels and all pixels of each group of each image. mean and variance are
// [N·groups] for each level, x has the tensors of the levels one after the other;
// groups divides C.
func GroupNormStats(p *Pool, mean, variance, x []float32, groups int, levels ...Shape) {
	var j jobs
	at, first := 0, 0
	for _, s := range levels {
		n := s.N * groups
		flat := Shape{1, n, s.C / groups, s.Area()}
		from, v := at, x[first:first+s.Len()]
		j.span(n, s.Len(), func(i, k int) {
			batchStats(p.set, mean[from+i:from+k], variance[from+i:from+k], v, i, flat)
		})
		at, first = at+n, first+s.Len()
	}
	j.run(p)
}

// GroupNormApply computes y = (x-mean)·invstd·weight + bias, then max(y, 0) with
// relu. mean and invstd are [N·groups] for each level, weight and bias [C]; x and y
// have the tensors of the levels one after the other.
func GroupNormApply(p *Pool, y, x, mean, invstd, weight, bias []float32, relu bool, groups int, levels ...Shape) {
	need("GroupNormApply", "mean", mean, groupsOf(groups, levels))
	need("GroupNormApply", "invstd", invstd, groupsOf(groups, levels))
	need("GroupNormApply", "weight", weight, levels[0].C)
	need("GroupNormApply", "bias", bias, levels[0].C)
	per := levels[0].C / groups
	var j jobs
	at, first := 0, 0
	for _, s := range levels {
		m, is := mean[at:], invstd[at:]
		j.norm(p.set, "GroupNormApply", y[first:], x[first:], nil, relu, s, func(n, c int) (float32, float32, float32) {
			g := n*groups + c/per
			return m[g], is[g] * weight[c], bias[c]
		})
		at, first = at+s.N*groups, first+s.Len()
	}
	j.run(p)
}

// groupsOf is the number of groups of all images and levels.
func groupsOf(groups int, levels []Shape) int {
	n := 0
	for _, s := range levels {
		n += s.N * groups
	}
	return n
}

// GroupNormGrad computes all gradients of group norm for a given gradient dy:
//
//	dbias[c] = Σ_n Σ_pixels dy, dweight[c] = Σ_n Σ_pixels dy·x̂
//	dx = invstd·(g - mean(g) - x̂·mean(g·x̂)), g = dy·weight, means over a group of an image
//
// dweight and dbias are [C] and summed over the levels, whose tensors lie one after
// the other; mean and invstd are those of GroupNormStats and InvStd, [N·groups] for
// each level. dx may be dy.
func GroupNormGrad(p *Pool, dx, dweight, dbias, dy, x, mean, invstd, weight []float32, groups int, levels ...Shape) {
	channels, total := levels[0].C, 0
	for _, s := range levels {
		total += s.Len()
	}
	need("GroupNormGrad", "dx", dx, total)
	need("GroupNormGrad", "dy", dy, total)
	need("GroupNormGrad", "x", x, total)
	need("GroupNormGrad", "mean", mean, groupsOf(groups, levels))
	need("GroupNormGrad", "invstd", invstd, groupsOf(groups, levels))
	need("GroupNormGrad", "weight", weight, channels)
	need("GroupNormGrad", "dweight", dweight, channels)
	need("GroupNormGrad", "dbias", dbias, channels)
	per := channels / groups
	maps := groupsOf(per*groups, levels)
	sums := p.wide.take(2 * maps)
	var j jobs
	at, first := 0, 0 // group, element
	for _, s := range levels {
		hw := s.Area()
		mean, invstd, sums := mean[at:], invstd[at:], sums[2*per*at:]
		dx, dy, x := dx[first:], dy[first:], x[first:]
		j.span(s.N*groups, s.Len(), func(from, to int) {
			for t := from; t < to; t++ {
				m, inv := mean[t], float64(invstd[t])
				var a, b float64
				for c := t * per; c < (t+1)*per; c++ {
					u, v := productSums(p.set, dy[c*hw:(c+1)*hw], x[c*hw:(c+1)*hw], m)
					v *= inv
					sums[2*c], sums[2*c+1] = u, v
					a += float64(u * float64(weight[c%channels]))
					b += float64(v * float64(weight[c%channels]))
				}
				count := float64(per * hw)
				slope, shift := float32(-b/count*inv*inv), float32(-a/count*inv)
				for c := t * per; c < (t+1)*per; c++ {
					normGrad(p.set, dx[c*hw:(c+1)*hw], dy[c*hw:(c+1)*hw], x[c*hw:(c+1)*hw], m, weight[c%channels]*invstd[t], slope, shift)
				}
			}
		})
		at, first = at+s.N*groups, first+s.Len()
	}
	j.run(p)
	for c := range channels {
		var a, b float64
		for i := c; i < maps; i += channels {
			a += sums[2*i]
			b += sums[2*i+1]
		}
		dbias[c], dweight[c] = float32(a), float32(b)
	}
	p.wide.give(sums)
}
