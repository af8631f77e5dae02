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
