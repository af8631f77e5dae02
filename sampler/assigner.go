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

// kind is one of several components to choose from: the settings that it brings, and how it is
// made of the values of the sampler's group.
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

// What a prior can have besides an object's index; labels use the same numbers.
const (
	Background = -1
	Ignored    = -2
)

// An Assigner decides which object each prior of an image learns. Several goroutines may call it.
type Assigner interface {
	// Assign returns for each prior the index of its object, Background or Ignored. quality is what
	// losses of quality learn, for each prior; nil where the assigner gives none. predicted is nil
	// unless NeedsPredictions.
	Assign(p *Priors, o Objects, predicted box.Predicted) (object []int32, quality []float32)

	// NeedsPredictions reports whether Assign reads predictions.
	NeedsPredictions() bool
}

// Priors are the boxes that predictions start from, with what makes searching them fast.
type Priors struct {
	box.Priors
	index func() *index[float32] // made at the first call
}

// NewPriors prepares priors for an Assigner.
func NewPriors(p box.Priors) *Priors {
	return &Priors{p, sync.OnceValue(func() *index[float32] { return newIndex(p.Boxes) })}
}

// Objects is what one image shows.
type Objects struct {
	Boxes  [][4]float32
	Labels []int32 // one a box, 0..K-1
}
