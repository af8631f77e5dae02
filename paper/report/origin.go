package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"focalgrid/columns"
	"focalgrid/experiments"
	"focalgrid/results/record"
)

// Origin tells where numbers come from: what computed them, when, and for how long. Each list has the distinct values of
// all trials.
type Origin struct {
	Trials               int
	Done, Diverged       int
	Seeds                []uint64
	Revisions            []string // of the code; "… with changes" where it was changed since
	Engines, Numerics    []string
	Kernels, Go, Modules []string
	Machines             []string // processor, threads and graphics
	From, To             string   // the first start and the last end, RFC 3339
	Seconds              float64  // of all attempts together
	Unnamed              int      // trials whose code no revision names: unknown, or changed since
	ByMachine            []MachineTime
}

// MachineTime is the time that one kind of machine computed for.
type MachineTime struct {
	Machine string
	Trials  int
	Seconds float64
}

// originOf summarises trials. Provenance that this version cannot read is left out.
func originOf(trials []record.Trial) Origin {
	o := Origin{Trials: len(trials)}
	sets := map[*[]string]map[string]bool{}
	put := func(list *[]string, value string) {
		if value == "" {
			return
		}
		if sets[list] == nil {
			sets[list] = map[string]bool{}
		}
		sets[list][value] = true
	}
	seeds := map[uint64]bool{}
	byMachine := map[string]*MachineTime{}
	for i := range trials {
		t := &trials[i]
		switch t.Status {
		case record.StatusDone:
			o.Done++
		case record.StatusDiverged:
			o.Diverged++
		}
		seeds[t.Seed] = true
		o.Seconds += t.WallSeconds
		if o.From == "" || t.Started < o.From {
			o.From = t.Started
		}
		o.To = max(o.To, t.Finished)
		put(&o.Engines, t.Engine)
		put(&o.Numerics, t.Numerics)
		var h experiments.Host
		if err := json.Unmarshal([]byte(t.Provenance), &h); err != nil {
			h = experiments.Host{}
		}
		revision := cmp.Or(h.Revision, "unknown")
		if h.Dirty || revision == "unknown" {
			o.Unnamed++
		}
		if h.Dirty {
			revision += " with changes"
		}
		put(&o.Revisions, revision)
		put(&o.Kernels, h.Kernels)
		put(&o.Go, h.Go)
		for _, name := range slices.Sorted(maps.Keys(h.Modules)) {
			put(&o.Modules, name+" "+h.Modules[name])
		}
		machine := machineOf(h)
		put(&o.Machines, machine)
		if byMachine[machine] == nil {
			byMachine[machine] = &MachineTime{Machine: machine}
		}
		byMachine[machine].Trials++
		byMachine[machine].Seconds += t.WallSeconds
	}
	for list, set := range sets {
		*list = slices.Sorted(maps.Keys(set))
	}
	o.Seeds = slices.Sorted(maps.Keys(seeds))
	for _, name := range slices.Sorted(maps.Keys(byMachine)) {
		o.ByMachine = append(o.ByMachine, *byMachine[name])
	}
	return o
}

const unknownMachine = "unknown machine"

func machineOf(h experiments.Host) string {
	if h.CPU == "" {
		return unknownMachine
	}
	text := fmt.Sprintf("%s, %s", h.CPU, columns.Count(h.Threads, "thread"))
	if h.GPU != "" && h.GPU != "none" {
		text += ", " + h.GPU
	}
	return text
}

// Facts are the lines of an origin, each a name with its value.
func (o *Origin) Facts() [][2]string {
	return slices.DeleteFunc([][2]string{
		{"trials", o.counts()},
		{"seeds", Seeds(o.Seeds)},
		{"dates", dates(o.From, o.To)},
		{"compute", columns.Duration(o.Seconds) + " of wall time, all attempts together"},
		{"machine", strings.Join(o.Machines, "; ")},
		{"engine", strings.Join(o.Engines, "; ")},
		{"kernels", strings.Join(o.Kernels, "; ")},
		{"numerics", strings.Join(o.Numerics, "; ")},
		{"revision", strings.Join(o.Revisions, "; ")},
		{"Go", strings.Join(o.Go, "; ")},
		{"libraries", strings.Join(o.Modules, "; ")},
	}, func(f [2]string) bool { return f[1] == "" })
}

func (o *Origin) counts() string {
	text := fmt.Sprintf("%d, of which %d done and %d diverged", o.Trials, o.Done, o.Diverged)
	if rest := o.Trials - o.Done - o.Diverged; rest > 0 {
		text += fmt.Sprintf("; %d failed or not finished", rest)
	}
	return text
}

// dates spells two times by day.
func dates(from, to string) string {
	from, _, _ = strings.Cut(from, "T")
	to, _, _ = strings.Cut(to, "T")
	if from == to || to == "" {
		return from
	}
	return from + " to " + to
}

// Seeds spells ascending seeds, with ranges: "0..9, 100".
func Seeds(seeds []uint64) string {
	var parts []string
	for i := 0; i < len(seeds); {
		j := i
		for j+1 < len(seeds) && seeds[j+1] == seeds[j]+1 {
			j++
		}
		if j > i {
			parts = append(parts, fmt.Sprintf("%d..%d", seeds[i], seeds[j]))
		} else {
			parts = append(parts, fmt.Sprint(seeds[i]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}
