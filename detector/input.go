package detector

import (
	"context"
	"fmt"

	"focalgrid/dataset"
	"focalgrid/experiments/plan"
	"focalgrid/model"
	"focalgrid/sampler"
)

// cocoClasses is the number of classes where no data can be asked.
const cocoClasses = 80

// InputSize returns the size of the network's input for a typical image: the generator's size, or
// 640×480 like most of COCO, resized and padded.
func InputSize(c *plan.Config) (h, w int) {
	w, h = 640, 480
	if plan.Synthetic(c) {
		w, h = c.Int("data.pixels"), c.Int("data.pixels")
	}
	return BatchSize(c, w, h)
}

// BatchSize returns the size of the network's input for images of w × h pixels.
func BatchSize(c *plan.Config, w, h int) (height, width int) {
	t := c.Transform()
	if t.Oriented {
		return t.OrientedSize(w > h)
	}
	w, h, _ = t.Size(w, h)
	return t.Padded(h), t.Padded(w)
}

// Classes counts the object classes: the generator's, the classes of the training
// split's annotations in data.dir, or COCO's 80 where no folder is given.
func Classes(c *plan.Config) (int, error) {
	switch {
	case plan.Synthetic(c):
		return c.Int("data.classes"), nil
	case c.Text("data.dir") == "":
		return cocoClasses, nil
	}
	set, err := dataset.Open(c.Text("data.dir"), c.Text("data.train"))
	if err != nil {
		return 0, err
	}
	return len(set.Classes), nil
}

// OpenSplit reads a split of a folder as the network sees it: without the objects that
// have no area at its input size.
func OpenSplit(c *plan.Config, dir, split string) (*dataset.Set, error) {
	set, err := dataset.Open(dir, split)
	if err != nil {
		return nil, err
	}
	return set.Fit(c.Transform()), nil
}

// CheckData searches splits of a folder, the one to train on first, for everything that
// training or scoring would refuse or leave out. With decode it decodes every picture in full.
func CheckData(ctx context.Context, c *plan.Config, dir string, splits []string, decode bool, progress func(done, total int)) ([]dataset.Problem, error) {
	t := c.Transform()
	return dataset.Check(ctx, dir, splits, dataset.CheckOptions{Decode: decode, Transform: &t, Progress: progress})
}

// Summary counts the network on an input of h×w pixels; Describe draws it.
func Summary(c *plan.Config, h, w int) (*model.Summary, error) {
	classes, err := Classes(c)
	if err != nil {
		return nil, err
	}
	return model.Summarize(ModelConfig(c, classes), h, w)
}

// Describe draws the network for an input of h×w pixels as text.
func Describe(c *plan.Config, h, w int) (string, error) {
	classes, err := Classes(c)
	if err != nil {
		return "", err
	}
	return model.Describe(ModelConfig(c, classes), h, w)
}

// LayOut reads the maps and subnets of the network for an input of h×w pixels from its graph.
func LayOut(c *plan.Config, h, w int) (*model.Layout, error) {
	classes, err := Classes(c)
	if err != nil {
		return nil, err
	}
	return model.LayOut(ModelConfig(c, classes), h, w)
}

// AnchorStats counts what the anchors of a set's images learn.
type AnchorStats struct {
	Images     int // looked at
	Anchors    int // over all of them
	Positive   int
	Ignored    int // neither an object's nor background
	Background int
	Objects    int // without crowds
	Unmatched  int // objects that are no anchor's
}

// CountAnchors assigns the objects of the first n images of the set (0: all) to the configured
// anchors at the network's input size.
func CountAnchors(ctx context.Context, c *plan.Config, set *dataset.Set, n int) (AnchorStats, error) {
	var st AnchorStats
	m := newMatching(c)
	for i, im := range set.Images {
		if n > 0 && i == n {
			break
		}
		if err := ctx.Err(); err != nil {
			return st, err
		}
		got, err := m.match(&im)
		if err != nil {
			return st, err
		}
		matched := make([]bool, got.objects)
		for _, object := range got.object {
			switch object {
			case sampler.Background:
				st.Background++
			case sampler.Ignored:
				st.Ignored++
			default:
				st.Positive++
				matched[object] = true
			}
		}
		st.Images++
		st.Anchors += len(got.object)
		st.Objects += got.objects
		for _, ok := range matched {
			if !ok {
				st.Unmatched++
			}
		}
	}
	return st, nil
}

// matching assigns objects to anchors outside a training.
type matching struct {
	c      *plan.Config
	parts  parts
	priors map[[2]int]*sampler.Priors // by height and width of the input
}

func newMatching(c *plan.Config) *matching {
	return &matching{c, partsOf(c, 1), map[[2]int]*sampler.Priors{}}
}

// learned holds what the anchors of an image learn.
type learned struct {
	boxes   [][4]float32 // of the anchors, at the network's input size
	object  []int32      // of each anchor, as from sampler.Assigner
	objects int          // without crowds
	scale   float32      // from the picture to the input
}

func (m *matching) match(im *dataset.Image) (learned, error) {
	if m.parts.Sampler.Assigner.NeedsPredictions() {
		return learned{}, fmt.Errorf("sampler.assigner is %s, which assigns by what the network predicts: only a training shows what anchors learn", m.c.Text("sampler.assigner"))
	}
	_, _, scale := m.c.Transform().Size(im.Width, im.Height)
	height, width := BatchSize(m.c, im.Width, im.Height)
	size := [2]int{height, width}
	if m.priors[size] == nil {
		p, err := m.parts.Network.Priors(height, width)
		if err != nil {
			return learned{}, err
		}
		m.priors[size] = sampler.NewPriors(p)
	}
	var o sampler.Objects
	for _, object := range im.Objects {
		if !object.Crowd {
			o.Boxes, o.Labels = append(o.Boxes, scaled(object.Box, scale)), append(o.Labels, object.Label)
		}
	}
	object, _ := m.parts.Sampler.Assigner.Assign(m.priors[size], o, nil)
	return learned{m.priors[size].Boxes, object, len(o.Boxes), scale}, nil
}

// scaled returns a box in an image whose sides are by times as long.
func scaled(b [4]float32, by float32) [4]float32 {
	for k := range b {
		b[k] *= by
	}
	return b
}
