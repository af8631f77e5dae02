package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// SynthVersion numbers the drawing code: it is part of a set's identity and
// must grow whenever a pixel, a box or an encoded byte changes, which the golden
// hashes of the tests notice.
const SynthVersion = 1

// Splits are the parts of a synthetic set, drawn from streams of their own.
// Whatever is chosen is chosen on tune; tables report val.
var Splits = []string{"train", "tune", "val"}

// SynthConfig says what a synthetic set contains, as Params describes it. Fractions and means
// count to three decimals, so that the integers drawn from are exactly what is written.
type SynthConfig struct {
	Pixels           int
	Classes          int
	Train, Tune, Val int // images a split
	Objects          float64
	Empty            float64
	Distractors      float64
	MinSize, MaxSize float64
	Noise            float64
	Clutter          float64
	Seed             uint64
}

// milli is v in thousandths: the only step from floats to integers.
func milli(v float64) int64 { return int64(math.Round(v * 1000)) }

// Identity is a hash of the version and of every setting: equal identities mean
// equal files, without looking at them.
func Identity(c SynthConfig) string {
	return fingerprint("focalgrid synthetic set",
		"version", strconv.Itoa(SynthVersion), "quality", strconv.Itoa(jpegQuality),
		"pixels", strconv.Itoa(c.Pixels), "classes", strconv.Itoa(c.Classes),
		"train", strconv.Itoa(c.Train), "tune", strconv.Itoa(c.Tune), "val", strconv.Itoa(c.Val),
		"objects", number(c.Objects), "empty", number(c.Empty), "distractors", number(c.Distractors),
		"min_size", number(c.MinSize), "max_size", number(c.MaxSize), "noise", number(c.Noise),
		"clutter", number(c.Clutter), "seed", strconv.FormatUint(c.Seed, 10))
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// fingerprint is the SHA-256 of a title and pairs of key and value, in hex.
func fingerprint(title string, pairs ...string) string {
	var b strings.Builder
	fmt.Fprintln(&b, title)
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "%s=%s\n", pairs[i], pairs[i+1])
	}
	h := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(h[:])
}

// newStream returns the random stream of one picture.
func newStream(kind string, seed uint64, index int) stream {
	h := sha256.Sum256(fmt.Appendf(nil, "focalgrid synth v%d %s seed %d index %d", SynthVersion, kind, seed, index))
	return stream{rand.NewPCG(binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:16]))}
}

// Scene is one synthetic image before it is encoded.
type Scene struct {
	Pixels []uint8  // RGB, row by row, Size x Size x 3
	Size   int      // width and height
	Boxes  [][4]int // x1, y1, x2, y2 in pixels, far edges exclusive; what hides an object does not shrink its box
	Labels []int    // index of the class, in the order drawn: a later object lies on the earlier ones
}

// Synth draws the scenes of one configuration. It never changes once made, so
// any number of goroutines may draw at once.
type Synth struct {
	config         SynthConfig
	shapes         [][][]point
	octaves        []octave
	litter         poisson
	more           poisson // objects beyond the first
	distractors    poisson
	empty          int64 // of 1000
	noise          int64 // thousandths
	minLog, maxLog int64 // log2 of the object sizes in pixels
}

// NewSynth prepares to draw.
func NewSynth(c SynthConfig) *Synth {
	px := int64(c.Pixels)
	return &Synth{
		config:      c,
		shapes:      allOutlines(),
		octaves:     newOctaves(c.Pixels, persistence(c.Clutter)),
		litter:      litterOf(c.Pixels, c.Clutter),
		more:        newPoisson(milli(c.Objects) - 1000),
		distractors: newPoisson(milli(c.Distractors)),
		empty:       milli(c.Empty),
		noise:       milli(c.Noise),
		minLog:      log2(px * milli(c.MinSize) << 16 / 1000),
		maxLog:      log2(px * milli(c.MaxSize) << 16 / 1000),
	}
}

func allOutlines() [][][]point {
	shapes := make([][][]point, len(shapeNames))
	for i, name := range shapeNames {
		shapes[i] = outlines(name)
	}
	return shapes
}

// persistence is the amplitude of an octave relative to the one before: .3 with
// no clutter (soft clouds), .6 in the middle, .9 at 1 (hardly less than noise).
func persistence(clutter float64) int64 { return (300 + milli(clutter)*6/10) * one / 1000 }

// litterOf gives 20 lines and blobs, times clutter, on 128 x 128 pixels.
func litterOf(pixels int, clutter float64) poisson {
	return newPoisson(20 * milli(clutter) * int64(pixels) * int64(pixels) / (128 * 128))
}

// ClassNames are the names of the classes, by label.
func (g *Synth) ClassNames() []string { return slices.Clone(shapeNames[:g.config.Classes]) }

// Bounds of the random pose, as base-2 logarithms in Q16 and in turns of 65536.
const (
	objectStretch     = 33092 // log2(e^.35)
	distractorStretch = 28365 // log2(e^.3)
	objectTurn        = 5215  // .5 radians
	distractorShrink  = 48297 // -log2(.6): distractors reach 60 % of the largest object
)

// Scene draws image i of a split: a pure function of the settings, the name of
// the split and i.
func (g *Synth) Scene(split string, i int) Scene {
	s := newStream("split "+split, g.config.Seed, i)
	size := g.config.Pixels
	span := int64(size) << 16
	c := clouds(s, size, g.octaves)
	c.litter(s, g.litter.draw(s))

	classes := int64(g.config.Classes)
	for range g.distractors.draw(s) {
		kind := classes + s.below(int64(len(shapeNames))-classes)
		d := exp2(s.between(g.minLog, g.maxLog-distractorShrink))
		at := point{s.below(span), s.below(span)}
		p := newPose(at, d, s.between(-distractorStretch, distractorStretch), s.below(one))
		c.blend(fill(size, p.onCanvas(g.shapes[kind])), texture(s, p))
	}

	scene := Scene{Pixels: c.pix, Size: size}
	n := 0
	if s.below(1000) >= g.empty {
		n = 1 + g.more.draw(s)
	}
	for range n {
		d := exp2(s.between(g.minLog, g.maxLog))
		at, free := g.place(s, d, scene.Boxes)
		kind := int(s.below(classes))
		p := newPose(at, d, s.between(-objectStretch, objectStretch), s.between(-objectTurn, objectTurn))
		m := fill(size, p.onCanvas(g.shapes[kind]))
		box, ok := m.tight()
		if !free || !ok || box[2]-box[0] <= 3 || box[3]-box[1] <= 3 {
			continue // no room, or nothing a detector could be blamed for missing: not drawn either
		}
		c.blend(m, texture(s, p))
		scene.Boxes = append(scene.Boxes, box)
		scene.Labels = append(scene.Labels, kind)
	}
	c.grain(s, g.noise)
	return scene
}

// place looks, ten times at most, for a centre whose square of side d overlaps
// no box by an IoU of a quarter or more. Up to 20 % of d may lie outside the
// image.
func (g *Synth) place(s stream, d int64, boxes [][4]int) (at point, ok bool) {
	span := int64(g.config.Pixels) << 16
	margin := d * 3 / 10
	for range 10 {
		at = point{s.between(margin, span-margin), s.between(margin, span-margin)}
		ok = true
		for _, b := range boxes {
			q := [4]int64{int64(b[0]) << 16, int64(b[1]) << 16, int64(b[2]) << 16, int64(b[3]) << 16}
			w := min(q[2], at.x+d/2) - max(q[0], at.x-d/2)
			h := min(q[3], at.y+d/2) - max(q[1], at.y-d/2)
			if w <= 0 || h <= 0 {
				continue
			}
			// In Q8 a product of two lengths fits: the areas are in Q16.
			inter := (w >> 8) * (h >> 8)
			union := (d>>8)*(d>>8) + ((q[2]-q[0])>>8)*((q[3]-q[1])>>8) - inter
			if 4*inter >= union {
				ok = false
				break
			}
		}
		if ok {
			return at, true
		}
	}
	return at, false
}

// CropConfig says what the classification crops contain, as CropParams describes it: one
// object in the middle of each, or none. More classes than the detection set's make richer
// features.
type CropConfig struct {
	Pixels  int
	Classes int
	Noise   float64
	Clutter float64
	Seed    uint64
}

// CropIdentity is a hash of the version and the settings.
func CropIdentity(c CropConfig) string {
	return fingerprint("focalgrid crops",
		"version", strconv.Itoa(SynthVersion), "pixels", strconv.Itoa(c.Pixels), "classes", strconv.Itoa(c.Classes),
		"noise", number(c.Noise), "clutter", number(c.Clutter), "seed", strconv.FormatUint(c.Seed, 10))
}

// Crops draws classification crops. It never changes once made, so any number
// of goroutines may draw at once.
type Crops struct {
	config  CropConfig
	shapes  [][][]point
	octaves []octave
	litter  poisson
}

// NewCrops prepares to draw.
func NewCrops(c CropConfig) *Crops {
	return &Crops{c, allOutlines(), newOctaves(c.Pixels, persistence(c.Clutter)), litterOf(c.Pixels, c.Clutter)}
}

// Labels is the number of labels, Classes + 1.
func (g *Crops) Labels() int { return g.config.Classes + 1 }

// Crop draws crop i: RGB pixels, Pixels x Pixels x 3 row by row, and a label.
// Label Classes is "none": there, seven times in ten, a shape of no class.
func (g *Crops) Crop(i int) (pixels []uint8, label int32) {
	s := newStream("crop", g.config.Seed, i)
	size, classes := g.config.Pixels, int64(g.config.Classes)
	span := int64(size) << 16
	c := clouds(s, size, g.octaves)
	c.litter(s, g.litter.draw(s))
	kind := s.below(classes + 1)
	label = int32(kind)
	if kind < classes || s.below(10) < 7 {
		if kind == classes {
			kind += s.below(int64(len(shapeNames)) - classes)
		}
		d := s.between(span*30/100, span*85/100)
		off := span * 12 / 100
		at := point{span/2 + s.between(-off, off), span/2 + s.between(-off, off)}
		p := newPose(at, d, s.between(-objectStretch, objectStretch), s.between(-objectTurn, objectTurn))
		c.blend(fill(size, p.onCanvas(g.shapes[kind])), texture(s, p))
	}
	c.grain(s, milli(g.config.Noise))
	return c.pix, label
}

// CropSet is a number of crops in memory.
type CropSet struct {
	Size   int     // width and height
	Pixels []uint8 // RGB, one crop after the other
	Labels []int32 // one a crop
}

// Draw draws crops first to first+n-1 on all cores. The error is ctx's.
func (g *Crops) Draw(ctx context.Context, first, n int) (*CropSet, error) {
	size := g.config.Pixels
	s := &CropSet{size, make([]uint8, 3*size*size*n), make([]int32, n)}
	err := parallel(ctx, n, runtime.GOMAXPROCS(0), func(i int) error {
		pix, label := g.Crop(first + i)
		copy(s.Pixels[i*len(pix):], pix)
		s.Labels[i] = label
		return nil
	})
	return s, err
}

// Batch returns the crops at the indices, mirrored where flips says so (nil:
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
		p := &RGB{s.Size, s.Size, s.Pixels[i*plane:][:plane]}
		p.place(pixels[k*plane:][:plane], s.Size, s.Size, flips != nil && flips[k], table)
		labels[k] = s.Labels[i]
	}
	return pixels, labels, nil
}
