package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"focalgrid/detector"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
	"focalgrid/setting"
)

// defaultDB is the results database if --db is not given.
const defaultDB = "runs/focalgrid.db"

// app is shared by all verbs.
type app struct {
	out, err *output
	now      func() time.Time
}

func newApp(stdout, stderr io.Writer) *app {
	return &app{out: &output{raw: stdout}, err: &output{raw: stderr}, now: time.Now}
}

// verbs are the commands in the order of the help. To add one, add a line.
var verbs = []func(*app) *cobra.Command{
	newSweep, newTable, newLs, newShow, newCompare, newVerify, newDetect, newEval, newPretrain, newSettings, newModel, newData, newDB, newBench, newDoctor, newVersion, newWorker,
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "runner",
		Short: "Ablations of dense object detectors, from a grid file to the paper's table",
		Long: `Ablations of dense object detectors, from a grid file to the paper's table.

A sweep trains a full RetinaNet for each row of a grid file, evaluates COCO AP,
records everything in one SQLite file, and prints the paper's table with ours
beside it. Without data it draws a synthetic data set in COCO's format.

Exit codes:
  0  success
  1  a trial or other work failed, a check found a problem, an output could not be
     written, or AP did not pass a gate of eval
  2  a bad file or flag; nothing was written
  3  interrupted`,
		Example: `  runner sweep smoke              # does everything work here? about a minute
  runner sweep gamma              # Table 1b of the paper, small
  runner sweep gamma --dry-run    # what the sweep would train, and what it costs
  runner doctor                   # what this machine offers`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownVerb,
	}
	version := root.Flags().Bool("version", false, "print the version, as the command version does")
	root.RunE = a.work(func(context.Context, []string) error {
		if *version {
			return a.version()
		}
		return root.Help()
	})
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(flagError)
	for _, verb := range verbs {
		root.AddCommand(verb(a))
	}
	return root
}

// flagError describes what is wrong with a flag, and which flag may be meant.
func flagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1:
		text += meant(cmd, unknown.GetSpecifiedName())
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		text = fmt.Sprintf("--%s %s: want %s", f.Name, invalid.GetValue(), kindOf(f.Value.Type()))
	}
	return bad(fmt.Errorf("%s; see `%s --help`", text, cmd.CommandPath()))
}

// meant names the flag with the same beginning as an unknown one, or the settings with its name, or else
// the nearest flag.
func meant(cmd *cobra.Command, name string) string {
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	})
	nearest := setting.Nearest(name, known)
	alike := strings.HasPrefix(nearest, name) || strings.HasPrefix(name, nearest)
	if keys := detector.Settings.Named(name); !alike && len(keys) > 0 && slices.Contains(known, "set") {
		return fmt.Sprintf("; a setting is changed by --set %s=…", strings.Join(keys, "=… or --set "))
	}
	return "; nearest: --" + nearest
}

// kindOf names the kind of value that a flag of a type takes.
func kindOf(flagType string) string {
	switch flagType {
	case "int", "int64":
		return "a whole number"
	case "uint", "uint64":
		return "a whole number from 0"
	case "float64":
		return "a number"
	case "intSlice":
		return "whole numbers, such as 1,10,100"
	case "bool":
		return "true or false"
	}
	return "a " + flagType
}

// knownVerb refuses an unknown verb, and names the nearest verb and all verbs.
func knownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
	}
	cmd.SuggestionsMinimumDistance = 2
	nearest := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		nearest = fmt.Sprintf("did you mean `%s %s`? ", cmd.CommandPath(), near[0])
	}
	return bad(fmt.Errorf("%s has no command %q; %sit has %s", cmd.CommandPath(), args[0], nearest, strings.Join(known, ", ")))
}

// asUsed checks that there are as many arguments as the usage of the command names, such as FILE|NAME. A
// name in brackets is optional, and FILE... stands for one or more.
func asUsed(cmd *cobra.Command, args []string) error {
	var names []string
	for _, word := range strings.Fields(cmd.Use)[1:] {
		if strings.HasPrefix(word, "-") {
			break // a flag that is always given
		}
		names = append(names, word)
	}
	usage := "; see `" + cmd.CommandPath() + " --help`"
	if strings.Contains(cmd.Use, " ") {
		usage = "; usage: " + strings.TrimSuffix(cmd.CommandPath(), cmd.Name()) + cmd.Use + usage
	}
	switch missing := slices.IndexFunc(names[min(len(args), len(names)):], func(n string) bool { return n[0] != '[' }); {
	case missing >= 0:
		return bad(fmt.Errorf("%s: %s is missing%s", cmd.CommandPath(), names[len(args)+missing], usage))
	case len(args) > len(names) && (len(names) == 0 || !strings.HasSuffix(names[len(names)-1], "...")):
		return bad(fmt.Errorf("%s: %q is one argument too many%s", cmd.CommandPath(), args[len(names)], usage))
	}
	return nil
}

// work runs a parsed verb. An error that is not caused by a file or a flag is a failure, or the
// interruption.
func (a *app) work(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd.Context(), args)
		var c *coded
		switch {
		case err == nil || errors.As(err, &c):
			return err
		case cmd.Context().Err() != nil && errors.Is(err, cmd.Context().Err()):
			return errInterrupted
		}
		return &coded{exitFailed, err}
	}
}

// reading returns what read returns, or errInterrupted as soon as ctx ends: a pipe that is named as a
// file may never have a writer, and opening it cannot be cancelled.
func reading[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := read()
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, errInterrupted
	}
}

// loadPlan is plan.Load that Ctrl-C stops.
func loadPlan(ctx context.Context, source string, sel plan.Selection) (*plan.Plan, error) {
	return reading(ctx, func() (*plan.Plan, error) { return detector.Settings.Load(source, sel) })
}

// loadBaseline is plan.LoadBaseline that Ctrl-C stops.
func loadBaseline(ctx context.Context, source string, sel plan.Selection) (plan.Config, error) {
	return reading(ctx, func() (plan.Config, error) { return detector.Settings.LoadBaseline(source, sel) })
}

// selectionFlags adds the flags that select settings and rows of a grid file.
func selectionFlags(cmd *cobra.Command, s *plan.Selection) {
	baselineFlags(cmd, s)
	f := cmd.Flags()
	f.StringArrayVar(&s.Only, "only", nil, "use only the rows where `key=value`[,value…], such as loss.gamma=2 (repeatable)")
	f.StringVar(&s.Seeds, "seeds", "", "`seeds` instead of the seeds in the file: 3, 0..9 or 1,2,5")
	completeBy(cmd, "only", keyValues)
}

// baselineFlags adds the flags of a verb that uses the settings that all rows share.
func baselineFlags(cmd *cobra.Command, s *plan.Selection) {
	f := cmd.Flags()
	f.StringVar(&s.Profile, "profile", "", "`name` of the profile (data, network, schedule) instead of the profile in the file: "+strings.Join(plan.Profiles(), ", ")+", or your own file")
	f.StringArrayVar(&s.Set, "set", nil, "change a setting: `key=value`, such as train.iters=100 (repeatable)")
	f.StringVar(&s.DataDir, "data", "", "`folder` of the data, in COCO's layout")
	complete(cmd, "profile", plan.Profiles())
	completeBy(cmd, "set", keyValues)
}

func complete(cmd *cobra.Command, flag string, values []string) {
	completeBy(cmd, flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

func completeBy(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	// An error would mean an unknown flag, which the tests would find.
	_ = cmd.RegisterFlagCompletionFunc(flag, f)
}

// gridNames completes the name of a grid file: the embedded files, then files on disk.
func gridNames(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return plan.Ablations(), cobra.ShellCompDirectiveDefault
}

// configNames completes names with a baseline: ablations, profiles, files.
func configNames(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	names, directive := gridNames(cmd, args, typed)
	if len(args) == 0 {
		names = append(names, plan.Profiles()...)
	}
	return names, directive
}

// trialKeys completes the key of a trial from the database.
func trialKeys(db *string) cobra.CompletionFunc {
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

func dbFlag(cmd *cobra.Command, db *string) {
	cmd.Flags().StringVar(db, "db", defaultDB, "results database `file`")
}

// recordedDataFlag adds --data to a verb that reads a recorded trial.
func recordedDataFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "data", "", "`folder` of the trial's data, instead of the recorded folder")
}

// relocate makes a recorded trial use the data in dir, if dir is not empty.
func relocate(t *record.Trial, dir string) error {
	if dir == "" {
		return nil
	}
	if err := experiments.Relocate(t, dir); err != nil {
		return bad(fmt.Errorf("--data %s: %w", dir, err))
	}
	return nil
}

// formatFlag adds --format; checkFormat refuses unknown formats.
func formatFlag(cmd *cobra.Command, format *string, known ...string) {
	cmd.Flags().StringVar(format, "format", "text", "`form` of the output: "+strings.Join(known, ", "))
	complete(cmd, "format", known)
}

func checkFormat(format string, known ...string) error {
	if !slices.Contains(known, format) {
		return bad(fmt.Errorf("--format %s: unknown; known: %s", format, strings.Join(known, ", ")))
	}
	return nil
}

// openIfThere opens a database for reading. It returns nil if the file does not exist, or is older and
// must be migrated first.
func openIfThere(path string) (*results.Store, error) {
	store, err := results.OpenExisting(path)
	if errors.Is(err, results.ErrNoDatabase) || errors.Is(err, results.ErrOlder) {
		return nil, nil
	}
	return store, bad(err)
}

// openTrial finds a recorded trial. The caller closes the store.
func openTrial(db, prefix string) (*results.Store, *record.Trial, error) {
	store, err := results.OpenExisting(db)
	if err != nil {
		return nil, nil, bad(err)
	}
	t, err := store.Trial(prefix)
	if err != nil {
		store.Close()
		return nil, nil, bad(err)
	}
	return store, t, nil
}

// isFolder reports whether path is an existing folder.
func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// makeFolder makes dir, and refuses a path that is a file.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			return bad(fmt.Errorf("folder %s: %w", dir, p.Err))
		}
		return err
	}
	return nil
}

// makeFolderOf makes the folder of a file.
func makeFolderOf(file string) error { return makeFolder(filepath.Dir(file)) }

// count returns "1 trial" or "2 trials".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// lasting prints a duration for people: "41s", "2m05s", "3h10m".
func lasting(seconds float64) string {
	const century = 100 * 365 * 86400
	if !(seconds >= 0 && seconds < century) {
		return "centuries"
	}
	s := int(seconds + .5)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 100*3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%d days", s/86400)
}
