package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/terminal"
	"focalgrid/cmd/runner/usage"
	"focalgrid/results"
	"focalgrid/results/report"
)

// watchEvery is how often ls --watch looks.
const watchEvery = 2 * time.Second

var listFormats = []string{"json", "text"}

type lsOptions struct {
	db, format string
	watch      bool
}

func newLs(a *app) *cobra.Command {
	o := &lsOptions{}
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the recorded trials",
		Long: `List the recorded trials in order of time, with the settings in which they differ.

--watch prints the list again whenever it changes, until Ctrl-C. Another process may run
a sweep at the same time.`,
		Example: `  runner ls
  runner ls --watch
  runner ls --db runs/short.db --format json`,
		Args:              usage.Args,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(ctx context.Context, _ []string) error { return a.ls(ctx, o) }),
	}
	dbFlag(cmd, &o.db)
	formatFlag(cmd, &o.format, listFormats...)
	cmd.Flags().BoolVar(&o.watch, "watch", false, "print the list again whenever it changes")
	return cmd
}

func (a *app) ls(ctx context.Context, o *lsOptions) error {
	if err := checkFormat(o.format, listFormats...); err != nil {
		return err
	}
	store, err := results.OpenExisting(o.db)
	if err != nil {
		return bad(err)
	}
	defer store.Close()
	last := ""
	for {
		trials, err := store.Trials(results.Filter{})
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := report.WriteList(&b, trials, o.format); err != nil {
			return err
		}
		if b.String() != last {
			if last != "" || o.watch && terminal.Is(a.out) {
				fmt.Fprint(a.out.Raw, a.between())
			}
			last = b.String()
			if _, err := b.WriteTo(a.out); err != nil {
				return err
			}
		}
		if !o.watch {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // watching ends like this
		case <-time.After(watchEvery):
		}
	}
}

// between separates two lists: a cleared screen on a terminal, else an empty line.
func (a *app) between() string {
	if terminal.Is(a.out) {
		return "\x1b[H\x1b[2J"
	}
	return "\n"
}
