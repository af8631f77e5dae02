package experiments

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"focalgrid/dataset"
	"focalgrid/dataset/synthetic"
	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/experiments/plan"
	"focalgrid/model"
	"focalgrid/portable"
	"focalgrid/weights"
)

// The backbone of the mini profile, pretrained by `runner pretrain mini` and kept
// under its identity, so that a first sweep needs no pretraining.
//
//go:embed pretrained
var embedded embed.FS

// pretrainHoldout is the number of crops, after those trained on, that
// accuracy is measured on.
const pretrainHoldout = 500

// initIdentity says which weights a trial starts from, without making them.
func (r *Runner) initIdentity(cfg *plan.Config) (string, error) {
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
		return r.PretrainKey(cfg), nil
	}
	return "", nil
}

// initialise gives the detector its first weights, which must be those of the
// planned identity.
func (r *Runner) initialise(ctx context.Context, d *detector.Detector, init string) error {
	var w detector.Tensors
	var id string
	var err error
	what := "pretraining"
	switch d.Cfg.Text("pretrain.type") {
	case "crops":
		var f *weights.File
		var p Pretrained
		if f, p, err = r.pretrained(ctx, &d.Cfg); err == nil {
			w, id = detector.ByName(f), p.Key
		}
	case "file":
		what = d.Cfg.Text("pretrain.file")
		w, id, err = detector.ReadInitial(&d.Cfg, d.Classes)
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

// PretrainKey is the identity of the pretraining that cfg's backbone starts from.
func (r *Runner) PretrainKey(cfg *plan.Config) string {
	engineName := r.Engine.Info().Name
	if key := pretrainKey(cfg, embeddedEngine); engineName != ownBackbone && isEmbedded(key) {
		return key
	}
	return pretrainKey(cfg, engineName)
}

// pretrainKey is the identity of a pretraining on the engine of that name.
func pretrainKey(cfg *plan.Config, engineName string) string {
	return plan.PretrainKey(cfg, synthetic.CropIdentity(cfg.CropConfig()), engineName, plan.Numerics)
}

// Pretrained says where a pretrained backbone is.
type Pretrained struct {
	Key      string
	Where    string // "embedded in the program", or the file
	Accuracy string // on held-out crops, as recorded in the file
}

// Pretrain returns the pretrained backbone of cfg: embedded, from the cache, or made now.
func (r *Runner) Pretrain(ctx context.Context, cfg *plan.Config) (Pretrained, error) {
	_, p, err := r.pretrained(ctx, cfg)
	return p, err
}

func (r *Runner) pretrainedPath(key string) string {
	return filepath.Join(r.Cache, "pretrained", key+tensorsSuffix)
}

// pretrainWork is the folder for the checkpoints of a pretraining.
func (r *Runner) pretrainWork(key string) string { return r.pretrainedPath(key) + ".work" }

// HasPretrained tells whether the backbone is there already.
func (r *Runner) HasPretrained(cfg *plan.Config) bool {
	key := r.PretrainKey(cfg)
	_, err := os.Stat(r.pretrainedPath(key))
	return err == nil || isEmbedded(key)
}

func isEmbedded(key string) bool {
	_, err := fs.Stat(embedded, embeddedName(key))
	return err == nil
}

func embeddedName(key string) string { return "pretrained/" + key + tensorsSuffix }

// pretrained returns the backbone's file: whole, and of its identity. One in the cache
// that is damaged is made again.
func (r *Runner) pretrained(ctx context.Context, cfg *plan.Config) (*weights.File, Pretrained, error) {
	p := Pretrained{Key: r.PretrainKey(cfg)}
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
	p.Where = r.pretrainedPath(p.Key)
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
		r.tell(Noted{Text: fmt.Sprintf("pretrained backbone %s is made again: %v", p.Where, err)})
	}
	if f, err = r.pretrain(ctx, cfg, p.Key); err == nil {
		if err = os.MkdirAll(filepath.Dir(p.Where), 0o777); err == nil {
			err = weights.Write(p.Where, f.Tensors, f.Metadata)
		}
		if err == nil {
			err = os.RemoveAll(r.pretrainWork(p.Key))
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

// pretrain trains the backbone as a classifier of synthetic crops: SGD with
// momentum .9 and decay 1e-4 at a cosine rate after 30 steps of warm-up. Like a
// trial's, its state is kept on the way, beside where the weights will be.
func (r *Runner) pretrain(ctx context.Context, cfg *plan.Config, key string) (*weights.File, error) {
	crops := synthetic.NewCrops(cfg.CropConfig())
	p := cfg.Group("pretrain")
	set, err := dataset.DrawCrops(ctx, crops, 0, p.Int("crops")+pretrainHoldout)
	if err != nil {
		return nil, err
	}
	mc := detector.ModelConfig(cfg, crops.Labels())
	mc.FreezeStages = 0
	if mc.Norm == "frozen" {
		mc.Norm = "batch" // what is frozen later is learnt here
	}
	draw := detector.Drawer(p.Seed("seed"))
	state := engine.NewState()
	work := r.pretrainWork(key)
	from, damaged, err := lastCheckpoint(work, key)
	if err != nil {
		return nil, err
	}
	start := 0
	if from != nil {
		start = from.step
		if err := from.restore(state); err != nil {
			return nil, err
		}
	}
	if err := r.setAside(work, damaged, start); err != nil {
		return nil, err
	}
	compile := func(n int, train bool) (engine.Session, error) {
		prog := &engine.Program{Update: engine.Update{Kind: "sgd", Momentum: .9, WeightDecay: 1e-4, DecayBias: true}}
		var err error
		prog.Graph, err = engine.Build(func(g *engine.Graph) error {
			logits := model.Classifier(g, mc, g.Input("image", n, 3, p.Int("pixels"), p.Int("pixels")), crops.Labels(), train)
			prog.Outputs = []*engine.Node{logits}
			if train {
				prog.Loss = g.SoftmaxCE(logits, g.InputOf(engine.Int32, "label", n))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if err := state.AddMissing(prog.Graph, draw); err != nil {
			return nil, err
		}
		return r.Engine.Compile(prog, state)
	}
	train, err := compile(p.Int("batch"), true)
	if err != nil {
		return nil, err
	}
	defer train.Close()
	t := cfg.Transform()
	k := keeper{every: r.CheckpointEvery, now: r.Now, saved: start, last: r.Now(), save: func(c *checkpoint) error { return c.write(work, key) }}
	for step := start; step < p.Int("iters"); step++ {
		stopped := ctx.Err()
		if stopped != nil || step > start && k.due(step) {
			err := r.Engine.Store(state)
			if err == nil {
				err = k.keep(&checkpoint{step: step, tensors: detector.StateTensors(state)})
			}
			if err = errors.Join(stopped, err); err != nil {
				return nil, err
			}
		}
		pick := draw("crops", uint64(step))
		indices, flips := make([]int, p.Int("batch")), make([]bool, p.Int("batch"))
		for i := range indices {
			indices[i], flips[i] = pick.IntN(p.Int("crops")), pick.Uint64()&1 == 1
		}
		x, y, err := set.Batch(indices, flips, t)
		if err != nil {
			return nil, err
		}
		lr := p.Number("lr") / 2 * (1 + portable.Cos(math.Pi*float64(step)/float64(p.Int("iters")))) * min(1, float64(step+1)/30)
		if _, err := train.Step(engine.Feeds{"image": x, "label": y, engine.LR: []float32{float32(lr)}}, nil); err != nil {
			return nil, fmt.Errorf("step %d: %w", step, err)
		}
		r.tell(Preparing{What: "pretraining a backbone", Done: step + 1, Total: p.Int("iters") + 1})
	}

	const batch = 50
	eval, err := compile(batch, false)
	if err != nil {
		return nil, err
	}
	defer eval.Close()
	right := 0
	for first := p.Int("crops"); first < p.Int("crops")+pretrainHoldout; first += batch {
		indices := make([]int, batch)
		for i := range indices {
			indices[i] = first + i
		}
		x, y, err := set.Batch(indices, nil, t)
		if err != nil {
			return nil, err
		}
		v, err := eval.Forward(engine.Feeds{"image": x})
		if err != nil {
			return nil, err
		}
		for i, label := range y {
			if argmax(v["logits"][i*crops.Labels():(i+1)*crops.Labels()]) == int(label) {
				right++
			}
		}
	}
	accuracy := fmt.Sprintf("%.3f", float64(right)/pretrainHoldout)
	r.tell(Preparing{What: "pretraining a backbone", Done: p.Int("iters") + 1, Total: p.Int("iters") + 1, Note: "accuracy " + accuracy + " on held-out crops"})
	if err := r.Engine.Store(state); err != nil {
		return nil, err
	}
	f := &weights.File{Metadata: map[string]string{"identity": key, "accuracy": accuracy, "settings": string(plan.PretrainCanonical(cfg))}}
	for _, name := range state.Names() {
		if detector.IsBody(name) {
			v := state.Get(name)
			f.Tensors = append(f.Tensors, weights.Tensor{Name: name, Shape: v.Shape, Data: v.Values})
		}
	}
	if err := seal(f.Tensors, f.Metadata); err != nil {
		return nil, err
	}
	return f, nil
}

func argmax(v []float32) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}
