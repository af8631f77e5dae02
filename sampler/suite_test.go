package sampler

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"

	"focalgrid/box"
	"focalgrid/setting"
	"focalgrid/setting/settingtest"
)

// demand is something that every assigner or miner of a map must do, also one that is added. The
// fault that it returns names where the component fails.
type demand[T any] struct {
	name  string
	fault func(make func(setting.Values) T, params []setting.Param, r *rand.Rand) error
}

var assignerDemands = []demand[Assigner]{
	{"gives each prior an object, background or ignored", wrongAnswer},
	{"gives each object that is like a prior a prior", losesObject},
	{"is the same at each call, in any goroutine, and leaves what it reads as it is", unsteady},
	{"does not depend on the order of objects", dependsOnOrder},
}

var minerDemands = []demand[Miner]{
	{"chooses among what the assigner gives", wrongChoice},
	{"does not depend on cores and the order of images", dependsOnCores},
}

// faults holds a component to demands.
func faults[T any](make func(setting.Values) T, params []setting.Param, demands []demand[T]) map[string]error {
	out := map[string]error{}
	for i, d := range demands {
		if err := d.fault(make, params, rand.New(rand.NewPCG(1, uint64(i)))); err != nil {
			out[d.name] = err
		}
	}
	return out
}

func TestAssigners(t *testing.T) {
	for name, a := range assigners {
		for demand, err := range faults(a.of, a.params, assignerDemands) {
			t.Errorf("assigner %s %s: %v", name, demand, err)
		}
	}
}

func TestMiners(t *testing.T) {
	for name, m := range miners {
		if m.of == nil { // all priors count
			m.of = func(setting.Values) Miner { return nil }
		}
		for demand, err := range faults(m.of, m.params, minerDemands) {
			t.Errorf("miner %s %s: %v", name, demand, err)
		}
	}
}

// scenery is priors of a network on an input of 128×96 pixels, with what its images show.
type scenery struct {
	priors    *Priors
	images    []Objects
	predicted []box.Predicted // of each image
}

const (
	sceneWidth, sceneHeight = 128, 96
	sceneClasses            = 3
)

// sceneries are two kinds of priors, anchors and points, with objects that no two priors fit
// equally well.
func sceneries(r *rand.Rand) []scenery {
	var anchors, points box.Priors
	for stride := 8; stride <= 128; stride *= 2 {
		before, cells := len(anchors.Boxes), 0
		for y := 0; y < sceneHeight; y += stride {
			for x := 0; x < sceneWidth; x += stride {
				cells++
				at := func(w, h float32) [4]float32 {
					cx, cy := float32(x+stride/2), float32(y+stride/2)
					return [4]float32{cx - w/2, cy - h/2, cx + w/2, cy + h/2}
				}
				points.Boxes = append(points.Boxes, at(float32(stride), float32(stride)))
				for _, shape := range [][2]float32{{1.4, .7}, {1, 1}, {.7, 1.4}} {
					anchors.Boxes = append(anchors.Boxes, at(2*float32(stride)*shape[0], 2*float32(stride)*shape[1]))
				}
			}
		}
		anchors.Levels = append(anchors.Levels, len(anchors.Boxes)-before)
		points.Levels = append(points.Levels, cells)
	}
	var out []scenery
	for _, p := range []box.Priors{anchors, points} {
		s := scenery{priors: NewPriors(p)}
		for i := range 6 {
			s.images = append(s.images, randomObjects(r.Uint64(), i, sceneWidth, sceneHeight, sceneClasses))
			logits, deltas := randomPredictions(r.Uint64(), len(p.Boxes), sceneClasses)
			s.predicted = append(s.predicted, box.Predicted{"class": logits, "box": deltas})
		}
		out = append(out, s)
	}
	return out
}

// assign calls the assigner for an image of the scenery.
func (s *scenery) assign(a Assigner, image int, o Objects) ([]int32, []float32) {
	var predicted box.Predicted
	if a.NeedsPredictions() {
		predicted = s.predicted[image]
	}
	return a.Assign(s.priors, o, predicted)
}

// eachDraw calls do for settings drawn from their ranges and for each kind of priors.
func eachDraw[T any](of func(setting.Values) T, params []setting.Param, r *rand.Rand, do func(v setting.Values, a T, s *scenery) error) error {
	for range 20 {
		v := settingtest.Draw(r, params, 10)
		for _, s := range sceneries(r) {
			if err := do(v, of(v), &s); err != nil {
				return fmt.Errorf("with %v: %w", v, err)
			}
		}
	}
	return nil
}

func wrongAnswer(of func(setting.Values) Assigner, params []setting.Param, r *rand.Rand) error {
	return eachDraw(of, params, r, func(v setting.Values, a Assigner, s *scenery) error {
		for i, o := range s.images {
			object, quality := s.assign(a, i, o)
			if len(object) != len(s.priors.Boxes) || quality != nil && len(quality) != len(object) {
				return fmt.Errorf("%d answers and %d qualities for %d priors", len(object), len(quality), len(s.priors.Boxes))
			}
			for at, k := range object {
				switch {
				case k < Ignored || int(k) >= len(o.Boxes):
					return fmt.Errorf("prior %d has object %d of %d", at, k, len(o.Boxes))
				case len(o.Boxes) == 0 && k != Background:
					return fmt.Errorf("prior %d of an image without objects is %d, not background", at, k)
				}
			}
			for at, q := range quality {
				if math.IsNaN(float64(q)) || math.IsInf(float64(q), 0) {
					return fmt.Errorf("quality of prior %d is %g", at, q)
				}
			}
		}
		return nil
	})
}

// losesObject shows objects that are each one of the priors and do not touch each other: whatever
// the rule, some prior learns each of them.
func losesObject(of func(setting.Values) Assigner, params []setting.Param, r *rand.Rand) error {
	return eachDraw(of, params, r, func(v setting.Values, a Assigner, s *scenery) error {
		var o Objects
		for range 200 {
			b := s.priors.Boxes[r.IntN(len(s.priors.Boxes))]
			touches := func(other [4]float32) bool { return box.IoU(b, other) > 0 }
			if b[0] >= 0 && b[1] >= 0 && b[2] <= sceneWidth && b[3] <= sceneHeight && !slices.ContainsFunc(o.Boxes, touches) {
				o.Boxes, o.Labels = append(o.Boxes, b), append(o.Labels, int32(r.IntN(sceneClasses)))
			}
		}
		object, _ := s.assign(a, 0, o)
		for j, b := range o.Boxes {
			if !slices.Contains(object, int32(j)) {
				return fmt.Errorf("object %d of %d, %v, is a prior's box, and no prior learns it", j, len(o.Boxes), b)
			}
		}
		return nil
	})
}

func unsteady(of func(setting.Values) Assigner, params []setting.Param, r *rand.Rand) error {
	return eachDraw(of, params, r, func(v setting.Values, a Assigner, s *scenery) error {
		for i, o := range s.images {
			before := Objects{slices.Clone(o.Boxes), slices.Clone(o.Labels)}
			object, quality := s.assign(a, i, o)
			var same [8]bool
			var all sync.WaitGroup
			for k := range same {
				all.Go(func() {
					again, q := s.assign(a, i, o)
					same[k] = slices.Equal(again, object) && slices.Equal(q, quality)
				})
			}
			all.Wait()
			if slices.Contains(same[:], false) {
				return fmt.Errorf("image %d: two calls differ", i)
			}
			if !slices.Equal(before.Boxes, o.Boxes) || !slices.Equal(before.Labels, o.Labels) {
				return fmt.Errorf("image %d: the objects have changed", i)
			}
		}
		return nil
	})
}

func dependsOnOrder(of func(setting.Values) Assigner, params []setting.Param, r *rand.Rand) error {
	return eachDraw(of, params, r, func(v setting.Values, a Assigner, s *scenery) error {
		for i, o := range s.images {
			var p Objects
			order := r.Perm(len(o.Boxes))
			for _, j := range order {
				p.Boxes, p.Labels = append(p.Boxes, o.Boxes[j]), append(p.Labels, o.Labels[j])
			}
			object, quality := s.assign(a, i, o)
			permuted, q := s.assign(a, i, p)
			for at, k := range permuted {
				if k >= 0 && int(k) < len(order) {
					k = int32(order[k])
				}
				if k != object[at] || quality != nil && quality[at] != q[at] {
					return fmt.Errorf("image %d, prior %d has object %d; with the objects in another order %d", i, at, object[at], k)
				}
			}
		}
		return nil
	})
}

// mined returns the targets of the scenery with a miner, drawn settings of the normaliser, and
// the paper's assigner.
func mined(m Miner, v setting.Values, s *scenery, images []Objects, predicted box.Predicted) (Targets, error) {
	c := Config{Assigner: paperIoU, Miner: m, Normaliser: v.Text("normalizer"), Coder: box.Deltas[float32]{}, BoxTarget: "deltas", BoxWeight: 2}
	sampler, err := NewSampler(c, s.priors, sceneClasses)
	if err != nil {
		return Targets{}, err
	}
	matched, err := sampler.Match(images)
	if err != nil {
		return Targets{}, err
	}
	return bothForms(sampler, matched, predicted)
}

// minerParams are the settings of a sampler that has that miner's.
func minerParams(params []setting.Param) []setting.Param {
	i := slices.IndexFunc(Params(), func(p setting.Param) bool { return p.Name == "normalizer" })
	return append(slices.Clone(params), Params()[i])
}

// batch joins the predictions of images.
func batch(images []box.Predicted) box.Predicted {
	out := box.Predicted{}
	for _, p := range images {
		for name, v := range p {
			out[name] = append(out[name], v...)
		}
	}
	return out
}

func wrongChoice(of func(setting.Values) Miner, params []setting.Param, r *rand.Rand) error {
	return eachDraw(of, minerParams(params), r, func(v setting.Values, m Miner, s *scenery) error {
		all, err := mined(nil, v, s, s.images, nil)
		if err != nil {
			return err
		}
		t, err := mined(m, v, s, s.images, batch(s.predicted))
		if err != nil {
			return err
		}
		if !slices.Equal(t.Labels, all.Labels) || !slices.Equal(t.BoxTarget, all.BoxTarget) || t.Positives != all.Positives || t.Ignored != all.Ignored {
			return fmt.Errorf("labels or box targets have changed: %d positives and %d ignored, without a miner %d and %d",
				t.Positives, t.Ignored, all.Positives, all.Ignored)
		}
		selected := 0
		for at, label := range t.Labels {
			class, boxes := float64(t.ClassWeight[at]), float64(t.BoxWeight[at])
			switch {
			case !(class >= 0 && boxes >= 0) || math.IsInf(class+boxes, 1):
				return fmt.Errorf("prior %d has weights %g and %g", at, class, boxes)
			case label == Ignored && class > 0:
				return fmt.Errorf("prior %d is ignored, and has weight %g", at, class)
			case label < 0 && boxes > 0:
				return fmt.Errorf("prior %d has no object, and box weight %g", at, boxes)
			case class > 0:
				selected++
			}
		}
		if selected != t.Selected {
			return fmt.Errorf("%d priors have a weight, %d are counted", selected, t.Selected)
		}
		return nil
	})
}

func dependsOnCores(of func(setting.Values) Miner, params []setting.Param, r *rand.Rand) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	return eachDraw(of, minerParams(params), r, func(v setting.Values, m Miner, s *scenery) error {
		runtime.GOMAXPROCS(1)
		want, err := mined(m, v, s, s.images, batch(s.predicted))
		if err != nil {
			return err
		}
		runtime.GOMAXPROCS(8)
		got, err := mined(m, v, s, s.images, batch(s.predicted))
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("targets on 8 cores are not those on one")
		}
		images, predicted := slices.Clone(s.images), slices.Clone(s.predicted)
		slices.Reverse(images)
		slices.Reverse(predicted)
		if got, err = mined(m, v, s, images, batch(predicted)); err != nil {
			return err
		}
		n := len(s.priors.Boxes)
		for at, w := range want.ClassWeight {
			if back := (len(images)-1-at/n)*n + at%n; got.ClassWeight[back] != w || got.BoxWeight[back] != want.BoxWeight[at] {
				return fmt.Errorf("image %d, prior %d: weights %g and %g; in a batch turned round %g and %g",
					at/n, at%n, w, want.BoxWeight[at], got.ClassWeight[back], got.BoxWeight[back])
			}
		}
		return nil
	})
}

// assignment is an Assigner that reads no predictions.
type assignment func(p *Priors, o Objects) []int32

func (assignment) NeedsPredictions() bool { return false }

func (f assignment) Assign(p *Priors, o Objects, _ box.Predicted) ([]int32, []float32) {
	return f(p, o), nil
}

// everything is a Miner that takes all priors, the ignored ones too.
type everything struct{}

func (everything) readsLogits() bool { return true }

func (everything) mine(s *Sampler, m Matched, _ box.Predicted) {
	for at := range s.scratch.selected {
		s.scratch.selected[at] = true
	}
}

// firstOf is a Miner that takes the first image alone.
type firstOf struct{}

func (firstOf) readsLogits() bool { return true }

func (firstOf) mine(s *Sampler, m Matched, _ box.Predicted) {
	clear(s.scratch.selected[len(s.priors.Boxes):])
}

// A component with a fault fails the demand that the fault is named after.
func TestDemandsFindFaults(t *testing.T) {
	right := func(p *Priors, o Objects) []int32 {
		object, _ := paperIoU.Assign(p, o, nil)
		return object
	}
	calls := 0
	var mutex sync.Mutex
	for i, fault := range []assignment{
		func(p *Priors, o Objects) []int32 { // objects counted from 1
			out := right(p, o)
			for at := range out {
				out[at] = max(out[at]+1, Background)
			}
			return out
		},
		func(p *Priors, o Objects) []int32 { // small objects are lost
			out := right(p, o)
			for at, k := range out {
				if k >= 0 && box.Area(o.Boxes[k]) < 300 {
					out[at] = Background
				}
			}
			return out
		},
		func(p *Priors, o Objects) []int32 { // every second call forgets
			mutex.Lock()
			defer mutex.Unlock()
			out := right(p, o)
			if calls++; calls%2 == 0 {
				clear(out)
			}
			return out
		},
		func(p *Priors, o Objects) []int32 { // the first object that is near enough
			out := right(p, o)
			for at, b := range p.Boxes {
				if k := slices.IndexFunc(o.Boxes, func(q [4]float32) bool { return box.IoU(b, q) >= .2 }); k >= 0 {
					out[at] = int32(k)
				}
			}
			return out
		},
	} {
		name := assignerDemands[i].name
		if found := faults(func(setting.Values) Assigner { return fault }, nil, assignerDemands); found[name] == nil {
			t.Errorf("an assigner with a fault in %q passes; found %v", name, found)
		}
	}
	for i, fault := range []Miner{everything{}, firstOf{}} {
		name := minerDemands[i].name
		if found := faults(func(setting.Values) Miner { return fault }, nil, minerDemands); found[name] == nil {
			t.Errorf("a miner with a fault in %q passes; found %v", name, found)
		}
	}
}
