package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/columns"
	"focalgrid/dataset"
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
		Args:              asUsed,
		ValidArgsFunction: configNames,
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
		a.printStats(set, anchors)
	}
	return nil
}

func (a *app) printStats(set *dataset.Set, an detector.AnchorStats) {
	st := set.Stats()
	fmt.Fprintf(a.out, "%s in %s\n", set.Split, set.Dir)
	rows := [][]string{
		{"  images", strconv.Itoa(st.Images), fmt.Sprintf("%d without objects (%s)", st.Empty, share(st.Empty, st.Images))},
		{"  objects", strconv.Itoa(st.Objects), fmt.Sprintf("%s an image", ratio(st.Objects, st.Images))},
	}
	if st.Crowds > 0 {
		rows = append(rows, []string{"  crowds", strconv.Itoa(st.Crowds), "neither learned nor scored"})
	}
	columns.Text(a.out, "", rows, columns.AllLeft)
	for _, note := range set.Notes {
		fmt.Fprintf(a.out, "  note: %s\n", note)
	}

	var per []string
	for n, images := range st.PerImage {
		if images > 0 {
			per = append(per, fmt.Sprintf("%d×%d", n, images))
		}
	}
	fmt.Fprintf(a.out, "  objects×images: %s\n\n", strings.Join(per, " "))

	table := [][]string{{"  class", "objects", "small", "medium", "large"}}
	for _, c := range st.Classes {
		table = append(table, sizes("  "+c.Name, c.Objects, c.Sizes))
	}
	table = append(table, sizes("  all", st.Objects, st.Sizes))
	columns.Text(a.out, "", table, columns.AllLeft)

	fmt.Fprintf(a.out, "\n  anchors of %s: %s an image, %s of them positive\n", count(an.Images, "image"), ratio(an.Anchors, an.Images), ratio(an.Positive, an.Images))
	fmt.Fprintf(a.out, "  foreground : background  1 : %s\n", ratio(an.Background, an.Positive))
	fmt.Fprintf(a.out, "  ignored                  %s of anchors\n", share(an.Ignored, an.Anchors))
	fmt.Fprintf(a.out, "  objects with no anchor   %d of %d\n", an.Unmatched, an.Objects)
}

func sizes(name string, objects int, s dataset.SizeCounts) []string {
	return []string{name, strconv.Itoa(objects), share(s.Small, objects), share(s.Medium, objects), share(s.Large, objects)}
}

// share prints a part in per cent, "–" if the whole is 0.
func share(part, whole int) string {
	if whole == 0 {
		return columns.Gap
	}
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(whole))
}

// ratio is a/b with three digits, "–" where b is 0.
func ratio(a, b int) string {
	if b == 0 {
		return columns.Gap
	}
	v := float64(a) / float64(b)
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
