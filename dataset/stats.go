package dataset

// Stats counts what a split holds. Crowds are counted apart: they are neither
// learned nor scored.
type Stats struct {
	Images   int
	Empty    int // images without objects
	Objects  int // without crowds
	Crowds   int
	PerImage []int // PerImage[n] images hold n objects
	Sizes    SizeCounts
	Classes  []ClassStats // by label
}

// ClassStats counts the objects of one class.
type ClassStats struct {
	Class
	Objects int
	Crowds  int
	Sizes   SizeCounts
}

// SizeCounts sorts objects by their annotated area in original pixels, as COCO
// does: small below 32², medium below 96², large from there on.
type SizeCounts struct{ Small, Medium, Large int }

func (s *SizeCounts) add(area float64) {
	switch {
	case area < 32*32:
		s.Small++
	case area < 96*96:
		s.Medium++
	default:
		s.Large++
	}
}

// Stats counts the set's images and objects; boxes that were dropped are not in
// it.
func (s *Set) Stats() Stats {
	st := Stats{Images: len(s.Images), Classes: make([]ClassStats, len(s.Classes))}
	for i, c := range s.Classes {
		st.Classes[i].Class = c
	}
	for _, im := range s.Images {
		n := 0
		for _, o := range im.Objects {
			c := &st.Classes[o.Label]
			if o.Crowd {
				st.Crowds++
				c.Crowds++
				continue
			}
			n++
			c.Objects++
			c.Sizes.add(o.Area)
			st.Sizes.add(o.Area)
		}
		st.Objects += n
		if n == 0 {
			st.Empty++
		}
		for len(st.PerImage) <= n {
			st.PerImage = append(st.PerImage, 0)
		}
		st.PerImage[n]++
	}
	return st
}
