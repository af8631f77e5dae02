package detector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"focalgrid/dataset"
	"focalgrid/engine"
	"focalgrid/guard"
	"focalgrid/optim"
	"focalgrid/sampler"
)

// StepInfo reports one training step.
type StepInfo struct {
	Step         int
	Loss         float64
	Losses       []Loss // its terms
	LR, GradNorm float64
	Positives    int
}

// Loss is the value of one term of the loss.
type Loss struct {
	Name  string
	Value float64
}

// Diverged is how a training ends whose loss, gradient or weights are not finite.
type Diverged struct {
	At     StepInfo // the step that was not finite
	Reason string
}

func (d *Diverged) Error() string {
	var losses []string
	for _, l := range d.At.Losses {
		losses = append(losses, fmt.Sprintf("%s loss %g", l.Name, l.Value))
	}
	return fmt.Sprintf("step %d: %s (%s)", d.At.Step, d.Reason, strings.Join(losses, ", "))
}

// training is what the training loop runs.
type training struct {
	iters int
	optim optim.Config
	step  func(info *StepInfo) error // makes step info.Step at info.LR and fills the rest; its errors name the step
	state func() (*engine.State, error)
}

// run makes the steps from that number to the last. It calls each after every step, and an error of
// each ends the training. The error is a *Diverged, the context's, or a failure.
func (t training) run(ctx context.Context, from int, each func(StepInfo) error) error {
	info := StepInfo{Step: t.iters - 1}
	for step := from; step < t.iters; step++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		info = StepInfo{Step: step, LR: t.optim.LRAt(step, t.iters)}
		err := t.step(&info)
		switch {
		case errors.Is(err, engine.ErrNonFinite):
			return &Diverged{At: info, Reason: err.Error()}
		case err != nil:
			return err
		}
		if err := each(info); err != nil {
			return err
		}
	}
	s, err := t.state()
	if err != nil {
		return err
	}
	if name := s.NonFinite(); name != "" {
		return &Diverged{At: info, Reason: "tensor " + name + " is not finite"}
	}
	return nil
}

// stepError adds the step to an error, unless the loss is not finite: that is a result.
func stepError(step int, err error) error {
	if err == nil || errors.Is(err, engine.ErrNonFinite) {
		return err
	}
	return fmt.Errorf("step %d: %w", step, err)
}

// Train runs the steps from that number to train.iters over the loader's
// batches, which are of that set. It calls each after every step, and an error of each ends the training.
// The error is a *Diverged, the context's, or a failure.
func (d *Detector) Train(ctx context.Context, set *dataset.Set, loader *dataset.Loader, from int, each func(StepInfo) error) error {
	d.feeder.running = d.Running
	d.feeder.room(mostObjects(set))
	loader.Start(from)
	next := func() (*fed, error) {
		b, err := loader.Next()
		if err != nil {
			return nil, fmt.Errorf("batch: %w", err)
		}
		f, err := d.feeder.batch(b)
		return f, named(err, set, b)
	}
	if d.feeder.ahead() {
		var stop func()
		next, stop = ahead(next)
		defer stop()
	}
	step := func(info *StepInfo) error {
		f, err := next()
		if err != nil {
			return fmt.Errorf("step %d: %w", info.Step, d.explained(err))
		}
		return stepError(info.Step, d.explained(d.step(f, info)))
	}
	return training{d.Config.Int("train.iters"), d.parts.Optim, step, d.Stored}.run(ctx, from, each)
}

// mostObjects is the largest number of objects of an image of the set.
func mostObjects(set *dataset.Set) int {
	most := 0
	for _, im := range set.Images {
		most = max(most, len(im.Objects))
	}
	return most
}

// ahead calls next on a goroutine of its own, one call ahead of whoever takes what it returns. stop ends that, and
// frees what nobody took.
func ahead(next func() (*fed, error)) (take func() (*fed, error), stop func()) {
	type result struct {
		f   *fed
		err error
	}
	queue, ended := make(chan result), make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		defer close(queue)
		for {
			var r result
			r.err = guard.Run(func() (err error) {
				r.f, err = next()
				return err
			})
			select {
			case queue <- r:
			case <-ended:
				if r.err == nil {
					unstage(r.f.feeds)
				}
				return
			}
			if r.err != nil {
				return
			}
		}
	})
	take = func() (*fed, error) {
		r, ok := <-queue
		if !ok {
			return nil, dataset.ErrStopped
		}
		return r.f, r.err
	}
	return take, func() {
		close(ended)
		done.Wait()
	}
}

// named adds the annotation to an error about an object of a batch.
func named(err error, set *dataset.Set, b *dataset.Batch) error {
	var at *sampler.ObjectError
	if !errors.As(err, &at) {
		return err
	}
	index := b.Items[at.Image].Index
	im := &set.Images[index]
	left := at.Object // crowds are not learned
	for _, o := range im.Objects {
		if o.Crowd {
			continue
		}
		if left == 0 {
			return fmt.Errorf("%s: image id %d, annotation id %d: %s", set.Path(index), im.ID, o.AnnotationID, at.Reason)
		}
		left--
	}
	return fmt.Errorf("%s: image id %d: %w", set.Path(index), im.ID, err)
}

// Step trains on one batch at info.LR and fills the rest of info.
func (d *Detector) Step(b *dataset.Batch, info *StepInfo) error {
	d.feeder.running = d.Running
	f, err := d.feeder.batch(b)
	if err != nil {
		return err
	}
	return d.step(f, info)
}

// step trains on what the feeder made of a batch.
func (d *Detector) step(f *fed, info *StepInfo) error {
	defer unstage(f.feeds)
	net, err := d.network(f.size)
	if err != nil {
		return err
	}
	feeds := engine.Feeds{engine.LR: []float32{float32(info.LR)}}
	maps.Copy(feeds, net.feeds)
	maps.Copy(feeds, f.feeds)
	r, err := net.session.Step(feeds, f.assign)
	if err == nil {
		d.Running = f.running
	}
	info.Loss, info.GradNorm, info.Positives = r.Loss, r.GradNorm, f.positives
	for _, t := range d.parts.Terms {
		info.Losses = append(info.Losses, Loss{t.Name, scalarOf(r.Outputs[t.Name+"_loss"])})
	}
	return err
}

func scalarOf(v []float32) float64 {
	if len(v) != 1 {
		return math.NaN()
	}
	return float64(v[0])
}

// objectsOf lists the objects of a batch's images, in the batch's memory where it can. It leaves
// crowds out, as all public code does: a crowd's box is not the box of an object.
func objectsOf(b *dataset.Batch) []sampler.Objects {
	out := make([]sampler.Objects, len(b.Items))
	for i, it := range b.Items {
		if !slices.Contains(it.Crowd, true) {
			out[i] = sampler.Objects{Boxes: it.Boxes, Labels: it.Labels}
			continue
		}
		for j, box := range it.Boxes {
			if !it.Crowd[j] {
				out[i].Boxes = append(out[i].Boxes, box)
				out[i].Labels = append(out[i].Labels, it.Labels[j])
			}
		}
	}
	return out
}
