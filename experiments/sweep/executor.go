package sweep

import (
	"context"

	"focalgrid/experiments"
)

// Executor carries orders to where they are run, at several places at a time.
type Executor interface {
	// Places returns the number of orders that it carries at a time. Places are numbered from 0.
	Places() int
	// Process returns the number of the process that runs the orders of a place, which it starts if need be.
	Process(place int) (pid int, err error)
	// Run has an order run in the trial's work folder, as experiments.Trainer.Run does, and passes its events on. The
	// end of ctx stops it after the step at hand. The error wraps ErrDied if its process ended before it. A place is
	// handed one order at a time, and places may be used at once.
	Run(ctx context.Context, place int, o experiments.Order, dir string, events func(experiments.Event)) error
	// Close ends the processes that the executor started, and frees what it holds for a next order.
	Close()
}
