package detector

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"focalgrid/dataset"
	"focalgrid/engine"
	"focalgrid/sampler"
)

// StepInfo is what one training step told.
type StepInfo struct {
	Step                   int
	Loss, ClsLoss, BoxLoss float64
	LR, GradNorm           float64
	Positives              int
}

// Diverged is how a trial ends whose loss, gradient or weights are not finite.
type Diverged struct {
	At     StepInfo // the step that was not finite
	Reason string
}

func (d *Diverged) Error() string {
	return fmt.Sprintf("step %d: %s (class loss %g, box loss %g)", d.At.Step, d.Reason, d.At.ClsLoss, d.At.BoxLoss)
}

// Train runs the steps from that number to train.iters over the loader's
// batches, which are of that set. each is called after every step, and its error ends the training.
// The error is a *Diverged, the context's, or a failure.
func (d *Detector) Train(ctx context.Context, set *dataset.Set, loader *dataset.Loader, from int, each func(StepInfo) error) error {
	scalars, err := d.Scalars()
	if err != nil {
		return err
	}
	schedule := OptimConfig(&d.Cfg)
	loader.Start(from)
	for step := from; step < d.Cfg.Int("train.iters"); step++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := loader.Next()
		if err != nil {
			return fmt.Errorf("batch of step %d: %w", step, err)
		}
		info := StepInfo{Step: step, LR: schedule.LRAt(step, d.Cfg.Int("train.iters"))}
		err = d.Step(b, scalars, &info)
		switch {
		case errors.Is(err, engine.ErrNonFinite):
			return &Diverged{At: info, Reason: err.Error()}
		case err != nil:
			return fmt.Errorf("step %d: %w", step, named(err, set, b))
		}
		if err := each(info); err != nil {
			return err
		}
	}
	s, err := d.Stored()
	if err != nil {
		return err
	}
	if name := s.NonFinite(); name != "" {
		return &Diverged{At: StepInfo{Step: d.Cfg.Int("train.iters") - 1}, Reason: "tensor " + name + " is not finite"}
	}
	return nil
}

// named says of an error about an object of a batch which annotation that is.
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
func (d *Detector) Step(b *dataset.Batch, scalars engine.Feeds, info *StepInfo) error {
	net, err := d.Network(b.N, b.H, b.W, true)
	if err != nil {
		return err
	}
	feeds := engine.Feeds{"image": b.Pixels, engine.LR: []float32{float32(info.LR)}}
	for name, v := range scalars {
		feeds[name] = v
	}
	if net.boxes != nil {
		feeds["anchors"] = net.boxes
	}
	net.assigner.Running = d.Running
	matched, err := net.assigner.Match(objectsOf(b))
	if err != nil {
		return err
	}
	assign := func(p engine.Values) (engine.Feeds, error) {
		t, err := net.assigner.Targets(matched, p["logits"], p["deltas"])
		if err != nil {
			return nil, err
		}
		info.Positives = t.Positives
		return targetFeeds(t), nil
	}
	if !net.assigner.NeedsPredictions() {
		static, err := assign(nil)
		if err != nil {
			return err
		}
		for name, v := range static {
			feeds[name] = v
		}
		assign = nil
	}
	r, err := net.session.Step(feeds, assign)
	d.Running = net.assigner.Running
	info.Loss, info.GradNorm = r.Loss, r.GradNorm
	info.ClsLoss, info.BoxLoss = scalarOf(r.Outputs["class_loss"]), scalarOf(r.Outputs["box_loss"])
	return err
}

func targetFeeds(t sampler.Targets) engine.Feeds {
	return engine.Feeds{"labels": t.Labels, "class_weight": t.ClassWeight, "box_target": t.BoxTarget, "box_weight": t.BoxWeight}
}

func scalarOf(v []float32) float64 {
	if len(v) != 1 {
		return math.NaN()
	}
	return float64(v[0])
}

// objectsOf lists what a batch's images show, in the batch's memory where it can. Crowds
// are left out, as in all public code: their boxes hold many objects and none.
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
