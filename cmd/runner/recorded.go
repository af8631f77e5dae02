package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"focalgrid/cmd/runner/progress"
	"focalgrid/cmd/runner/usage"
	"focalgrid/engine"
	"focalgrid/experiments"
	"focalgrid/experiments/sweep"
	"focalgrid/results"
)

// trainedByFlag is the flag --engine of commands that look trials up, and compute nothing.
func trainedByFlag(cmd *cobra.Command, engine *string, what string) {
	cmd.Flags().StringVar(engine, "engine", "auto", what+": "+strings.Join(engineNames(), ", ")+", or a name that `runner show` prints")
	usage.Complete(cmd, "engine", engineNames())
}

// openRecords opens an existing database and what finds in it the trials of a plan that an engine trained; close ends
// both.
func (a *app) openRecords(engine, db string) (records sweep.Records, close func(), err error) {
	store, err := results.OpenExisting(db)
	if err != nil {
		return records, nil, bad(err)
	}
	name, err := recordedName(store, engine)
	if err != nil {
		store.Close()
		return records, nil, bad(err)
	}
	cache, err := experiments.CacheDir()
	if err != nil {
		store.Close()
		return records, nil, bad(err)
	}
	t := &experiments.Trainer{Data: experiments.Data{Cache: cache, Notify: progress.Preparing(a.now, a.err)}, Engine: absent(name), Now: a.now}
	return sweep.Records{Trainer: t, Store: store, Default: defaultEngine}, func() { store.Close(); t.Close() }, nil
}

// recordedName returns the name, in the records of a database, of the engine that --engine asks for. An engine that has
// trained nothing there is opened to ask for its name.
func recordedName(store *results.Store, asked string) (string, error) {
	recorded, err := store.Engines()
	if err != nil || slices.Contains(recorded, asked) {
		return asked, err
	}
	of, ok := engines[asked]
	if !ok {
		known := slices.Concat(engineNames(), recorded)
		slices.Sort(known)
		return "", fmt.Errorf("--engine %s: unknown; known: %s", asked, strings.Join(slices.Compact(known), ", "))
	}
	trained := slices.DeleteFunc(recorded, func(name string) bool { return familyOf(name) != of.family })
	switch len(trained) {
	case 1:
		return trained[0], nil
	case 0:
		e, err := of.open(1)
		if err != nil {
			return "", fmt.Errorf("--engine %s: no trial of it is in %s; %w", asked, store.Path(), err)
		}
		defer e.Close()
		return e.Info().Name, nil
	}
	return "", fmt.Errorf("--engine %s: %s has trials of %s: name one of them", asked, store.Path(), strings.Join(trained, " and of "))
}

// familyOf returns what the name of an engine in records begins with, of what engines have; "" if nothing.
func familyOf(recorded string) string {
	family := ""
	for _, e := range engines {
		if strings.HasPrefix(recorded+"-", e.family+"-") && len(e.family) > len(family) { // gorgonia-exact is not gorgonia
			family = e.family
		}
	}
	return family
}

// trainedBy returns the name under which --engine makes an engine like the one that is asked for by --engine or by its
// name in records.
func trainedBy(asked string) string {
	if _, ok := engines[asked]; ok {
		return asked
	}
	for _, name := range engineNames() {
		if engines[name].family == familyOf(asked) {
			return name
		}
	}
	return asked
}

// absent is an engine by its name in records. It may be of another machine, and computes nothing.
type absent string

func (e absent) Info() engine.Info { return engine.Info{Name: string(e)} }

func (e absent) Compile(*engine.Program, *engine.State) (engine.Session, error) {
	return nil, fmt.Errorf("engine %s is not open: only what it trained is looked up", string(e))
}

func (e absent) Load(*engine.State) error  { return nil }
func (e absent) Store(*engine.State) error { return nil }
func (e absent) Close() error              { return nil }
