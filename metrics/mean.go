package metrics

import "math"

// mean returns the mean of the values with the bits of numpy's mean, or NaN if there are none.
func (s Summation) mean(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return s.sum(values) / float64(len(values))
}

// sum adds v in the order s.
func (s Summation) sum(v []float64) float64 {
	if s == SumWhole {
		return pairwise(v)
	}
	const buffer = 8192 // values; numpy's default
	total := 0.0
	for len(v) > buffer {
		total += pairwise(v[:buffer])
		v = v[buffer:]
	}
	return total + pairwise(v)
}

// pairwise adds v as numpy does: halves (the first a multiple of 8 long) down
// to runs of at most 128 values, and these in eight interleaved partial sums.
func pairwise(v []float64) float64 {
	n := len(v)
	if n < 8 {
		sum := 0.0
		for _, x := range v {
			sum += x
		}
		return sum
	}
	if n <= 128 {
		r := [8]float64(v)
		i := 8
		for ; i+8 <= n; i += 8 {
			for j := range r {
				r[j] += v[i+j]
			}
		}
		sum := ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
		for ; i < n; i++ {
			sum += v[i]
		}
		return sum
	}
	half := n / 2
	half -= half % 8
	return pairwise(v[:half]) + pairwise(v[half:])
}
