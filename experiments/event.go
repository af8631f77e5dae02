package experiments

import "focalgrid/detector"

// Event is what work reports on its way: a value of Preparing, Noted, Stepped or Evaluating, or of those that
// package sweep adds.
type Event any

// Preparing reports how far the work before a training is, or a training that is done again; Done = Total at the end.
type Preparing struct {
	What        string // what is being done: "preparing synthetic images"
	Done, Total int
	Note        string // what came of it, at the end
}

// Noted is something to be printed in words.
type Noted struct{ Text string }

// Stepped follows every training step of a trial. Index is the Order's.
type Stepped struct {
	Index, Iters int
	detector.StepInfo
	PeakBytes int64 // the most memory the trial has taken so far; 0: not looked up after this step, or not known
}

// Evaluating follows every evaluated batch of a trial. Index is the Order's.
type Evaluating struct {
	Index, Done, Total int
}
