package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"focalgrid/engine"
	"focalgrid/results"
	"focalgrid/results/record"
)

// TestRecordedName: --engine of a command that looks trials up is a name that sweeps take, or one that records have.
// It finds the trials of another machine's device without a plugin for it, and never takes one engine for another.
func TestRecordedName(t *testing.T) {
	t.Setenv("FOCALGRID_PJRT", filepath.Join(t.TempDir(), "gone.so"))
	const cpu, cuda = "gomlx-xla-cpu-f32-nchw", "gomlx-xla-cuda-f32-nhwc"
	for _, tt := range []struct {
		recorded []string
		asked    string
		want     string // a name, or a part of the error
	}{
		{nil, "auto", "gorgonia"},
		{nil, "cpu-exact", "gorgonia-exact"},
		{nil, "xla-go", "gomlx-go-f32-nchw"},
		{nil, "xla", "x.db; no PJRT plugin: FOCALGRID_PJRT names"},
		{[]string{"gorgonia-exact", cuda}, "auto", "gorgonia"},
		{[]string{"gorgonia-exact", cuda}, "cpu", "gorgonia"},
		{[]string{"gorgonia"}, "cpu-exact", "gorgonia-exact"},
		{[]string{"gorgonia", cuda}, "xla", cuda},
		{[]string{"gorgonia", cuda}, cuda, cuda},
		{[]string{cpu, cuda}, "xla", "has trials of " + cpu + " and of " + cuda + ": name one of them"},
		{[]string{cpu, cuda}, cpu, cpu},
		{[]string{"gomlx-go-f64-nchw", cuda}, "xla-go", "gomlx-go-f64-nchw"},
		{[]string{"of another program"}, "of another program", "of another program"},
		{[]string{"gorgonia", cuda}, "gpu", "--engine gpu: unknown; known: auto, cpu, cpu-exact, " + cuda + ", gorgonia, xla, xla-go"},
		{[]string{"gorgonia"}, cuda, "--engine " + cuda + ": unknown; known: auto"},
	} {
		store, err := results.Open(filepath.Join(t.TempDir(), "x.db"))
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range tt.recorded {
			trial := record.Trial{
				Key: strings.Repeat(fmt.Sprint(i), 64), Kind: record.KindTrain, Config: "{}", Engine: name, Numerics: "3",
				Started: "2030-05-01T10:00:00Z", Provenance: "{}",
			}
			if _, err := store.BeginTrial(trial, record.Attempt{Number: 1, Owner: "a test", Environment: "{}"}, 0); err != nil {
				t.Fatal(err)
			}
		}
		got, err := recordedName(store, tt.asked)
		if err == nil && got != tt.want || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("--engine %s of %q: %q, %v; want %q", tt.asked, tt.recorded, got, err, tt.want)
		}
		store.Close()
	}
}

// TestTrainedBy: a command that trains names an engine as --engine does, whatever a table was asked for with.
func TestTrainedBy(t *testing.T) {
	for asked, want := range map[string]string{
		"auto": "auto", "cpu": "cpu", "cpu-exact": "cpu-exact", "xla": "xla", "gorgonia": "auto", "gorgonia-exact": "cpu-exact",
		"gomlx-xla-cuda-f32-nhwc": "xla", "gomlx-go-f32-nchw": "xla-go", "of another program": "of another program",
	} {
		if got := trainedBy(asked); got != want {
			t.Errorf("--engine %s is trained by %s, want %s", asked, got, want)
		}
	}
}

// TestDefaultEngine: what records call the engine without --engine is the name that tables leave out.
func TestDefaultEngine(t *testing.T) {
	e, err := engines["auto"].open(1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got := e.Info().Name; got != defaultEngine {
		t.Errorf("--engine auto is %s, and tables do not name %s", got, defaultEngine)
	}
}

// TestAbsentEngine: an engine of which only the name is known compiles nothing.
func TestAbsentEngine(t *testing.T) {
	var e engine.Engine = absent("gomlx-xla-cuda-f32-nhwc")
	if _, err := e.Compile(nil, nil); err == nil || !strings.Contains(err.Error(), "engine gomlx-xla-cuda-f32-nhwc is not open") {
		t.Errorf("compiled: %v", err)
	}
}
