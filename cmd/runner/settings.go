package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/setting"
)

type settingsOptions struct {
	what string
	sel  plan.Selection
}

func newSettings(a *app) *cobra.Command {
	o := &settingsOptions{}
	cmd := &cobra.Command{
		Use:   "settings [KEY|CONFIG]",
		Short: "Print the settings: value, where it was written, range and meaning",
		Long: `Print the settings: value, where it was written, range and meaning.

CONFIG is a grid file or an ablation (its baseline), or a profile: each setting is printed
with its value and the file and line, or the flag, that gave it. A value in parentheses
belongs to a component that is not chosen, or changes nothing beside the other values.

KEY is a setting, such as loss.gamma, or a group of settings, such as loss: only these are
printed, with their values in each profile. Without an argument all settings are.`,
		Example: `  runner settings
  runner settings sampler
  runner settings loss.gamma
  runner settings gamma --set loss.type=ce
  runner settings gamma --profile paper`,
		Args:              usage.Args,
		ValidArgsFunction: usage.SettingNames,
		RunE: a.work(func(ctx context.Context, args []string) error {
			o.what = strings.Join(args, "")
			return a.settings(ctx, o)
		}),
	}
	baselineFlags(cmd, &o.sel)
	return cmd
}

func (a *app) settings(ctx context.Context, o *settingsOptions) error {
	keys := detector.Settings.Below(o.what)
	if o.what == "" {
		keys = detector.Settings.Keys()
	}
	sources, header := plan.Profiles(), []string{"SETTING"}
	if o.sel.Profile != "" && keys != nil {
		return bad(fmt.Errorf("--profile %s: only the profile of a grid file or an ablation can be replaced", setting.Short(o.sel.Profile)))
	}
	if keys == nil {
		sources = []string{o.what}
		header = append(header, "VALUE", "FROM")
	}
	var rows [][]string
	var uses [][]plan.Use
	for i, source := range sources {
		all, err := reading(ctx, func() ([]plan.Explained, error) { return detector.Settings.Explain(source, o.sel) })
		if errors.Is(err, plan.ErrNoGrid) {
			err = fmt.Errorf("%w; the nearest setting is %s", err, detector.Settings.Nearest(o.what))
		}
		if err != nil {
			return bad(err)
		}
		if keys != nil {
			header = append(header, strings.ToUpper(source))
			all = slices.DeleteFunc(all, func(e plan.Explained) bool { return !slices.Contains(keys, e.Key) })
		}
		for j, e := range all {
			if i == 0 {
				rows, uses = append(rows, []string{e.Key}), append(uses, e.Uses)
			}
			value := e.Value
			if !e.Matters {
				value = "(" + value + ")"
			}
			if rows[j] = append(rows[j], value); keys == nil {
				rows[j] = append(rows[j], e.From)
			}
		}
	}
	var b bytes.Buffer
	if err := columns.Text(&b, "", append([][]string{header}, rows...), columns.AllLeft); err != nil {
		return err
	}
	for i, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		fmt.Fprintln(a.out, line)
		if i == 0 {
			continue
		}
		for _, u := range uses[i-1] {
			with := ""
			if u.With != "" {
				with = " with " + u.With
			}
			fmt.Fprintf(a.out, "    %s%s: %s\n", u.Allowed, with, u.Doc)
		}
	}
	return nil
}
