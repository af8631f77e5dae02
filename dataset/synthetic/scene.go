package synthetic

import "slices"

// Scene is one synthetic image before it is encoded.
type Scene struct {
	Pixels []uint8  // RGB, row by row, Size x Size x 3
	Size   int      // width and height
	Boxes  [][4]int // x1, y1, x2, y2 in pixels, far edges exclusive; what hides an object does not shrink its box
	Labels []int    // index of the class, in the order drawn: a later object lies on the earlier ones
}

// Generator draws the scenes of one configuration. It never changes once made, so
// any number of goroutines may draw at once.
type Generator struct {
	config         Config
	shapes         [][][]point
	octaves        []octave
	litter         poisson
	more           poisson // objects beyond the first
	distractors    poisson
	empty          int64 // of 1000
	noise          int64 // thousandths
	minLog, maxLog int64 // log2 of the object sizes in pixels
}

// New prepares to draw.
func New(c Config) *Generator {
	px := int64(c.Pixels)
	return &Generator{
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

// ClassNames are the names of the classes, by label.
func (g *Generator) ClassNames() []string { return slices.Clone(shapeNames[:g.config.Classes]) }

// Bounds of the random pose, as base-2 logarithms in Q16 and in turns of 65536.
const (
	objectStretch     = 33092 // log2(e^.35)
	distractorStretch = 28365 // log2(e^.3)
	objectTurn        = 5215  // .5 radians
	distractorShrink  = 48297 // -log2(.6): distractors reach 60 % of the largest object
)

// Scene draws image i of a split: a pure function of the settings, the name of
// the split and i.
func (g *Generator) Scene(split string, i int) Scene {
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
func (g *Generator) place(s stream, d int64, boxes [][4]int) (at point, ok bool) {
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
