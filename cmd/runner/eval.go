package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/coco"
	"focalgrid/figure"
	"focalgrid/metrics"
	"focalgrid/metrics/report"
)

// summations are the values of --numpy: versions of numpy, whose mean changed its order of summation.
var summations = map[string]metrics.Summation{"2.3": metrics.SumWhole, "1.24": metrics.SumBuffered}

type evalOptions struct {
	gt, dt, format string
	perClass       bool
	maxDets        []int
	iou, area      string
	threads        int
	numpy          string
	allowEmpty     bool

	details            bool
	curves, plot, html string // files to write
	vs                 string
	resamples          int
	seed               uint64

	minAP, maxDrop *float64 // gates of the exit code; nil: none
}

func newEval(a *app) *cobra.Command {
	o := &evalOptions{}
	cmd := &cobra.Command{
		Use:   "eval --gt FILE --dt FILE",
		Short: "Score a results file by COCO AP",
		Long: `Score a detector's results against ground truth, both in COCO's JSON, by the rules of
COCO's box detection challenge. Every number equals pycocotools' number to the last bit.

--gt is an object with images, annotations and categories. --dt is an array of boxes with
image_id, category_id, bbox and score. "-" reads one of them from standard input.

Where there is no object to find, text and JSON print -1, as pycocotools does. With other
--max-dets than COCO's, AP is the AP at the largest of them.

--details adds AP by IoU, the errors that cost AP, calibration and the best F1 of each
class. --html writes everything to one page. --vs compares with another results file on the
same images and reports how much of the difference may be chance.

--min-ap and --max-drop are gates. The numbers are printed, and the exit code is 1 if AP is
below --min-ap, or if AP is lower than the AP of --vs by more than --max-drop. Both are
fractions, as AP is printed: .34, not 34.

Probable mistakes in the file (ids that are not in the ground truth or are off by one, boxes
as corners or in 0…1) are reported on stderr with counts. They never change a number.`,
		Example: `  runner eval --gt instances_val2017.json --dt results.json
  runner eval --gt gt.json --dt dt.json --per-class --format markdown
  runner eval --gt gt.json --dt dt.json --format json > ap.json
  runner eval --gt gt.json --dt dt.json --iou .5,.75 --area small:0:576,medium:576:9216
  runner eval --gt gt.json --dt dt.json --html report.html --curves curves.csv
  runner eval --gt gt.json --dt new.json --vs old.json
  runner eval --gt gt.json --dt new.json --min-ap .34 --vs old.json --max-drop .005`,
		Args:              usage.Args,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.StringVar(&o.gt, "gt", "", "ground truth `file`")
	f.StringVar(&o.dt, "dt", "", "results `file`")
	formatFlag(cmd, &o.format, report.Formats()...)
	f.BoolVar(&o.perClass, "per-class", false, "also print a table of the classes (JSON always has it)")
	f.IntSliceVar(&o.maxDets, "max-dets", []int{1, 10, 100}, "three `numbers` of detections per image and class, for AR1, AR10 and AR100; everything else uses the largest")
	f.StringVar(&o.iou, "iou", ".5:.95:.05", "IoU `thresholds`: from:to:step or a list")
	f.StringVar(&o.area, "area", "", "other area ranges in square pixels: `name:min:max`[,…] with the names all, small, medium, large")
	f.IntVar(&o.threads, "threads", 0, "`number` of threads; 0: one per core. Results do not depend on it")
	f.StringVar(&o.numpy, "numpy", "2.3", "compute the last bits of means like this `version` of numpy: 2.3 (and later) or 1.24 (up to 2.2)")
	f.BoolVar(&o.allowEmpty, "allow-empty", false, "score an empty results file as 0; without it the file is refused, as by pycocotools")
	f.BoolVar(&o.details, "details", false, "also print AP by IoU, errors and their cost, calibration and best F1")
	f.StringVar(&o.curves, "curves", "", "write precision over recall for every class and IoU to this `file` (.json or .csv)")
	f.StringVar(&o.plot, "plot", "", "draw precision over recall to this `file` (.png or .svg)")
	f.StringVar(&o.html, "html", "", "write everything to one HTML page, this `file`")
	f.StringVar(&o.vs, "vs", "", "compare with this other results `file`")
	f.IntVar(&o.resamples, "resamples", 1000, "`number` of resamples of the images for the interval of --vs")
	f.Uint64Var(&o.seed, "seed", 0, "`seed` of these resamples")
	o.minAP = f.Float64("min-ap", 0, "exit with code 1 if AP is below this `fraction`")
	o.maxDrop = f.Float64("max-drop", 0, "exit with code 1 if AP is lower than the AP of --vs by more than this `fraction`")
	cmd.RunE = a.work(func(ctx context.Context, _ []string) error {
		if o.gt == "" || o.dt == "" {
			return bad(fmt.Errorf("%s: --gt, the ground truth, and --dt, the results, are both needed; usage: runner %s; see `%[1]s --help`", cmd.CommandPath(), cmd.Use))
		}
		if !f.Changed("min-ap") {
			o.minAP = nil
		}
		if !f.Changed("max-drop") {
			o.maxDrop = nil
		}
		return a.eval(ctx, o)
	})
	usage.Complete(cmd, "numpy", []string{"2.3", "1.24"})
	return cmd
}

// options returns the options of the evaluation that the flags ask for.
func (o *evalOptions) options() (metrics.Options, error) {
	opt := metrics.DefaultOptions()
	var err error
	if opt.IoUThresholds, err = metrics.ParseIoUThresholds(o.iou); err != nil {
		return opt, fmt.Errorf("--iou: %w", err)
	}
	if o.area != "" {
		if err := opt.SetAreas(o.area); err != nil {
			return opt, fmt.Errorf("--area: %w", err)
		}
	}
	if len(o.maxDets) != len(opt.MaxDets) {
		return opt, fmt.Errorf("--max-dets: expected 3 numbers, such as 1,10,100, found %d", len(o.maxDets))
	}
	copy(opt.MaxDets[:], o.maxDets)
	var ok bool
	if opt.Sum, ok = summations[o.numpy]; !ok {
		return opt, fmt.Errorf("--numpy %s: unknown; known: 2.3, 1.24", o.numpy)
	}
	if o.threads < 0 || o.threads > maxThreads {
		return opt, fmt.Errorf("--threads %d: want 1 to %d, or 0 for one a core", o.threads, maxThreads)
	}
	opt.Threads = o.threads
	return opt, nil
}

func (a *app) eval(ctx context.Context, o *evalOptions) error {
	if err := checkFormat(o.format, report.Formats()...); err != nil {
		return err
	}
	opt, err := o.options()
	if err != nil {
		return bad(err)
	}
	if slices.Contains([]string{o.dt, o.vs}, "-") && o.gt == "-" || o.dt == "-" && o.vs == "-" {
		return bad(errors.New("--gt, --dt and --vs: only one of them can be standard input"))
	}
	if err := o.checkFiles(); err != nil {
		return bad(err)
	}
	if o.threads > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(o.threads)) // reading and the garbage collector depend on it
	}
	gt, err := reading(ctx, func() (*coco.Dataset, error) { return coco.ReadDataset(o.gt) })
	if err != nil {
		return bad(err)
	}
	dt, err := o.detections(ctx, o.dt)
	if err != nil {
		return bad(err)
	}
	// Nearly all memory is lists without pointers, which cost the collector nothing.
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	r := &report.Report{
		GroundTruth: fileName(o.gt), Detections: fileName(o.dt), Images: len(gt.Images), Options: opt,
		PerClass: o.perClass, ShowDetails: o.details,
	}
	if o.html != "" {
		r.Made = a.made()
	}
	err = o.evaluate(ctx, r, gt, dt, func(file string, dt []coco.Detection, ap50 float64) {
		for _, mistake := range metrics.Mistakes(gt, dt, ap50) {
			fmt.Fprintf(a.err, "runner: %s: %s\n", fileName(file), mistake)
		}
	})
	if err != nil {
		return bad(err)
	}
	for _, warning := range r.Result.Warnings {
		fmt.Fprintf(a.err, "runner: %s: %s\n", fileName(o.gt), warning)
	}
	if err := o.write(r); err != nil {
		return bad(err)
	}
	if err := r.Write(a.out, o.format); err != nil {
		return err
	}
	return o.gate(r)
}

// checkFiles refuses, before any work, files whose names have no known extension, and gates that
// cannot work.
func (o *evalOptions) checkFiles() error {
	for _, gate := range []struct {
		flag  string
		value *float64
	}{{"min-ap", o.minAP}, {"max-drop", o.maxDrop}} {
		if v := gate.value; v != nil && !(*v >= 0 && *v <= 1) {
			return fmt.Errorf("--%s %g: want a fraction from 0 to 1, as AP is printed: .34, not 34", gate.flag, *v)
		}
	}
	switch {
	case o.maxDrop != nil && o.vs == "":
		return errors.New("--max-drop: needs --vs FILE, the results to compare with")
	case o.curves != "" && report.CheckCurves(o.curves) != nil:
		return report.CheckCurves(o.curves)
	case o.plot != "" && figure.CheckName(o.plot) != nil:
		return figure.CheckName(o.plot)
	}
	return nil
}

// gate returns the error of an AP that does not pass --min-ap or --max-drop. An AP that is not defined
// passes neither.
func (o *evalOptions) gate(r *report.Report) error {
	var failed []error
	if ap := r.Result.Stats[0]; o.minAP != nil && !(ap >= *o.minAP) {
		failed = append(failed, fmt.Errorf("AP is %.6g, below --min-ap %g", ap, *o.minAP))
	}
	if c := r.Comparison; o.maxDrop != nil && !(c.B[0]-c.A[0] <= *o.maxDrop) {
		failed = append(failed, fmt.Errorf("AP is %.6g and was %.6g: it dropped by %.6g, more than --max-drop %g", c.A[0], c.B[0], c.B[0]-c.A[0], *o.maxDrop))
	}
	if len(failed) == 0 {
		return nil
	}
	return &coded{exitFailed, errors.Join(failed...)}
}

// evaluate fills r with the numbers and the other requested results. look is called with each results
// file and its AP50, NaN if it cannot be scored.
func (o *evalOptions) evaluate(ctx context.Context, r *report.Report, gt *coco.Dataset, dt []coco.Detection, look func(file string, dt []coco.Detection, ap50 float64)) error {
	examine := o.details || o.curves != "" || o.plot != "" || o.html != ""
	if !examine && o.vs == "" {
		var err error
		if r.Result, err = metrics.Evaluate(gt, dt, r.Options); err != nil {
			look(o.dt, dt, math.NaN())
			return o.inFile(err, o.dt)
		}
		look(o.dt, dt, r.Result.Stats[1])
		return nil
	}
	matches, err := metrics.Match(gt, dt, r.Options)
	if err != nil {
		look(o.dt, dt, math.NaN())
		return o.inFile(err, o.dt)
	}
	r.Result = matches.Result()
	look(o.dt, dt, r.Result.Stats[1])
	if examine {
		if r.Details, err = report.Examine(gt, dt, matches, r.Options); err != nil {
			return err
		}
	}
	if o.vs == "" {
		return nil
	}
	other, err := o.detections(ctx, o.vs)
	if err != nil {
		return err
	}
	theirs, err := metrics.Match(gt, other, r.Options)
	if err != nil {
		look(o.vs, other, math.NaN())
		return o.inFile(err, o.vs)
	}
	look(o.vs, other, theirs.Result().Stats[1])
	c, err := metrics.Compare(matches, theirs, o.resamples, o.seed)
	if err != nil {
		return fmt.Errorf("--vs: %w", err)
	}
	r.Comparison = &report.Comparison{Comparison: *c, With: fileName(o.vs), Seed: o.seed}
	return nil
}

// write writes the requested files.
func (o *evalOptions) write(r *report.Report) error {
	for _, file := range []struct {
		path  string
		write func(string) error
	}{{o.curves, r.Details.WriteCurves}, {o.plot, r.WritePlot}, {o.html, r.WriteHTML}} {
		if file.path == "" {
			continue
		}
		if err := file.write(file.path); err != nil {
			return err
		}
	}
	return nil
}

func (o *evalOptions) detections(ctx context.Context, path string) ([]coco.Detection, error) {
	dt, err := reading(ctx, func() ([]coco.Detection, error) { return coco.ReadDetections(path) })
	if err == nil && len(dt) == 0 && !o.allowEmpty {
		err = fmt.Errorf("%s: detections: empty; --allow-empty scores it as 0", fileName(path))
	}
	return dt, err
}

// addFields is a command that adds the fields that box-only exports lack, and keeps the others.
const addFields = `jq '.annotations |= map({iscrowd: 0, area: (.bbox[2] * .bbox[3])} + .)' GT.json > FULL.json`

// inFile names the file that an error of an evaluation is about, dt being the results.
func (o *evalOptions) inFile(err error, dt string) error {
	switch {
	case errors.Is(err, metrics.ErrUnknownImage):
		return fmt.Errorf("%s: %w", fileName(dt), err)
	case errors.Is(err, metrics.ErrMissingField):
		return fmt.Errorf("%s: %w; pycocotools refuses it too. Where no object is a crowd and none has a mask, add both fields: %s", fileName(o.gt), err, addFields)
	}
	return err
}

// fileName returns path as errors print it.
func fileName(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}
