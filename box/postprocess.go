package box

import (
	"cmp"
	"fmt"
	"slices"

	"focalgrid/portable"
	"focalgrid/setting"
)

// Detection is one object found. Score is the class probability, Label the
// class 0..K-1, Box lies in pixels of the network's input.
type Detection struct {
	Box   [4]float32
	Score float32
	Label int32
}

// Params are the settings of Postprocess.
var Params = []setting.Param{
	{Name: "low_score", Kind: setting.Number, Max: 1, Below: true, Doc: "a class of an anchor is a detection above this probability"},
	{Name: "topk", Kind: setting.Int, Min: 1, Max: 1_000_000, Doc: "most candidates of a pyramid level"},
	{Name: "nms", Kind: setting.Number, Max: 1, Doc: "IoU above which the lower score goes, within a class"},
	{Name: "max_dets", Kind: setting.Int, Min: 1, Max: 10_000, Doc: "most detections of an image"},
}

// Post holds the settings of Postprocess.
type Post struct {
	Score         float64 // low_score
	TopK          int
	NMS           float64
	MaxDetections int
}

// NewPost makes the Post of the settings.
func NewPost(v setting.Values) Post {
	return Post{Score: v.Number("low_score"), TopK: v.Int("topk"), NMS: v.Number("nms"), MaxDetections: v.Int("max_dets")}
}

// Postprocess turns one image's head outputs into detections by falling score:
// on each pyramid level the best TopK (prior, class) pairs above Score are
// kept, decoded by c and clipped to the image (width × height pixels, without
// padding); the levels' candidates pass NMS within each class; the best
// MaxDetections remain.
//
// It reads the predictions class [A,K] and box [A,c.Values()]. Equal scores keep the order of
// level, prior, class. A logit that is NaN is never above Score.
func Postprocess(predicted Predicted, priors Priors, c Coder[float32], width, height int, p Post) ([]Detection, error) {
	logits, values := predicted["class"], predicted["box"]
	a, size := len(priors.Boxes), c.Values()
	if a == 0 || len(logits)%a != 0 || len(logits) == 0 || len(values) != size*a {
		return nil, fmt.Errorf("%d logits and %d box values for %d priors; want K and %d for a prior", len(logits), len(values), a, size)
	}
	total := 0
	for _, n := range priors.Levels {
		total += n
		if n < 0 {
			return nil, fmt.Errorf("levels %v: a count is below 0", priors.Levels)
		}
	}
	if total != a {
		return nil, fmt.Errorf("levels %v hold %d priors, got %d", priors.Levels, total, a)
	}
	classes := len(logits) / a

	// sigmoid(x) > Score is x > log(Score/(1-Score)), which spares most of the exponentials.
	least := portable.Log(p.Score) - portable.Log1p(-p.Score)
	var (
		boxes  [][4]float32
		scores []float32 // logits: sigmoid keeps their order, and its float32 value ties more often
		labels []int32
		level  []int
	)
	from := 0
	for _, n := range priors.Levels {
		level = level[:0]
		for i := from * classes; i < (from+n)*classes; i++ {
			if float64(logits[i]) > least {
				level = append(level, i)
			}
		}
		slices.SortFunc(level, func(i, j int) int {
			return cmp.Or(cmp.Compare(logits[j], logits[i]), cmp.Compare(i, j))
		})
		for _, i := range level[:min(len(level), p.TopK)] {
			k := i / classes
			boxes = append(boxes, Clip(c.Decode(priors.Boxes[k], values[size*k:size*(k+1)]), width, height))
			scores = append(scores, logits[i])
			labels = append(labels, int32(i%classes))
		}
		from += n
	}
	keep := Suppress(nil, boxes, labels, byFallingScore(scores), p.NMS, p.MaxDetections)
	out := make([]Detection, len(keep))
	for j, i := range keep {
		out[j] = Detection{Box: boxes[i], Score: float32(sigmoid(float64(scores[i]))), Label: labels[i]}
	}
	return out, nil
}

func sigmoid(x float64) float64 {
	if x < 0 {
		e := portable.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + portable.Exp(-x))
}
