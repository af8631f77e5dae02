package sweep

import (
	"context"
	"os"

	"focalgrid/experiments"
)

// here runs orders in this process.
type here struct{ trainer experiments.Trainer }

// Here returns an executor that runs one order at a time in this process.
func Here(t experiments.Trainer) Executor { return &here{t} }

func (*here) Places() int              { return 1 }
func (*here) Process(int) (int, error) { return os.Getpid(), nil }
func (h *here) Close()                 { h.trainer.Close() }

func (h *here) Run(ctx context.Context, _ int, o experiments.Order, dir string, events func(experiments.Event)) error {
	h.trainer.Notify = events
	return h.trainer.Run(ctx, o, dir)
}
