// Package engine is the seam between what a network computes and what computes
// it.
//
// A Graph is data: a list of shape-checked nodes built once by small methods
// (Conv2D, GroupNorm, Focal, …). A Program names which of its nodes are the
// loss, the predictions and the outputs. An Engine compiles a Program over a
// State (parameters, running statistics and optimiser slots by name) into a
// Session, which runs training steps. Reading a Graph (parameters,
// multiply-adds, its hash) needs no engine.
//
// Tensors at the seam are flat float32 in row-major order, images are NCHW; inputs
// may be fed bytes and int32. A scalar has the empty shape and one value. What an op
// means, with its gradient, is said at its builder method and held by the conformance
// suite in engine/enginetest.
package engine

import (
	"errors"
	"time"
)

// ErrNonFinite is wrapped by Session.Step when the loss or the norm of the
// gradient is NaN or infinite. Nothing was updated by that step.
var ErrNonFinite = errors.New("not finite")

// ErrUnsupported is wrapped by Engine.Compile for an op or a precision that the engine lacks.
var ErrUnsupported = errors.New("not supported by this engine")

// ErrMemory is wrapped by the errors of whatever needs more memory than the device has left. A step that fails so has
// changed nothing.
var ErrMemory = errors.New("the memory of the device is exhausted")

// Engine turns programs into sessions. It may hold the values of a State on a device for as long as a session of
// that State is open: they then move at Compile, Load and Store alone, and the State's own values are out of date
// from a step to the next Store. Nobody writes to values that State.Get returned.
type Engine interface {
	Info() Info
	// Compile prepares p over s, adds the slots that s lacks, and takes from s the values of the tensors
	// that it does not hold yet. Several sessions may share one State, such as
	// a training and an evaluation program; they must not run at once.
	Compile(p *Program, s *State) (Session, error)
	// Load makes the sessions of s go on from the values of s, where something was Set since they were compiled.
	Load(s *State) error
	// Store brings the values of s up to date with the steps of its sessions.
	Store(s *State) error
	// Close frees what the engine holds. Its sessions are closed before.
	Close() error
}

// Info describes an engine.
type Info struct {
	Name      string // is part of a trial's identity: engines and settings that give other bits have other names
	Device    string // what computes, such as "CPU"
	Threads   int    // that compute; 0 where the device does not count them
	Precision string // of arithmetic: "float32"
	BFloat16  bool   // Program.BFloat16 is supported
	Exact     bool   // the same program gives the same bits every time
	Kernels   string // the set of kernels in use, such as "avx512"
	Plugin    string // what was loaded to compute; empty: it is part of the program
}

// A RateProber is an engine that measures how fast it computes.
type RateProber interface {
	// ProbeRate estimates the speed of a training whose programs have that Program.BFloat16.
	ProbeRate(now func() time.Time, bfloat16 bool) (Rate, error)
}

// Rate is an estimate of the speed of a training.
type Rate struct {
	MACs    float64 // multiply-adds a second
	Guessed bool    // what share of the speed of a convolution a training reaches was not measured on such a device
}

// A PeakProber is an engine that measures the most that its device can do.
type PeakProber interface {
	// ProbePeak measures the floating point operations a second that one core reaches at most.
	ProbePeak(now func() time.Time) float64
}

// A MemoryHolder is an engine whose programs need the memory of a device; see Program.Memory.
type MemoryHolder interface {
	// DeviceMemory returns the bytes that programs may take of it; 0: it is not known how many.
	DeviceMemory() int64
}

// A Profiler is an engine that measures its ops.
type Profiler interface {
	// Profile adds the time of each op to p, in sessions that are compiled from then on.
	Profile(p *Profile)
}

// A Stager is an engine that takes feeds to its device ahead of the step that needs them.
type Stager interface {
	// Stage copies values, which are []float32, []byte or []int32, of that shape, which has axes; batch says whether they
	// are fed to an input of the batch (Graph.Batched). What it returns is fed in their place. Stage may be called by any
	// goroutine, also while a session makes a step.
	Stage(values any, batch bool, shape ...int) (Staged, error)
}

// Staged are values on a device.
type Staged interface {
	Kind() Kind
	Shape() []int
	// Free gives the device's memory back. The values are fed no more.
	Free()
}

// Session runs one compiled Program.
type Session interface {
	// Forward computes the program's Predictions and Outputs that need no
	// more than f, and changes nothing: no running statistics, no parameters.
	// The values are valid until the next call.
	Forward(f Feeds) (Values, error)

	// Step runs the forward pass up to the Predictions, asks assign for the
	// feeds that depend on them (nil where all feeds are static; gradients do
	// not flow through assign), computes loss and gradients, clips, updates
	// parameters and running statistics.
	//
	// On an error that wraps ErrNonFinite the State is as it was before the
	// step, and Result is filled as far as it was computed.
	Step(f Feeds, assign Assign) (Result, error)

	// Gradient returns the last step's gradient of the named parameter, after
	// clipping, valid until the next call. It is nil if the parameter has none, or the program keeps none.
	Gradient(param string) []float32

	// Close frees the session. The last one of a State takes along what the engine holds of it: Store comes before.
	Close() error
}

// Feeds gives input nodes their values by name, plus the learning rate under LR as one float32. The values of an input
// are a slice of its kind, []float32, []byte or []int32, or what the engine has Staged.
type Feeds map[string]any

// LR is the key of the learning rate among the feeds of Session.Step.
const LR = "lr"

// Values holds tensors by node name.
type Values map[string][]float32

// Assign computes the feeds that depend on predictions (which anchors learn what).
type Assign func(predictions Values) (Feeds, error)

// Result reports one training step.
type Result struct {
	Loss     float64
	GradNorm float64 // of all trained parameters together, before clipping
	Outputs  Values
}

// Program is a graph with the roles of its nodes.
type Program struct {
	Graph       *Graph
	Loss        *Node   // a scalar; nil for a program that is only run forward
	Predictions []*Node // named nodes that Assign sees
	Outputs     []*Node // named nodes reported by Step and Forward
	Update      Update

	KeepGradients bool // for Session.Gradient; on a device they cost memory
	BFloat16      bool // convolutions read and write bfloat16; all else, weights too, stays as it is. See Info.BFloat16
}

// Update is the optimiser's rule, in PyTorch's form; its state lives in State beside the parameter. With p a parameter
// and g its gradient, wd 0 where Decays is false, and step t counting from 1:
//
//	sgd    g += wd·p; v = momentum·v + g; p -= lr·v
//	adamw  p -= lr·wd·p; m = β1·m + (1-β1)·g; v = β2·v + (1-β2)·g²;
//	       p -= lr·m̂/(√v̂+eps), m̂ = m/(1-β1^t), v̂ = v/(1-β2^t)
type Update struct {
	Kind        string  // "sgd" or "adamw"
	Momentum    float64 // sgd
	Beta1       float64 // adamw
	Beta2       float64 // adamw
	Eps         float64 // adamw
	WeightDecay float64 // sgd: added to the gradient; adamw: decoupled
	DecayBias   bool    // false leaves parameters of rank 1 (biases, norm affine) undecayed
	Clip        float64 // largest norm of the whole gradient, which is scaled by Clip/(norm+1e-6) beyond it; 0 means none
}

// Decays reports whether weight decay applies to the parameter p.
func (u Update) Decays(p *Node) bool {
	return u.WeightDecay != 0 && (u.DecayBias || len(p.Shape) > 1)
}
