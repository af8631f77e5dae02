package dataset

import (
	"context"
	"fmt"
	"runtime"

	"focalgrid/dataset/picture"
	"focalgrid/dataset/synthetic"
)

// CropSet is a number of crops in memory.
type CropSet struct {
	Size   int     // width and height
	Pixels []uint8 // RGB, one crop after the other
	Labels []int32 // one a crop
}

// DrawCrops draws crops first to first+n-1 on all cores. The error is ctx's.
func DrawCrops(ctx context.Context, g *synthetic.Crops, first, n int) (*CropSet, error) {
	size := g.Size()
	s := &CropSet{size, make([]uint8, 3*size*size*n), make([]int32, n)}
	err := parallel(ctx, n, runtime.GOMAXPROCS(0), func(i int) error {
		pix, label := g.Crop(first + i)
		copy(s.Pixels[i*len(pix):], pix)
		s.Labels[i] = label
		return nil
	})
	return s, err
}

// Batch returns the crops at the indices, mirrored where flips is true (nil:
// none), as network input of shape [len(indices), 3, Size, Size], normalised
// with the transform's Mean and Std and otherwise untouched, and their labels.
func (s *CropSet) Batch(indices []int, flips []bool, t Transform) (pixels []float32, labels []int32, err error) {
	if flips != nil && len(flips) != len(indices) {
		return nil, nil, fmt.Errorf("crops: %d flips for %d indices", len(flips), len(indices))
	}
	plane := 3 * s.Size * s.Size
	table := t.table()
	pixels, labels = make([]float32, len(indices)*plane), make([]int32, len(indices))
	for k, i := range indices {
		if i < 0 || i >= len(s.Labels) {
			return nil, nil, fmt.Errorf("crops: index %d, expected 0 to %d", i, len(s.Labels)-1)
		}
		p := &picture.RGB{Width: s.Size, Height: s.Size, Pix: s.Pixels[i*plane:][:plane]}
		place(p, pixels[k*plane:][:plane], s.Size, s.Size, flips != nil && flips[k], table)
		labels[k] = s.Labels[i]
	}
	return pixels, labels, nil
}
