package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/experiments/plan"
	"focalgrid/experiments/sweep"
	"focalgrid/figure"
	"focalgrid/paper/figures"
	"focalgrid/results"
	"focalgrid/results/record"
	"focalgrid/setting"
)

type plotOptions struct {
	what            string // a figure, a grid file or a trial; empty: the list
	trial           string // of a figure that is drawn from one
	db, engine, out string
	ascii, curves   bool
	width           int
	sel             plan.Selection
}

func newPlot(a *app) *cobra.Command {
	o := &plotOptions{}
	cmd := &cobra.Command{
		Use:   "plot [NAME|FILE|TRIAL]",
		Short: "Draw a figure of the paper, the results of a grid file, or learning curves",
		Long: `Draw a figure as SVG or PNG, or in the terminal:

  NAME   a figure of the list that plot prints without an argument: the figures of the
         paper have its numbers, and the others are named like their grid file.
         3 is the network of --profile (mini). 4 runs the detector of --trial over the
         images that it was scored on; it also prints which share of the loss the hardest
         examples hold. engines is one training on several engines, which must be in one
         database: that of --trial, or the last one
  FILE   the AP of a grid file's rows from recorded trials, with published figures in a
         panel of their own; --curves draws the losses in training instead
  TRIAL  the losses of one trial in training; TRIAL is its key or the first digits

The flags that select settings and rows are the flags of sweep. Without --seeds every
recorded seed counts. Intervals are 95 % t intervals of the mean over seeds.`,
		Example: `  runner plot
  runner plot 1 -o focal-loss.svg
  runner plot 6 --ascii
  runner plot 3 --profile paper -o network.svg
  runner plot 4 --trial 3fa85f6457c1 -o cumulative-loss.svg
  runner plot engines -o engines.svg
  runner plot gamma -o gamma.png --width 1200
  runner plot gamma --curves --only loss.gamma=0,2 -o curves.svg
  runner plot 3fa85f6457c1 -o trial.svg`,
		Args:              usage.Args,
		ValidArgsFunction: plotNames(&o.db),
		RunE: a.work(func(ctx context.Context, args []string) error {
			if len(args) == 0 {
				return a.listPlots()
			}
			o.what = args[0]
			return a.plot(ctx, o)
		}),
	}
	f := cmd.Flags()
	f.StringVarP(&o.out, "out", "o", "", "write to this `file` (.svg or .png); - writes SVG to standard output")
	f.BoolVar(&o.ascii, "ascii", false, "draw with characters, on standard output")
	f.IntVar(&o.width, "width", figure.Width, "width of the picture in `pixels`; everything in it grows with it")
	f.BoolVar(&o.curves, "curves", false, "draw learning curves of a grid file")
	f.StringVar(&o.trial, "trial", "", "`key` of the trial that figure 4 or engines is drawn from, or its first digits")
	selectionFlags(cmd, &o.sel)
	dbFlag(cmd, &o.db)
	trainedByFlag(cmd, &o.engine, "draw the trials of this `engine`, and figure 4 on it")
	return cmd
}

// plotNames completes what can be drawn: figures, grid files, trials.
func plotNames(db *string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		names, directive := usage.GridNames(cmd, args, typed)
		if len(args) == 0 {
			trials, _ := usage.TrialKeys(db)(cmd, args, typed)
			names = slices.Concat(figures.Names(), names, trials)
			slices.Sort(names)
			names = slices.Compact(names)
		}
		return names, directive
	}
}

// listPlots prints what can be drawn.
func (a *app) listPlots() error {
	rows := [][]string{{"name", "figure", "drawn from"}}
	for _, name := range figures.Names() {
		fig, _ := figures.Of(name)
		from := "formula, or published figures"
		switch fig.Needs {
		case figures.Rows:
			from = "trials of `runner sweep " + fig.Grid + "`"
		case figures.Network:
			from = "the network of --profile"
		case figures.Trial:
			from = "the trained detector of --trial"
		case figures.Engines:
			from = "trials of the same settings and seed on several engines"
		}
		rows = append(rows, []string{name, fig.Title, from})
	}
	if err := columns.Text(a.out, "", rows, 3); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.out, "\nAlso: any grid file (%s, or your own), and any trial by its key.\n", strings.Join(plan.Ablations(), ", "))
	return err
}

func (a *app) plot(ctx context.Context, o *plotOptions) error {
	const smallest, largest = 100, 10000
	switch {
	case o.out == "" && !o.ascii:
		return bad(errors.New("say where the figure goes: -o FILE.svg, -o FILE.png or --ascii"))
	case o.out != "" && o.ascii:
		return bad(errors.New("-o writes a picture and --ascii draws with characters: choose one"))
	case o.width < smallest || o.width > largest:
		return bad(fmt.Errorf("--width %d: want %d to %d pixels", o.width, smallest, largest))
	}
	if o.out != "" && o.out != "-" {
		if err := figure.CheckName(o.out); err != nil {
			return bad(err)
		}
	}
	f, err := a.figure(ctx, o)
	if err != nil {
		return err
	}
	switch {
	case o.ascii:
		_, err = io.WriteString(a.out, f.Text(cmp.Or(a.out.Width(), 80)))
	case o.out == "-":
		text, drawErr := f.SVG(o.width)
		if drawErr != nil {
			return drawErr
		}
		_, err = io.WriteString(a.out.Verbatim(), text)
	default:
		if err := makeFolderOf(o.out); err != nil {
			return err
		}
		err = f.Write(o.out, o.width)
	}
	return err
}

// figure makes the figure that the argument names.
func (a *app) figure(ctx context.Context, o *plotOptions) (*figure.Figure, error) {
	fig, named := figures.Of(o.what)
	draw := fig.Draw
	if o.curves || !named {
		draw = figures.Results
		if o.curves {
			draw = figures.Curves
		}
	}
	switch {
	case named && fig.Needs == figures.Trial:
		return a.plotTrained(ctx, o, fig)
	case named && fig.Needs == figures.Engines:
		return a.plotEngines(o, fig)
	case o.trial != "":
		return nil, bad(fmt.Errorf("--trial %s: %s is not drawn from one trial", o.trial, o.what))
	case named && fig.Needs == figures.Network:
		return a.plotNetwork(ctx, o, fig)
	}
	in := &figures.Input{}
	if named && fig.Needs == figures.Nothing {
		if given := o.given(); given != "" {
			return nil, bad(fmt.Errorf("%s: figure %s is drawn from no trials", given, o.what))
		}
		return draw(in)
	}
	grid := o.what
	if named {
		grid = fig.Grid
	}
	p, err := loadPlan(ctx, grid, o.sel)
	switch {
	case errors.Is(err, plan.ErrNoGrid) && isKey(grid):
		return a.trialCurves(o)
	case errors.Is(err, plan.ErrNoGrid):
		return nil, bad(unknownPlot(grid))
	case err != nil:
		return nil, bad(err)
	}
	train := usage.Sweep(grid, &o.sel, trainedBy(o.engine), o.db)
	records, closeRecords, err := a.openRecords(o.engine, o.db)
	if errors.Is(err, results.ErrNoDatabase) {
		return nil, bad(fmt.Errorf("%w; `%s` trains what %s is drawn from", err, train, o.what))
	} else if err != nil {
		return nil, err
	}
	defer closeRecords()
	if in.Grid, err = records.Grid(ctx, p, o.sel.Seeds == "", train); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, bad(err)
	}
	f, err := draw(in)
	return f, bad(err)
}

// plotEngines draws a training on several engines.
func (a *app) plotEngines(o *plotOptions, fig figures.Figure) (*figure.Figure, error) {
	if given := o.given(); given != "" {
		return nil, bad(fmt.Errorf("%s: figure %s is drawn from trials as they are recorded", given, o.what))
	}
	store, err := results.OpenExisting(o.db)
	if err != nil {
		return nil, bad(err)
	}
	defer store.Close()
	var t *record.Trial
	if o.trial != "" {
		if t, err = store.Trial(o.trial); err != nil {
			return nil, bad(err)
		}
	}
	first, err := recordedName(store, o.engine)
	if err != nil {
		return nil, bad(err)
	}
	records := sweep.Records{Store: store}
	twins, err := records.Twins(t, first)
	if err != nil {
		return nil, bad(err)
	}
	f, err := fig.Draw(&figures.Input{Twins: twins})
	return f, bad(err)
}

// trialCurves draws the learning curves of one trial.
func (a *app) trialCurves(o *plotOptions) (*figure.Figure, error) {
	if given := o.given(); given != "" {
		return nil, bad(fmt.Errorf("%s: a trial is drawn as it is recorded", given))
	}
	store, t, err := openTrial(o.db, o.what)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	records := sweep.Records{Store: store}
	grid, err := records.Alone(t)
	if err != nil {
		return nil, bad(err)
	}
	f, err := figures.Curves(&figures.Input{Grid: grid})
	return f, bad(err)
}

// given names a flag that selects rows of a grid file, if there is one.
func (o *plotOptions) given() string {
	switch {
	case o.curves:
		return "--curves"
	case o.sel.Seeds != "":
		return "--seeds " + o.sel.Seeds
	case o.sel.Profile != "":
		return "--profile " + o.sel.Profile
	case o.sel.DataDir != "":
		return "--data " + o.sel.DataDir
	case len(o.sel.Only) > 0:
		return "--only " + o.sel.Only[0]
	case len(o.sel.Set) > 0:
		return "--set " + o.sel.Set[0]
	}
	return ""
}

func unknownPlot(name string) error {
	known := slices.Concat(figures.Names(), plan.Ablations())
	return fmt.Errorf("%s is not a figure, a grid file or the key of a trial; nearest: %s; `runner plot` lists what can be drawn", name, setting.Nearest(name, known))
}

// isKey reports whether text may be the beginning of a trial's key.
func isKey(text string) bool { return text != "" && strings.Trim(text, "0123456789abcdef") == "" }
