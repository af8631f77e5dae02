package sampler

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"focalgrid/box"
)

// bothForms returns Targets. The error says where Rows, looked up, differ from them: in any weight, or in what has one.
func bothForms(s *Sampler, m Matched, predicted box.Predicted) (Targets, error) {
	running := s.Running
	want, err := s.Targets(m, predicted)
	if err != nil {
		return want, err
	}
	for _, objects := range []int{most(m.Images), 300} { // short tables, and those whose rows no byte can number
		after := s.Running
		s.Running = running
		r, err := s.Rows(m, predicted, objects)
		if err != nil {
			return want, err
		}
		if s.Running != after || r.Positives != want.Positives || !slices.Equal(r.Quality, want.Quality) {
			return want, fmt.Errorf("rows: running mean %g, %d positives, quality %v; want %g, %d, %v", s.Running, r.Positives, r.Quality, after, want.Positives, want.Quality)
		}
		if (r.Bytes == nil) != (r.Count > MostBytes) || (r.Bytes == nil) == (r.Ints == nil) {
			return want, fmt.Errorf("%d rows in %d bytes and %d integers", r.Count, len(r.Bytes), len(r.Ints))
		}
		for at := range m.Match {
			index := 0
			if r.Bytes != nil {
				index = int(r.Bytes[at])
			} else {
				index = int(r.Ints[at])
			}
			row := r.Table[(at/len(s.priors.Boxes)*r.Count+index)*RowSize:][:RowSize]
			b := [4]float32(row[BoxColumn:])
			if s.config.BoxTarget == "deltas" {
				b = s.config.Coder.Encode(s.priors.Boxes[at%len(s.priors.Boxes)], b)
			}
			if !solid([4]float32(row[BoxColumn:])) ||
				row[ClassWeightColumn] != want.ClassWeight[at] || row[BoxWeightColumn] != want.BoxWeight[at] ||
				want.ClassWeight[at] != 0 && row[LabelColumn] != want.Labels[at] ||
				want.BoxWeight[at] != 0 && b != [4]float32(want.BoxTarget[4*at:]) {
				return want, fmt.Errorf("prior %d has row %d: %v; want label %g, weights %g and %g, target %v", at, index, row,
					want.Labels[at], want.ClassWeight[at], want.BoxWeight[at], want.BoxTarget[4*at:4*at+4])
			}
		}
	}
	return want, nil
}

// most is the largest number of objects of an image.
func most(images []Objects) int {
	n := 0
	for _, o := range images {
		n = max(n, len(o.Boxes))
	}
	return n
}

func TestRowsRefuses(t *testing.T) {
	s := newSampler(t, paperConfig(), fiveAnchors, 3)
	m, err := s.Match([]Objects{{}, twoObjects})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rows(m, nil, 1); err == nil || !strings.Contains(err.Error(), "image 1 of the batch: 2 objects, in tables for 1") {
		t.Errorf("error %v", err)
	}
}

// TestLossesForLogits: miners choose alike by the loss of each prior, for the classes that Classes names, and refuse it
// where they read logits.
func TestLossesForLogits(t *testing.T) {
	anchors := grid(64, 64)
	images := []Objects{randomObjects(1, 3, 64, 64, 4), randomObjects(2, 2, 64, 64, 4)}
	logits, deltas := randomPredictions(3, len(images)*len(anchors), 4)
	ohem := func(nms float64, class string) Config {
		c := mining("ohem")
		o := c.Miner.(OHEM)
		o.NMS, o.NMSClass = nms, class
		c.Miner = o
		return c
	}
	for name, c := range map[string]Config{
		"ssd": mining("ssd"), "ohem": ohem(.5, "agnostic"), "ohem without suppression": ohem(1, "per_class"),
	} {
		a := newSampler(t, c, anchors, 4)
		m, err := a.Match(images)
		if err != nil {
			t.Fatal(err)
		}
		want, err := a.Targets(m, box.Predicted{"class": logits, "box": deltas})
		if err != nil {
			t.Fatal(err)
		}
		classes, ok := a.Classes(m).([]byte)
		if !ok || len(classes) != len(m.Match) {
			t.Fatalf("%s: classes %T", name, a.Classes(m))
		}
		var losses []float32
		for at, c := range classes {
			losses = append(losses, float32(crossEntropy(logits[4*at:4*at+4], float32(c)-1)))
		}
		weights := slices.Clone(want.ClassWeight)
		got, err := a.Targets(m, box.Predicted{"loss": losses, "box": deltas})
		if err != nil || !slices.Equal(got.ClassWeight, weights) {
			t.Errorf("%s chooses others by losses than by logits: %v", name, err)
		}
	}
	a := newSampler(t, ohem(.5, "per_class"), anchors, 4)
	m, err := a.Match(images)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Targets(m, box.Predicted{"loss": make([]float32, len(m.Match)), "box": deltas}); err == nil || !strings.Contains(err.Error(), "prediction class has 0 values") {
		t.Errorf("error %v", err)
	}
	many := newSampler(t, paperConfig(), fiveAnchors, 300)
	m, err = many.Match([]Objects{{Boxes: [][4]float32{{0, 0, 10, 10}}, Labels: []int32{299}}})
	if err != nil {
		t.Fatal(err)
	}
	if c := many.Classes(m); fmt.Sprint(c) != fmt.Sprint([]int32{300, 300, 0, 0, 0}) {
		t.Errorf("classes %v", c)
	}
}
