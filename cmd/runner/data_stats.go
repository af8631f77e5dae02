package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/detector"
)

type statsOptions struct {
	source
	n int
}

func newDataStats(a *app) *cobra.Command {
	o := &statsOptions{}
	cmd := &cobra.Command{
		Use:   "stats [DIR|CONFIG]",
		Short: "Count objects, their sizes, and how rare foreground anchors are",
		Long: `Count a data set: objects per image, by size (COCO's: small below 32², medium below 96²
pixels) and by class. For the configured anchors, count how many belong to an object, how many
background anchors there are for each of these, and what share is ignored.

Without an argument the data is the data of --profile (default mini). For a folder, the image
size and the anchors come from --profile and --set.`,
		Example: `  runner data stats
  runner data stats gamma --set anchors.scales=1
  runner data stats COCO --profile paper --split val2017`,
		Args:              usage.Args,
		ValidArgsFunction: usage.ConfigNames,
		RunE: a.work(func(ctx context.Context, args []string) error {
			o.name = sourceName(args)
			return a.dataStats(ctx, o)
		}),
	}
	sourceFlags(cmd, &o.source)
	cmd.Flags().IntVar(&o.n, "n", 500, "match anchors on the first `N` images of a split; 0: all")
	return cmd
}

func (a *app) dataStats(ctx context.Context, o *statsOptions) error {
	if o.n < 0 {
		return bad(fmt.Errorf("--n %d: want 0 or more", o.n))
	}
	dir, cfg, splits, err := o.folder(ctx, a)
	if err != nil {
		return err
	}
	for i, split := range splits {
		set, err := detector.OpenSplit(&cfg, dir, split)
		if err != nil {
			return bad(err)
		}
		anchors, err := detector.CountAnchors(ctx, &cfg, set, o.n)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		detector.WriteStats(a.out, set, anchors)
	}
	return nil
}
