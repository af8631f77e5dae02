package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"focalgrid/engine"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments"

	"github.com/spf13/cobra"
)

// machine holds the flags of verbs that compute.
type machine struct {
	threads int
	engine  string
	cache   string
}

func machineFlags(cmd *cobra.Command, m *machine) {
	f := cmd.Flags()
	f.IntVar(&m.threads, "threads", 0, "`number` of compute threads; 0: one per core. Results do not depend on it")
	f.StringVar(&m.engine, "engine", "auto", "`engine`: "+strings.Join(engineNames(), ", ")+"; this build computes only on the CPU")
	f.StringVar(&m.cache, "cache", "", "`folder` for generated images and pretrained backbones (default: $FOCALGRID_CACHE, or focalgrid in the user's cache folder)")
	complete(cmd, "engine", engineNames())
}

// engines makes the engines that --engine names. To add one, add a line.
var engines = map[string]func(threads int) engine.Engine{
	"auto":      cpu,
	"cpu":       cpu,
	"cpu-exact": cpuExact,
}

func engineNames() []string { return slices.Sorted(maps.Keys(engines)) }

func cpu(threads int) engine.Engine {
	return gorgonia.New(kernel.NewPool(threads), gorgonia.Options{})
}

// cpuExact uses only direct convolutions; its trials have their own identities.
func cpuExact(threads int) engine.Engine {
	pool := kernel.NewPool(threads)
	pool.Exact = true
	return gorgonia.New(pool, gorgonia.Options{})
}

// maxThreads is far more than any machine has; it catches mistyped numbers.
const maxThreads = 4096

// rig is a machine ready to compute.
type rig struct{ *experiments.Runner }

// open starts the engine. The caller closes the rig.
func (m *machine) open(a *app) (*rig, error) {
	open := engines[m.engine]
	if open == nil {
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
	e := open(m.threads)
	info := e.Info()
	return &rig{&experiments.Runner{Engine: e, Cache: cache, Now: a.now, Host: experiments.DescribeHost(info.Kernels, info.Threads)}}, nil
}

// close ends the engine and, if one is open, the store.
func (r *rig) close() {
	if r.Store != nil {
		r.Store.Close()
	}
	r.Runner.Close()
	r.Engine.Close()
}
