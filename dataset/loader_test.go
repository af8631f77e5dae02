package dataset

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"focalgrid/coco"
)

// testDraw is a stand-in for the trial's own: a function of seed, purpose and index.
func testDraw(seed uint64) func(purpose string, index uint64) *rand.Rand {
	return func(purpose string, index uint64) *rand.Rand {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s %d", purpose, index)
		return rand.New(rand.NewPCG(seed, h.Sum64()))
	}
}

// smallSet opens a folder of n images of mixed sizes with one object each.
func smallSet(t testing.TB, n int) *Set {
	t.Helper()
	d := &coco.Dataset{Categories: []coco.Category{{ID: 1, Name: "thing"}}}
	for i := range n {
		id := int64(i + 1)
		d.Images = append(d.Images, coco.Image{ID: id, FileName: fmt.Sprintf("%d.png", id), Width: 20 + i%5*4, Height: 20 + i%3*6})
		d.Annotations = append(d.Annotations, annotation(id, id, 1, 2, 3, 8, 10))
	}
	dir := t.TempDir()
	writeSet(t, dir, "train", d)
	s, err := Open(dir, "train")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testTransform() Transform {
	return Transform{ShortSide: 24, LongSide: 32, PadTo: 16, Mean: imageNetMean, Std: imageNetStd}
}

func newLoader(t testing.TB, s *Set, o LoaderOptions) *Loader {
	t.Helper()
	l, err := NewLoader(s, testTransform(), o, testDraw(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func mustBatch(t testing.TB) func(*Batch, error) *Batch {
	return func(b *Batch, err error) *Batch {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// The settings that say how, not what, must not change a bit: workers, cache,
// making ahead, and the step that one begins with.
func TestBatchIsAFunctionOfTheStep(t *testing.T) {
	s := smallSet(t, 11)
	plain := newLoader(t, s, LoaderOptions{Batch: 4, FlipProb: 0.5, Workers: 1})
	var want []*Batch
	for step := range 9 { // more than three epochs, batches across their borders
		want = append(want, mustBatch(t)(plain.Batch(step)))
	}
	for _, o := range []LoaderOptions{{Workers: 1}, {Workers: 3}, {Workers: 8, Cache: true}, {Workers: 2, Cache: true, CacheBytes: 4000}} {
		o.Batch, o.FlipProb = 4, 0.5
		l := newLoader(t, s, o)
		for _, step := range []int{8, 0, 5, 5, 3} {
			if got := mustBatch(t)(l.Batch(step)); !reflect.DeepEqual(got, want[step]) {
				t.Errorf("%+v: step %d by itself differs", o, step)
			}
		}
		for _, from := range []int{0, 6, 2} {
			l.Start(from)
			for step := from; step < len(want); step++ {
				if got := mustBatch(t)(l.Next()); !reflect.DeepEqual(got, want[step]) {
					t.Errorf("%+v: step %d made ahead from %d differs", o, step, from)
				}
			}
		}
	}
}

// Oriented batches have one of two sizes, and images of one orientation. Training and scoring use each image as often
// as mixed ones do, in batches that are a function of the step.
func TestOrientedBatches(t *testing.T) {
	s := smallSet(t, 11)
	tr := testTransform()
	tr.LongSide, tr.Oriented = 40, true
	open := func() *Loader {
		l, err := NewLoader(s, tr, LoaderOptions{Batch: 2, FlipProb: .5, Bytes: true}, testDraw(3))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		return l
	}
	check := func(b *Batch) {
		t.Helper()
		for _, it := range b.Items {
			h, w := 48, 32
			if it.Width > it.Height {
				h, w = 32, 48
			}
			if b.H != h || b.W != w || it.NetHeight > h || it.NetWidth > w || len(b.Bytes) != b.N*h*w*3 {
				t.Errorf("an image of %d×%d in a batch of %d×%d (width by height), %d bytes", it.Width, it.Height, b.W, b.H, len(b.Bytes))
			}
		}
	}
	l, seen := open(), map[int]int{}
	var batches []*Batch
	for step := range 11 * 10 / 2 {
		b := mustBatch(t)(l.Batch(step))
		check(b)
		for _, it := range b.Items {
			seen[it.Index]++
		}
		batches = append(batches, b)
	}
	for i := range s.Images {
		if n := seen[i]; n < 9 || n > 11 { // one may wait for its pile, or come early in the next epoch
			t.Errorf("image %d is trained on %d times in about 10 epochs", i, n)
		}
	}
	again := open()
	for _, from := range []int{40, 7} {
		again.Start(from)
		for step := from; step < from+5; step++ {
			if b := mustBatch(t)(again.Next()); !reflect.DeepEqual(b, batches[step]) {
				t.Errorf("step %d made ahead from %d differs", step, from)
			}
		}
	}
	var scored []int
	for first := 0; ; {
		b, err := l.Eval(first, 4)
		if err == io.EOF {
			break
		}
		b = mustBatch(t)(b, err)
		check(b)
		first += b.N
		for _, it := range b.Items {
			scored = append(scored, it.Index)
		}
	}
	slices.Sort(scored)
	if fmt.Sprint(scored) != "[0 1 2 3 4 5 6 7 8 9 10]" {
		t.Errorf("scored are images %v", scored)
	}
}

// TestFewOfAnOrientation: oriented batches come of any images: of one orientation alone, and with a single one of the
// other, which waits for as many epochs as a batch has images.
func TestFewOfAnOrientation(t *testing.T) {
	s := smallSet(t, 11)
	tr := testTransform()
	tr.Oriented = true
	var wide, high []int
	for i := range s.Images {
		if Wide(&s.Images[i]) {
			wide = append(wide, i)
		} else {
			high = append(high, i)
		}
	}
	const batch, epochs = 3, 12
	for name, images := range map[string][]int{
		"wide": wide, "high": high, "one": high[:1], "one high": append([]int{high[0]}, wide...), "one wide": append([]int{wide[0]}, high...),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := NewLoader(s, tr, LoaderOptions{Batch: batch, Images: images}, testDraw(3))
			if err != nil {
				t.Fatal(err)
			}
			seen, scored := map[int]int{}, map[int]int{}
			for step := range epochs * len(images) / batch {
				b := mustBatch(t)(l.Batch(step))
				for _, it := range b.Items {
					seen[it.Index]++
					if one, first := it.Width > it.Height, b.Items[0]; one != (first.Width > first.Height) {
						t.Errorf("step %d has a wide and a high image", step)
					}
				}
			}
			for first := 0; first < l.Len(); {
				b := mustBatch(t)(l.Eval(first, batch))
				first += b.N
				for _, it := range b.Items {
					scored[it.Index]++
				}
			}
			for _, i := range images {
				if n := seen[i]; n < epochs-batch || n > epochs+batch || scored[i] != 1 {
					t.Errorf("image %d is trained on %d times in %d epochs, and scored %d times", i, n, epochs, scored[i])
				}
			}
		})
	}
}

// TestBytes: the bytes of a batch, normalised, are its pixels; beyond the images are zeros.
func TestBytes(t *testing.T) {
	s := smallSet(t, 11)
	pixels, bytes := newLoader(t, s, LoaderOptions{Batch: 4, FlipProb: .5}), newLoader(t, s, LoaderOptions{Batch: 4, FlipProb: .5, Bytes: true})
	bytes.Start(0)
	for step := range 9 {
		want, got := mustBatch(t)(pixels.Batch(step)), mustBatch(t)(bytes.Next())
		if got.Pixels != nil || want.Bytes != nil || got.H != want.H || got.W != want.W || !reflect.DeepEqual(got.Items, want.Items) {
			t.Fatalf("step %d: the forms differ in more than the pixels", step)
		}
		for i, it := range want.Items {
			for y := range want.H {
				for x := range want.W {
					for c := range 3 {
						b := got.Bytes[((i*got.H+y)*got.W+x)*3+c]
						v := pixels.table[c][b]
						if y >= it.NetHeight || x >= it.NetWidth {
							v = float32(b)
						}
						if p := want.Pixels[((i*3+c)*want.H+y)*want.W+x]; p != v {
							t.Fatalf("step %d, image %d, channel %d at %d,%d: byte %d stands for %g, want %g", step, i, c, x, y, b, v, p)
						}
					}
				}
			}
		}
	}
}

// A batch is the caller's until the next Next, and then its memory is filled anew.
func TestNextUsesMemoryAgain(t *testing.T) {
	l := newLoader(t, smallSet(t, 11), LoaderOptions{Batch: 4, FlipProb: 0.5})
	l.Start(0)
	memory := map[*float32]bool{}
	for step := range 30 {
		b := mustBatch(t)(l.Next())
		memory[&b.Pixels[0]] = true
		for range 100 {
			runtime.Gosched() // the batches after it are made meanwhile
		}
		if want := mustBatch(t)(l.Batch(step)); !reflect.DeepEqual(b, want) {
			t.Fatalf("step %d is not itself any more while its batch is in use", step)
		}
	}
	if len(memory) > 3 {
		t.Errorf("30 batches in %d places of memory, want at most 3", len(memory))
	}
}

func TestOrder(t *testing.T) {
	s := smallSet(t, 10)
	l := newLoader(t, s, LoaderOptions{Batch: 3, FlipProb: 0.25})
	var all []int
	flipped := 0
	for step := range 1000 {
		images, flips, err := l.order(step)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, images...)
		for _, f := range flips {
			if f {
				flipped++
			}
		}
	}
	orders := map[string]bool{}
	for e := 0; e < 3000; e += 10 {
		epoch := slices.Sorted(slices.Values(all[e : e+10]))
		for i, v := range epoch {
			if v != i {
				t.Fatalf("epoch %d holds %v, want each image once", e/10, epoch)
			}
		}
		orders[fmt.Sprint(all[e:e+10])] = true
	}
	if len(orders) < 290 {
		t.Errorf("%d different orders in 300 epochs", len(orders))
	}
	if flipped < 650 || flipped > 850 { // 750 ± 4 standard deviations
		t.Errorf("%d of 3000 mirrored at probability ¼", flipped)
	}
	for _, p := range []float64{0, 1} {
		_, flips, _ := newLoader(t, s, LoaderOptions{Batch: 100, FlipProb: p}).order(0)
		if slices.Contains(flips, p == 0) {
			t.Errorf("FlipProb %g: %v", p, flips)
		}
	}
	subset, _, err := newLoader(t, s, LoaderOptions{Batch: 2, Images: []int{7, 2}}).order(4)
	if err != nil || !reflect.DeepEqual(slices.Sorted(slices.Values(subset)), []int{2, 7}) {
		t.Errorf("subset [7 2] gives %v (%v)", subset, err)
	}
	if _, _, err := l.order(-1); err == nil {
		t.Error("step -1 has an order")
	}
}

func TestBatchContents(t *testing.T) {
	s := smallSet(t, 5)
	l := newLoader(t, s, LoaderOptions{Batch: 1, FlipProb: 1, Images: []int{1}})
	// Image 1 is 24 x 26 pixels: scale 1, padded to 32 x 32.
	b := mustBatch(t)(l.Batch(0))
	if b.N != 1 || b.H != 32 || b.W != 32 || len(b.Pixels) != 3*32*32 {
		t.Fatalf("batch of %d x %d x %d, %d values", b.N, b.H, b.W, len(b.Pixels))
	}
	want := Item{
		Index: 1, ID: 2, Scale: 1, Width: 24, Height: 26, NetWidth: 24, NetHeight: 26, Flipped: true,
		Boxes: [][4]float32{{14, 3, 22, 13}}, Labels: []int32{0}, Crowd: []bool{false},
	}
	if !reflect.DeepEqual(b.Items[0], want) {
		t.Errorf("item %+v, want %+v", b.Items[0], want)
	}
	if got, want := b.Items[0].Original(b.Items[0].Boxes[0]), s.Images[1].Objects[0].Box; got != want {
		t.Errorf("mapped back the box is %v, want %v", got, want)
	}
	table := l.table
	for y := range 26 {
		for x := range 24 {
			at := y*32 + x
			got := [3]float32{b.Pixels[at], b.Pixels[1024+at], b.Pixels[2048+at]}
			if want := ([3]float32{table[0][2], table[1][23-x], table[2][y]}); got != want {
				t.Fatalf("x %d, y %d: %v, want %v (channels red, green, blue; mirrored)", x, y, got, want)
			}
		}
	}
	for y := range 32 {
		for x := range 32 {
			if (x >= 24 || y >= 26) && b.Pixels[y*32+x] != 0 {
				t.Fatalf("padding at x %d, y %d is %g, want 0", x, y, b.Pixels[y*32+x])
			}
		}
	}
	// Two sizes in a batch: the canvas is the larger one each way. Image 4 is
	// 36 x 26 and would be 33 x 24: the cap of 32 makes it 32 x 23.
	l = newLoader(t, s, LoaderOptions{Batch: 2, Images: []int{4, 1}})
	b = mustBatch(t)(l.Eval(0, 2))
	if b.H != 32 || b.W != 32 || b.Items[0].NetWidth != 32 || b.Items[0].NetHeight != 23 || b.Items[0].Scale != float32(32./36) || b.Items[0].Flipped {
		t.Errorf("batch %d x %d, first item %+v", b.H, b.W, b.Items[0])
	}
}

func TestEval(t *testing.T) {
	l, err := NewLoader(smallSet(t, 5), testTransform(), LoaderOptions{Batch: 3, FlipProb: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var seen []int
	for i := 0; ; i += 2 {
		b, err := l.Eval(i, 2)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range b.Items {
			seen = append(seen, it.Index)
			if it.Flipped {
				t.Errorf("image %d is mirrored", it.Index)
			}
		}
	}
	if !reflect.DeepEqual(seen, []int{0, 1, 2, 3, 4}) {
		t.Errorf("images %v, want each once, in order, the last batch short", seen)
	}
	if _, err := l.Batch(0); err == nil || !strings.Contains(err.Error(), "no draw") {
		t.Errorf("a training batch without a draw: error %v", err)
	}
	if _, err := l.Eval(-1, 2); err == nil {
		t.Error("Eval(-1, 2) is a batch")
	}
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	s := smallSet(t, 6)
	before := runtime.NumGoroutine()
	l := newLoader(t, s, LoaderOptions{Batch: 4, Workers: 4})
	for range 20 {
		l.Start(0)
		mustBatch(t)(l.Next())
	}
	l.Close()
	l.Close()
	if _, err := l.Next(); !errors.Is(err, ErrStopped) {
		t.Errorf("Next after Close: error %v, want ErrStopped", err)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		runtime.Gosched()
	}
}

func TestLoaderReportsABadFile(t *testing.T) {
	s := smallSet(t, 6)
	if err := os.Remove(filepath.Join(s.Dir, "train", "5.png")); err != nil {
		t.Fatal(err)
	}
	l := newLoader(t, s, LoaderOptions{Batch: 6, Workers: 2})
	l.Start(0)
	_, err := l.Next()
	if err == nil || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "image id 5") || !strings.Contains(err.Error(), "5.png") {
		t.Errorf("error %v, want one that names image id 5 and its file", err)
	}
	if _, err := l.Next(); !errors.Is(err, ErrStopped) {
		t.Errorf("after the error: %v, want ErrStopped", err)
	}
}

func TestLoaderOptionErrors(t *testing.T) {
	s := smallSet(t, 2)
	for _, tt := range []struct {
		o    LoaderOptions
		want string
	}{
		{LoaderOptions{}, "Batch is 0"},
		{LoaderOptions{Batch: 1, Workers: -1}, "Workers is -1"},
		{LoaderOptions{Batch: 1, CacheBytes: -1}, "CacheBytes is -1"},
		{LoaderOptions{Batch: 1, Images: []int{}}, "no images"},
		{LoaderOptions{Batch: 1, Images: []int{2}}, "image index 2, expected 0 to 1"},
	} {
		if _, err := NewLoader(s, testTransform(), tt.o, testDraw(1)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want one with %q", tt.o, err, tt.want)
		}
	}
	endless := Transform{ShortSide: 24, PadTo: 16, Oriented: true, Std: [3]float32{1, 1, 1}}
	if _, err := NewLoader(s, endless, LoaderOptions{Batch: 1}, testDraw(1)); err == nil || !strings.Contains(err.Error(), "LongSide is 0") {
		t.Errorf("oriented images without a longest side: error %v", err)
	}
}

// Images a second of 128 pixels at batch 16, decoded each time and kept.
func BenchmarkLoader(b *testing.B) {
	c := smallSynth()
	c.Train, c.Tune, c.Val = 64, 1, 1
	dir := filepath.Join(b.TempDir(), "set")
	if _, err := Generate(b.Context(), dir, c, GenerateOptions{}); err != nil {
		b.Fatal(err)
	}
	s, err := Open(dir, "train")
	if err != nil {
		b.Fatal(err)
	}
	tr := Transform{ShortSide: 128, LongSide: 128, PadTo: 32, Mean: imageNetMean, Std: imageNetStd}
	for _, cache := range []bool{false, true} {
		b.Run(fmt.Sprintf("cache=%t", cache), func(b *testing.B) {
			l, err := NewLoader(s, tr, LoaderOptions{Batch: 16, FlipProb: 0.5, Cache: cache}, testDraw(1))
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			l.Start(0)
			n := 0
			for b.Loop() {
				n += mustBatch(b)(l.Next()).N
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "images/s")
		})
	}
}
