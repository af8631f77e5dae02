package synthetic

import "strconv"

// CropConfig describes the classification crops, by the settings in CropParams: one
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
		"version", strconv.Itoa(Version), "pixels", strconv.Itoa(c.Pixels), "classes", strconv.Itoa(c.Classes),
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

// Size is the width and height of a crop.
func (g *Crops) Size() int { return g.config.Pixels }

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
