package detector

import (
	"context"
	"errors"
	"fmt"

	"focalgrid/dataset"
	"focalgrid/dataset/synthetic"
	"focalgrid/engine"
	"focalgrid/experiments/plan"
	"focalgrid/model"
	"focalgrid/optim"
	"focalgrid/setting"
)

// holdout is the number of crops, after those trained on, that accuracy is measured on.
const holdout = 500

// Classifier is the backbone of a detector with a classifier of synthetic crops on it, for
// pretraining.
type Classifier struct {
	State     *engine.State // out of date after a step, until Stored
	engine    engine.Engine
	draw      engine.Draw
	settings  setting.Values
	network   model.Config
	optim     optim.Config
	transform dataset.Transform
	crops     *dataset.CropSet
	labels    int
	sessions  []engine.Session
}

// NewClassifier draws the crops that the settings ask for. It compiles nothing yet.
func NewClassifier(ctx context.Context, c *plan.Config, e engine.Engine) (*Classifier, error) {
	crops, p := synthetic.NewCrops(c.CropConfig()), c.Group("pretrain")
	set, err := dataset.DrawCrops(ctx, crops, 0, p.Int("crops")+holdout)
	if err != nil {
		return nil, err
	}
	network := ModelConfig(c, crops.Labels())
	network.FreezeStages = 0
	if network.Norm == "frozen" {
		network.Norm = "batch" // what is frozen later is learnt here
	}
	return &Classifier{
		State: engine.NewState(), engine: e, draw: Drawer(p.Seed("seed")), settings: p, network: network,
		optim:     optim.Config{Type: "sgd", LR: p.Number("lr"), Momentum: .9, WeightDecay: 1e-4, DecayBias: true, Warmup: 30, Schedule: "cosine"},
		transform: c.Transform(), crops: set, labels: crops.Labels(),
	}, nil
}

// Stored returns the state, up to date with the steps that were made, and good until the next one.
func (c *Classifier) Stored() (*engine.State, error) { return c.State, c.engine.Store(c.State) }

// Close frees the compiled programs. Stored must be called before.
func (c *Classifier) Close() {
	for _, s := range c.sessions {
		s.Close()
	}
}

// Iters returns the number of steps of the training.
func (c *Classifier) Iters() int { return c.settings.Int("iters") }

// compile compiles the program for batches of n crops.
func (c *Classifier) compile(n int, train bool) (engine.Session, error) {
	prog := &engine.Program{Update: c.optim.Update()}
	pixels := c.settings.Int("pixels")
	var err error
	prog.Graph, err = engine.Build(func(g *engine.Graph) error {
		logits := model.Classifier(g, c.network, g.Batched(g.Input("image", n, 3, pixels, pixels)), c.labels, train)
		prog.Outputs = []*engine.Node{logits}
		if train {
			prog.Loss = g.SoftmaxCE(logits, g.Batched(g.InputOf(engine.Int32, "label", n)))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := c.State.AddMissing(prog.Graph, c.draw); err != nil {
		return nil, err
	}
	s, err := c.engine.Compile(prog, c.State)
	if err == nil {
		c.sessions = append(c.sessions, s)
	}
	return s, c.named(err, n)
}

// named adds the batch to an error about memory.
func (c *Classifier) named(err error, n int) error {
	if errors.Is(err, engine.ErrMemory) {
		return fmt.Errorf("%d crops of %d pixels (pretrain.batch is %d): %w", n, c.settings.Int("pixels"), c.settings.Int("batch"), err)
	}
	return err
}

// Train runs the steps from that number to the last, and returns the share of held-out crops that
// are then classified right. It calls each after every step, and an error of each ends the training. The
// error is a *Diverged, the context's, or a failure.
func (c *Classifier) Train(ctx context.Context, from int, each func(StepInfo) error) (accuracy float64, err error) {
	session, err := c.compile(c.settings.Int("batch"), true)
	if err != nil {
		return 0, err
	}
	step := func(info *StepInfo) error {
		pick := c.draw("crops", uint64(info.Step))
		indices, flips := make([]int, c.settings.Int("batch")), make([]bool, c.settings.Int("batch"))
		for i := range indices {
			indices[i], flips[i] = pick.IntN(c.settings.Int("crops")), pick.Uint64()&1 == 1
		}
		x, y, err := c.crops.Batch(indices, flips, c.transform)
		if err != nil {
			return err
		}
		r, err := session.Step(engine.Feeds{"image": x, "label": y, engine.LR: []float32{float32(info.LR)}}, nil)
		info.Loss, info.GradNorm = r.Loss, r.GradNorm
		info.Losses = []Loss{{"class", r.Loss}}
		return stepError(info.Step, c.named(err, c.settings.Int("batch")))
	}
	if err := (training{c.Iters(), c.optim, step, c.Stored}).run(ctx, from, each); err != nil {
		return 0, err
	}
	return c.accuracy()
}

func (c *Classifier) accuracy() (float64, error) {
	const batch = 50
	session, err := c.compile(batch, false)
	if err != nil {
		return 0, err
	}
	right := 0
	for first := c.settings.Int("crops"); first < c.settings.Int("crops")+holdout; first += batch {
		indices := make([]int, batch)
		for i := range indices {
			indices[i] = first + i
		}
		x, y, err := c.crops.Batch(indices, nil, c.transform)
		if err != nil {
			return 0, err
		}
		v, err := session.Forward(engine.Feeds{"image": x})
		if err != nil {
			return 0, c.named(err, batch)
		}
		for i, label := range y {
			if argmax(v["logits"][i*c.labels:(i+1)*c.labels]) == int(label) {
				right++
			}
		}
	}
	return float64(right) / holdout, nil
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
