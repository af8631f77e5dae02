package detector

import (
	"cmp"
	"context"
	"fmt"
	"image/color"
	"path/filepath"
	"slices"

	"focalgrid/box"
	"focalgrid/coco"
	"focalgrid/dataset"
	"focalgrid/dataset/picture"
	"focalgrid/experiments/plan"
	"focalgrid/sampler"
)

// lookIoU is the overlap from which a detection counts as right in a View, as in AP50.
const lookIoU = .5

// View is one picture with what a detector found on it and, where the picture is annotated,
// what is there. Boxes are x1,y1,x2,y2 in original pixels.
type View struct {
	Name      string // of the file
	Pixels    *picture.RGB
	Annotated bool // false: nothing is known of the truth, and Truth is empty
	Found     []Found
	Truth     []Truth
}

// Found is a detection. In the order of their scores, best first, each is matched with the object of its
// class that it overlaps most, among those not matched yet, if that IoU is .5 or more: it is then right. A
// detection that overlaps a crowd of its class is neither right nor wrong. Classes are the same if their
// labels are the same: two may share a name.
type Found struct {
	Box     [4]float32
	Label   int32
	Class   string // its name
	Score   float64
	Verdict Verdict
}

// Truth is an annotated object.
type Truth struct {
	Box    [4]float32
	Label  int32
	Class  string // its name
	Crowd  bool
	Missed bool // no detection was matched with it
}

// Verdict is the judgement of a detection by the annotations.
type Verdict string

// The verdicts. Unknown stands for detections on pictures without annotations and on crowds.
const (
	Right   Verdict = "right"
	Wrong   Verdict = "wrong"
	Unknown Verdict = "unknown"
)

// Views calls each with the first n images of a set, one after the other, and with their detections above score.
// With annotated it compares the detections with the set's objects.
func Views(set *dataset.Set, n int, dets []coco.Detection, score float64, annotated bool, each func(View) error) error {
	labels := map[int64]int32{} // by category id of the set
	for l := range set.Classes {
		labels[set.CategoryID(int32(l))] = int32(l)
	}
	byImage := map[int64][]Found{}
	for _, det := range dets {
		if det.Score <= score {
			continue
		}
		b := [4]float32{float32(det.BBox[0]), float32(det.BBox[1]), float32(det.BBox[0] + det.BBox[2]), float32(det.BBox[1] + det.BBox[3])}
		l := labels[det.CategoryID]
		byImage[det.ImageID] = append(byImage[det.ImageID], Found{Box: b, Label: l, Class: className(set.Classes[l]), Score: det.Score, Verdict: Unknown})
	}
	for i, im := range set.Images[:n] {
		pixels, err := set.Decode(i)
		if err != nil {
			return err
		}
		v := View{Name: filepath.Base(im.File), Pixels: pixels, Annotated: annotated, Found: byImage[im.ID]}
		slices.SortStableFunc(v.Found, func(a, b Found) int { return cmp.Compare(b.Score, a.Score) })
		if annotated {
			for _, o := range im.Objects {
				v.Truth = append(v.Truth, Truth{Box: o.Box, Label: o.Label, Class: className(set.Classes[o.Label]), Crowd: o.Crowd, Missed: !o.Crowd})
			}
			v.judge()
		}
		if err := each(v); err != nil {
			return err
		}
	}
	return nil
}

// className returns the caption of a class: its id, if it has no name.
func className(c dataset.Class) string {
	if c.Name == "" {
		return fmt.Sprintf("id %d", c.ID)
	}
	return c.Name
}

// judge compares what was found with the truth. Found must be sorted.
func (v *View) judge() {
	for i := range v.Found {
		f := &v.Found[i]
		f.Verdict = Wrong
		best, at := lookIoU, -1
		for j, t := range v.Truth {
			if t.Label != f.Label {
				continue
			}
			if t.Crowd {
				if f.Verdict == Wrong && within(f.Box, t.Box) >= lookIoU {
					f.Verdict = Unknown
				}
				continue
			}
			if iou := box.IoU(f.Box, t.Box); t.Missed && iou >= best {
				best, at = iou, j
			}
		}
		if at >= 0 {
			f.Verdict, v.Truth[at].Missed = Right, false
		}
	}
}

// within returns the share of a that lies in b: COCO's overlap with a crowd.
func within(a, b [4]float32) float64 {
	area := box.Area(a)
	if area == 0 {
		return 0
	}
	w := min(a[2], b[2]) - max(a[0], b[0])
	h := min(a[3], b[3]) - max(a[1], b[1])
	return float64(max(w, 0)) * float64(max(h, 0)) / area
}

// counts counts the right and wrong detections and the missed objects of a view.
func (v *View) counts() (right, wrong, missed int) {
	for _, f := range v.Found {
		switch f.Verdict {
		case Right:
			right++
		case Wrong:
			wrong++
		}
	}
	for _, t := range v.Truth {
		if t.Missed {
			missed++
		}
	}
	return right, wrong, missed
}

// The colours of marks.
var (
	green  = color.RGBA{40, 200, 80, 255}   // right, or a found object
	red    = color.RGBA{235, 50, 50, 255}   // a wrong detection
	orange = color.RGBA{255, 165, 0, 255}   // a missed object
	grey   = color.RGBA{170, 170, 170, 255} // a crowd, or an anchor
	blue   = color.RGBA{70, 150, 255, 255}  // a detection without a verdict
)

// Legend explains the colours of views.
const Legend = "left: detections, green right (IoU .5 and class), red wrong, grey on a crowd, blue not known; right: the truth, green found, orange missed"

// panels draws the view: the detections and, where there are annotations, the
// truth beside them. It makes a picture with a side above limit pixels smaller (0: never).
func (v *View) panels(limit int) ([]dataset.Panel, error) {
	pixels, scale, err := shrink(v.Pixels, limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.Name, err)
	}
	found := dataset.Panel{Pixels: pixels.Image(), Caption: v.Name}
	for i := len(v.Found) - 1; i >= 0; i-- { // the best last, on top
		f := v.Found[i]
		ink := map[Verdict]color.RGBA{Right: green, Wrong: red, Unknown: blue}[f.Verdict]
		if v.Annotated && f.Verdict == Unknown {
			ink = grey
		}
		found.Marks = append(found.Marks, dataset.Mark{Box: scaled(f.Box, scale), Color: ink, Text: fmt.Sprintf("%s %.2f", f.Class, f.Score)})
	}
	if !v.Annotated {
		return []dataset.Panel{found}, nil
	}
	right, wrong, missed := v.counts()
	truth := dataset.Panel{Pixels: pixels.Image(), Caption: fmt.Sprintf("%d right %d wrong %d missed", right, wrong, missed)}
	for _, t := range v.Truth {
		ink := green
		switch {
		case t.Crowd:
			ink = grey
		case t.Missed:
			ink = orange
		}
		truth.Marks = append(truth.Marks, dataset.Mark{Box: scaled(t.Box, scale), Color: ink, Text: t.Class})
	}
	return []dataset.Panel{found, truth}, nil
}

// shrink makes a picture smaller until no side is above limit pixels.
func shrink(p *picture.RGB, limit int) (*picture.RGB, float32, error) {
	long, short := max(p.Width, p.Height), min(p.Width, p.Height)
	if limit < 1 || long <= limit {
		return p, 1, nil
	}
	t := dataset.Transform{ShortSide: max(1, short*limit/long), LongSide: limit, PadTo: 1, Std: [3]float32{1, 1, 1}}
	_, _, scale := t.Size(p.Width, p.Height)
	small, err := t.Resize(p)
	return small, scale, err
}

// ShowImages draws the first n images of a set with their objects and, if asked, the
// anchors that learn them. Pictures with a side above limit pixels are made smaller.
func ShowImages(ctx context.Context, c *plan.Config, set *dataset.Set, n, limit int, anchors bool) ([]dataset.Panel, error) {
	var out []dataset.Panel
	m := newMatching(c)
	for i, im := range set.Images[:min(n, len(set.Images))] {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, err := set.Decode(i)
		if err != nil {
			return nil, err
		}
		small, scale, err := shrink(p, limit)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", set.Path(i), err)
		}
		panel := dataset.Panel{Pixels: small.Image(), Caption: filepath.Base(im.File)}
		if anchors {
			got, err := m.match(&im)
			if err != nil {
				return nil, err
			}
			for i, object := range got.object {
				if object != sampler.Background && object != sampler.Ignored {
					panel.Marks = append(panel.Marks, dataset.Mark{Box: scaled(got.boxes[i], scale/got.scale), Color: grey})
				}
			}
		}
		for _, o := range im.Objects {
			ink := green
			if o.Crowd {
				ink = orange
			}
			panel.Marks = append(panel.Marks, dataset.Mark{Box: scaled(o.Box, scale), Color: ink, Text: className(set.Classes[o.Label])})
		}
		out = append(out, panel)
	}
	return out, nil
}
