package experiments

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"focalgrid/dataset/synthetic"
	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/experiments/plan"
	"focalgrid/weights"
)

// The backbone of the mini profile, pretrained by `runner pretrain mini` and stored
// under its identity, so that a first sweep needs no pretraining.
//
//go:embed pretrained
var embedded embed.FS

// InitIdentity returns the identity of the weights that a trial starts from, without making them; empty: random ones.
func (t *Trainer) InitIdentity(cfg *plan.Config) (string, error) {
	switch {
	case cfg.Text("pretrain.type") == "file":
		classes := 0
		if plan.Synthetic(cfg) {
			classes = cfg.Int("data.classes")
		}
		_, identity, err := detector.ReadInitial(cfg, classes)
		return identity, err
	case cfg.Text("pretrain.file") != "":
		return "", detector.CheckInitial(cfg, 0)
	case plan.Crops(cfg):
		return t.PretrainKey(cfg), nil
	}
	return "", nil
}

// initialise gives the detector its first weights, which must have the planned identity.
func (t *Trainer) initialise(ctx context.Context, d *detector.Detector, init string) error {
	var w detector.Tensors
	var id string
	var err error
	what := "pretraining"
	switch d.Config.Text("pretrain.type") {
	case "crops":
		var f *weights.File
		var p Pretrained
		if f, p, err = t.pretrained(ctx, &d.Config); err == nil {
			w, id = detector.ByName(f), p.Key
		}
	case "file":
		what = d.Config.Text("pretrain.file")
		w, id, err = detector.ReadInitial(&d.Config, d.Classes)
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("initial weights: %w", err)
	}
	if id != init {
		return fmt.Errorf("initial weights: %s has %s, planned was %s: it was replaced since. Put it back as it was; "+
			"or run the same command again, which trains from what is there now as other trials", what, id, init)
	}
	return d.Load(w)
}

// embeddedEngine is the name of the engine that made the embedded backbones, which their identities hold. Trials start
// from them on every engine but ownBackbone.
const embeddedEngine = "gorgonia"

// ownBackbone is the name of an engine that has recorded trials from backbones that it pretrained itself: those trials
// keep their identities.
const ownBackbone = "gorgonia-exact"

// PretrainKey returns the identity of the pretraining that cfg's backbone starts from.
func (t *Trainer) PretrainKey(cfg *plan.Config) string {
	engineName := t.Engine.Info().Name
	if key := pretrainKey(cfg, embeddedEngine); engineName != ownBackbone && isEmbedded(key) {
		return key
	}
	return pretrainKey(cfg, engineName)
}

// pretrainKey returns the identity of a pretraining on the engine of that name.
func pretrainKey(cfg *plan.Config, engineName string) string {
	return plan.PretrainKey(cfg, synthetic.CropIdentity(cfg.CropConfig()), engineName, plan.Numerics)
}

// Pretrained names a pretrained backbone.
type Pretrained struct {
	Key      string
	Where    string // "embedded in the program", or the file
	Accuracy string // on held-out crops, as recorded in the file
}

// Pretrain returns the pretrained backbone of cfg: embedded, from the cache, or made now.
func (t *Trainer) Pretrain(ctx context.Context, cfg *plan.Config) (Pretrained, error) {
	_, p, err := t.pretrained(ctx, cfg)
	return p, err
}

func (t *Trainer) pretrainedPath(key string) string {
	return filepath.Join(t.Cache, "pretrained", key+tensorsSuffix)
}

// pretrainWork returns the folder for the checkpoints of a pretraining.
func (t *Trainer) pretrainWork(key string) string { return t.pretrainedPath(key) + ".work" }

// HasPretrained reports whether the backbone is there already.
func (t *Trainer) HasPretrained(cfg *plan.Config) bool {
	key := t.PretrainKey(cfg)
	_, err := os.Stat(t.pretrainedPath(key))
	return err == nil || isEmbedded(key)
}

func isEmbedded(key string) bool {
	_, err := fs.Stat(embedded, embeddedName(key))
	return err == nil
}

func embeddedName(key string) string { return "pretrained/" + key + tensorsSuffix }

// pretrained returns the backbone's file: whole, and of its identity. One in the cache
// that is damaged is made again.
func (t *Trainer) pretrained(ctx context.Context, cfg *plan.Config) (*weights.File, Pretrained, error) {
	p := Pretrained{Key: t.PretrainKey(cfg)}
	if text, err := embedded.ReadFile(embeddedName(p.Key)); err == nil {
		f, err := weights.Decode(text, embeddedName(p.Key))
		if err == nil {
			err = checkPretrained(f, p.Key)
		}
		if err != nil {
			return nil, p, fmt.Errorf("the pretrained backbone in the program is damaged: %w; install the program anew", err)
		}
		p.Where, p.Accuracy = "embedded in the program", f.Metadata["accuracy"]
		return f, p, nil
	}
	p.Where = t.pretrainedPath(p.Key)
	f, err := weights.Read(p.Where)
	if err == nil {
		err = checkPretrained(f, p.Key)
	}
	switch {
	case err == nil:
		p.Accuracy = f.Metadata["accuracy"]
		return f, p, nil
	case errors.Is(err, fs.ErrNotExist):
	case unreadable(err) != nil:
		return nil, p, fmt.Errorf("pretrained backbone: %w", unreadable(err))
	default:
		t.Report(Noted{Text: fmt.Sprintf("pretrained backbone %s is made again: %v", p.Where, err)})
	}
	if f, err = t.pretrain(ctx, cfg, p.Key); err == nil {
		if err = os.MkdirAll(filepath.Dir(p.Where), 0o777); err == nil {
			err = weights.Write(p.Where, f.Tensors, f.Metadata)
		}
		if err == nil {
			err = os.RemoveAll(t.pretrainWork(p.Key))
		}
	}
	if err != nil {
		return nil, p, fmt.Errorf("pretraining: %w", err)
	}
	p.Accuracy = f.Metadata["accuracy"]
	return f, p, nil
}

// checkPretrained returns an error if a file is not the pretrained backbone of that
// identity, as it was written.
func checkPretrained(f *weights.File, key string) error {
	if err := checkSeal(f); err != nil {
		return err
	}
	if id := f.Metadata["identity"]; id != key {
		return fmt.Errorf("it says it is %.12q, not %.12s", id, key)
	}
	return nil
}

// pretrain trains the backbone as a classifier of synthetic crops. Like a trial's, its state is
// written on the way, beside where the weights will be.
func (t *Trainer) pretrain(ctx context.Context, cfg *plan.Config, key string) (*weights.File, error) {
	c, err := detector.NewClassifier(ctx, cfg, t.Engine)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	work := t.pretrainWork(key)
	from, damaged, err := lastCheckpoint(work, key)
	if err != nil {
		return nil, err
	}
	done := 0
	if from != nil {
		done = from.Step
		if err := from.restore(c.State); err != nil {
			return nil, err
		}
	}
	if err := t.setAside(work, damaged, done); err != nil {
		return nil, err
	}
	k := checkpointer{every: t.CheckpointEvery, now: t.Now, saved: done, last: t.Now(), write: func(c *Checkpoint) error { return c.Write(work, key) }}
	save := func() error {
		s, err := c.Stored()
		if err != nil {
			return err
		}
		return k.save(&Checkpoint{Step: done, tensors: detector.StateTensors(s)})
	}
	progress := Preparing{What: "pretraining a backbone", Total: c.Iters() + 1}
	reached, err := c.Train(ctx, done, func(s detector.StepInfo) error {
		done = s.Step + 1
		progress.Done = done
		t.Report(progress)
		if k.due(done) && done < c.Iters() {
			return save()
		}
		return nil
	})
	var div *detector.Diverged
	switch {
	case errors.As(err, &div):
		return nil, fmt.Errorf("step %d: %s", div.At.Step, div.Reason) // the trial that needs the backbone has not diverged
	case err != nil && (ctx.Err() != nil || errors.Is(err, engine.ErrMemory)):
		return nil, errors.Join(err, save())
	case err != nil:
		return nil, err
	}
	accuracy := fmt.Sprintf("%.3f", reached)
	progress.Done, progress.Note = progress.Total, "accuracy "+accuracy+" on held-out crops"
	t.Report(progress)
	s, err := c.Stored()
	if err != nil {
		return nil, err
	}
	f := &weights.File{Metadata: map[string]string{"identity": key, "accuracy": accuracy, "settings": string(plan.PretrainCanonical(cfg))}}
	for _, v := range detector.StateTensors(s) {
		if detector.IsBody(v.Name) {
			f.Tensors = append(f.Tensors, v)
		}
	}
	if err := seal(f.Tensors, f.Metadata); err != nil {
		return nil, err
	}
	return f, nil
}
