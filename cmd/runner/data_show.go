package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/dataset"
	"focalgrid/detector"
)

type dataShowOptions struct {
	source
	out     string
	n       int
	anchors bool
}

func newDataShow(a *app) *cobra.Command {
	o := &dataShowOptions{}
	cmd := &cobra.Command{
		Use:   "show [DIR|CONFIG] -o FILE",
		Short: "Draw images with their boxes on one sheet",
		Long: `Draw images with their boxes and labels on one sheet. Crowds are orange. With --anchors the
anchors that learn each object are drawn in grey.`,
		Example: `  runner data show -o sheet.png
  runner data show mini --split train --n 12 --anchors -o sheet.png
  runner data show COCO --profile paper --split val2017 -o sheet.png`,
		Args:              usage.Args,
		ValidArgsFunction: usage.ConfigNames,
		RunE: a.work(func(ctx context.Context, args []string) error {
			o.name = sourceName(args)
			return a.dataShow(ctx, o)
		}),
	}
	sourceFlags(cmd, &o.source)
	f := cmd.Flags()
	f.StringVarP(&o.out, "out", "o", "", "PNG `file` to write")
	f.IntVar(&o.n, "n", 24, "show the first `N` images")
	f.BoolVar(&o.anchors, "anchors", false, "also draw the positive anchors")
	return cmd
}

// maxShown bounds the sheet.
const maxShown = 400

func (a *app) dataShow(ctx context.Context, o *dataShowOptions) error {
	switch {
	case o.out == "":
		return bad(errors.New("data show: nowhere to write; pass -o FILE.png"))
	case isFolder(o.out):
		return bad(fmt.Errorf("-o %s: is a folder; name a PNG file", o.out))
	case o.n < 1 || o.n > maxShown:
		return bad(fmt.Errorf("--n %d: want 1 to %d", o.n, maxShown))
	case len(o.splits) > 1:
		return bad(errors.New("--split: one sheet shows one split"))
	}
	dir, cfg, splits, err := o.folder(ctx, a)
	if err != nil {
		return err
	}
	split := splits[0]
	if len(o.splits) == 0 && slices.Contains(splits, cfg.Text("data.val")) {
		split = cfg.Text("data.val")
	}
	set, err := detector.OpenSplit(&cfg, dir, split)
	if err != nil {
		return bad(err)
	}
	panels, err := detector.ShowImages(ctx, &cfg, set, o.n, detector.SheetPixels, o.anchors)
	if err != nil {
		return err
	}
	if err := makeFolderOf(o.out); err != nil {
		return err
	}
	if err := dataset.WritePNG(o.out, detector.ContactSheet(panels, 6)); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s: %s of %s\n", o.out, columns.Count(len(panels), "image"), split)
	return nil
}
