package sampler

import (
	"fmt"

	"focalgrid/box"
	"focalgrid/guard"
)

// Rows are the targets of a batch of N images in few bytes, for an engine that computes elsewhere: a table of what can
// be learnt, and for each prior the row that it learns. The slices belong to the Sampler and hold until its next call
// of Rows.
type Rows struct {
	Count int       // rows of an image's table
	Table []float32 // [N·Count·RowSize]
	Bytes []byte    // [N·A], where Count is at most MostBytes
	Ints  []int32   // [N·A], else

	Quality   []float32 // as in Targets
	Positives int
}

// MostBytes is the largest Count of tables whose rows are numbered in bytes.
const MostBytes = 256

// The columns of a row.
const (
	LabelColumn       = iota // class, Background or Ignored
	ClassWeightColumn        // as in Targets
	BoxWeightColumn
	BoxColumn // the first of the object's x1,y1,x2,y2
	RowSize   = BoxColumn + 4
)

// The rows of an image without an object: what is background, and what does not count. The rows of the objects follow,
// and then, with a miner, the objects whose box alone is learnt.
const (
	backgroundRow = iota
	ignoredRow
	firstObjectRow
)

// TableRows returns how many rows the table of an image with that many objects has.
func (c Config) TableRows(objects int) int {
	if c.Miner != nil {
		objects *= 2
	}
	return firstObjectRow + objects
}

// Rows is Targets in the form of rows, with tables for that many objects an image.
func (s *Sampler) Rows(m Matched, predicted box.Predicted, objects int) (Rows, error) {
	for i, im := range m.Images {
		if len(im.Boxes) > objects {
			return Rows{}, fmt.Errorf("image %d of the batch: %d objects, in tables for %d", i, len(im.Boxes), objects)
		}
	}
	m, err := s.choose(m, predicted)
	if err != nil {
		return Rows{}, err
	}
	r := &s.rows
	r.Count, r.Quality, r.Positives = s.config.TableRows(objects), m.Quality, 0
	r.Table = resize(r.Table, len(m.Images)*r.Count*RowSize)
	if r.Count <= MostBytes {
		r.Bytes, r.Ints = resize(r.Bytes, len(m.Match)), nil
	} else {
		r.Bytes, r.Ints = nil, resize(r.Ints, len(m.Match))
	}
	guard.Each(len(m.Images), func(i int) {
		s.tabulate(m.Images[i], i, objects)
		if r.Bytes != nil {
			point(s, m, i, objects, r.Bytes)
		} else {
			point(s, m, i, objects, r.Ints)
		}
	})
	for _, c := range s.scratch.counts {
		r.Positives += c.positives
	}
	return *r, nil
}

// tabulate writes the table of an image. Every box in it has an area, so that it can be encoded.
func (s *Sampler) tabulate(o Objects, image, objects int) {
	table := s.rows.Table[image*s.rows.Count*RowSize:][:s.rows.Count*RowSize]
	class, boxes := s.weights(image)
	row := func(i int) []float32 { return table[i*RowSize : (i+1)*RowSize] }
	for i := range s.rows.Count {
		copy(row(i), []float32{Ignored, 0, 0, 0, 0, 1, 1})
	}
	copy(row(backgroundRow), []float32{Background, class})
	for j, b := range o.Boxes {
		first := row(firstObjectRow + j)
		first[LabelColumn], first[ClassWeightColumn], first[BoxWeightColumn] = float32(o.Labels[j]), class, boxes
		copy(first[BoxColumn:], b[:])
		if s.config.Miner != nil {
			second := row(firstObjectRow + objects + j)
			copy(second, first)
			second[ClassWeightColumn] = 0
		}
	}
}

// point writes the row of each prior of an image.
func point[T byte | int32](s *Sampler, m Matched, image, objects int, out []T) {
	for at := image * len(s.priors.Boxes); at < (image+1)*len(s.priors.Boxes); at++ {
		k, selected, boxed := int(m.Match[at]), s.scratch.selected[at], s.scratch.boxed[at]
		switch {
		case selected && k >= 0: // and its box is learnt: miners leave it out only together with the class
			out[at] = T(firstObjectRow + k)
		case selected:
			out[at] = backgroundRow
		case boxed:
			out[at] = T(firstObjectRow + objects + k)
		default:
			out[at] = ignoredRow
		}
	}
}
