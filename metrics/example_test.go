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
