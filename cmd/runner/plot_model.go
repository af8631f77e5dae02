package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"focalgrid/cmd/runner/progress"
	"focalgrid/columns"
	"focalgrid/detector"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/figure"
	"focalgrid/paper/figures"
	"focalgrid/results"
	"focalgrid/results/record"
)

// plotNetwork draws a figure of the network of a profile.
func (a *app) plotNetwork(ctx context.Context, o *plotOptions, fig figures.Figure) (*figure.Figure, error) {
	rest := *o
	rest.sel.Profile, rest.sel.DataDir, rest.sel.Set = "", "", nil
	if given := rest.given(); given != "" {
		return nil, bad(fmt.Errorf("%s: figure %s is drawn from a network, not from trials", given, o.what))
	}
	profile := cmp.Or(o.sel.Profile, "mini")
	sel := o.sel
	sel.Profile = ""
	return drawNetwork(ctx, profile, sel, fig)
}

// drawNetwork draws a figure of the network of a profile, or of a grid file's baseline.
func drawNetwork(ctx context.Context, profile string, sel plan.Selection, fig figures.Figure) (*figure.Figure, error) {
	cfg, err := loadBaseline(ctx, profile, sel)
	if err != nil {
		return nil, bad(err)
	}
	h, w := detector.InputSize(&cfg)
	l, err := detector.LayOut(&cfg, h, w)
	if err != nil {
		return nil, bad(err)
	}
	f, err := fig.Draw(&figures.Input{Network: l, Profile: profile})
	return f, bad(err)
}

// backgroundSample is how many logits of background a figure looks at; a few hundred images have millions.
const backgroundSample = 1_000_000

// plotTrained draws a figure of what a recorded trial's detector says of the images that it was scored on, and prints
// its readings.
func (a *app) plotTrained(ctx context.Context, o *plotOptions, fig figures.Figure) (*figure.Figure, error) {
	rest := *o
	rest.sel.DataDir = ""
	if given := rest.given(); given != "" {
		return nil, bad(fmt.Errorf("%s: figure %s is drawn from one trial as it is recorded", given, o.what))
	}
	if o.trial == "" {
		return nil, bad(fmt.Errorf("figure %s is drawn from one trained detector: name it with --trial KEY; `runner ls` lists the keys", o.what))
	}
	store, t, err := openTrial(o.db, o.trial)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	if err := relocate(t, o.sel.DataDir); err != nil {
		return nil, err
	}
	if t.Weights == "" {
		return nil, bad(fmt.Errorf("trial %.12s is %s: it has no final weights to look at images with", t.Key, t.Status))
	}
	losses, err := a.lossesOf(ctx, o.engine, store, t)
	if err != nil {
		return nil, err
	}
	f, err := fig.Draw(&figures.Input{Losses: losses})
	if err != nil {
		return nil, err
	}
	to := io.Writer(a.out)
	if o.out == "-" { // the picture is there
		to = a.err
	}
	columns.Text(to, "", losses.Table(), 1)
	return f, nil
}

// lossesOf runs the detector of a trial over the images that it was scored on, and returns how its loss is spread.
func (a *app) lossesOf(ctx context.Context, engine string, store *results.Store, t *record.Trial) (*figures.Concentrations, error) {
	m := machine{engine: trainedBy(engine)}
	if m.engine == "auto" {
		m.engine, m.devices = engineOf(t.Engine)
	}
	r, err := m.open(a)
	if err != nil {
		return nil, err
	}
	defer r.close()
	r.Notify = progress.Preparing(a.now, a.err)
	d, err := r.OpenDetector(ctx, t, store.WeightsPath(t.Weights))
	if err != nil {
		return nil, bad(err)
	}
	defer d.Close()
	set, err := d.Scored(ctx, false)
	if errors.Is(err, experiments.ErrOtherData) {
		return nil, bad(fmt.Errorf("%w; --data DIR names another folder", err))
	} else if err != nil {
		return nil, foreign(ctx, err)
	}
	logits, err := d.Logits(ctx, set, 0, backgroundSample, func(int) {})
	if err != nil {
		return nil, err
	}
	cfg := d.Config()
	losses, err := figures.Concentrate(&figures.Logits{
		Foreground: logits.Foreground, Background: logits.Background, Pairs: logits.Pairs,
		Source:  fmt.Sprintf("trial %.12s (%s seed=%d) on %s of %s", t.Key, cfg.DescribeLoss(), t.Seed, columns.Count(logits.Images, "image"), cfg.EvalSplit()),
		Setting: plan.DescribeSetting(&cfg, nil, ""),
	})
	if err != nil {
		return nil, bad(fmt.Errorf("trial %.12s: %w", t.Key, err))
	}
	return losses, nil
}
