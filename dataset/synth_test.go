package dataset

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestFixedPoint(t *testing.T) {
	for y := int64(-20 * one); y < 14*one; y += 997 {
		want := math.Exp2(float64(y)/one) * (1 << 30)
		if got := float64(exp2Q30(y)); math.Abs(got-want) > want/(1<<25)+1 {
			t.Errorf("2^%g: got %g, want %g", float64(y)/one, got, want)
		}
	}
	for x := int64(1); x < 1<<40; x += x/7 + 1 {
		want := math.Log2(float64(x) / one)
		if got := float64(log2(x)) / one; got > want+1e-6 || got < want-2./one {
			t.Errorf("log2(%g): got %g, want %g", float64(x)/one, got, want)
		}
	}
	for a := int64(-one); a < 2*one; a += 13 {
		turn := float64(a) / one * 2 * math.Pi
		if got, want := float64(sin(a))/one, math.Sin(turn); math.Abs(got-want) > 1./one {
			t.Errorf("sin(%g): got %g, want %g", turn, got, want)
		}
		if got, want := float64(cos(a))/one, math.Cos(turn); math.Abs(got-want) > 1./one {
			t.Errorf("cos(%g): got %g, want %g", turn, got, want)
		}
	}
	for x := int64(0); x < 1<<60; x += x/3 + 1 {
		if r := isqrt(x); r*r > x || (r+1)*(r+1) <= x {
			t.Errorf("isqrt(%d) = %d", x, r)
		}
	}
	for _, tt := range [][3]int64{{7, 2, 3}, {-7, 2, -4}, {-8, 2, -4}, {0, 5, 0}} {
		if got := floorDiv(tt[0], tt[1]); got != tt[2] {
			t.Errorf("floorDiv(%d, %d) = %d, want %d", tt[0], tt[1], got, tt[2])
		}
	}
}

func TestPoisson(t *testing.T) {
	for _, mean := range []int64{0, 1, 500, 1500, 8000, 8001, 40000, 160000} { // thousandths
		p := newPoisson(mean)
		s := newStream("test", 1, int(mean))
		const n = 20000
		var sum, squares float64
		for range n {
			v := float64(p.draw(s))
			sum += v
			squares += v * v
		}
		want := float64(mean) / 1000
		got, variance := sum/n, squares/n-sum/n*sum/n
		if math.Abs(got-want) > 5*math.Sqrt(want/n)+1e-12 {
			t.Errorf("mean %g: drawn %g", want, got)
		}
		if math.Abs(variance-want) > 0.06*want+0.002 {
			t.Errorf("mean %g: drawn with variance %g, want the same", want, variance)
		}
	}
}

// Areas by hand: a shape's coverage is its area.
func TestFillArea(t *testing.T) {
	at := point{50 * one, 50 * one}
	tests := []struct {
		name string
		area float64 // with half the size 1
	}{
		{"square", 4}, {"bar", 4 * .28}, {"diamond", 1.2}, {"triangle", 1.5 * math.Sqrt(3) * .5},
		{"hexagon", 1.5 * math.Sqrt(3)}, {"disc", 12 * math.Sin(math.Pi/12)}, {"ring", 9 * math.Sin(math.Pi/12)},
		{"cross", 2*2*.7 - .7*.7}, {"star", 5 * .42 * math.Sin(math.Pi/5)}, {"arrow", .9 + .7},
	}
	for _, tt := range tests {
		for _, angle := range []int64{0, 1000, 20000} {
			m := fill(100, newPose(at, 60*one, 20000, angle).onCanvas(outlines(tt.name)))
			sum := 0
			for _, c := range m.cover {
				sum += int(c)
			}
			if got, want := float64(sum)/16, tt.area*30*30; math.Abs(got-want) > .02*want+4 {
				t.Errorf("%s turned by %d: %g pixels, want %g", tt.name, angle, got, want)
			}
		}
	}
	for _, name := range shapeNames { // the outlines stay within their square, nearly fill it one way, and differ
		lo, hi := int64(one), int64(-one)
		for _, ps := range outlines(name) {
			for _, p := range ps {
				lo, hi = min(lo, p.x, p.y), max(hi, p.x, p.y)
			}
		}
		if lo < -one-8 || hi > one+8 || hi-lo < one*18/10 {
			t.Errorf("%s reaches from %g to %g, want about -1 to 1", name, float64(lo)/one, float64(hi)/one)
		}
	}
}

func TestFillBounds(t *testing.T) {
	square := func(x0, y0, x1, y1 int64) [][]point {
		return [][]point{{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}}
	}
	box, ok := fill(10, square(2*one, 3*one, 5*one, 7*one)).tight()
	if want := [4]int{2, 3, 5, 7}; !ok || box != want {
		t.Errorf("whole pixels: box %v, want %v", box, want)
	}
	box, ok = fill(10, square(-5*one, 3*one, 5*one, 70*one)).tight()
	if want := [4]int{0, 3, 5, 10}; !ok || box != want {
		t.Errorf("over the edges: box %v, want %v", box, want)
	}
	// A column covered to a quarter counts as outside, one to three quarters as inside.
	box, ok = fill(10, square(2*one+one/4, 3*one, 5*one+one/4, 7*one)).tight()
	if want := [4]int{2, 3, 5, 7}; !ok || box != want {
		t.Errorf("quarters: box %v, want %v", box, want)
	}
	for _, far := range []int64{-100 * one, 100 * one, math.MinInt32} {
		if box, ok := fill(10, square(far, far, far+5*one, far+5*one)).tight(); ok {
			t.Errorf("outside: box %v, want none", box)
		}
	}
}

// Hashes of pixels, boxes and labels before encoding. They were recorded on
// amd64; integers alone make them, so that every platform must agree. If a
// change of the drawing is meant, SynthVersion grows with them.
func TestGoldenScenes(t *testing.T) {
	if SynthVersion != 1 {
		t.Fatalf("SynthVersion is %d, these hashes are of 1", SynthVersion)
	}
	other := smallSynth()
	other.Pixels, other.Classes, other.MinSize, other.Objects, other.Clutter, other.Seed = 200, 8, 0.07, 3, 0.8, 5
	configs := map[string]SynthConfig{"default": smallSynth(), "other": other}
	tests := []struct {
		config, split string
		i             int
		hash          string
	}{
		{"default", "train", 0, "222725898c76faf9"},
		{"default", "train", 1, "345d59cfe61d18fb"},
		{"default", "train", 2, "ea211b0ea15dda72"},
		{"default", "tune", 0, "0094c6079c3e77c1"},
		{"default", "tune", 1, "b433e8addecae730"},
		{"default", "tune", 2, "c970f4a4be17e685"},
		{"default", "val", 0, "98df60045eab2634"},
		{"default", "val", 1, "e321ec627018ccf7"},
		{"default", "val", 2, "2818ed322385479f"},
		{"other", "train", 0, "c1514040caeb807a"},
		{"other", "val", 1, "a5916186e125746b"},
	}
	for _, tt := range tests {
		g := NewSynth(configs[tt.config])
		s := g.Scene(tt.split, tt.i)
		h := sha256.New()
		h.Write(s.Pixels)
		fmt.Fprint(h, s.Boxes, s.Labels)
		if got := fmt.Sprintf("%x", h.Sum(nil)[:8]); got != tt.hash {
			t.Errorf("{%q, %q, %d, %q}, // was %q", tt.config, tt.split, tt.i, got, tt.hash)
		}
	}
}

func TestGoldenCrops(t *testing.T) {
	g := NewCrops(smallCrops())
	h := sha256.New()
	for i := range 20 {
		pix, label := g.Crop(i)
		h.Write(append(pix, byte(label)))
	}
	if got, want := fmt.Sprintf("%x", h.Sum(nil)[:8]), "f275f73451e2966f"; got != want {
		t.Errorf("first twenty crops: %s, want %s", got, want)
	}
}

func TestScenesAreIndependent(t *testing.T) {
	g := NewSynth(smallSynth())
	want := make([]Scene, 8)
	for i := range want {
		want[i] = g.Scene("tune", i)
	}
	var wg sync.WaitGroup
	for i := range want {
		wg.Go(func() {
			i := len(want) - 1 - i
			if got := g.Scene("tune", i); !reflect.DeepEqual(got, want[i]) {
				t.Errorf("scene %d differs when drawn beside others", i)
			}
		})
	}
	wg.Wait()
	more := smallSynth()
	more.Seed = 1
	h := NewSynth(more)
	for name, s := range map[string]Scene{"index": g.Scene("tune", 8), "split": g.Scene("val", 0), "seed": h.Scene("tune", 0)} {
		if reflect.DeepEqual(s.Pixels, want[0].Pixels) {
			t.Errorf("another %s gives the same picture", name)
		}
	}
}

// The statistics that the settings ask for, over 600 scenes.
func TestSceneStatistics(t *testing.T) {
	c := smallSynth()
	g := NewSynth(c)
	const n = 600
	empty, objects := 0, 0
	labels := make([]int, c.Classes)
	var sides []float64
	for i := range n {
		s := g.Scene("train", i)
		if len(s.Boxes) == 0 {
			empty++
		}
		objects += len(s.Boxes)
		for j, b := range s.Boxes {
			w, h := b[2]-b[0], b[3]-b[1]
			if b[0] < 0 || b[1] < 0 || b[2] > c.Pixels || b[3] > c.Pixels || w <= 3 || h <= 3 {
				t.Fatalf("scene %d, object %d: box %v in %d pixels", i, j, b, c.Pixels)
			}
			labels[s.Labels[j]]++
			sides = append(sides, math.Sqrt(float64(w*h)))
		}
	}
	if empty < 36 || empty > 90 { // 60 ± 4 standard deviations
		t.Errorf("%d of %d scenes are empty, want about a tenth", empty, n)
	}
	if mean := float64(objects) / n; mean < 2.0 || mean > 2.5 { // .9 × 2.5, less what found no room
		t.Errorf("%g objects a scene, want about 2.25", mean)
	}
	for k, v := range labels {
		if v < objects/4-4*18 || v > objects/4+4*18 {
			t.Errorf("%d of %d objects are of class %d, want about a quarter", v, objects, k)
		}
	}
	// Log-uniform from 15 to 77 pixels: the median of the diameter is 34.
	slices.Sort(sides)
	if m := sides[len(sides)/2]; m < 28 || m > 40 {
		t.Errorf("median side %g pixels, want about 34", m)
	}
	if sides[0] < 6 || sides[len(sides)-1] > 128 {
		t.Errorf("sides from %g to %g", sides[0], sides[len(sides)-1])
	}
}

func TestGrain(t *testing.T) {
	c := &canvas{100, make([]uint8, 30000)}
	for i := range c.pix {
		c.pix[i] = 128
	}
	c.grain(newStream("test", 0, 0), 4000)
	var sum, squares float64
	for _, p := range c.pix {
		d := float64(p) - 128
		sum += d
		squares += d * d
	}
	mean, sd := sum/30000, math.Sqrt(squares/30000)
	if math.Abs(mean) > 0.1 || math.Abs(sd-4) > 0.1 {
		t.Errorf("noise of mean %g and deviation %g, want 0 and 4", mean, sd)
	}
}

// Every setting is part of the identity.
func TestIdentityCoversEverySetting(t *testing.T) {
	changed := func(v reflect.Value, i int) {
		switch f := v.Field(i); f.Kind() {
		case reflect.Int:
			f.SetInt(f.Int() + 1)
		case reflect.Uint64:
			f.SetUint(f.Uint() + 1)
		case reflect.Float64:
			f.SetFloat(f.Float() + 0.001)
		default:
			t.Fatalf("field of kind %s", f.Kind())
		}
	}
	for i := range reflect.TypeFor[SynthConfig]().NumField() {
		c := smallSynth()
		changed(reflect.ValueOf(&c).Elem(), i)
		if Identity(c) == Identity(smallSynth()) {
			t.Errorf("SynthConfig.%s does not change the identity", reflect.TypeFor[SynthConfig]().Field(i).Name)
		}
	}
	for i := range reflect.TypeFor[CropConfig]().NumField() {
		c := smallCrops()
		changed(reflect.ValueOf(&c).Elem(), i)
		if CropIdentity(c) == CropIdentity(smallCrops()) {
			t.Errorf("CropConfig.%s does not change the identity", reflect.TypeFor[CropConfig]().Field(i).Name)
		}
	}
}

// All shapes, the largest sizes and the roughest background are drawn without a
// panic and stay in the picture.
func TestExtremeScenes(t *testing.T) {
	for _, c := range []SynthConfig{
		{Pixels: 32, Classes: 12, Train: 1, Tune: 1, Val: 1, Objects: 50, MinSize: 0.01, MaxSize: 1, Noise: 64, Clutter: 1},
		{Pixels: 33, Classes: 1, Train: 1, Tune: 1, Val: 1, Objects: 1, Empty: 1, Distractors: 50, MinSize: 1, MaxSize: 1},
		{Pixels: 301, Classes: 11, Train: 1, Tune: 1, Val: 1, Objects: 20, Distractors: 20, MinSize: 0.5, MaxSize: 1, Clutter: 0.001},
	} {
		g := NewSynth(c)
		for i := range 20 {
			s := g.Scene("val", i)
			if len(s.Pixels) != 3*c.Pixels*c.Pixels || c.Empty == 1 && len(s.Boxes) > 0 {
				t.Errorf("%+v: %d bytes, %d boxes", c, len(s.Pixels), len(s.Boxes))
			}
		}
	}
}

// Millions of crops take minutes: the end of the context stops their drawing.
func TestCropsStop(t *testing.T) {
	g := NewCrops(smallCrops())
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := g.Draw(ctx, 0, 1<<16); !errors.Is(err, context.Canceled) {
		t.Errorf("drawing with a context that has ended: %v, want %v", err, context.Canceled)
	}
}

func TestCrops(t *testing.T) {
	c := smallCrops()
	g := NewCrops(c)
	set, err := g.Draw(t.Context(), 5, 300)
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

func tinySynth() SynthConfig {
	c := smallSynth()
	c.Pixels, c.Train, c.Tune, c.Val = 48, 7, 2, 3
	return c
}

func TestGenerate(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "deep", "set")
	c := tinySynth()
	calls := 0
	if _, err := Generate(t.Context(), dir, c, GenerateOptions{Progress: func(done, total int) {
		calls++
		if done != calls || total != 12 {
			t.Errorf("progress %d of %d at call %d, want it of 12", done, total, calls)
		}
	}}); err != nil {
		t.Fatal(err)
	}
	if calls != 12 {
		t.Errorf("%d calls of progress, want 12", calls)
	}
	if problems, err := Check(t.Context(), dir, Splits, CheckOptions{Decode: true}); len(problems) > 0 || err != nil {
		t.Errorf("the checker finds %v (%v)", problems, err)
	}
	g := NewSynth(c)
	for _, split := range Splits {
		s, err := Open(dir, split)
		if err != nil {
			t.Fatal(err)
		}
		for i, im := range s.Images {
			scene := g.Scene(split, i)
			if len(im.Objects) != len(scene.Boxes) {
				t.Fatalf("%s %d: %d objects, drawn %d", split, i, len(im.Objects), len(scene.Boxes))
			}
			for j, o := range im.Objects {
				b := scene.Boxes[j]
				if o.Box != [4]float32{float32(b[0]), float32(b[1]), float32(b[2]), float32(b[3])} || int(o.Label) != scene.Labels[j] {
					t.Errorf("%s %d: object %+v, drawn %v of class %d", split, i, o, b, scene.Labels[j])
				}
			}
			p, err := s.Decode(i)
			if err != nil {
				t.Fatal(err)
			}
			sum := 0
			for k := range p.Pix {
				sum += max(int(p.Pix[k])-int(scene.Pixels[k]), int(scene.Pixels[k])-int(p.Pix[k]))
			}
			if mean := float64(sum) / float64(len(p.Pix)); mean > 8 {
				t.Errorf("%s %d: encoded it differs by %g levels on average", split, i, mean)
			}
		}
	}
	first, err := FolderIdentity(t.Context(), dir, nil, Splits...)
	if err != nil {
		t.Fatal(err)
	}

	// Once more is nothing to do; another set is refused; neither touches it.
	if _, err := Generate(t.Context(), dir, c, GenerateOptions{Progress: func(int, int) { t.Error("drawn again") }}); err != nil {
		t.Fatal(err)
	}
	c.Seed = 9
	if _, err := Generate(t.Context(), dir, c, GenerateOptions{}); !errors.Is(err, ErrOtherFolder) {
		t.Errorf("another seed in the same folder: %v, want ErrOtherFolder", err)
	}
	foreign := filepath.Join(root, "deep")
	if _, err := Generate(t.Context(), foreign, c, GenerateOptions{}); !errors.Is(err, ErrOtherFolder) || !strings.Contains(err.Error(), "no synthetic.json") {
		t.Errorf("a folder with other data: %v, want ErrOtherFolder", err)
	}
	if again, err := FolderIdentity(t.Context(), dir, nil, Splits...); err != nil || again != first {
		t.Errorf("the folder has changed from %s to %s (%v)", first, again, err)
	}

	// Several at once, into an empty folder, give the same bytes.
	c.Seed = 0
	dir = filepath.Join(root, "race")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := Generate(t.Context(), dir, c, GenerateOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if again, err := FolderIdentity(t.Context(), dir, nil, Splits...); err != nil || again != first {
		t.Errorf("drawn four times at once: %s, want %s (%v)", again, first, err)
	}
	noLeftovers(t, root)

	// A link to an empty folder stays a link.
	disk, link := filepath.Join(root, "disk"), filepath.Join(root, "link")
	if err := errors.Join(os.Mkdir(disk, 0o755), os.Symlink(disk, link)); err != nil {
		t.Skipf("no links here: %v", err)
	}
	if _, err := Generate(t.Context(), link, c, GenerateOptions{}); err != nil {
		t.Fatal(err)
	}
	if again, err := FolderIdentity(t.Context(), disk, nil, Splits...); err != nil || again != first {
		t.Errorf("drawn through a link: %s, want %s (%v)", again, first, err)
	}
}

// noLeftovers holds that no temporary folder stayed behind.
func noLeftovers(t *testing.T, root string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(root, ".*tmp*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestGenerateInterrupted(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "set")
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Generate(ctx, dir, tinySynth(), GenerateOptions{Progress: func(done, total int) {
		if done == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a folder is there (%v)", err)
	}
	noLeftovers(t, root)
}

func BenchmarkScene(b *testing.B) {
	g := NewSynth(smallSynth())
	for i := 0; b.Loop(); i++ {
		g.Scene("train", i)
	}
}

func BenchmarkCrop(b *testing.B) {
	g := NewCrops(smallCrops())
	for i := 0; b.Loop(); i++ {
		g.Crop(i)
	}
}
