package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/detector"
)

func newDataCheck(a *app) *cobra.Command {
	s := &source{}
	cmd := &cobra.Command{
		Use:   "check [DIR|CONFIG]",
		Short: "Find everything wrong with a folder before any training",
		Long: `Find everything wrong with a folder before any training: invalid JSON, unknown or
repeated ids, splits without images or categories, categories that are not the categories
to train on, and images that are missing, truncated, of another format, or of another size
than stated. Every image is decoded completely.

A finding names the file and the id of the entry. A note is about something that training and
scoring can handle: a box that is cut or left out (at the image size of --profile and --set),
a value that is filled in, a file that the annotations do not name, an image with an EXIF
orientation, and a split that a sweep would look for under another name.
The exit code is 1 if anything but notes was found.`,
		Example: `  runner data check COCO
  runner data check COCO --split val2017
  runner data check mini`,
		Args:              usage.Args,
		ValidArgsFunction: usage.ConfigNames,
		RunE: a.work(func(ctx context.Context, args []string) error {
			s.name = sourceName(args)
			return a.dataCheck(ctx, s)
		}),
	}
	sourceFlags(cmd, s)
	return cmd
}

func (a *app) dataCheck(ctx context.Context, s *source) error {
	dir, cfg, splits, err := s.folder(ctx, a)
	if err != nil {
		return err
	}
	found, err := detector.CheckData(ctx, &cfg, dir, trainingFirst(splits, cfg.Text("data.train")), true, nil)
	if err != nil {
		return err
	}
	problems := 0
	for _, p := range found {
		fmt.Fprintln(a.out, p)
		if !p.Note {
			problems++
		}
	}
	if len(s.splits) == 0 {
		missing, err := cfg.MissingSplits(dir)
		if err != nil {
			return err
		}
		for _, text := range missing {
			fmt.Fprintf(a.out, "%s: note: %s\n", dir, text)
		}
	}
	if problems > 0 {
		return &coded{exitFailed, fmt.Errorf("%s: %s", dir, columns.Count(problems, "problem"))}
	}
	fmt.Fprintf(a.out, "%s: %s without a problem.\n", dir, columns.Count(len(splits), "split"))
	return nil
}

// trainingFirst puts the split to train on before the others: the split with this name, or else the
// first split whose name begins with "train", such as train2017.
func trainingFirst(splits []string, name string) []string {
	i := slices.Index(splits, name)
	if i < 0 {
		i = slices.IndexFunc(splits, func(s string) bool { return strings.HasPrefix(s, "train") })
	}
	if i < 0 {
		return splits
	}
	return slices.Concat(splits[i:i+1], splits[:i], splits[i+1:])
}
