package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// within fails if a share of studies is not what chance makes of the wanted one: more than four
// standard deviations away from it, of the binomial distribution.
func within(t *testing.T, what string, times, studies int, want float64) {
	t.Helper()
	share, deviation := float64(times)/float64(studies), math.Sqrt(want*(1-want)/float64(studies))
	t.Logf("%s: %.2f %% of %d studies, want %.2f ± %.2f", what, 100*share, studies, 100*want, 400*deviation)
	if math.Abs(share-want) > 4*deviation {
		t.Errorf("%s in %.2f %% of %d studies, want %.2f ± %.2f", what, 100*share, studies, 100*want, 400*deviation)
	}
}

// draws are the distributions of a run's value, around 0: what is claimed holds for AP, which is none
// of them.
var draws = map[string]func(*rand.Rand) float64{
	"normal":  func(r *rand.Rand) float64 { return r.NormFloat64() },
	"uniform": func(r *rand.Rand) float64 { return r.Float64() - .5 },
}

// study makes n runs, whose values share the shift of their seed.
func study(rng *rand.Rand, n int, seeds []float64, draw func(*rand.Rand) float64) []Value {
	out := make([]Value, n)
	for i := range out {
		out[i] = Value{Seed: uint64(i), Value: seeds[i] + draw(rng)}
	}
	return out
}

// TestFalsePositives: where two sides do not differ, the exact test separates them as often as its level
// says, which is the largest multiple of 2/2^n below .05, and Holm's family has any false verdict no more often.
func TestFalsePositives(t *testing.T) {
	const studies = 6_000
	for name, draw := range draws {
		for _, n := range []int{5, 6, 10, 20, maxExact + 1} {
			rng := rand.New(rand.NewPCG(uint64(n), 31))
			separated := 0
			seeds := make([]float64, n)
			for range studies {
				for i := range seeds {
					seeds[i] = 3 * rng.NormFloat64()
				}
				if Paired(study(rng, n, seeds, draw), study(rng, n, seeds, draw)).Separated() {
					separated++
				}
			}
			within(t, name+": two sides that do not differ are separated", separated, studies, attained(n, 1))
		}
	}
	// Six rows against one baseline, as in a table. Their differences are not independent, so that Holm promises
	// no more than a bound; but a family that is never wrong would be judged too strictly.
	rng := rand.New(rand.NewPCG(41, 42))
	falsely := 0
	seeds := make([]float64, 10)
	for range studies {
		baseline := study(rng, 10, seeds, draws["normal"])
		var family []*Difference
		for range 6 {
			d := Paired(baseline, study(rng, 10, seeds, draws["normal"]))
			family = append(family, &d)
		}
		Adjust(family...)
		for _, d := range family {
			if d.Separated() {
				falsely++
				break
			}
		}
	}
	share := float64(falsely) / studies
	t.Logf("six comparisons: any false verdict in %.2f %%", 100*share)
	if share > Alpha || share < Alpha/3 {
		t.Errorf("of six comparisons any is separated falsely in %.2f %% of studies", 100*share)
	}
}

// TestCoverage: the t intervals hold the true value in 95 % of studies: of a mean, of a difference by
// pairs, and of a difference without pairs, which is a little wider than that for three runs a side.
func TestCoverage(t *testing.T) {
	const studies = 6_000
	holds := func(e Estimate, truth float64) int {
		if e.Low <= truth && truth <= e.High {
			return 1
		}
		return 0
	}
	for _, n := range []int{2, 3, 10} {
		rng := rand.New(rand.NewPCG(uint64(n), 51))
		var mean, paired, welch int
		for range studies {
			seeds := make([]float64, 2*n)
			for i := range seeds {
				seeds[i] = rng.NormFloat64()
			}
			a, b := study(rng, n, seeds, draws["normal"]), study(rng, n, seeds, draws["normal"])
			var of []float64
			for i := range b {
				b[i].Value += 5
				of = append(of, b[i].Value)
			}
			mean += holds(Mean(of), 5)
			paired += holds(Paired(a, b).Estimate, 5)
			other := study(rng, n, seeds[n:], draws["normal"])
			for i := range other {
				other[i].Seed += uint64(n)
				other[i].Value += 5
			}
			welch += holds(Paired(a, other).Estimate, 5)
		}
		within(t, "the interval of a mean holds it", mean, studies, Confidence)
		within(t, "the interval of a paired difference holds it", paired, studies, Confidence)
		if n >= 10 {
			within(t, "Welch's interval holds the difference", welch, studies, Confidence)
		} else if float64(welch) < Confidence*studies {
			t.Errorf("Welch's interval of %d runs a side holds the difference in %d of %d studies", n, welch, studies)
		}
	}
}

// TestTwoLevelCoverage: the interval over seeds and images holds the difference of all seeds on all images in 95 % of
// studies, whichever of the two it varies with; in more where there are two or three seeds, and where it varies with
// the two together: resamples of seeds, of images and of both at once each have the variance of that part (Owen 2007).
func TestTwoLevelCoverage(t *testing.T) {
	const studies, images, resamples, truth = 1000, 60, 200, 5
	for _, tt := range []struct {
		name               string
		n                  int
		seed, image, cross float64 // standard deviations
		wider              bool
	}{
		{"seeds alone", 10, 1, 0, 0, false},
		{"images alone", 10, 0, 1, 0, false},
		{"both", 10, 1, 3, 0, false},
		{"both, five seeds", 5, 1, 3, 0, false},
		{"both, three seeds", 3, 1, 4, 0, true},
		{"both, two seeds", 2, 1, 4, 0, true},
		{"both, and the two together", 10, 1, 3, 3, false},
		{"the two together", 10, 0, 0, 1, true},
	} {
		rng := rand.New(rand.NewPCG(uint64(tt.n), 61))
		held := 0
		for number := range studies {
			var d [][]float64 // by seed and image
			shift := make([]float64, images)
			for j := range shift {
				shift[j] = tt.image * rng.NormFloat64()
			}
			var a, b []Value
			for i := range tt.n {
				row, seed := make([]float64, images), tt.seed*rng.NormFloat64()
				for j := range row {
					row[j] = truth + seed + shift[j] + tt.cross*rng.NormFloat64()
				}
				d = append(d, row)
				a, b = append(a, Value{Seed: uint64(i)}), append(b, Value{Seed: uint64(i), Value: mean(row)})
			}
			resampled := make([]float64, resamples)
			seeds, times := make([]int32, tt.n), make([]int32, images)
			for r := range resampled {
				Draw(seeds, SeedDraws(tt.n), uint64(number), uint64(r), Seeds)
				Draw(times, images, uint64(number), uint64(r), Images)
				sum := 0.0
				for i, n := range seeds {
					if n == 0 {
						continue
					}
					row := 0.0
					for j, m := range times {
						row += float64(m) * d[i][j]
					}
					sum += float64(n) * row
				}
				resampled[r] = sum / float64(SeedDraws(tt.n)*images)
			}
			two := SeedsAndImages(Paired(a, b), resampled, images)
			if two.Low <= truth && truth <= two.High {
				held++
			}
		}
		if tt.wider {
			t.Logf("%s: %.2f %%", tt.name, 100*float64(held)/studies)
			if short := Confidence - float64(held)/studies; short > 4*math.Sqrt(Confidence*(1-Confidence)/studies) {
				t.Errorf("%s: the interval holds the difference in %d of %d studies, want at least 95 %%", tt.name, held, studies)
			}
			continue
		}
		within(t, tt.name+": the interval holds the difference", held, studies, Confidence)
	}
}

// TestBootstrapCoverage: the interval over images alone holds the mean of all images in 95 % of studies.
func TestBootstrapCoverage(t *testing.T) {
	const studies, images, resamples = 1000, 100, 800
	rng := rand.New(rand.NewPCG(71, 72))
	held := 0
	for number := range studies {
		values := make([]float64, images)
		for i := range values {
			values[i] = rng.NormFloat64()
		}
		resampled, times := make([]float64, resamples), make([]int32, images)
		for r := range resampled {
			Draw(times, images, uint64(number), uint64(r), Images)
			for i, n := range times {
				resampled[r] += float64(n) * values[i] / images
			}
		}
		if i := Bootstrap(resampled); i.Low <= 0 && 0 <= i.High {
			held++
		}
	}
	within(t, "the interval over images holds the mean", held, studies, Confidence)
}
