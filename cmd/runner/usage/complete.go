package usage

import (
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/experiments/sweep"
	"focalgrid/results"
	"focalgrid/results/report"
)

// Complete completes a flag with fixed values.
func Complete(cmd *cobra.Command, flag string, values []string) {
	CompleteBy(cmd, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// CompleteBy completes a flag with what f returns.
func CompleteBy(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	// An error would mean an unknown flag, which the tests would find.
	_ = cmd.RegisterFlagCompletionFunc(flag, f)
}

// GridNames completes the name of a grid file: the embedded files, then files on disk.
func GridNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return plan.Ablations(), cobra.ShellCompDirectiveDefault
}

// TableNames completes what has a table: a grid file, or a table of the paper.
func TableNames(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	names, directive := GridNames(cmd, args, typed)
	if len(args) == 0 {
		names = append(names, sweep.PublishedIDs()...)
	}
	return names, directive
}

// ColumnNames completes the columns of the table that is named, after those that are typed already.
func ColumnNames(sel *plan.Selection) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		names := []string{"all"}
		if len(args) == 1 {
			if t, err := emptyTable(args[0], sel); err == nil {
				names = append(names, t.ColumnNames()...)
			}
		}
		before := ""
		if i := strings.LastIndexByte(typed, ','); i >= 0 {
			before = typed[:i+1]
		}
		for i, name := range names {
			names[i] = before + name
		}
		return names, directive
	}
}

// emptyTable returns the table of a name without any trial.
func emptyTable(name string, sel *plan.Selection) (*report.Table, error) {
	if t, err := sweep.Published(name); err == nil {
		return t, nil
	}
	p, err := detector.Settings.Load(name, *sel)
	if err != nil {
		return nil, err
	}
	return sweep.TableOf(p, nil)
}

// ConfigNames completes names with a baseline: ablations, profiles, files.
func ConfigNames(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	names, directive := GridNames(cmd, args, typed)
	if len(args) == 0 {
		names = append(names, plan.Profiles()...)
	}
	return names, directive
}

// TrialKeys completes the key of a trial from the database.
func TrialKeys(db *string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		store, err := results.OpenExisting(*db)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer store.Close()
		trials, err := store.Trials(results.Filter{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var keys []string
		for _, t := range trials {
			keys = append(keys, t.Key[:12])
		}
		return keys, cobra.ShellCompDirectiveNoFileComp
	}
}

// SettingNames completes a setting, a group of settings, or a name with a baseline.
func SettingNames(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	names, directive := ConfigNames(cmd, args, typed)
	if len(args) == 0 {
		names = append(names, detector.Settings.Keys()...)
	}
	return names, directive
}

// KeyValues completes KEY=VALUE: the key, and after it the value where there is a choice.
func KeyValues(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	var out []string
	if key, _, ok := strings.Cut(typed, "="); ok {
		for _, v := range detector.Settings.Choices(key) {
			out = append(out, key+"="+v)
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
	for _, key := range detector.Settings.Keys() {
		out = append(out, key+"=")
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
