package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"focalgrid/columns"
	"focalgrid/gpu"
)

// gpus are the GPUs that a sweep may use, and the places on them that its trials are given. Nil stands for an engine
// that computes on none: nothing is taken, written or given.
type gpus struct {
	list gpu.List
	err  error        // why none is known; processes then see what this one sees
	dir  string       // where places are taken
	held []*gpu.Lease // by place of the executor
}

// findGPUs lists what an engine may compute on.
func findGPUs(ctx context.Context, engine string) *gpus {
	if onCUDA := engines[engine].onCUDA; onCUDA == nil || !onCUDA() {
		return nil
	}
	list, err := gpu.Find(ctx)
	return &gpus{list: list, err: err, dir: os.TempDir()}
}

// enter takes the first place, for this process: the one where it is to train alone, or the one where it prepares what
// its workers share, such as a backbone. It comes before the engine is opened.
func (g *gpus) enter(notes io.Writer) error {
	if err := g.take(1, notes); err != nil || g == nil || g.err != nil {
		return err
	}
	name, value, _ := strings.Cut(g.held[0].Visible(), "=")
	return os.Setenv(name, value)
}

// take takes places until there are n, and notes which GPUs others compute on already.
func (g *gpus) take(n int, notes io.Writer) error {
	if g == nil || g.err != nil {
		return nil
	}
	for len(g.held) < n {
		l, err := gpu.Take(g.list.Devices, g.dir)
		if err != nil {
			return fmt.Errorf("a place on a GPU: %w", err)
		}
		g.held = append(g.held, l)
		if l.Place > 0 {
			fmt.Fprintf(notes, "note: worker %d shares %s with %d more, of this sweep or another\n", len(g.held), l, l.Place)
		}
	}
	return nil
}

// give has the command of a worker see the GPU of its place alone, and hold the place as long as it lives.
func (g *gpus) give(cmd *exec.Cmd, place int) {
	if g == nil || place >= len(g.held) {
		return
	}
	cmd.Env = append(cmd.Environ(), g.held[place].Visible())
	cmd.ExtraFiles = append(cmd.ExtraFiles, g.held[place].File)
}

// names describes the GPU of each place, for records.
func (g *gpus) names() []string {
	if g == nil {
		return nil
	}
	names := make([]string, len(g.held))
	for i, l := range g.held {
		names[i] = l.String()
		if g.list.Driver != "" {
			names[i] += ", driver " + g.list.Driver
		}
	}
	return names
}

// write tells how trials are spread over the GPUs, that many at a time.
func (g *gpus) write(w io.Writer, jobs int) {
	switch {
	case g == nil:
	case g.err != nil:
		fmt.Fprintf(w, "GPUs are not shared out, as none is known: %v.\n", g.err)
	default:
		n := len(g.list.Devices)
		names := make([]string, n)
		for i, d := range g.list.Devices {
			names[i] = d.String()
		}
		how := "on one of its own"
		if jobs > n {
			how = fmt.Sprintf("up to %d on one, whose memory they share", (jobs+n-1)/n)
		}
		fmt.Fprintf(w, "%s: %s. %s at a time, %s.\n", columns.Count(n, "GPU"), strings.Join(names, ", "), columns.Count(jobs, "trial"), how)
	}
}

// close gives the places back.
func (g *gpus) close() {
	if g == nil {
		return
	}
	for _, l := range g.held {
		l.Close()
	}
}
