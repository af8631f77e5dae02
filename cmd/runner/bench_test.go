package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"focalgrid/experiments/benchmark"
)

// benchJSON runs a line of bench and reads its report.
func benchJSON[R any](t *testing.T, line string) (r R) {
	t.Helper()
	code, out, stderr := runHere(t.Context(), strings.Fields(line+" --format json")...)
	if code != exitOK {
		t.Fatalf("%s: exit %d: %s", line, code, stderr)
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%s: %v in %s", line, err, out)
	}
	return r
}

// TestBenchStep: a step is measured on every engine, of any network, size and settings; where the engine measures its
// ops, they add up to the step's time, with and without the loader.
func TestBenchStep(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	const narrow = " --set model.width=0.125 --set model.fpn=8"
	for _, tt := range []struct {
		more, engine  string
		height, width int
	}{
		{" --px 64", "gorgonia", 64, 64},
		{" --px 64 --no-loader", "gorgonia", 64, 64},
		{" --px 64 --model r18", "gorgonia", 64, 64},
		{" --px 40x90 --no-loader --model paper --set model.depth=18" + narrow, "gorgonia", 64, 96},
		{" --no-loader --model smoke --set image.short=64 --set image.long=64" + narrow, "gorgonia", 64, 64},
		{" --px 64 --no-loader --engine xla-go" + narrow, "gomlx-go-f32-nchw", 64, 64},
	} {
		line := "bench step --batch 1 --steps 3 --warmup 1 --threads 1" + tt.more
		r := benchJSON[benchmark.NetworkReport](t, line)
		if r.Batch != 1 || r.Steps != 3 || r.Height != tt.height || r.Width != tt.width || r.Engine != tt.engine || r.Precision != "float32" || r.Device != "CPU" {
			t.Errorf("%s: %+v", line, r)
		}
		took := 1000 * (r.End - r.Begin)
		if !(0 < r.MS.Min && r.MS.Min <= r.MS.Median && r.MS.Median <= r.MS.Max) || r.Compile <= 0 || took < 3*r.MS.Min || took > 3.01*r.MS.Max {
			t.Errorf("%s: times %+v, %g ms for all, compiled in %g s", line, r.MS, took, r.Compile)
		}
		if r.Engine != "gorgonia" {
			if len(r.Ops) != 0 {
				t.Errorf("%s: ops of an engine that measures none: %+v", line, r.Ops)
			}
			continue
		}
		sum, convs, host := 0.0, 0, 0
		for _, op := range r.Ops {
			sum += op.MS
			if strings.HasPrefix(op.Op, "conv ") && op.GFLOPS > 0 {
				convs++
			}
			if op.Op == "host" {
				host++
			}
		}
		if convs < 9 || host != 1 || r.GFLOPS <= 0 {
			t.Errorf("%s: %d kinds of convolution, %d of host, %g GFLOP/s: %+v", line, convs, host, r.GFLOPS, r.Ops)
		}
		if sum < r.MS.Min || sum > r.MS.Max || math.IsNaN(sum) {
			t.Errorf("%s: ops add up to %g ms of steps of %+v", line, sum, r.MS)
		}
	}
}

func TestBenchInfer(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	code, out, stderr := runHere(t.Context(), strings.Fields("bench infer --px 64x32 --steps 2 --threads 1")...)
	if code != exitOK || !strings.Contains(out, "mini, 10 images of 64×32 px, 1 thread") || !strings.Contains(out, "conv 3x3/1") {
		t.Errorf("bench infer: exit %d\n%s%s", code, out, stderr)
	}
}

// TestBenchLoader: batches come from generated images and, of a size as COCO's, from a folder, whose resized pictures
// are read from a folder too. The cores for a rate are the rate by the speed of one.
func TestBenchLoader(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	photos := filepath.Join(t.TempDir(), "photos")
	line := "data synth " + photos + " --set data.pixels=640 --set data.images.train=5 --set data.images.tune=1 --set data.images.val=1"
	if code, _, stderr := runHere(t.Context(), strings.Fields(line)...); code != exitOK {
		t.Fatalf("%s: exit %d: %s", line, code, stderr)
	}
	for _, tt := range []struct {
		more          string
		height, width int
		from          []string
	}{
		{"--px 64", 64, 64, []string{"files", "memory"}},
		{"--px 320x533 --data " + photos + " --set data.name=coco", 320, 320, []string{"files", "folder", "memory"}},
		{"--px 64 --set sampler.type=ohem", 64, 64, []string{"files", "memory"}},
	} {
		line := "bench loader --batch 2 --steps 2 --feed 500 " + tt.more
		r := benchJSON[benchmark.LoaderReport](t, line)
		var from []string
		for _, s := range r.From {
			from = append(from, s.Name)
			if cores := 500 / s.OneCore; s.Images <= 0 || s.OneCore <= 0 || math.Abs(s.Feed-cores) > 1e-9*cores {
				t.Errorf("%s: %+v", line, s)
			}
		}
		if !slices.Equal(from, tt.from) || r.Batch != 2 || r.Batches != 2 || r.Height != tt.height || r.Width != tt.width {
			t.Errorf("%s: %+v", line, r)
		}
		if len(r.Stages) != 4 || slices.ContainsFunc(r.Stages, func(s benchmark.Stage) bool { return s.MS < 0 }) || r.Stages[0].MS == 0 {
			t.Errorf("%s: stages %+v", line, r.Stages)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("%v stays behind (%v)", left, err)
	}
	code, out, stderr := runHere(t.Context(), strings.Fields("bench loader --px 64 --batch 2 --steps 2 --feed 500")...)
	if code != exitOK || !strings.Contains(out, "mini, 2 × 2 images of at most 64×64 px\n") || !strings.Contains(out, "cores for 500 images/s") {
		t.Errorf("bench loader: exit %d\n%s%s", code, out, stderr)
	}
}

// TestBenchEval measures a case far smaller than those of the command.
func TestBenchEval(t *testing.T) {
	o := &benchEvalOptions{
		rounds: 2, threads: 1, keep: filepath.Join(t.TempDir(), "made"), format: "json",
		cases: []benchmark.EvalCase{{Name: "tiny", Images: 20, Categories: 3, Objects: 60, Detections: 400, Tail: 1}},
	}
	var out bytes.Buffer
	a := newApp(&out, io.Discard)
	if err := a.benchEval(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	var reports []benchmark.EvalReport
	if err := json.Unmarshal(out.Bytes(), &reports); err != nil || len(reports) != 1 {
		t.Fatalf("%v in %s", err, out.String())
	}
	r := reports[0]
	if r.Case != "tiny" || r.Detections != 400 || r.Threads != 1 || len(r.Phases) != 5 || !(0 < r.MS.Min && r.MS.Min <= r.MS.Median) {
		t.Errorf("%+v", r)
	}
	bytes := int64(0)
	for _, name := range []string{"tiny-gt.json", "tiny-dt.json"} {
		info, err := os.Stat(filepath.Join(o.keep, name))
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	if r.Bytes != bytes {
		t.Errorf("%d bytes, want %d", r.Bytes, bytes)
	}
	out.Reset()
	o.format = "text"
	if err := a.benchEval(t.Context(), o); err != nil || !strings.Contains(out.String(), "tiny: 20 images, 3 classes, 60 objects, 400 detections, 0.1 MB of JSON, 1 thread, 2 rounds") {
		t.Errorf("%v in\n%s", err, out.String())
	}
}

func TestBenchRefuses(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	for line, want := range map[string]string{
		"bench step --model r34":       "--model r34: no such file and no ablation of that name",
		"bench infer --model r34":      "networks to compare: mini, r18, r50",
		"bench step --px 9":            "--px 9x9: want 32 to 8192",
		"bench step --px 0":            "--px 0: want height x width",
		"bench step --px wide":         "--px wide: want height x width in pixels, such as 608x800",
		"bench step --px 64x96":        "--px 64x96: generated images are squares of 32 to 1024 pixels; bench step --no-loader",
		"bench loader --px 2048":       "--px 2048x2048: generated images are squares",
		"bench step --model paper":     "--model paper: its images are in a folder; bench loader takes it as --data DIR, bench step needs none with --no-loader",
		"bench step --set loss.gama=2": "--set loss.gama=2: unknown key \"loss.gama\"; nearest: loss.gamma",
		"bench loader --feed NaN":      "--feed NaN: want the images a second",
		"bench loader --feed -1":       "--feed -1: want the images a second",
		"bench loader --data nowhere":  "nowhere: no such folder",
		"bench step --batch -1":        "--batch -1: want 1 to 1024",
		"bench infer --steps 0":        "--steps 0",
		"bench step --format yaml":     "--format yaml: unknown",
		"bench eval --case big":        "--case big: unknown; known: coco, lvis, large, single",
		"bench eval --rounds 0":        "--rounds 0: want 1 or more",
		"bench speed":                  "eval, infer, loader, step",
	} {
		code, _, stderr := runHere(t.Context(), strings.Fields(line)...)
		if code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %q; want %d and %q", line, code, stderr, exitUsage, want)
		}
	}
}
