package stats

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"

	"focalgrid/nullable"
)

// Interval is the range of a figure over resamples of the data that it was measured on. It shows
// the chance in that choice alone: not the chance in training, for which there are seeds.
type Interval struct {
	// Low and High enclose the middle 95 % of the figures (the percentile bootstrap of
	// Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979). NaN without any.
	Low, High float64
	// StdErr is the standard deviation of the figures; NaN for fewer than two.
	StdErr float64
	// Resamples counts the resamples in which the figure is defined.
	Resamples int
}

// Bootstrap returns the interval of the figure in each resample; NaN where a resample has
// none.
func Bootstrap(resampled []float64) Interval {
	sorted := defined(resampled)
	slices.Sort(sorted)
	return Interval{quantile(sorted, .025), quantile(sorted, .975), deviation(sorted), len(sorted)}
}

// quantile returns a quantile of ascending values, linear between two; NaN of none.
func quantile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := float64(p * float64(len(sorted)-1))
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + float64((at-float64(i))*(sorted[i+1]-sorted[i]))
}

// Level is what a resample draws.
type Level uint64

// The levels of a resample. Runs that are paired by seed are drawn as pairs, by Seeds.
const (
	Images Level = iota
	Seeds
	SeedsOfB
)

// Draw sets times[i] to how often thing i is in so many draws with replacement. They depend only on
// the seed, the number of the resample, the level and len(times), which is at least 1.
func Draw(times []int32, draws int, seed, resample uint64, level Level) {
	clear(times)
	rng := rand.New(rand.NewPCG(seed+uint64(level)*0xd1342543de82ef95, resample*0x9e3779b97f4a7c15))
	for range draws {
		times[rng.IntN(len(times))]++
	}
}

// SeedDraws returns how many of n runs a resample draws: one less than there are. The mean of n
// draws would vary less than the mean of n new runs does, by the factor (n-1)/n; with n-1 draws it varies
// as much (Rao and Wu, "Resampling Inference with Complex Survey Data", 1988). A single run is always drawn.
func SeedDraws(n int) int { return max(n-1, 1) }

// TwoLevel is a difference in a figure that is measured on images, such as AP, with the chance in both
// the seeds and the images: where the difference of other seeds on other images would lie.
type TwoLevel struct {
	Mean float64 // B - A, on the images as they are
	// Low and High are Mean ± t StdErr, an interval of 95 %. t has Satterthwaite's degrees of freedom for
	// the two parts of the variance. The interval is never narrower than the interval over seeds alone, as few seeds
	// may agree by chance.
	Low, High float64
	// StdErr is the standard deviation of the difference over resamples of seeds and of images; at
	// least the standard error over seeds.
	StdErr    float64
	N         int // pairs of runs, 0 if the runs are not paired
	Images    int
	Resamples int // in which the difference is defined
	Caveats   []Caveat
}

// SeedsAndImages summarises the differences in each resample; d is the difference in the figure on the images as they
// are. In each resample, SeedDraws of the pairs and then all images are drawn with replacement (the
// bootstrap of rows and columns: Owen, "The Pigeonhole Bootstrap", 2007). All runs see the images of one draw,
// as all were scored on one set: an image that is hard for one run is hard for the others, and what
// that does to the mean does not shrink with more seeds.
func SeedsAndImages(d Difference, resampled []float64, images int) TwoLevel {
	values := defined(resampled)
	two := TwoLevel{Mean: d.Mean, N: d.N, Images: images, Resamples: len(values), Caveats: slices.Clone(d.Caveats)}
	var seeds []component
	seedVariance := 0.0
	for _, p := range d.parts {
		if p.degrees >= 1 {
			seeds = append(seeds, p)
			seedVariance += p.variance
		}
	}
	if len(seeds) < len(d.parts) {
		two.Caveats = append(two.Caveats, Caveat{Kind: SeedsFixed})
	}
	variance := deviation(values)
	variance *= variance
	rest := component{max(variance-seedVariance, 0), float64(max(images-1, 1))}
	two.StdErr = math.Sqrt(seedVariance + rest.variance)
	half := max(halfWidth(append(seeds, rest)), halfWidth(seeds))
	two.Low, two.High = two.Mean-half, two.Mean+half
	return two
}

// MarshalJSON writes null for what is not defined.
func (t TwoLevel) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Mean      nullable.Float `json:"mean"`
		Low       nullable.Float `json:"low"`
		High      nullable.Float `json:"high"`
		StdErr    nullable.Float `json:"std_err"`
		N         int            `json:"n"`
		Images    int            `json:"images"`
		Resamples int            `json:"resamples"`
		Caveats   []Caveat       `json:"caveats,omitempty"`
	}{
		nullable.Float(t.Mean), nullable.Float(t.Low), nullable.Float(t.High), nullable.Float(t.StdErr), t.N, t.Images, t.Resamples, t.Caveats,
	})
}
