package benchmark

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"focalgrid/columns"
	"focalgrid/dataset"
	"focalgrid/detector"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
)

// Loading describes the measurement of what the loader delivers: batches of a network's images with the targets of
// their objects, which is all that a step takes from the host.
type Loading struct {
	Network
	Feed float64 // images a second for which cores are counted; 0: none
}

// Fill does what Network's does.
func (l *Loading) Fill() error {
	if !(l.Feed >= 0 && l.Feed <= 1e9) {
		return fmt.Errorf("--feed %g: want the images a second of a training, above 0", l.Feed)
	}
	l.Loader = true
	return l.Network.Fill()
}

// LoaderReport holds the figures that bench loader prints.
type LoaderReport struct {
	Model   string   `json:"model"`
	Height  int      `json:"height"` // of the largest batch
	Width   int      `json:"width"`
	Batch   int      `json:"batch"`
	Batches int      `json:"batches"`
	Cores   int      `json:"cores"`
	Feed    float64  `json:"feed,omitempty"`
	From    []Source `json:"from"`
	Stages  []Stage  `json:"stages"` // on one core
}

// Source is where pictures come from, and how fast batches are made of them.
type Source struct {
	Name    string  `json:"name"`                         // files (read, decoded, resized), folder or memory (resized before)
	Images  float64 `json:"images_per_second"`            // on all cores
	MS      Spread  `json:"ms"`                           // a batch, on all cores
	OneCore float64 `json:"images_per_second_one_core"`   // on one
	Feed    float64 `json:"cores_for_the_feed,omitempty"` // by the speed of one
}

// Stage is a part of the work on an image.
type Stage struct {
	Name string  `json:"name"`
	MS   float64 `json:"ms"` // an image
}

// MeasureLoader measures the loading of training batches: on all cores, then on one. Each image is loaded from its
// file, from the folder of resized pictures that a training keeps of photographs, and from memory.
func MeasureLoader(ctx context.Context, r *experiments.Trainer, l Loading) (*LoaderReport, error) {
	set, err := l.pictures(ctx, r)
	if err != nil {
		return nil, err
	}
	rep := &LoaderReport{Model: l.Model, Batch: l.Batch, Batches: l.Steps, Cores: runtime.GOMAXPROCS(0), Feed: l.Feed}
	w := &loaderWork{Loading: l, set: set, now: r.Now, report: rep}
	all, err := w.sources(ctx)
	if err != nil {
		return nil, err
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one, err := w.sources(ctx)
	if err != nil {
		return nil, err
	}
	rate := func(s Spread) float64 { return float64(l.Batch) / (s.Median / 1000) }
	for i, p := range all {
		s := Source{Name: p.name, MS: spreadOf(p.seconds), OneCore: rate(spreadOf(one[i].seconds))}
		s.Images, s.Feed = rate(s.MS), l.Feed/s.OneCore
		rep.From = append(rep.From, s)
	}
	rep.Stages, err = w.stages(ctx, one[len(one)-1])
	return rep, err
}

// pictures opens the training split. Of a folder it takes as many images as are measured, evenly spaced, and hashes
// them, as a training has done.
func (l *Loading) pictures(ctx context.Context, r *experiments.Trainer) (*dataset.Set, error) {
	n := l.Batch * l.Steps
	if plan.Synthetic(&l.config) {
		l.config.Set("data.images.train", n)
		return r.OpenSplit(ctx, &l.config, l.config.Text("data.train"))
	}
	set, err := r.OpenSplit(ctx, &l.config, l.config.Text("data.train"))
	if err != nil {
		return nil, err
	}
	some := *set
	if len(set.Images) > n {
		some.Images, some.Sums = make([]dataset.Image, n), nil
		for i := range some.Images {
			some.Images[i] = set.Images[i*len(set.Images)/n]
		}
	}
	return &some, some.Identify(ctx, nil)
}

// loaderWork is a measurement at work.
type loaderWork struct {
	Loading
	set    *dataset.Set
	now    func() time.Time
	report *LoaderReport
}

// pass is how long each batch took that was made of the pictures of one source.
type pass struct {
	name    string
	seconds []float64
	targets float64 // seconds of them all that were matching and targets
}

// sources makes the same batches from each source, the slowest first.
func (w *loaderWork) sources(ctx context.Context) ([]pass, error) {
	tmp, err := os.MkdirTemp("", "focalgrid-loader-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	data := experiments.Trainer{Data: experiments.Data{Cache: tmp}}
	var loaders [2]*dataset.Loader // the second finds nothing in memory
	for i := range loaders {
		if loaders[i], err = data.Loader(&w.config, w.set, detector.Drawer(0), true); err != nil {
			return nil, err
		}
		defer loaders[i].Close()
	}
	runtime.GC()
	var out []pass
	for _, source := range []struct {
		name   string
		loader *dataset.Loader
	}{{"files", loaders[0]}, {"folder", loaders[1]}, {"memory", loaders[0]}} {
		if source.name == "folder" && plan.Synthetic(&w.config) {
			continue // it keeps pictures of photographs alone
		}
		p, err := w.pass(ctx, source.loader, source.name)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// pass makes the batches of an epoch, with their targets.
func (w *loaderWork) pass(ctx context.Context, loader *dataset.Loader, name string) (pass, error) {
	d := detector.New(w.config, len(w.set.Classes), nil, nil, nil)
	p := pass{name: name}
	for step := range w.Steps {
		if err := ctx.Err(); err != nil {
			return p, err
		}
		begin := w.now()
		b, err := loader.Batch(step)
		if err != nil {
			return p, err
		}
		loaded := w.now()
		if _, err := d.Feed(b); err != nil {
			return p, err
		}
		end := w.now()
		p.seconds = append(p.seconds, end.Sub(begin).Seconds())
		p.targets += end.Sub(loaded).Seconds()
		w.report.Height, w.report.Width = max(w.report.Height, b.H), max(w.report.Width, b.W)
	}
	return p, nil
}

// stages lists the parts of the work on an image. memory is the pass over pictures in memory.
func (w *loaderWork) stages(ctx context.Context, memory pass) ([]Stage, error) {
	var decode, resize time.Duration
	transform := w.config.Transform()
	for i := range w.set.Images {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		begin := w.now()
		p, err := w.set.Decode(i)
		if err != nil {
			return nil, err
		}
		decoded := w.now()
		if _, err := transform.Resize(p); err != nil {
			return nil, err
		}
		decode, resize = decode+decoded.Sub(begin), resize+w.now().Sub(decoded)
	}
	whole := 0.0
	for _, s := range memory.seconds {
		whole += s
	}
	files, batches := float64(len(w.set.Images)), float64(w.Batch*w.Steps)
	return []Stage{
		{"read and decode", 1000 * decode.Seconds() / files},
		{"resize", 1000 * resize.Seconds() / files},
		{"normalise and flip", 1000 * (whole - memory.targets) / batches},
		{"match and targets", 1000 * memory.targets / batches},
	}, nil
}

// Write prints the report as text.
func (r *LoaderReport) Write(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d × %d images of at most %d×%d px\n", r.Model, r.Batches, r.Batch, r.Height, r.Width)
	rows := [][]string{{"  from", fmt.Sprintf("images/s on %s", columns.Count(r.Cores, "core")), "ms a batch", "images/s on 1 core"}}
	if r.Feed > 0 {
		rows[0] = append(rows[0], fmt.Sprintf("cores for %g images/s", r.Feed))
	}
	for _, s := range r.From {
		row := []string{"  " + s.Name, fmt.Sprintf("%.0f", s.Images), fmt.Sprintf("%.2f (%.2f to %.2f)", s.MS.Median, s.MS.Min, s.MS.Max), fmt.Sprintf("%.0f", s.OneCore)}
		if r.Feed > 0 {
			row = append(row, fmt.Sprintf("%.1f", s.Feed))
		}
		rows = append(rows, row)
	}
	if err := columns.Text(w, "", rows, columns.AllLeft); err != nil {
		return err
	}
	var stages []string
	for _, s := range r.Stages {
		stages = append(stages, fmt.Sprintf("%s %.2f", s.Name, s.MS))
	}
	_, err := fmt.Fprintf(w, "  an image on one core, ms: %s\n", strings.Join(stages, ", "))
	return err
}
