package detector

import (
	"errors"
	"fmt"
	"sort"

	"focalgrid/engine"
	"focalgrid/experiments/plan"
)

// StepMemory is an estimate of the memory that a training step needs of an engine's device.
type StepMemory struct {
	engine.Memory
	Images  string // the batch, such as "16 images of 512×512"
	Device  int64  // bytes that the device lets programs take; 0: not known
	Largest int    // batch that needs no more than the device has; 0: none, or all is not known
}

// MemoryOf estimates a training step of the settings for that many classes, on images of the typical size. It is nil
// where the engine's memory is no device's.
func MemoryOf(cfg *plan.Config, classes int, e engine.Engine) (*StepMemory, error) {
	holder, ok := e.(engine.MemoryHolder)
	if !ok {
		return nil, nil
	}
	d := New(*cfg, classes, e, engine.NewState(), nil)
	m := &StepMemory{Images: d.trainSize(cfg.Int("train.batch")).String(), Device: holder.DeviceMemory()}
	var err error
	if m.Memory, err = d.memory(cfg.Int("train.batch")); err != nil || m.Device == 0 {
		return m, err
	}
	m.Largest = sort.Search(cfg.Int("train.batch"), func(i int) bool {
		larger, failed := d.memory(i + 1)
		err = errors.Join(err, failed)
		return larger.Total() > m.Device
	})
	return m, err
}

// trainSize is what the network is compiled for to train on that many images of the typical size.
func (d *Detector) trainSize(batch int) size {
	h, w := InputSize(&d.Config)
	return d.feeder.training(batch, h, w, Remote(d.engine), 0)
}

// memory estimates a training step on that many images.
func (d *Detector) memory(batch int) (engine.Memory, error) {
	p, _, err := d.program(d.trainSize(batch))
	if err != nil {
		return engine.Memory{}, err
	}
	return p.Memory()
}

// String says what is needed, and whether the device has it.
func (m *StepMemory) String() string {
	text := fmt.Sprintf("a step on %s needs about %s, an estimate (%s for parameters, their gradients and slots, %s kept for gradients, %s under way)",
		m.Images, gib(m.Total()), gib(m.State+m.Gradients), gib(m.Kept), gib(m.Inputs+m.Work))
	switch {
	case m.Device == 0:
		return text + "; how much the device has is not known"
	case m.Total() <= m.Device:
		return text + "; the device has " + gib(m.Device)
	case m.Largest == 0:
		return text + "; the device has " + gib(m.Device) + ", too little for a single image: choose smaller images or a smaller network"
	}
	return fmt.Sprintf("%s; the device has %s: the largest train.batch that fits by this estimate is %d", text, gib(m.Device), m.Largest)
}

func gib(bytes int64) string { return fmt.Sprintf("%.3g GiB", float64(bytes)/(1<<30)) }

// explained adds to an error about the device's memory how much a step needs, and how large a batch fits.
func (d *Detector) explained(err error) error {
	if !errors.Is(err, engine.ErrMemory) {
		return err
	}
	m, failed := MemoryOf(&d.Config, d.Classes, d.engine)
	if m == nil || failed != nil {
		return errors.Join(err, failed)
	}
	err = fmt.Errorf("%w; %s", err, m)
	half := d.Config.Int("train.batch") / 2
	if half == 0 || m.Device > 0 && m.Total() > m.Device { // there is no smaller batch, or it says which fits
		return err
	}
	less, failed := d.memory(half)
	if failed != nil {
		return errors.Join(err, failed)
	}
	return fmt.Errorf("%w; a train.batch of %d needs about %s", err, half, gib(less.Total()))
}
