package sampler

import (
	"compress/gzip"
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"focalgrid/box"

	"pgregory.net/rapid"
)

type array struct {
	Shape []int
	Data  []float64
}

func (a array) boxes() [][4]float64 {
	out := make([][4]float64, len(a.Data)/4)
	for i := range out {
		out[i] = [4]float64(a.Data[4*i : 4*i+4])
	}
	return out
}

func (a array) int32s() []int32 {
	var out []int32
	for _, v := range a.Data {
		out = append(out, int32(v))
	}
	return out
}

var paperIoU = IoU{Positive: .5, Negative: .4, Force: "none"}

// assign returns what each anchor learns of an image with these boxes.
func assign(a Assigner, anchors, objects [][4]float32) []int32 {
	object, _ := a.Assign(priorsOf(anchors), Objects{Boxes: objects}, nil)
	return object
}

func TestMatchAgainstTorchvision(t *testing.T) {
	f, err := os.Open("testdata/matcher.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var ref struct {
		High, Low float64
		Cases     []struct {
			Name        string
			GT, Anchors array
			Matches     array
			LowQuality  array `json:"matches_low_quality"`
		}
	}
	if err := json.NewDecoder(z).Decode(&ref); err != nil {
		t.Fatal(err)
	}
	if len(ref.Cases) != 10 {
		t.Errorf("%d cases, want 10", len(ref.Cases))
	}
	for _, c := range ref.Cases {
		anchors, gt := c.Anchors.boxes(), c.GT.boxes()
		for _, rule := range []struct {
			force string
			want  []int32
		}{{"none", c.Matches.int32s()}, {"torchvision", c.LowQuality.int32s()}, {"detectron2", c.LowQuality.int32s()}} {
			if rule.force == "detectron2" && c.Name == "object_without_overlap" {
				rule.want = c.Matches.int32s() // the case where the two rules part
			}
			got := make([]int32, len(anchors))
			newIndex(anchors).match(IoU{Positive: ref.High, Negative: ref.Low, Force: rule.force}, gt, got)
			if !slices.Equal(got, rule.want) {
				t.Errorf("%s, force %s: got %v, want %v", c.Name, rule.force, got, rule.want)
			}
		}
	}
}

// "IoU >= .5 positive, [0,.4) background, [.4,.5) unassigned": §4, at the borders.
func TestMatchAtTheThresholds(t *testing.T) {
	object := [][4]float32{{0, 0, 10, 10}}
	tests := []struct {
		height float32 // of an anchor as wide as the object, so IoU is height/10
		want   int32
	}{{5, 0}, {4.99, Ignored}, {4, Ignored}, {3.99, Background}, {10, 0}, {20, 0}, {20.1, Ignored}}
	for _, tt := range tests {
		if got := assign(paperIoU, [][4]float32{{0, 0, 10, tt.height}}, object)[0]; got != tt.want {
			t.Errorf("anchor of height %g on a 10×10 object: %d, want %d", tt.height, got, tt.want)
		}
	}
	if got := assign(paperIoU, [][4]float32{{0, 0, 1, 1}}, nil)[0]; got != Background {
		t.Errorf("no objects: %d, want background", got)
	}
}

func drawBoxes(t *rapid.T, most int) [][4]float32 {
	out := make([][4]float32, rapid.IntRange(0, most).Draw(t, "boxes"))
	for i := range out {
		x, y := rapid.IntRange(0, 20).Draw(t, "x"), rapid.IntRange(0, 20).Draw(t, "y")
		w, h := rapid.IntRange(1, 12).Draw(t, "w"), rapid.IntRange(1, 12).Draw(t, "h")
		out[i] = [4]float32{float32(x), float32(y), float32(x + w), float32(y + h)}
	}
	return out
}

// Forcing only adds positives, and under "detectron2" and "torchvision" every
// object that overlaps an anchor has had its best anchors made positive.
func TestForceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		anchors, objects := drawBoxes(t, 12), drawBoxes(t, 4)
		plain := assign(paperIoU, anchors, objects)
		for _, force := range []string{"detectron2", "torchvision"} {
			got := assign(IoU{.5, .4, force}, anchors, objects)
			for i := range got {
				if plain[i] >= 0 && got[i] != plain[i] || got[i] < 0 && got[i] != plain[i] {
					t.Fatalf("%s turns anchor %d from %d to %d", force, i, plain[i], got[i])
				}
				if got[i] >= 0 && int(got[i]) != favourite(anchors[i], objects) {
					t.Fatalf("%s gives anchor %d object %d, which is not its best", force, i, got[i])
				}
			}
			for j, o := range objects {
				best, at := 0.0, -1
				for i, a := range anchors {
					if iou := overlap(a, o); iou > best {
						best, at = iou, i
					}
				}
				if at >= 0 && got[at] < 0 {
					t.Fatalf("%s: object %d overlaps anchor %d most (%g), which stays %d", force, j, at, best, got[at])
				}
			}
		}
	})
}

// overlap is box.IoU after a quick no for the many pairs that are apart.
func overlap(a, b [4]float32) float64 {
	if a[0] >= b[2] || b[0] >= a[2] || a[1] >= b[3] || b[1] >= a[3] {
		return 0
	}
	return box.IoU(a, b)
}

// matchEach assigns by comparing every anchor with every object.
func matchEach(m IoU, anchors, objects [][4]float32) []int32 {
	out, best := make([]int32, len(anchors)), make([]float64, len(objects))
	for i, a := range anchors {
		most := 0.0
		for j, o := range objects {
			most, best[j] = max(most, overlap(a, o)), max(best[j], overlap(a, o))
		}
		switch {
		case len(objects) == 0 || most < m.Negative:
			out[i] = Background
		case most >= m.Positive:
			out[i] = int32(favourite(a, objects))
		default:
			out[i] = Ignored
		}
	}
	for j, o := range objects {
		for i, a := range anchors {
			if m.Force != "none" && (best[j] > 0 || m.Force == "torchvision") && out[i] < 0 && overlap(a, o) == best[j] {
				out[i] = int32(favourite(a, objects))
			}
		}
	}
	return out
}

// Leaving out pairs that can't matter changes no match: boxes on whole pixels, which tie
// often, and on fractions; anchors like objects; thresholds that a pair has exactly.
func TestMatchIsThatOfEveryPair(t *testing.T) {
	pyramid := grid(96, 64)
	rapid.Check(t, func(t *rapid.T) {
		objects := drawBoxes(t, 6)
		by := rapid.SampledFrom([]float32{1, .37, 3.3, 7}).Draw(t, "scale")
		scale := func(boxes [][4]float32) {
			for i := range boxes {
				for k := range 4 {
					boxes[i][k] *= by
				}
			}
		}
		scale(objects)
		anchors := pyramid
		if rapid.Bool().Draw(t, "free anchors") {
			anchors = drawBoxes(t, 40)
			scale(anchors)
			anchors = append(anchors, objects...)
		}
		objects = append(objects, objects...)
		m := IoU{
			Positive: rapid.SampledFrom([]float64{.5, .7, 1, 1e-3}).Draw(t, "positive"),
			Negative: rapid.SampledFrom([]float64{.4, .3, 0, 1e-4}).Draw(t, "negative"),
			Force:    rapid.SampledFrom([]string{"none", "detectron2", "torchvision"}).Draw(t, "force"),
		}
		if len(objects) > 0 && rapid.Bool().Draw(t, "threshold of a pair") {
			m.Negative = overlap(rapid.SampledFrom(anchors).Draw(t, "anchor"), rapid.SampledFrom(objects).Draw(t, "object"))
		}
		m.Negative = min(m.Negative, m.Positive)
		got, want := assign(m, anchors, objects), matchEach(m, anchors, objects)
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%+v, anchor %v on objects %v: %d, want %d", m, anchors[i], objects, got[i], want[i])
			}
		}
	})
}

// grid lays anchors as the paper's pyramid does, without rounding.
func grid(width, height int) [][4]float32 {
	var out [][4]float32
	for stride := 8; stride <= 128; stride *= 2 {
		for y := 0; y < height; y += stride {
			for x := 0; x < width; x += stride {
				for _, shape := range [][2]float32{{1.4, .7}, {1, 1}, {.7, 1.4}} {
					for _, scale := range []float32{1, 1.26, 1.587} {
						w, h := shape[0]*scale*float32(4*stride)/2, shape[1]*scale*float32(4*stride)/2
						out = append(out, [4]float32{float32(x) - w, float32(y) - h, float32(x) + w, float32(y) + h})
					}
				}
			}
		}
	}
	return out
}

func randomObjects(seed uint64, n, width, height, classes int) Objects {
	r := rand.New(rand.NewPCG(seed, 1))
	var o Objects
	for range n {
		w, h := .1+.5*r.Float32(), .1+.5*r.Float32()
		x, y := r.Float32()*(1-w)*float32(width), r.Float32()*(1-h)*float32(height)
		o.Boxes = append(o.Boxes, [4]float32{x, y, x + w*float32(width), y + h*float32(height)})
		o.Labels = append(o.Labels, int32(r.IntN(classes)))
	}
	return o
}

func BenchmarkMatch113k(b *testing.B) {
	anchors := grid(1000, 600)
	objects := randomObjects(1, 7, 1000, 600, 80)
	index, out := newIndex(anchors), make([]int32, len(anchors))
	for b.Loop() {
		index.match(paperIoU, objects.Boxes, out)
	}
}

func TestGridHasThePapersCount(t *testing.T) {
	if got := len(grid(1000, 600)); got != 113193 {
		t.Errorf("%d anchors at 600×1000, want 113193", got)
	}
}
