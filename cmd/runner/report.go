package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/atomicfile"
	"focalgrid/cmd/runner/usage"
	"focalgrid/columns"
	"focalgrid/experiments/plan"
	"focalgrid/figure"
	"focalgrid/paper/figures"
	"focalgrid/paper/report"
	"focalgrid/results/record"
)

type reportOptions struct{ db, engine, out string }

func newReport(a *app) *cobra.Command {
	o := &reportOptions{}
	cmd := &cobra.Command{
		Use:   "report [DB] -o DIR|FILE.md",
		Short: "Report a database: claims judged, tables, figures, provenance",
		Long: `Report everything that a results database holds: the claims of grid files with their
verdicts, all tables and figures, where the numbers come from, the commands that make them
again, the published figures and what differs from them, and the items about
reproducibility of the NeurIPS checklist.

A folder gets report.html, which is one page that needs no other file and no network, and
report.tex with its pictures. A file that ends in .md gets the claims and tables as
Markdown. Everything is made before anything is written.

A claim is judged by the seeds of its file, by the exact sign-flip test with Holm's correction
over all claims of the file. What is not a claim is labelled exploratory.`,
		Example: `  runner report -o report
  runner report -o RESULTS.md
  runner report other.db -o report`,
		Args: usage.Args,
		RunE: a.work(func(ctx context.Context, args []string) error {
			o.db = usage.DefaultDB
			if len(args) > 0 {
				o.db = args[0]
			}
			return a.report(ctx, o)
		}),
	}
	cmd.Flags().StringVarP(&o.out, "out", "o", "", "`folder` for report.html and report.tex, or a file that ends in .md")
	trainedByFlag(cmd, &o.engine, "report the trials of this `engine`")
	return cmd
}

func (a *app) report(ctx context.Context, o *reportOptions) error {
	ext := strings.ToLower(filepath.Ext(o.out))
	markdown := ext == ".md"
	switch {
	case o.out == "":
		return bad(errors.New("say where the report goes: -o DIR for report.html and report.tex, or -o FILE.md"))
	case slices.Contains([]string{"-", ".html", ".htm", ".tex", ".pdf"}, cmp.Or(ext, o.out)) && !isFolder(o.out):
		return bad(fmt.Errorf("-o %s: want a folder for report.html and report.tex, or a file that ends in .md", o.out))
	case markdown && isFolder(o.out):
		return bad(fmt.Errorf("-o %s: is a folder, want a file", o.out))
	}
	records, closeRecords, err := a.openRecords(o.engine, o.db)
	if err != nil {
		return err
	}
	defer closeRecords()
	// Commands are for anybody's database, so they name none; an engine that is not chosen by itself they name.
	options := report.Options{DB: filepath.Base(o.db), Command: func(verb string, args ...string) string {
		if engine := trainedBy(o.engine); !slices.Contains([]string{"auto", "cpu"}, engine) && verb != "ls" {
			args = slices.Concat(args, []string{"--engine", engine})
		}
		return usage.Command(verb, usage.DefaultDB, args...)
	}}
	if !markdown {
		options.Network = func(ctx context.Context, profile string) (*figure.Figure, error) {
			fig, _ := figures.Of("3")
			return drawNetwork(ctx, profile, plan.Selection{}, fig)
		}
		options.Trained = func(ctx context.Context, t *record.Trial) (*figure.Figure, error) {
			fig, _ := figures.Of("4")
			losses, err := a.lossesOf(ctx, "auto", records.Store, t)
			if err != nil {
				return nil, err
			}
			return fig.Draw(&figures.Input{Losses: losses})
		}
	}
	study, err := report.Gather(ctx, &records, options)
	if err != nil {
		return err
	}
	study.Made = a.made()
	if markdown {
		text, err := study.Markdown()
		if err == nil {
			err = makeFolderOf(o.out)
		}
		if err == nil {
			err = atomicfile.Write(o.out, func(w io.Writer) error { _, err := w.Write(text); return err })
		}
		if err != nil {
			return err
		}
	} else {
		files, err := study.Files()
		if err != nil {
			return err
		}
		if err := report.Write(o.out, files); err != nil {
			return bad(err)
		}
	}
	_, err = fmt.Fprintf(a.out, "%s: %s, %s\n", o.out, columns.Count(len(study.Parts), "table"), columns.Count(study.Claims(), "claim"))
	return err
}
