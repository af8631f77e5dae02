package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"focalgrid/columns"
	"focalgrid/experiments/sweep"
	"focalgrid/results"
)

func newDBCheck(a *app) *cobra.Command {
	var db string
	var mend bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Find damage in a database and in the files beside it",
		Long: `Find damage in a database, in its bundles, and in the weights, detections and code changes
that its trials name, and report what to do about each. The exit code is 1 if anything is
damaged or missing.

All of them carry checksums. Records of older versions have none, except for files that are
named by their hash: such a record is compared with its bundle, and its key with its settings.
For a running trial only the key can be checked.

Nothing is changed, except with --mend: damaged or missing bundles are then written again from
the database, if the database is sound.`,
		Example: `  runner db check
  runner db check --mend --db runs/short.db`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(context.Context, []string) error { return a.dbCheck(db, mend) }),
	}
	dbFlag(cmd, &db)
	cmd.Flags().BoolVar(&mend, "mend", false, "write damaged and missing bundles again")
	return cmd
}

func (a *app) dbCheck(db string, mend bool) error {
	c, err := results.Check(db, sweep.KeyOf(), mend)
	if err != nil {
		return bad(err)
	}
	fmt.Fprintf(a.out, "%s: %s checked\n", db, counts(columns.Count(c.Trials, "trial"), columns.Count(c.Sweeps, "sweep"),
		choices(c.Choices), columns.Count(c.Bundles, "bundle"), columns.Count(c.Files, "file")))
	a.unchecked(c.Unchecked)
	for _, file := range c.Mended {
		fmt.Fprintf(a.out, "%s: written again\n", file)
	}
	for _, f := range c.Found {
		fmt.Fprintf(a.out, "%s\n  %s\n", f.What, f.Do)
	}
	a.missing(c.Missing)
	if n := len(c.Found) + len(c.Missing); n > 0 {
		return fmt.Errorf("%s damaged or missing", columns.Count(n, "thing"))
	}
	return nil
}

// mostNamed is how many of a list of files or errors are printed.
const mostNamed = 20

// missing names the files that trials need and that are not there.
func (a *app) missing(paths []string) {
	if len(paths) == 0 {
		return
	}
	fmt.Fprintf(a.out, "%s of weights or detections missing beside the database; copy them from the machine they come from:\n", columns.Count(len(paths), "file"))
	for _, path := range paths[:min(mostNamed, len(paths))] {
		fmt.Fprintf(a.out, "  %s\n", path)
	}
	if n := len(paths) - mostNamed; n > 0 {
		fmt.Fprintf(a.out, "  and %d more\n", n)
	}
}

// unchecked prints what could not be checked.
func (a *app) unchecked(u results.Unchecked) {
	if u.Unsealed > 0 {
		fmt.Fprintf(a.out, "%d without a checksum (older records and running trials have none): everything else about them was checked\n", u.Unsealed)
	}
	if u.Unkeyed > 0 {
		fmt.Fprintf(a.out, "%s with settings or numerics of another version: accepted under the recorded key\n", columns.Count(u.Unkeyed, "trial"))
	}
}

// refused joins the errors of bundles and lines that were left out into one error; nil if there are
// none.
func refused(list []error) error {
	if n := len(list) - mostNamed; n > 0 {
		list = append(list[:mostNamed:mostNamed], fmt.Errorf("and %d more", n))
	}
	return errors.Join(list...)
}
