package sampler

import (
	"sync"

	"focalgrid/box"
	"focalgrid/setting"
)

// assigners names every way to match priors with objects. To add one, write a file and add a line.
var assigners = map[string]kind[Assigner]{
	"iou": {iouParams, newIoU},
}

// kind describes one of several components to choose from: its settings, and how it is made from the
// values of the sampler's group.
type kind[T any] struct {
	params []setting.Param
	of     func(v setting.Values) T
}

// paramsOf lists the settings of each kind.
func paramsOf[T any](kinds map[string]kind[T]) map[string][]setting.Param {
	out := map[string][]setting.Param{}
	for name, k := range kinds {
		out[name] = k.params
	}
	return out
}

// Results for priors without an object; labels use the same numbers.
const (
	Background = -1
	Ignored    = -2
)

// Assigner decides which object each prior of an image learns. Several goroutines may call it.
type Assigner interface {
	// Assign returns for each prior the index of its object, Background or Ignored. quality is the target
	// of quality losses, for each prior; nil if the assigner has none. predicted is nil
	// unless NeedsPredictions.
	Assign(p *Priors, o Objects, predicted box.Predicted) (object []int32, quality []float32)

	// NeedsPredictions reports whether Assign reads predictions.
	NeedsPredictions() bool
}

// Priors are the boxes that predictions start from, with an index for searching them.
type Priors struct {
	box.Priors
	index func() *index[float32] // made at the first call
}

// NewPriors prepares priors for an Assigner.
func NewPriors(p box.Priors) *Priors {
	return &Priors{p, sync.OnceValue(func() *index[float32] { return newIndex(p.Boxes) })}
}

// Objects are the objects of one image.
type Objects struct {
	Boxes  [][4]float32
	Labels []int32 // one a box, 0..K-1
}
