package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/progress"
	"focalgrid/cmd/runner/usage"
	"focalgrid/engine"
	"focalgrid/engine/gomlx"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments"
	"focalgrid/experiments/sweep"
	"focalgrid/results"
)

// machine holds the flags of verbs that compute.
type machine struct {
	threads int
	engine  string
	cache   string
}

func machineFlags(cmd *cobra.Command, m *machine) {
	f := cmd.Flags()
	f.IntVar(&m.threads, "threads", 0, "`number` of compute threads of the CPU engines; 0: one per core. Results do not depend on it")
	engineFlag(cmd, &m.engine)
	f.StringVar(&m.cache, "cache", "", "`folder` for generated images and pretrained backbones (default: $FOCALGRID_CACHE, or focalgrid in the user's cache folder)")
}

func engineFlag(cmd *cobra.Command, engine *string) {
	cmd.Flags().StringVar(engine, "engine", "auto", "`engine`: "+strings.Join(engineNames(), ", ")+"; xla computes on what a PJRT plugin offers")
	usage.Complete(cmd, "engine", engineNames())
}

// engines makes the engines that --engine names. To add one, add a line. xla-go is the engine xla without a plugin: the
// same graphs, run by plain Go.
var engines = map[string]maker{
	"auto":      {"gorgonia", cpu, nil},
	"cpu":       {"gorgonia", cpu, nil},
	"cpu-exact": {"gorgonia", cpuExact, nil},
	"xla":       {"gomlx-xla", func(int) (engine.Engine, error) { return compiled(gomlx.Options{Backend: gomlx.XLA}) }, gomlx.OnCUDA},
	"xla-go":    {"gomlx-go", func(int) (engine.Engine, error) { return compiled(gomlx.Options{Backend: gomlx.Go}) }, nil},
}

// maker makes an engine.
type maker struct {
	family string // what the engine's name begins with, in the records of its trials
	open   func(threads int) (engine.Engine, error)
	onCUDA func() bool // whether it computes on the GPUs that CUDA_VISIBLE_DEVICES names; nil: on none
}

func engineNames() []string { return slices.Sorted(maps.Keys(engines)) }

// engineOf returns the name under which --engine makes the engine that a trial had: "auto" if that does, or if none
// of this program does.
func engineOf(recorded string) string {
	for _, name := range append([]string{"auto"}, engineNames()...) {
		if !strings.HasPrefix(recorded, engines[name].family) {
			continue
		}
		e, err := engines[name].open(1)
		if err != nil {
			continue
		}
		info := e.Info()
		e.Close()
		if info.Name == recorded {
			return name
		}
	}
	return "auto"
}

func cpu(threads int) (engine.Engine, error) {
	return gorgonia.New(kernel.NewPool(threads), gorgonia.Options{}), nil
}

// cpuExact uses only direct convolutions; its trials have their own identities.
func cpuExact(threads int) (engine.Engine, error) {
	pool := kernel.NewPool(threads)
	pool.Exact = true
	return gorgonia.New(pool, gorgonia.Options{}), nil
}

func compiled(opt gomlx.Options) (engine.Engine, error) {
	e, err := gomlx.New(opt)
	if err != nil {
		return nil, err // no interface around a nil engine
	}
	return e, nil
}

// maxThreads is far more than any machine has; it catches mistyped numbers.
const maxThreads = 4096

// rig is a machine ready to compute.
type rig struct {
	*experiments.Trainer
	host experiments.Host
}

// open starts the engine. The caller closes the rig.
func (m *machine) open(a *app) (*rig, error) {
	named, ok := engines[m.engine]
	if !ok {
		return nil, bad(fmt.Errorf("--engine %s: unknown; known: %s", m.engine, strings.Join(engineNames(), ", ")))
	}
	if m.threads < 0 || m.threads > maxThreads {
		return nil, bad(fmt.Errorf("--threads %d: want 1 to %d, or 0 for one a core", m.threads, maxThreads))
	}
	cache := m.cache
	if cache == "" {
		var err error
		if cache, err = experiments.CacheDir(); err != nil {
			return nil, bad(err)
		}
	}
	e, err := named.open(m.threads)
	if err != nil {
		return nil, bad(fmt.Errorf("--engine %s: %w", m.engine, err))
	}
	return &rig{
		Trainer: &experiments.Trainer{Data: experiments.Data{Cache: cache}, Engine: e, Now: a.now},
		host:    experiments.DescribeHost(e.Info()),
	}, nil
}

// records looks up what a database holds; nil: nothing.
func (r *rig) records(store *results.Store) sweep.Records {
	return sweep.Records{Trainer: r.Trainer, Store: store, Host: r.host}
}

// openRecords opens an existing database and what finds a plan's trials in it; close ends both.
func (a *app) openRecords(engine, db string) (records sweep.Records, close func(), err error) {
	m := machine{engine: engine, threads: 1}
	r, err := m.open(a)
	if err != nil {
		return records, nil, err
	}
	store, err := results.OpenExisting(db)
	if err != nil {
		r.close()
		return records, nil, bad(err)
	}
	r.Notify = progress.Preparing(a.now, a.err)
	return r.records(store), func() { store.Close(); r.close() }, nil
}

func (r *rig) close() {
	r.Trainer.Close()
	r.Engine.Close()
}
