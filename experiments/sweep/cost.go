package sweep

import (
	"encoding/json"
	"slices"
	"time"

	"focalgrid/detector"
	"focalgrid/engine/kernel"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/model"
	"focalgrid/results"
)

// Cost is an estimate of what a trial takes.
type Cost struct {
	MACs     float64 // multiply-adds of training and evaluation
	Seconds  float64
	Recorded bool // the median of recorded trials of the same work on this machine; else MACs over a measured rate
}

// stepShare is the share of the probe's rate that whole trainings reached where
// it was measured: norms, losses, the update and small maps cost time and count no
// multiply-adds, and gradients are slower than the forward pass.
const stepShare = .4

// probeTime bounds ProbeRate.
const probeTime = 200 * time.Millisecond

// ProbeRate estimates the multiply-adds a second of a training on this pool: it
// repeats a typical convolution (64 to 64 channels, 3×3, on 32×32) for a fifth of a
// second and takes stepShare of the fastest run, which other programs disturb least.
func ProbeRate(pool *kernel.Pool, now func() time.Time) float64 {
	c := kernel.Conv{N: 4, C: 64, H: 32, W: 32, K: 64, R: 3, Stride: 1, Pad: 1}
	layer := kernel.NewLayer(pool, c)
	x, w, y := make([]float32, c.In()), make([]float32, c.Weights()), make([]float32, c.Out())
	best := probeTime
	for begun := now(); now().Sub(begun) < probeTime; {
		start := now()
		layer.Forward(y, x, w, nil, false)
		best = min(best, max(now().Sub(start), time.Microsecond))
	}
	return stepShare * float64(c.MACs()) / best.Seconds()
}

// Costs estimates the trials at a rate in multiply-adds a second. A trial that is done
// costs what it took, one with a checkpoint what is left.
func (r *Records) Costs(states []State, rate float64) ([]Cost, error) {
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
			cost.Seconds = cost.MACs / rate
			if w := walls[work]; len(w) > 0 {
				cost.Seconds, cost.Recorded = w[len(w)/2], true
			}
			seen[work] = cost
		}
		if s.Done() {
			cost.Seconds, cost.Recorded = s.Recorded.WallSeconds, true
		} else if s.Step > 0 {
			cost.Seconds *= 1 - float64(s.Step)/float64(s.Config.Train.Iters)
		}
		out[i] = cost
	}
	return out, nil
}

// PretrainSeconds estimates the pretrainings that the trials still need.
func (r *Records) PretrainSeconds(states []State, rate float64) (float64, error) {
	seen, total := map[string]bool{}, 0.
	for _, s := range states {
		cfg := s.Config
		if s.Done() || !plan.Crops(&cfg) || r.HasPretrained(&cfg) || seen[r.PretrainKey(&cfg)] {
			continue
		}
		seen[r.PretrainKey(&cfg)] = true
		p := &cfg.Pretrain
		sum, err := model.Summarize(cfg.ModelConfig(p.Classes+1), p.Pixels, p.Pixels)
		if err != nil {
			return 0, err
		}
		total += 3 * float64(sum.Part(model.PartBackbone).MACs) * float64(p.Batch) * float64(p.Iters) / rate
	}
	return total, nil
}

// trialMACs counts forward and both gradients (each as much as forward) of every
// training image, and one forward pass of every test image the settings tell of.
func trialMACs(cfg *plan.Config) (float64, error) {
	h, w := detector.InputSize(cfg)
	sum, err := model.Summarize(cfg.ModelConfig(max(1, cfg.Data.Classes)), h, w)
	if err != nil {
		return 0, err
	}
	images := 3 * float64(cfg.Train.Batch) * float64(cfg.Train.Iters)
	if plan.Synthetic(cfg) {
		images += float64(map[string]int{"train": cfg.Data.Images.Train, "tune": cfg.Data.Images.Tune, "val": cfg.Data.Images.Val}[cfg.Eval.Split])
	}
	return float64(sum.Total.MACs) * images, nil
}

// recordedWalls are the seconds that finished trials took on this machine with as many
// threads, by their work, ascending.
func (r *Records) recordedWalls() (map[string][]float64, error) {
	out := map[string][]float64{}
	if r.Store == nil {
		return out, nil
	}
	done, err := r.Store.Trials(results.Filter{Kind: results.KindTrain, Statuses: []string{results.StatusDone}})
	if err != nil {
		return nil, err
	}
	works := map[string]string{} // by config
	for _, t := range done {
		var h experiments.Host
		if json.Unmarshal([]byte(t.Provenance), &h) != nil || h.Name != r.Host.Name || h.CPU != r.Host.CPU || h.Kernels != r.Host.Kernels || h.Threads != r.Host.Threads || h.Jobs != r.Host.Jobs {
			continue
		}
		work, ok := works[t.Config]
		if !ok {
			// One written by another version of the program may have other
			// settings; it then tells nothing about these.
			if cfg, err := plan.ParseResolved(t.Key, []byte(t.Config)); err == nil {
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
