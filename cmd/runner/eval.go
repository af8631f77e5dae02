package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"focalgrid/coco"
	"focalgrid/metrics"
	"focalgrid/metrics/report"

	"github.com/spf13/cobra"
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
}

func newEval(a *app) *cobra.Command {
	o := &evalOptions{}
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "COCO AP of a results file",
		Long: `Score a detector's results against ground truth, both in COCO's JSON, by the rules of
COCO's box detection challenge. Every number equals that of pycocotools to the last bit.

--gt is an object with images, annotations and categories; --dt an array of boxes with
image_id, category_id, bbox and score. "-" reads one of them from standard input.

Where there is no object to find, text and JSON say -1 as pycocotools does. With other
--max-dets than COCO's, AP is that of the largest of them.`,
		Example: `  runner eval --gt instances_val2017.json --dt results.json
  runner eval --gt gt.json --dt dt.json --per-class --format markdown
  runner eval --gt gt.json --dt dt.json --format json > ap.json
  runner eval --gt gt.json --dt dt.json --iou .5,.75 --area small:0:576,medium:576:9216`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.work(func(context.Context, []string) error { return a.eval(cmd.InOrStdin(), o) })(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.gt, "gt", "", "ground truth `file`")
	f.StringVar(&o.dt, "dt", "", "results `file`")
	formatFlag(cmd, &o.format, report.Formats()...)
	f.BoolVar(&o.perClass, "per-class", false, "also a table of the classes (JSON has it always)")
	f.IntSliceVar(&o.maxDets, "max-dets", []int{1, 10, 100}, "three `numbers` of detections kept an image and class, for AR1, AR10 and AR100; all else is at the largest")
	f.StringVar(&o.iou, "iou", ".5:.95:.05", "IoU `thresholds`: from:to:step or a list")
	f.StringVar(&o.area, "area", "", "other bounds of areas in square pixels: `name:min:max`[,…] with the names all, small, medium, large")
	f.IntVar(&o.threads, "threads", 0, "`number` of threads; 0: one a core. Results do not depend on it")
	f.StringVar(&o.numpy, "numpy", "2.3", "have the last bits of means as pycocotools has under this `version` of numpy: 2.3 (and later), 1.24 (up to 2.2)")
	f.BoolVar(&o.allowEmpty, "allow-empty", false, "score an empty results file (0) instead of refusing it as pycocotools does")
	complete(cmd, "numpy", []string{"2.3", "1.24"})
	for _, file := range []string{"gt", "dt"} {
		if err := cmd.MarkFlagRequired(file); err != nil {
			panic(err) // a flag that is not defined above
		}
	}
	return cmd
}

// options are those of the evaluation that the flags ask for.
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

func (a *app) eval(stdin io.Reader, o *evalOptions) error {
	if err := checkFormat(o.format, report.Formats()...); err != nil {
		return err
	}
	opt, err := o.options()
	if err != nil {
		return bad(err)
	}
	if o.gt == "-" && o.dt == "-" {
		return bad(errors.New("--gt and --dt: only one of them can be standard input"))
	}
	if o.threads > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(o.threads)) // reading goes by it, and the garbage collector
	}
	gt, dt, err := o.read(stdin)
	if err != nil {
		return bad(err)
	}
	r, err := metrics.Evaluate(gt, dt, opt)
	if err != nil {
		return bad(o.inFile(err))
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(a.err, "runner: %s: %s\n", fileName(o.gt), warning)
	}
	return (&report.Report{Result: r, Options: opt, PerClass: o.perClass}).Write(a.out, o.format)
}

func (o *evalOptions) read(stdin io.Reader) (gt *coco.Dataset, dt []coco.Detection, err error) {
	if o.gt == "-" {
		gt, err = coco.DecodeDataset(stdin, fileName(o.gt))
	} else {
		gt, err = coco.ReadDataset(o.gt)
	}
	if err != nil {
		return nil, nil, err
	}
	if o.dt == "-" {
		dt, err = coco.DecodeDetections(stdin, fileName(o.dt))
	} else {
		dt, err = coco.ReadDetections(o.dt)
	}
	if err == nil && len(dt) == 0 && !o.allowEmpty {
		err = fmt.Errorf("%s: detections: empty; --allow-empty scores that as 0", fileName(o.dt))
	}
	return gt, dt, err
}

// inFile names the file that an error of an evaluation is about.
func (o *evalOptions) inFile(err error) error {
	switch {
	case errors.Is(err, metrics.ErrUnknownImage):
		return fmt.Errorf("%s: %w", fileName(o.dt), err)
	case errors.Is(err, metrics.ErrMissingField):
		return fmt.Errorf("%s: %w", fileName(o.gt), err)
	}
	return err
}

// fileName is path as errors say it.
func fileName(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}
