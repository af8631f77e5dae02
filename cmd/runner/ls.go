package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/terminal"
	"focalgrid/cmd/runner/usage"
	"focalgrid/detector"
	"focalgrid/experiments/sweep"
	"focalgrid/results"
	"focalgrid/results/record"
	"focalgrid/results/report"
)

// watchEvery is how often ls --watch looks.
const watchEvery = 2 * time.Second

var listFormats = []string{"json", "text"}

type lsOptions struct {
	db, format string
	watch      bool
	only       []string
	statuses   []string
	since      string
}

func newLs(a *app) *cobra.Command {
	o := &lsOptions{}
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the recorded trials",
		Long: `List the recorded trials in order of time, with the settings in which they differ: first
those that tell most trials apart. A trial that is "abandoned" is recorded as running, but
nobody works on it: its sweep has ended without a word, and the same sweep continues it.

--watch prints the list again whenever it changes, until Ctrl-C. Another process may run
a sweep at the same time.`,
		Example: `  runner ls
  runner ls --watch
  runner ls --only loss.gamma=0,2 --status done
  runner ls --since 24h --status failed,diverged
  runner ls --db runs/short.db --format json`,
		Args:              usage.Args,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.work(func(ctx context.Context, _ []string) error { return a.ls(ctx, o) }),
	}
	dbFlag(cmd, &o.db)
	formatFlag(cmd, &o.format, listFormats...)
	f := cmd.Flags()
	f.BoolVar(&o.watch, "watch", false, "print the list again whenever it changes")
	f.StringArrayVar(&o.only, "only", nil, "list only the trainings where `key=value`[,value…], such as loss.gamma=2 (repeatable)")
	f.StringSliceVar(&o.statuses, "status", nil, "list only trials with this `status`: "+strings.Join(record.Statuses(), ", "))
	f.StringVar(&o.since, "since", "", "list only trials that began since this `time`: 2026-11-01, or 24h or 7d ago")
	usage.CompleteBy(cmd, "only", usage.KeyValues)
	usage.Complete(cmd, "status", record.Statuses())
	usage.Complete(cmd, "since", []string{"1h", "24h", "7d"})
	return cmd
}

func (a *app) ls(ctx context.Context, o *lsOptions) error {
	if err := checkFormat(o.format, listFormats...); err != nil {
		return err
	}
	pick, err := o.filter(a.now())
	if err != nil {
		return bad(err)
	}
	store, err := results.OpenExisting(o.db)
	if err != nil {
		return bad(err)
	}
	defer store.Close()
	last := ""
	for {
		all, err := store.Trials(results.Filter{})
		if err != nil {
			return err
		}
		trials := pick(all)
		var b bytes.Buffer
		if len(trials) == 0 && len(all) > 0 && o.format == "text" {
			fmt.Fprintf(&b, "no trials of %d: --only, --status or --since leaves none\n", len(all))
		} else if err := report.WriteList(&b, trials, o.format, func(t *record.Trial) bool { return sweep.AtWork(t, a.now()) }); err != nil {
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

// filter returns a function that picks the trials that pass all filters. In text, settings without meaning in a trial
// are left out of it, as they tell nothing apart.
func (o *lsOptions) filter(now time.Time) (func([]record.Trial) []record.Trial, error) {
	matches, err := detector.Settings.Matching(o.only)
	if err != nil {
		return nil, err
	}
	for _, status := range o.statuses {
		if known := record.Statuses(); !slices.Contains(known, status) {
			return nil, fmt.Errorf("--status %s: unknown; known: %s", status, strings.Join(known, ", "))
		}
	}
	var since time.Time
	if o.since != "" {
		if since, err = parseSince(o.since, now); err != nil {
			return nil, err
		}
	}
	fits := map[string]bool{} // by recorded settings, which the seeds of a row share
	meaningful := map[string]string{}
	return func(all []record.Trial) []record.Trial {
		var out []record.Trial
		for _, t := range all {
			if len(o.statuses) > 0 && !slices.Contains(o.statuses, t.Status) {
				continue
			}
			if started, err := time.Parse(time.RFC3339, t.Started); err == nil && started.Before(since) {
				continue
			}
			if len(o.only) > 0 {
				fit, seen := fits[t.Config]
				if !seen {
					cfg, err := detector.Settings.ParseResolved(t.Key, []byte(t.Config))
					fit = err == nil && matches(&cfg)
					fits[t.Config] = fit
				}
				if !fit || t.Kind != record.KindTrain {
					continue
				}
			}
			if o.format == "text" && t.Kind == record.KindTrain {
				text, seen := meaningful[t.Config]
				if !seen {
					text = detector.Settings.Meaningful(t.Config)
					meaningful[t.Config] = text
				}
				t.Config = text
			}
			out = append(out, t)
		}
		return out
	}, nil
}

// parseSince reads a day, a moment, or how long ago.
func parseSince(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	ago, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		ago = time.Duration(n * 24 * float64(time.Hour))
		if !(n < 100*365) {
			err = strconv.ErrRange
		}
	}
	if err != nil || ago <= 0 {
		return time.Time{}, fmt.Errorf("--since %s: want a day such as 2026-11-01, a time such as 2026-11-01T12:00:00Z, or how long ago, such as 24h or 7d", text)
	}
	return now.Add(-ago), nil
}
