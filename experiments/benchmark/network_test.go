package benchmark

import (
	"reflect"
	"testing"
	"time"

	"focalgrid/detector"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments"
)

// TestMadeUp: a made-up batch is the same every time, and its objects lie in the input. It makes the targets in a
// training step that it makes outside one.
func TestMadeUp(t *testing.T) {
	const n, classes = 2, 3
	b := Network{Model: "mini", Height: 50, Width: 90, Batch: n, Steps: 1, Set: []string{"model.width=0.125", "model.fpn=8"}}
	if err := b.Fill(); err != nil {
		t.Fatal(err)
	}
	batch := b.madeUp(n, classes, false)
	if batch.N != n || batch.H != 64 || batch.W != 96 || len(batch.Pixels) != n*3*64*96 || len(batch.Items) != n {
		t.Fatalf("%d images of %d×%d, %d values, %d items; want 2 of 64×96", batch.N, batch.H, batch.W, len(batch.Pixels), len(batch.Items))
	}
	if !reflect.DeepEqual(batch, b.madeUp(n, classes, false)) {
		t.Error("the same network has another batch")
	}
	mean, square := 0.0, 0.0
	for _, v := range batch.Pixels {
		mean, square = mean+float64(v), square+float64(v)*float64(v)
	}
	values := float64(len(batch.Pixels))
	if mean, square = mean/values, square/values; mean*mean > .001 || square < .95 || square > 1.05 {
		t.Errorf("pixels have mean %g and mean square %g, want 0 and 1", mean, square)
	}
	for i, it := range batch.Items {
		for j, box := range it.Boxes {
			if box[0] < 0 || box[1] < 0 || box[2] > 96 || box[3] > 64 || box[2]-box[0] < 7 || it.Labels[j] < 0 || it.Labels[j] >= classes {
				t.Errorf("image %d, object %d: box %v of class %d", i, j, box, it.Labels[j])
			}
		}
	}

	if bytes := b.madeUp(n, classes, true); bytes.Pixels != nil || len(bytes.Bytes) != len(batch.Pixels) || len(bytes.Items) != n {
		t.Errorf("for a remote engine there are %d bytes and %d pixels, want %d bytes", len(bytes.Bytes), len(bytes.Pixels), len(batch.Pixels))
	}

	cpu := gorgonia.New(kernel.NewPool(1), gorgonia.Options{})
	defer cpu.Close()
	d := b.open(&experiments.Trainer{Engine: cpu, Now: time.Now}, classes)
	defer d.Close()
	var info detector.StepInfo
	if err := d.Step(batch, &info); err != nil {
		t.Fatal(err)
	}
	positives, err := detector.New(b.config, classes, nil, nil, nil).Feed(batch)
	if err != nil || positives != info.Positives || info.Positives == 0 {
		t.Errorf("%d positive anchors (%v), %d in a training step", positives, err, info.Positives)
	}
}
