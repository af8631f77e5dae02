package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/progress"
	"focalgrid/cmd/runner/usage"
	"focalgrid/coco"
	"focalgrid/columns"
	"focalgrid/dataset"
	"focalgrid/dataset/picture"
	"focalgrid/detector"
	"focalgrid/experiments"
)

type detectOptions struct {
	trial, db   string
	images      []string
	val         int
	data        string // folder in place of the recorded one
	changedData bool
	out, coco   string
	score       float64
	m           machine
}

func newDetect(a *app) *cobra.Command {
	o := &detectOptions{}
	cmd := &cobra.Command{
		Use:   "detect TRIAL (--val N | IMAGE...)",
		Short: "Look at what a trained detector finds",
		Long: `Look at what a trained detector finds, on the first N images that the trial was scored
on, or on any JPEG or PNG files.

The classes are recorded with the trial. Your own files need no annotations, and the folder
that the trial was trained on is then not needed. --val reads the images from this folder,
or from the folder that --data names, and refuses data that is not the data of the trial.

-o writes a picture for each image and one contact sheet, sheet.png.
On the ` + strings.Replace(detector.Legend, "; ", ";\n", 1) + `.
--coco writes all detections with a score from the setting eval.low_score on, also below
--score, as COCO results. For IMAGE files the image id is the position on the command line,
from 1.`,
		Example: `  runner detect 3fa85f64 --val 16 -o look
  runner detect 3fa85f64 --val 300 --coco dets.json
  runner detect 3fa85f64 street.jpg park.png -o look --score .5`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return bad(errors.New("detect: no trial; `runner ls` lists them"))
			}
			return nil
		},
		ValidArgsFunction: usage.TrialKeys(&o.db),
		RunE: a.work(func(ctx context.Context, args []string) error {
			o.trial, o.images = args[0], args[1:]
			return a.detect(ctx, o)
		}),
	}
	f := cmd.Flags()
	f.IntVar(&o.val, "val", 0, "look at the first `N` images of the split that the trial was scored on")
	f.StringVarP(&o.out, "out", "o", "", "`folder` for pictures and the contact sheet")
	f.Float64Var(&o.score, "score", .3, "draw detections above this `score`")
	f.StringVar(&o.coco, "coco", "", "write COCO results to this `file`")
	f.BoolVar(&o.changedData, "allow-changed-data", false, "with --val, look at the data as it is, even if it is not the data of the trial")
	recordedDataFlag(cmd, &o.data)
	dbFlag(cmd, &o.db)
	machineFlags(cmd, &o.m)
	return cmd
}

func (o *detectOptions) check() error {
	switch {
	case len(o.images) == 0 && o.val == 0:
		return errors.New("detect: nothing to look at; pass --val N or image files")
	case len(o.images) > 0 && o.val != 0:
		return errors.New("detect: --val and image files are one or the other")
	case o.val < 0:
		return fmt.Errorf("--val %d: want 1 or more", o.val)
	case !(o.score >= 0 && o.score < 1):
		return fmt.Errorf("--score %g: want at least 0 and below 1", o.score)
	case o.out == "" && o.coco == "":
		return errors.New("detect: nowhere to write; pass -o FOLDER or --coco FILE")
	}
	return nil
}

func (a *app) detect(ctx context.Context, o *detectOptions) error {
	if err := o.check(); err != nil {
		return bad(err)
	}
	for _, f := range o.images {
		if _, err := picture.Read(f); err != nil {
			return bad(err)
		}
	}
	store, t, err := openTrial(o.db, o.trial)
	if err != nil {
		return err
	}
	defer store.Close()
	if err := relocate(t, o.data); err != nil {
		return err
	}
	if t.Weights == "" {
		return bad(fmt.Errorf("trial %.12s is %s: it has no final weights to detect with", t.Key, t.Status))
	}
	r, err := o.m.open(a)
	if err != nil {
		return err
	}
	defer r.close()
	r.Notify = progress.Preparing(a.now, a.err)
	d, err := r.OpenDetector(ctx, t, store.WeightsPath(t.Weights))
	if err != nil {
		return err
	}
	defer d.Close()

	p := detector.NewGallery(o.out)
	add := func(v detector.View) error {
		if o.out != "" {
			if err := makeFolder(o.out); err != nil {
				return err
			}
		}
		return p.Add(v)
	}
	var dets []coco.Detection
	if o.val > 0 {
		var set *dataset.Set
		if set, err = d.Scored(ctx, o.changedData); err != nil {
			return foreign(ctx, err)
		}
		dets, err = d.Views(ctx, set, o.val, o.score, add)
	} else {
		dets, err = d.ViewFiles(ctx, o.images, o.score, add)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s, %s above score %g", columns.Count(p.Views, "image"), columns.Count(p.Found, "detection"), o.score)
	if o.val > 0 {
		fmt.Fprintf(a.out, ": %d right, %d wrong; %d of %s missed", p.Right, p.Wrong, p.Missed, columns.Count(p.Truth, "object"))
	}
	fmt.Fprintln(a.out, ".")
	if o.out != "" {
		sheet, err := p.Sheet()
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "Contact sheet: %s\n", sheet)
	}
	if o.coco == "" {
		return nil
	}
	if err := makeFolderOf(o.coco); err != nil {
		return err
	}
	if err := coco.WriteDetections(o.coco, dets); err != nil {
		return err
	}
	cfg := d.Config()
	fmt.Fprintf(a.out, "COCO results: %s, %s from score %g on\n", o.coco, columns.Count(len(dets), "detection"), cfg.Number("eval.low_score"))
	return nil
}

// foreign marks an error about data that is not the data of the trial, or cannot be read.
func foreign(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	switch {
	case errors.Is(err, experiments.ErrOtherData):
		err = fmt.Errorf("%w; --data DIR names another folder, --allow-changed-data looks at it as it is", err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, dataset.ErrNoFolder):
		err = fmt.Errorf("%w; if the data was moved, pass its new folder with --data DIR", err)
	}
	return bad(err)
}
