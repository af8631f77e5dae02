package experiments

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"focalgrid/coco"
	"focalgrid/dataset"
	"focalgrid/dataset/picture"
	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/experiments/plan"
	"focalgrid/results/record"
)

// Trained is a recorded trial's detector, ready to look at images.
type Trained struct {
	trainer *Trainer
	d       *detector.Detector
	trial   *record.Trial
	cfg     plan.Config
	classes []dataset.Class // by label
}

// OpenDetector loads a recorded trial's final weights from that file. The classes of its labels are recorded with the
// trial; it needs the data only for a trial that an older version recorded without them.
func (t *Trainer) OpenDetector(ctx context.Context, trial *record.Trial, weights string) (*Trained, error) {
	cfg, err := recordedConfig(trial)
	if err != nil {
		return nil, err
	}
	classes, err := t.recordedClasses(ctx, trial, &cfg)
	if err != nil {
		return nil, err
	}
	tensors, err := finalWeights(trial, weights)
	if err != nil {
		return nil, err
	}
	d := detector.New(cfg, len(classes), t.Engine, engine.NewState(), detector.Drawer(trial.Seed))
	if err := d.Load(tensors); err != nil {
		return nil, err
	}
	return &Trained{trainer: t, d: d, trial: trial, cfg: cfg, classes: classes}, nil
}

// recordedConfig returns a recorded trial's settings. A synthetic set is drawn from its settings: if the folder that it
// was in no longer holds it, the cache's copy is used.
func recordedConfig(t *record.Trial) (plan.Config, error) {
	cfg, err := detector.Settings.ParseResolved("trial "+t.Key[:12], []byte(t.Config))
	if err == nil && plan.Synthetic(&cfg) && cfg.Text("data.dir") != "" {
		if is, _ := dataset.IsSynthetic(cfg.Text("data.dir"), cfg.SynthConfig()); !is {
			cfg.Set("data.dir", "")
		}
	}
	return cfg, err
}

// Relocate names another folder for the data of a recorded trial. The folder must hold the same data.
func Relocate(t *record.Trial, dir string) error {
	cfg, err := detector.Settings.ParseResolved("trial "+t.Key[:12], []byte(t.Config))
	if err != nil {
		return err
	}
	if _, err := dataset.Splits(dir); err != nil {
		return err
	}
	was := cfg.Text("data.name")
	cfg.Set("data.dir", dir)
	if found := plan.Locate(&cfg); len(found) > 0 {
		return errors.New(found[0].String())
	}
	if cfg.Text("data.name") != was {
		return fmt.Errorf("%s: holds other data than trial %.12s had, which is its %s set", dir, t.Key, was)
	}
	t.Config = string(plan.Resolved(&cfg))
	return nil
}

// recordedClasses returns the classes of a recorded trial's detector. Where an older version did not record them, they
// are the classes of its training split.
func (d *Data) recordedClasses(ctx context.Context, t *record.Trial, cfg *plan.Config) ([]dataset.Class, error) {
	if t.Labels != nil {
		return classesOf(t.Labels), nil
	}
	if plan.Synthetic(cfg) {
		s, err := d.Identify(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return s.Classes, nil
	}
	train, err := dataset.Open(cfg.Text("data.dir"), cfg.Text("data.train"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("trial %.12s was recorded by an older version, without its classes, which are those of its training split: %w; pass --data DIR", t.Key, err)
	}
	if err != nil {
		return nil, err
	}
	return train.Classes, nil
}

// ErrOtherData is returned by Scored if the data is not the trial's.
var ErrOtherData = errors.New("the data is not that of trial")

// Scored opens the split that the trial was scored on, under the detector's classes. The error is ErrOtherData if the
// data is not the trial's, unless changed allows that.
func (d *Trained) Scored(ctx context.Context, changed bool) (*dataset.Set, error) {
	set, err := d.trainer.OpenSplit(ctx, &d.cfg, d.cfg.EvalSplit())
	if err != nil {
		return nil, err
	}
	if !changed && !plan.Synthetic(&d.cfg) {
		if err := d.sameSplit(ctx, set); err != nil {
			return nil, err
		}
	}
	note, err := set.Relabel(d.classes)
	if changed && err == nil && note != "" {
		d.trainer.Report(Noted{Text: note})
	}
	return set, err
}

// sameSplit refuses a scored split that is not the trial's, and has its pictures checked when they are read.
func (d *Trained) sameSplit(ctx context.Context, set *dataset.Set) error {
	if scored, known := d.trainer.scoredPart(d.trial.Dataset); known {
		if err := set.Identify(ctx, d.trainer.hashing(set.Split)); err != nil {
			return err
		}
		if set.Identity() == scored {
			return nil
		}
	}
	s, err := d.trainer.sameData(ctx, d.trial, &d.cfg)
	if err == nil {
		set.Sums = s.Sums[1]
	}
	return err
}

// SameData returns an error if the folder of a recorded trial holds other data than the trial had.
func (d *Data) SameData(ctx context.Context, t *record.Trial) error {
	cfg, err := recordedConfig(t)
	if err == nil {
		_, err = d.sameData(ctx, t, &cfg)
	}
	return err
}

// sameData returns the data in the folder that a recorded trial names. The error is ErrOtherData if neither its
// identity nor the identity that older versions gave to it is the recorded one.
func (d *Data) sameData(ctx context.Context, t *record.Trial, cfg *plan.Config) (*Source, error) {
	s, err := d.Identify(ctx, cfg)
	if err != nil || s.Identity == t.Dataset {
		return s, err
	}
	if !plan.Synthetic(cfg) {
		if older, err := d.OlderIdentity(ctx, cfg, s); err != nil || older == t.Dataset {
			return s, err
		}
	}
	in := ""
	if cfg.Text("data.dir") != "" {
		in = " in " + cfg.Text("data.dir")
	}
	return nil, fmt.Errorf("%w %.12s: it had the dataset %.12s, here is %.12s%s", ErrOtherData, t.Key, t.Dataset, s.Identity, in)
}

// Split runs the detector over the first n images of a set (0: all).
func (d *Trained) Split(ctx context.Context, set *dataset.Set, n int, each func(done int)) ([]coco.Detection, error) {
	loader, err := d.loader(set, n)
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	return d.d.Detect(ctx, loader, set, each)
}

// Logits runs the detector over the first n images of a set (0: all), labelled by its classes, and returns what it
// says of foreground and of background, of that at most so many logits.
func (d *Trained) Logits(ctx context.Context, set *dataset.Set, n, most int, each func(done int)) (*detector.Logits, error) {
	loader, err := d.loader(set, n)
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	return d.d.Logits(ctx, loader, set, most, each)
}

// loader returns a loader of the first n images of a set (0: all).
func (d *Trained) loader(set *dataset.Set, n int) (*dataset.Loader, error) {
	o := dataset.LoaderOptions{Batch: detector.EvalBatch, Bytes: detector.Remote(d.trainer.Engine)}
	if n > 0 {
		o.Images = make([]int, min(n, len(set.Images)))
		for i := range o.Images {
			o.Images[i] = i
		}
	}
	return dataset.NewLoader(set, d.cfg.Transform(), o, d.d.Draw)
}

// Config returns the trial's settings.
func (d *Trained) Config() plan.Config { return d.cfg }

// Close frees the compiled networks.
func (d *Trained) Close() { d.d.Close() }

// Views runs the detector over the first n images of a set, labelled by its classes, and calls each with one view after
// the other, which shows detections above score. It returns the detections down to eval.low_score in COCO's form.
func (d *Trained) Views(ctx context.Context, set *dataset.Set, n int, score float64, each func(detector.View) error) ([]coco.Detection, error) {
	dets, err := d.Split(ctx, set, n, func(int) {})
	if err != nil {
		return nil, err
	}
	return dets, detector.Views(set, min(n, len(set.Images)), dets, score, true, each)
}

// ViewFiles does the same for picture files, which have no annotations. In the detections the image id is the file's
// place in the list, from 1.
func (d *Trained) ViewFiles(ctx context.Context, files []string, score float64, each func(detector.View) error) ([]coco.Detection, error) {
	set := &dataset.Set{Classes: d.classes}
	for i, f := range files {
		p, err := picture.Read(f)
		if err != nil {
			return nil, err
		}
		set.Images = append(set.Images, dataset.Image{ID: int64(i + 1), File: f, Width: p.Width, Height: p.Height})
	}
	dets, err := d.Split(ctx, set, 0, func(int) {})
	if err != nil {
		return nil, err
	}
	return dets, detector.Views(set, len(files), dets, score, false, each)
}
