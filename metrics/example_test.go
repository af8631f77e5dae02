package metrics_test

import (
	"fmt"

	"focalgrid/coco"
	"focalgrid/metrics"
)

// Two objects; the first is found by a good box, the second not at all.
func ExampleEvaluate() {
	gt := &coco.Dataset{
		Images:     []coco.Image{{ID: 1}},
		Categories: []coco.Category{{ID: 18, Name: "dog"}},
		Annotations: []coco.Annotation{
			{ID: 1, ImageID: 1, CategoryID: 18, BBox: [4]float64{10, 10, 50, 40}, Area: 2000},
			{ID: 2, ImageID: 1, CategoryID: 18, BBox: [4]float64{90, 30, 20, 20}, Area: 400},
		},
	}
	dt := []coco.Detection{{ImageID: 1, CategoryID: 18, BBox: [4]float64{10, 10, 50, 36}, Score: .8}}
	r, err := metrics.Evaluate(gt, dt, metrics.DefaultOptions())
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, name := range metrics.StatNames {
		fmt.Printf("%s %.3f\n", name, r.Stats[i])
	}
	dog := r.PerCategory[0]
	fmt.Printf("%s: AP50 %.3f, %d objects\n", dog.Name, dog.AP50, dog.Objects)
	// Output:
	// AP 0.454
	// AP50 0.505
	// AP75 0.505
	// APs 0.000
	// APm 0.900
	// APl NaN
	// AR1 0.450
	// AR10 0.450
	// AR100 0.450
	// ARs 0.000
	// ARm 0.900
	// ARl NaN
	// dog: AP50 0.505, 2 objects
}

// A detector in training shows one image at a time.
func ExampleAccumulator() {
	acc, err := metrics.NewAccumulator([]coco.Category{{ID: 18, Name: "dog"}}, metrics.DefaultOptions())
	if err != nil {
		fmt.Println(err)
		return
	}
	dog := coco.Annotation{CategoryID: 18, BBox: [4]float64{10, 10, 50, 40}, Area: 2000}
	for image := range int64(3) {
		dog.ID = image + 1 // ids of annotations are for the whole set
		found := []coco.Detection{{CategoryID: 18, BBox: [4]float64{10, 10, 50, 40 - 8*float64(image)}, Score: .9}}
		if err := acc.Add(image, []coco.Annotation{dog}, found); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("AP of the images so far: %.3f\n", acc.Result().Stats[0])
	}
	// Output:
	// AP of the images so far: 1.000
	// AP of the images so far: 0.851
	// AP of the images so far: 0.666
}

// Two detectors on the same images: does the second find more, or by chance?
func ExampleCompare() {
	gt := &coco.Dataset{Categories: []coco.Category{{ID: 1}}}
	var a, b []coco.Detection
	for i := range int64(40) {
		gt.Images = append(gt.Images, coco.Image{ID: i})
		box := [4]float64{10, 10, 50, 50}
		gt.Annotations = append(gt.Annotations, coco.Annotation{ID: i + 1, ImageID: i, CategoryID: 1, BBox: box, Area: 2500})
		if i%2 == 0 {
			a = append(a, coco.Detection{ImageID: i, CategoryID: 1, BBox: box, Score: .9})
		}
		if i%2 == 0 || i%3 == 0 {
			b = append(b, coco.Detection{ImageID: i, CategoryID: 1, BBox: box, Score: .9})
		}
	}
	var matches [2]*metrics.Matches
	for i, dt := range [][]coco.Detection{a, b} {
		m, err := metrics.Match(gt, dt, metrics.DefaultOptions())
		if err != nil {
			fmt.Println(err)
			return
		}
		matches[i] = m
	}
	c, err := metrics.Compare(matches[1], matches[0], 1000, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("AP %.3f and %.3f: difference %.3f, 95 %% interval %.3f to %.3f\n", c.A[0], c.B[0], c.Difference, c.Low, c.High)
	// Output:
	// AP 0.673 and 0.505: difference 0.168, 95 % interval 0.069 to 0.297
}
