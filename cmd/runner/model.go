package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/progress"
	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/weights"
)

type modelOptions struct {
	source  string
	sel     plan.Selection
	px      string
	seed    uint64
	weights string
	m       machine
}

func newModel(a *app) *cobra.Command {
	o := &modelOptions{}
	cmd := &cobra.Command{
		Use:   "model CONFIG",
		Short: "Describe a network: its parts, parameters, anchors and multiply-adds",
		Long: `Describe a network: its parts, parameters, anchors and multiply-adds.

CONFIG is a grid file or an ablation (its baseline), or a profile. --weights writes the
tensors that a trial with that seed starts from, including the pretrained backbone.`,
		Example: `  runner model mini
  runner model paper --px 608x800
  runner model gamma --set model.depth=50
  runner model mini --seed 0 --weights initial.safetensors`,
		Args:              usage.Args,
		ValidArgsFunction: usage.ConfigNames,
		RunE: a.work(func(ctx context.Context, args []string) error {
			o.source = args[0]
			return a.model(ctx, o)
		}),
	}
	baselineFlags(cmd, &o.sel)
	f := cmd.Flags()
	f.StringVar(&o.px, "px", "", "size of the input as `HxW` in pixels (default: the size of the data)")
	f.Uint64Var(&o.seed, "seed", 0, "`seed` of the initial weights")
	f.StringVar(&o.weights, "weights", "", "write the initial weights to this `file`, as safetensors")
	machineFlags(cmd, &o.m)
	return cmd
}

// maxPixels bounds a side of --px.
const maxPixels = 1 << 14

// parseSize reads "608x800": height and width.
func parseSize(text string) (h, w int, err error) {
	left, right, ok := strings.Cut(strings.ToLower(text), "x")
	if ok {
		h, err = strconv.Atoi(left)
		if err == nil {
			w, err = strconv.Atoi(right)
		}
	}
	if !ok || err != nil || h < 1 || w < 1 || h > maxPixels || w > maxPixels {
		return 0, 0, fmt.Errorf("--px %s: want height x width in pixels, such as 608x800, each from 1 to %d", text, maxPixels)
	}
	return h, w, nil
}

func (a *app) model(ctx context.Context, o *modelOptions) error {
	cfg, err := loadBaseline(ctx, o.source, o.sel)
	if err != nil {
		return bad(err)
	}
	if err := plan.CheckSeed(o.seed); err != nil {
		return bad(fmt.Errorf("--seed: %w", err))
	}
	h, w := detector.InputSize(&cfg)
	if o.px != "" {
		if h, w, err = parseSize(o.px); err != nil {
			return bad(err)
		}
	}
	if o.weights != "" {
		if err := cfg.Missing(); err != nil {
			return bad(err)
		}
	}
	text, err := detector.Describe(&cfg, h, w)
	if err != nil {
		return bad(err)
	}
	sum, err := detector.Summary(&cfg, h, w)
	if err != nil {
		return bad(err)
	}
	fmt.Fprintf(a.out, "%s\n%s", text, sum)
	if o.weights == "" {
		return nil
	}
	if isFolder(o.weights) {
		return bad(fmt.Errorf("--weights %s: %w", o.weights, errors.New("is a folder; name a file")))
	}
	r, err := o.m.open(a)
	if err != nil {
		return err
	}
	defer r.close()
	r.Notify = progress.Preparing(a.now, a.err)
	ts, err := r.InitialWeights(ctx, &cfg, o.seed)
	if err != nil {
		return err
	}
	hash, err := weights.Hash(ts)
	if err != nil {
		return err
	}
	if err := makeFolderOf(o.weights); err != nil {
		return err
	}
	meta := map[string]string{"seed": strconv.FormatUint(o.seed, 10), "settings": string(plan.Resolved(&cfg))}
	if err := weights.Write(o.weights, ts, meta); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\nInitial weights of seed %d: %s, %s, hash %s\n", o.seed, o.weights, columns.Count(len(ts), "tensor"), hash)
	return nil
}
