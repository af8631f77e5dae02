package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/progress"
	"focalgrid/cmd/runner/usage"
	"focalgrid/dataset"
	"focalgrid/experiments/plan"
)

type synthOptions struct {
	dir string
	sel plan.Selection
	m   machine
}

func newDataSynth(a *app) *cobra.Command {
	o := &synthOptions{}
	cmd := &cobra.Command{
		Use:   "synth DIR",
		Short: "Draw the synthetic data set into a folder",
		Long: `Draw the synthetic data set into a folder, in COCO's layout: train, tune and val. Equal
settings give equal files on every machine. A folder that already holds exactly this data set
is left as it is; a folder that holds anything else is refused.`,
		Example: `  runner data synth synthetic
  runner data synth busy --set data.objects=6 --set data.clutter=1
  runner sweep gamma --data synthetic`,
		Args: usage.Args,
		RunE: a.work(func(ctx context.Context, args []string) error {
			o.dir = args[0]
			return a.dataSynth(ctx, o)
		}),
	}
	baselineFlags(cmd, &o.sel)
	cmd.Flags().Lookup("data").Hidden = true // the folder is the argument
	machineFlags(cmd, &o.m)
	return cmd
}

func (a *app) dataSynth(ctx context.Context, o *synthOptions) error {
	config := o.sel.Profile
	if config == "" {
		config = defaultConfig
	}
	if o.sel.DataDir != "" {
		return bad(errors.New("--data: the folder is the argument of data synth"))
	}
	cfg, err := loadBaseline(ctx, config, o.sel)
	if err != nil {
		return bad(err)
	}
	if cfg.Text("data.name") != "synthetic" {
		return bad(fmt.Errorf("profile %s: data.name is %s, not synthetic; --set data.name=synthetic draws it with this profile's settings", config, cfg.Text("data.name")))
	}
	r, err := o.m.open(a)
	if err != nil {
		return err
	}
	defer r.close()
	r.Notify = progress.Preparing(a.now, a.err)
	if err := r.Draw(ctx, &cfg, o.dir); err != nil {
		if errors.Is(err, dataset.ErrOtherFolder) {
			err = bad(err)
		}
		return err
	}
	fmt.Fprintf(a.out, "%s: %d images to train on, %d to tune, %d to test (train, tune, val).\n",
		o.dir, cfg.Int("data.images.train"), cfg.Int("data.images.tune"), cfg.Int("data.images.val"))
	return nil
}
