package detector

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"focalgrid/box"
	"focalgrid/dataset"
	"focalgrid/engine"
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
	loader.Start(from)
	step := func(info *StepInfo) error {
		b, err := loader.Next()
		if err != nil {
			return fmt.Errorf("batch of step %d: %w", info.Step, err)
		}
		return stepError(info.Step, named(d.Step(b, info), set, b))
	}
	return training{d.Config.Int("train.iters"), d.parts.Optim, step, d.Stored}.run(ctx, from, each)
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
	net, err := d.network(b.N, b.H, b.W, true)
	if err != nil {
		return err
	}
	feeds := engine.Feeds{"image": b.Pixels, engine.LR: []float32{float32(info.LR)}}
	maps.Copy(feeds, net.feeds)
	net.sampler.Running = d.Running
	matched, err := net.sampler.Match(objectsOf(b))
	if err != nil {
		return err
	}
	assign := func(p engine.Values) (engine.Feeds, error) {
		t, err := net.sampler.Targets(matched, box.Predicted(p))
		if err != nil {
			return nil, err
		}
		info.Positives = t.Positives
		return d.targets(t), nil
	}
	if !net.sampler.NeedsPredictions() {
		static, err := assign(nil)
		if err != nil {
			return err
		}
		maps.Copy(feeds, static)
		assign = nil
	}
	r, err := net.session.Step(feeds, assign)
	d.Running = net.sampler.Running
	info.Loss, info.GradNorm = r.Loss, r.GradNorm
	for _, t := range d.parts.Terms {
		info.Losses = append(info.Losses, Loss{t.Name, scalarOf(r.Outputs[t.Name+"_loss"])})
	}
	return err
}

// targets returns the feeds of the terms' targets.
func (d *Detector) targets(t sampler.Targets) engine.Feeds {
	feeds, values := engine.Feeds{}, t.ByName()
	for _, term := range d.parts.Terms {
		for _, name := range term.Loss.Targets {
			if v, ok := values[name]; ok {
				feeds[name] = v
			}
		}
	}
	return feeds
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
