package benchmark

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"focalgrid/coco"
	"focalgrid/detector"
	"focalgrid/metrics"
)

// EvalCase is a generated pair of COCO files whose evaluation is measured. Its
// boxes are drawn from a fixed seed: every run writes the same files.
type EvalCase struct {
	Name       string
	Images     int
	Categories int
	Objects    int
	Detections int     // as many in every image, by falling score
	Tail       float64 // category k has a share of (k+1)^-Tail of all objects
}

// EvalCases are the cases of `runner bench eval`: the size of COCO's val2017, the
// same with as many categories as LVIS has, most of them rare, four times the first, and
// the first with all objects of one category.
var EvalCases = []EvalCase{
	{Name: "coco", Images: 5_000, Categories: 80, Objects: 36_500, Detections: 500_000, Tail: .8},
	{Name: "lvis", Images: 5_000, Categories: 1_203, Objects: 36_500, Detections: 500_000, Tail: 1.1},
	{Name: "large", Images: 20_000, Categories: 80, Objects: 146_000, Detections: 2_000_000, Tail: .8},
	{Name: "single", Images: 5_000, Categories: 1, Objects: 36_500, Detections: 500_000},
}

// Eval describes the measurement of an evaluation.
type Eval struct {
	Case    EvalCase
	Dir     string // where the files are written, and stay
	Rounds  int
	Threads int // 0: one a core
	Now     func() time.Time

	// Begin and Evaluated are called before and after the first round's reading
	// and evaluation, which are all that a user's evaluation does.
	Begin, Evaluated func()
}

// EvalMeasured holds the times of the rounds, in seconds.
type EvalMeasured struct {
	ReadTruth, ReadResults, Evaluate []float64
	// Match and Accumulate do again, one after the other for all classes, what
	// Evaluate does class by class.
	Match, Accumulate []float64

	TruthBytes, ResultsBytes int64 // of the files
}

// run generates the files and measures.
func (b Eval) run(ctx context.Context) (*EvalMeasured, error) {
	if b.Threads > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(b.Threads))
	}
	if err := b.Case.write(b.Dir); err != nil {
		return nil, err
	}
	m := &EvalMeasured{}
	gtPath, dtPath := b.Case.paths(b.Dir)
	for _, file := range []struct {
		path  string
		bytes *int64
	}{{gtPath, &m.TruthBytes}, {dtPath, &m.ResultsBytes}} {
		info, err := os.Stat(file.path)
		if err != nil {
			return nil, err
		}
		*file.bytes = info.Size()
	}
	opt := metrics.DefaultOptions()
	opt.Threads = b.Threads
	for round := range b.Rounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var gt *coco.Dataset
		var dt []coco.Detection
		var matches *metrics.Matches
		for _, phase := range []struct {
			seconds *[]float64
			work    func() error
		}{
			{&m.ReadTruth, func() (err error) { gt, err = coco.ReadDataset(gtPath); return err }},
			{&m.ReadResults, func() (err error) { dt, err = coco.ReadDetections(dtPath); return err }},
			{&m.Evaluate, func() error { _, err := metrics.Evaluate(gt, dt, opt); return err }},
			{&m.Match, func() (err error) { matches, err = metrics.Match(gt, dt, opt); return err }},
			{&m.Accumulate, func() error { matches.Result(); return nil }},
		} {
			if round == 0 && phase.seconds == &m.ReadTruth {
				b.Begin()
			}
			if round == 0 && phase.seconds == &m.Match {
				b.Evaluated()
			}
			start := b.Now()
			if err := phase.work(); err != nil {
				return nil, err
			}
			*phase.seconds = append(*phase.seconds, b.Now().Sub(start).Seconds())
		}
	}
	return m, nil
}

// paths returns the files under dir to which write writes the ground truth and the results.
func (c EvalCase) paths(dir string) (gt, dt string) {
	return filepath.Join(dir, c.Name+"-gt.json"), filepath.Join(dir, c.Name+"-dt.json")
}

// write generates the two files in dir.
func (c EvalCase) write(dir string) error {
	gt, dt := c.generate()
	gtPath, dtPath := c.paths(dir)
	if err := coco.WriteDataset(gtPath, gt); err != nil {
		return err
	}
	return coco.WriteDetections(dtPath, dt)
}

// generate draws ground truth and detections: each object is detected up to four
// times, ever worse, and an image's other detections are wrong and of low score.
func (c EvalCase) generate() (*coco.Dataset, []coco.Detection) {
	const width, height = 640, 480
	draw := detector.Drawer(0)
	shares := make([]float64, c.Categories) // cumulative
	sum := 0.0
	for k := range shares {
		sum += math.Pow(float64(k+1), -c.Tail)
		shares[k] = sum
	}
	category := func(r *rand.Rand) int64 {
		k, _ := slices.BinarySearch(shares, r.Float64()*sum)
		return int64(min(k, c.Categories-1) + 1)
	}
	hundredths := func(x float64) float64 { return math.Round(100*x) / 100 }
	side := func(r *rand.Rand) float64 { return 8 * math.Exp(r.Float64()*math.Log(40)) } // 8 to 320 pixels

	gt := &coco.Dataset{}
	for k := range c.Categories {
		gt.Categories = append(gt.Categories, coco.Category{ID: int64(k + 1), Name: fmt.Sprintf("class %d", k+1)})
	}
	var dt []coco.Detection
	for i, n := range draw("bench eval images", 0).Perm(c.Images) {
		id := int64(7*n + 139)
		gt.Images = append(gt.Images, coco.Image{ID: id, FileName: fmt.Sprintf("%012d.jpg", id), Width: width, Height: height})
		r := draw("bench eval", uint64(i))
		first := len(dt)
		last := (i + 1) * (c.Detections / c.Images)
		detect := func(category int64, box [4]float64, score float64) {
			if len(dt) < last {
				dt = append(dt, coco.Detection{ImageID: id, CategoryID: category, BBox: box, Score: score})
			}
		}
		kind := category(r)
		for len(gt.Annotations) < (i+1)*c.Objects/c.Images {
			if r.Float64() < .5 { // neighbours are often of one kind
				kind = category(r)
			}
			w, h := side(r), side(r)
			box := [4]float64{hundredths(r.Float64() * (width - w)), hundredths(r.Float64() * (height - h)), hundredths(w), hundredths(h)}
			gt.Annotations = append(gt.Annotations, coco.Annotation{
				ID: int64(len(gt.Annotations) + 1), ImageID: id, CategoryID: kind, BBox: box,
				Area: w * h * (.4 + .6*r.Float64()), IsCrowd: r.Float64() < .01,
			})
			for try := range r.IntN(5) {
				near := box
				for j := range near {
					near[j] = hundredths(near[j] + .08*float64(try+1)*box[2+j%2]*r.NormFloat64())
				}
				near[2], near[3] = max(near[2], 1), max(near[3], 1)
				detect(kind, near, math.Pow(r.Float64(), .5+.7*float64(try)))
			}
		}
		for len(dt) < last {
			w, h := side(r), side(r)
			detect(category(r), [4]float64{hundredths(r.Float64() * (width - w)), hundredths(r.Float64() * (height - h)), hundredths(w), hundredths(h)}, .5*math.Pow(r.Float64(), 4))
		}
		slices.SortStableFunc(dt[first:], func(a, b coco.Detection) int {
			switch {
			case a.Score > b.Score:
				return -1
			case a.Score < b.Score:
				return 1
			}
			return 0
		})
	}
	return gt, dt
}
