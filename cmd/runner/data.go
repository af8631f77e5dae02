package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/progress"
	"focalgrid/cmd/runner/usage"
	"focalgrid/dataset"
	"focalgrid/experiments/plan"
)

// dataVerbs are the commands below data. To add one, add a line.
var dataVerbs = []func(*app) *cobra.Command{newDataSynth, newDataStats, newDataCheck, newDataShow}

func newData(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Draw, check, count and look at data sets",
		Long: `Draw, check, count and look at data sets: folders in COCO's layout, with a file
annotations/instances_SPLIT.json and a folder SPLIT of JPEG or PNG files for each split.`,
		Example: `  runner data synth synthetic
  runner data check synthetic
  runner data stats mini
  runner data show mini -o sheet.png`,
		Args: usage.Verb,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, verb := range dataVerbs {
		cmd.AddCommand(verb(a))
	}
	return cmd
}

// defaultConfig is the profile of the data verbs if none is given.
const defaultConfig = "mini"

// source is the input of a data verb: a folder, or the data of a CONFIG.
type source struct {
	name   string // as typed, empty for the default
	sel    plan.Selection
	splits []string // empty: those there are
	m      machine
}

func sourceFlags(cmd *cobra.Command, s *source) {
	baselineFlags(cmd, &s.sel)
	cmd.Flags().StringArrayVar(&s.splits, "split", nil, "`split` to look at, such as val (repeatable)")
	machineFlags(cmd, &s.m)
}

// folder returns the folder, its settings and its splits. Synthetic data of a CONFIG is drawn if it
// does not exist.
func (s *source) folder(ctx context.Context, a *app) (dir string, cfg plan.Config, splits []string, err error) {
	config := s.name
	named := slices.Concat(plan.Ablations(), plan.Profiles())
	sel := s.sel
	if isFolder(s.name) {
		// A folder is looked at as it is; the settings judged are those of a sweep on it.
		sel.Set = append([]string{"data.name=coco"}, sel.Set...)
	}
	if s.name == "" || isFolder(s.name) {
		config = s.sel.Profile
		if config == "" {
			config = defaultConfig
		}
	} else if _, err := os.Stat(s.name); errors.Is(err, fs.ErrNotExist) && !slices.Contains(named, s.name) {
		return "", cfg, nil, bad(fmt.Errorf("%s: no such folder or grid file, nor one of %s", s.name, strings.Join(named, ", ")))
	}
	if cfg, err = loadBaseline(ctx, config, sel); err != nil {
		return "", cfg, nil, bad(err)
	}
	switch {
	case isFolder(s.name):
		dir = s.name
	case cfg.Text("data.name") != "synthetic" && cfg.Text("data.dir") == "":
		return "", cfg, nil, bad(fmt.Errorf("%s: data.dir is empty; pass --data DIR, or the folder itself", config))
	default:
		r, err := s.m.open(a)
		if err != nil {
			return "", cfg, nil, err
		}
		defer r.close()
		r.Notify = progress.Preparing(a.now, a.err)
		if dir, err = r.PrepareData(ctx, &cfg); err != nil {
			if errors.Is(err, dataset.ErrOtherFolder) {
				err = bad(err)
			}
			return "", cfg, nil, err
		}
	}
	there, err := dataset.Splits(dir)
	if err != nil {
		return "", cfg, nil, bad(err)
	}
	if len(s.splits) == 0 {
		return dir, cfg, there, nil
	}
	for _, split := range s.splits {
		if !slices.Contains(there, split) {
			return "", cfg, nil, bad(fmt.Errorf("--split %s: not in %s; it has %s", split, dir, strings.Join(there, ", ")))
		}
	}
	return dir, cfg, s.splits, nil
}

// sourceName is the argument of verbs on data, which may be left out.
func sourceName(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
