package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/model"
	"focalgrid/results"
	"focalgrid/results/record"
)

// Cost estimates the work and the time of a trial.
type Cost struct {
	MACs     float64 // multiply-adds of training and evaluation
	Seconds  float64
	Recorded bool // the median of recorded trials of the same work on this machine and engine; else MACs over a measured rate
}

// Rates are the speeds at which an engine trains, by train.precision; without any, costs are not known.
type Rates map[string]engine.Rate

// Rates measures the engine at the precisions of the trials that are not done, and at f32, in which backbones are
// pretrained. An engine that measures nothing has no rates.
func (r *Records) Rates(states []State) (Rates, error) {
	prober, ok := r.Engine.(engine.RateProber)
	if !ok {
		return nil, nil
	}
	precisions := []string{"f32"}
	for _, s := range states {
		if !s.Done() {
			precisions = append(precisions, s.Config.Text("train.precision"))
		}
	}
	out := Rates{}
	for _, precision := range precisions {
		if _, measured := out[precision]; measured {
			continue
		}
		rate, err := prober.ProbeRate(r.Now, precision == "bf16")
		switch {
		case err == nil:
			out[precision] = rate
		case !errors.Is(err, engine.ErrUnsupported): // a trial that cannot run has no cost
			return nil, err
		}
	}
	return out, nil
}

// seconds is the time of some work.
func (r Rates) seconds(macs float64, precision string) float64 {
	if rate, ok := r[precision]; ok {
		return macs / rate.MACs
	}
	return math.NaN()
}

// Basis says what estimates of time stand on.
func (r Rates) Basis() string {
	billions := func(precision string) string { return fmt.Sprintf("%.3g", r[precision].MACs/1e9) }
	rate, guessed := billions("f32"), r["f32"].Guessed
	if b, ok := r["bf16"]; ok {
		rate, guessed = billions("bf16")+" (bf16) and "+rate+" (f32)", guessed || b.Guessed
	}
	if guessed {
		return "a rough estimate from " + rate + " billion multiply-adds a second, guessed from the speed of convolutions"
	}
	return "an estimate from a measured " + rate + " billion multiply-adds a second"
}

// Costs estimates the trials at those rates. A trial that is done costs what it took, one with a
// checkpoint what is left.
func (r *Records) Costs(states []State, rates Rates) ([]Cost, error) {
	walls, err := r.recordedWalls()
	if err != nil {
		return nil, err
	}
	seen := map[string]Cost{}
	out := make([]Cost, len(states))
	for i, s := range states {
		work := plan.Work(&s.Config)
		cost, ok := seen[work]
		if !ok {
			if cost.MACs, err = trialMACs(&s.Config); err != nil {
				return nil, err
			}
			cost.Seconds = rates.seconds(cost.MACs, s.Config.Text("train.precision"))
			if w := walls[work]; len(w) > 0 {
				cost.Seconds, cost.Recorded = w[len(w)/2], true
			}
			seen[work] = cost
		}
		if s.Done() {
			cost.Seconds, cost.Recorded = s.Recorded.WallSeconds, true
		} else if s.Step > 0 {
			cost.Seconds *= 1 - float64(s.Step)/float64(s.Config.Int("train.iters"))
		}
		out[i] = cost
	}
	return out, nil
}

// PretrainSeconds estimates the pretrainings that the trials still need.
func (r *Records) PretrainSeconds(states []State, rates Rates) (float64, error) {
	seen, total := map[string]bool{}, 0.
	for _, s := range states {
		cfg := s.Config
		if s.Done() || !plan.Crops(&cfg) || r.HasPretrained(&cfg) || seen[r.PretrainKey(&cfg)] {
			continue
		}
		seen[r.PretrainKey(&cfg)] = true
		pixels := cfg.Int("pretrain.pixels")
		sum, err := model.Summarize(detector.ModelConfig(&cfg, cfg.Int("pretrain.classes")+1), pixels, pixels)
		if err != nil {
			return 0, err
		}
		crops := float64(cfg.Int("pretrain.batch")) * float64(cfg.Int("pretrain.iters"))
		total += rates.seconds(3*float64(sum.Part(model.PartBackbone).MACs)*crops, "f32")
	}
	return total, nil
}

// InputSizes says for which sizes of input networks are compiled, a line each, where the engine compiles them for a
// device, which takes up to minutes; else nothing.
func (r *Records) InputSizes(p *plan.Plan) string {
	if !detector.Remote(r.Engine) {
		return ""
	}
	var lines []string
	for i := range p.Rows {
		c := &p.Rows[i].Config
		var line string
		h, w := detector.InputSize(c)
		switch t := c.Transform(); {
		case plan.Synthetic(c):
			line = fmt.Sprintf("Networks are compiled for images of %d×%d pixels, to train and to score.", w, h)
		case t.Oriented:
			h, w := t.OrientedSize(true)
			line = fmt.Sprintf("Networks are compiled for images of %d×%d and of %d×%d pixels, to train and to score.", w, h, h, w)
		default:
			line = "Networks are compiled for each size that a batch comes in; --set image.batches=oriented makes that two sizes."
		}
		if !slices.Contains(lines, line+"\n") {
			lines = append(lines, line+"\n")
		}
	}
	return strings.Join(lines, "")
}

// Memory estimates what the trials that are not done need of the memory of the engine's device: the most that any
// needs. It is nil where the engine has no device, or nothing is left to do.
func (r *Records) Memory(states []State) (*detector.StepMemory, error) {
	var most *detector.StepMemory
	seen := map[string]bool{}
	for _, s := range states {
		work := plan.Work(&s.Config)
		if s.Done() || seen[work] {
			continue
		}
		seen[work] = true
		classes := s.classes()
		if classes == 0 {
			var err error
			if classes, err = detector.Classes(&s.Config); err != nil {
				return nil, err
			}
		}
		m, err := detector.MemoryOf(&s.Config, classes, r.Engine)
		if err != nil {
			return nil, err
		}
		if m != nil && (most == nil || m.Total() > most.Total()) {
			most = m
		}
	}
	return most, nil
}

// trialMACs counts forward and both gradients (each as much as forward) of every training image, and one forward pass
// of every test image that the settings name.
func trialMACs(cfg *plan.Config) (float64, error) {
	h, w := detector.InputSize(cfg)
	sum, err := model.Summarize(detector.ModelConfig(cfg, max(1, cfg.Int("data.classes"))), h, w)
	if err != nil {
		return 0, err
	}
	images := 3 * float64(cfg.Int("train.batch")) * float64(cfg.Int("train.iters"))
	if plan.Synthetic(cfg) {
		images += float64(cfg.Int("data.images." + cfg.Text("eval.split")))
	}
	return float64(sum.Total.MACs) * images, nil
}

// recordedWalls returns the seconds that finished trials took on this machine, on the same engine with as many threads,
// by their work, ascending.
func (r *Records) recordedWalls() (map[string][]float64, error) {
	out := map[string][]float64{}
	if r.Store == nil {
		return out, nil
	}
	done, err := r.Store.Trials(results.Filter{Kind: record.KindTrain, Statuses: []string{record.StatusDone}})
	if err != nil {
		return nil, err
	}
	works := map[string]string{} // by config
	for _, t := range done {
		if t.Engine != r.Engine.Info().Name {
			continue // for one, of another number of devices
		}
		var h experiments.Host
		if json.Unmarshal([]byte(t.Provenance), &h) != nil || h.Name != r.Host.Name || h.CPU != r.Host.CPU || h.Kernels != r.Host.Kernels || h.Threads != r.Host.Threads || h.Jobs != r.Host.Jobs {
			continue
		}
		work, ok := works[t.Config]
		if !ok {
			// Another version of the program may have recorded settings that this one cannot read.
			if cfg, err := detector.Settings.ParseResolved(t.Key, []byte(t.Config)); err == nil {
				work = plan.Work(&cfg)
			}
			works[t.Config] = work
		}
		if work != "" {
			out[work] = append(out[work], t.WallSeconds)
		}
	}
	for _, w := range out {
		slices.Sort(w)
	}
	return out, nil
}
