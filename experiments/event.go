package experiments

import "focalgrid/detector"

// Event reports the progress of work: Preparing, Noted, Stepped, Evaluating, or one of the events of package sweep.
type Event any

// Preparing reports the progress of the work before a training, or of a training that is repeated; Done = Total at the
// end.
type Preparing struct {
	What        string // what is being done: "preparing synthetic images"
	Done, Total int
	Note        string // the result, at the end
}

// Noted is a remark to be printed.
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
