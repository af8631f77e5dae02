package dataset

import (
	"context"
	"errors"
	"slices"
	"testing"

	"focalgrid/dataset/synthetic"
)

// Millions of crops take minutes: the end of the context stops their drawing.
func TestCropsStop(t *testing.T) {
	g := synthetic.NewCrops(smallCrops())
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := DrawCrops(ctx, g, 0, 1<<16); !errors.Is(err, context.Canceled) {
		t.Errorf("drawing with a context that has ended: %v, want %v", err, context.Canceled)
	}
}

func TestCrops(t *testing.T) {
	c := smallCrops()
	g := synthetic.NewCrops(c)
	set, err := DrawCrops(t.Context(), g, 5, 300)
	if err != nil {
		t.Fatal(err)
	}
	count := make([]int, g.Labels())
	for i, label := range set.Labels {
		count[label]++
		if i < 3 {
			pix, want := g.Crop(5 + i)
			if label != want || !slices.Equal(set.Pixels[i*len(pix):][:len(pix)], pix) {
				t.Errorf("crop %d of the set is not crop %d", i, 5+i)
			}
		}
	}
	for label, n := range count {
		if n < 12 || n > 58 { // 33 ± 4.5 standard deviations
			t.Errorf("label %d has %d of 300 crops: %v", label, n, count)
		}
	}
	tr := Transform{Mean: imageNetMean, Std: imageNetStd}
	pixels, labels, err := set.Batch([]int{7, 7, 0}, []bool{false, true, false}, tr)
	if err != nil {
		t.Fatal(err)
	}
	if labels[0] != set.Labels[7] || labels[2] != set.Labels[0] {
		t.Errorf("labels %v", labels)
	}
	plane, table := 3*c.Pixels*c.Pixels, tr.table()
	for _, at := range [][3]int{{0, 0, 0}, {1, 3, 10}, {2, 63, 63}} {
		k, y, x := at[0], at[1], at[2]
		want := table[k][set.Pixels[7*plane+3*(y*64+x)+k]]
		if got := pixels[k*64*64+y*64+x]; got != want {
			t.Errorf("channel %d, y %d, x %d: %g, want %g", k, y, x, got, want)
		}
		if got := pixels[plane+k*64*64+y*64+63-x]; got != want {
			t.Errorf("channel %d, y %d, x %d mirrored: %g, want %g", k, y, x, got, want)
		}
	}
	if _, _, err := set.Batch([]int{300}, nil, tr); err == nil {
		t.Error("crop 300 of 300 is there")
	}
}
