package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/progress"
	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
)

type pretrainOptions struct {
	source string
	sel    plan.Selection
	out    string
	again  bool
	m      machine
}

func newPretrain(a *app) *cobra.Command {
	o := &pretrainOptions{}
	cmd := &cobra.Command{
		Use:   "pretrain CONFIG",
		Short: "Train the pretrained backbone that trials start from",
		Long: `Train the pretrained backbone that trials start from: the same ResNet as a classifier of
synthetic crops. A sweep does this by itself on first use. The backbone is stored in the
cache under its identity, unless it is already inside the program.

CONFIG is a grid file, an ablation or a profile.`,
		Example: `  runner pretrain mini
  runner pretrain depth_scale --set model.depth=34
  runner pretrain mini --again -o experiments/pretrained`,
		Args:              usage.Args,
		ValidArgsFunction: usage.ConfigNames,
		RunE: a.work(func(ctx context.Context, args []string) error {
			o.source = args[0]
			return a.pretrain(ctx, o)
		}),
	}
	baselineFlags(cmd, &o.sel)
	cmd.Flags().StringVarP(&o.out, "out", "o", "", "write a copy, IDENTITY.safetensors, to this `folder`")
	cmd.Flags().BoolVar(&o.again, "again", false, "train it again, even if it exists (needs -o)")
	machineFlags(cmd, &o.m)
	return cmd
}

func (a *app) pretrain(ctx context.Context, o *pretrainOptions) error {
	cfg, err := loadBaseline(ctx, o.source, o.sel)
	switch {
	case err != nil:
		return bad(err)
	case cfg.Text("pretrain.type") != "crops":
		return bad(fmt.Errorf("%s: pretrain.type is %s, so there is nothing to pretrain; --set pretrain.type=crops", o.source, cfg.Text("pretrain.type")))
	case o.again && o.out == "":
		return bad(fmt.Errorf("--again: pass -o FOLDER for the new backbone; the cache keeps the backbone it has"))
	}
	r, err := o.m.open(a)
	if err != nil {
		return err
	}
	defer r.close()
	r.Notify = progress.Preparing(a.now, a.err)
	var p experiments.Pretrained
	copied := ""
	if o.out != "" {
		p, copied, err = r.SavePretrained(ctx, &cfg, o.out, o.again)
	} else {
		p, err = r.Pretrain(ctx, &cfg)
	}
	if err != nil {
		return err
	}
	rows := [][]string{
		{"identity", p.Key},
		{"accuracy", p.Accuracy + " on held-out crops"},
		{"where", p.Where},
	}
	if copied != "" && copied != p.Where {
		rows = append(rows, []string{"copy", copied})
	}
	columns.Text(a.out, "", rows, columns.AllLeft)
	return nil
}
