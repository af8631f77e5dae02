package benchmark

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"focalgrid/detector"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/experiments/sweep"
	"focalgrid/results"
	"focalgrid/results/record"
)

// BenchmarkTable prints the table of 10,000 recorded trials, ten a row, as `runner table` does. The bound is a second.
func BenchmarkTable(b *testing.B) {
	store := Store{Trials: 10_000, Seeds: 10}
	dir := b.TempDir()
	grid, path := filepath.Join(dir, "bench.yaml"), filepath.Join(dir, "bench.db")
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	must(os.WriteFile(grid, []byte(store.grid()), 0o666))
	cpu := gorgonia.New(kernel.NewPool(1), gorgonia.Options{})
	defer cpu.Close()
	r := sweep.Records{
		Trainer: &experiments.Trainer{Data: experiments.Data{Cache: b.TempDir()}, Engine: cpu, Now: time.Now},
		Host:    experiments.DescribeHost(cpu.Info()),
	}
	ctx := context.Background()
	p, err := detector.Settings.Load(grid, plan.Selection{})
	must(err)
	states, err := r.States(ctx, p)
	must(err)
	db, err := results.Open(path)
	must(err)
	var bundles []*record.Bundle
	for i := range states {
		bundles = append(bundles, store.bundle(&r, &states[i], i))
	}
	must(db.Apply(bundles...))
	must(db.Close())
	for b.Loop() {
		must(reading(r, path, func(r *sweep.Records) error {
			p, err := detector.Settings.Load(grid, plan.Selection{})
			if err != nil {
				return err
			}
			t, err := r.Table(ctx, p, sweep.TableOptions{EverySeed: true})
			if err != nil {
				return err
			}
			return t.Write(io.Discard, "text")
		})())
	}
}
