package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

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
	devices int // that train a trial together; 0: one
	cache   string
}

func machineFlags(cmd *cobra.Command, m *machine) {
	f := cmd.Flags()
	f.IntVar(&m.threads, "threads", 0, "`number` of compute threads of the CPU engines; 0: one per core. Results do not depend on it")
	engineFlag(cmd, &m.engine)
	f.IntVar(&m.devices, "devices", 1, "`number` of the plugin's devices that train a trial together, each an equal part of the images of a step (with --engine xla). Neither train.batch nor the learning rate changes")
	f.StringVar(&m.cache, "cache", "", "`folder` for generated images and pretrained backbones (default: $FOCALGRID_CACHE, or focalgrid in the user's cache folder)")
}

func engineFlag(cmd *cobra.Command, engine *string) {
	cmd.Flags().StringVar(engine, "engine", "auto", "`engine`: "+strings.Join(engineNames(), ", ")+"; xla computes on what a PJRT plugin offers")
	usage.Complete(cmd, "engine", engineNames())
}

// defaultEngine is the name, in records, of the engine that computes where --engine names none.
const defaultEngine = "gorgonia"

// engines makes the engines that --engine names. To add one, add a line. xla-go is the engine xla without a plugin: the
// same graphs, run by plain Go.
var engines = map[string]maker{
	"auto":      {defaultEngine, cpu, nil},
	"cpu":       {defaultEngine, cpu, nil},
	"cpu-exact": {"gorgonia-exact", cpuExact, nil},
	"xla":       {"gomlx-xla", func(int) (engine.Engine, error) { return compiled(gomlx.Options{Backend: gomlx.XLA}) }, gomlx.OnCUDA},
	"xla-go":    {"gomlx-go", func(int) (engine.Engine, error) { return compiled(gomlx.Options{Backend: gomlx.Go}) }, nil},
}

// several makes the engines that can compute a trial on several devices.
var several = map[string]func(devices int) (engine.Engine, error){
	"xla": func(devices int) (engine.Engine, error) {
		return compiled(gomlx.Options{Backend: gomlx.XLA, Devices: devices})
	},
}

// maker makes an engine.
type maker struct {
	family string // what the engine's name begins with, in the records of its trials
	open   func(threads int) (engine.Engine, error)
	onCUDA func() bool // whether it computes on the GPUs that CUDA_VISIBLE_DEVICES names; nil: on none
}

func engineNames() []string { return slices.Sorted(maps.Keys(engines)) }

// engineOf returns the flags --engine and --devices that make the engine which a trial had: "auto" and one device if
// these do, or if nothing of this program does.
func engineOf(recorded string) (name string, devices int) {
	devices = 1
	if i := strings.LastIndex(recorded, "-x"); i >= 0 {
		if n, err := strconv.Atoi(recorded[i+len("-x"):]); err == nil {
			devices = n
		}
	}
	for _, name := range append([]string{"auto"}, engineNames()...) {
		if !strings.HasPrefix(recorded, engines[name].family) {
			continue
		}
		m := machine{engine: name, threads: 1, devices: devices}
		e, err := m.start()
		if err != nil {
			continue
		}
		info := e.Info()
		e.Close()
		if info.Name == recorded {
			return name, devices
		}
	}
	return "auto", 1
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

// start starts the engine that the flags name.
func (m *machine) start() (engine.Engine, error) {
	named, ok := engines[m.engine]
	if !ok {
		return nil, fmt.Errorf("--engine %s: unknown; known: %s", m.engine, strings.Join(engineNames(), ", "))
	}
	if m.threads < 0 || m.threads > maxThreads {
		return nil, fmt.Errorf("--threads %d: want 1 to %d, or 0 for one a core", m.threads, maxThreads)
	}
	var e engine.Engine
	var err error
	switch on := several[m.engine]; {
	case m.devices < 0:
		return nil, fmt.Errorf("--devices %d: want 1 or more", m.devices)
	case m.devices <= 1:
		e, err = named.open(m.threads)
	case on == nil:
		return nil, fmt.Errorf("--devices %d: --engine %s computes on one device; on several: %s", m.devices, m.engine, strings.Join(slices.Sorted(maps.Keys(several)), ", "))
	default:
		e, err = on(m.devices)
	}
	if err != nil {
		return nil, fmt.Errorf("--engine %s: %w", m.engine, err)
	}
	return e, nil
}

// open starts the engine that the flags name, and what computes with it. The caller closes the rig.
func (m *machine) open(a *app) (*rig, error) {
	cache := m.cache
	if cache == "" {
		var err error
		if cache, err = experiments.CacheDir(); err != nil {
			return nil, bad(err)
		}
	}
	e, err := m.start()
	if err != nil {
		return nil, bad(err)
	}
	return &rig{
		Trainer: &experiments.Trainer{Data: experiments.Data{Cache: cache}, Engine: e, Now: a.now},
		host:    experiments.DescribeHost(e.Info()),
	}, nil
}

// records looks up what a database holds; nil: nothing.
func (r *rig) records(store *results.Store) sweep.Records {
	return sweep.Records{Trainer: r.Trainer, Store: store, Host: r.host, Default: defaultEngine}
}

func (r *rig) close() {
	r.Trainer.Close()
	r.Engine.Close()
}
