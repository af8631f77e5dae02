package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/experiments/sweep"
	"focalgrid/results"
)

type importOptions struct {
	db, keep string
}

func newDBImport(a *app) *cobra.Command {
	o := &importOptions{}
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Merge exported results into a database",
		Long: `Merge exported results into a database; the database is made if it does not exist. A line that
is damaged, was altered, or holds a trial under a wrong key is left out and reported; the exit
code is then 1.

A trial that is already there with the same result is left as it is, regardless of who computed
it and when. A trial with another result is a conflict: all conflicts are reported, and nothing
is imported unless --keep decides. A trial that is done or diverged replaces a trial that failed,
was interrupted or is running here; a failed or interrupted trial does not replace a running
one. Two different choices of a row's own best settings (sweep --tune) are a conflict too. Weights
and detections are separate files; missing files are reported. A file may be compressed by gzip.`,
		Example: `  runner db import --db all.db first.jsonl second.jsonl.gz
  runner db import --keep ours third.jsonl`,
		Args: usage.Args,
		RunE: a.work(func(ctx context.Context, args []string) error { return a.dbImport(ctx, o, args) }),
	}
	dbFlag(cmd, &o.db)
	cmd.Flags().StringVar(&o.keep, "keep", "", "in a conflict, which `result` to keep: ours (of the database) or theirs (of the file)")
	usage.Complete(cmd, "keep", keeps)
	return cmd
}

// keeps are the values of --keep.
var keeps = []string{string(results.KeepOurs), string(results.KeepTheirs)}

// plain reads a file that may be compressed by gzip, as exports are kept where space is short.
func plain(f *os.File) (io.Reader, error) {
	b := bufio.NewReader(f)
	if magic, _ := b.Peek(2); string(magic) != "\x1f\x8b" {
		return b, nil
	}
	return gzip.NewReader(b)
}

func (a *app) dbImport(ctx context.Context, o *importOptions, files []string) error {
	if o.keep != "" && o.keep != keeps[0] && o.keep != keeps[1] {
		return bad(fmt.Errorf("--keep %s: unknown; known: %s", o.keep, strings.Join(keeps, ", ")))
	}
	var sources []results.Source
	for _, name := range files {
		f, err := reading(ctx, func() (*os.File, error) { return os.Open(name) })
		if err != nil {
			return bad(err)
		}
		defer f.Close()
		lines, err := reading(ctx, func() (io.Reader, error) { return plain(f) })
		if err != nil {
			return bad(fmt.Errorf("%s: %w", name, err))
		}
		sources = append(sources, results.Source{Name: name, Reader: lines})
	}
	store, err := results.Open(o.db)
	if err != nil {
		return bad(err)
	}
	defer store.Close()
	// An interrupted import leaves the database as it was.
	done, err := reading(ctx, func() (results.Imported, error) {
		return store.Import(results.Keep(o.keep), sweep.KeyOf(), sources...)
	})
	var conflicts *results.ConflictsError
	switch {
	case errors.As(err, &conflicts):
		return bad(fmt.Errorf("%w\nnothing was imported; --keep ours or --keep theirs decides", conflicts))
	case err != nil:
		return err
	}
	fmt.Fprintf(a.out, "%s: %s added, %d replaced, %d there already, %d kept against another result; %s read\n",
		o.db, columns.Count(done.Added, "trial"), done.Changed, done.Same, done.Kept, counts(columns.Count(done.Sweeps, "sweep"), choices(done.Choices)))
	a.missing(done.Missing)
	a.unchecked(done.Unchecked)
	if err := refused(done.Refused); err != nil {
		return fmt.Errorf("%w\n%s left out", err, columns.Count(len(done.Refused), "line"))
	}
	return nil
}
