package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"focalgrid/experiments/benchmark"
)

// TestBenchStep: the ops of a step add up to its time, with and without the loader.
func TestBenchStep(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	for _, more := range []string{"", " --no-loader", " --model r18"} {
		line := "bench step --px 64 --batch 1 --steps 3 --warmup 1 --threads 1 --format json" + more
		code, out, stderr := runHere(t.Context(), strings.Fields(line)...)
		if code != exitOK {
			t.Fatalf("%s: exit %d: %s", line, code, stderr)
		}
		var r benchmark.NetworkReport
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%s: %v in %s", line, err, out)
		}
		if r.Batch != 1 || r.Steps != 3 || r.Threads != 1 || r.Pixels != 64 {
			t.Errorf("%s: %+v", line, r)
		}
		if !(0 < r.MS.Min && r.MS.Min <= r.MS.Median && r.MS.Median <= r.MS.Max) || r.GFLOPS <= 0 {
			t.Errorf("%s: times %+v, %g GFLOP/s", line, r.MS, r.GFLOPS)
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
		if convs < 9 || host != 1 {
			t.Errorf("%s: %d kinds of convolution, %d of host: %+v", line, convs, host, r.Ops)
		}
		if sum < r.MS.Min || sum > r.MS.Max || math.IsNaN(sum) {
			t.Errorf("%s: ops add up to %g ms of steps of %+v", line, sum, r.MS)
		}
	}
}

func TestBenchInferAndLoader(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	code, out, stderr := runHere(t.Context(), strings.Fields("bench infer --px 64 --steps 2 --threads 1")...)
	if code != exitOK || !strings.Contains(out, "mini, 10 images of 64 px, 1 thread") || !strings.Contains(out, "conv 3x3/1") {
		t.Errorf("bench infer: exit %d\n%s%s", code, out, stderr)
	}
	code, out, stderr = runHere(t.Context(), strings.Fields("bench loader --px 64 --batch 4 --steps 3 --format json")...)
	var r benchmark.LoaderReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitOK {
		t.Fatalf("bench loader: exit %d, %v\n%s%s", code, err, out, stderr)
	}
	if r.Batch != 4 || r.Batches != 3 || r.Files.Images <= 0 || r.Kept.Images <= 0 {
		t.Errorf("bench loader: %+v", r)
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
		"bench step --model r34":   "--model r34: unknown; known: mini, r18, r50",
		"bench step --px 9":        "--px 9: want 32 to 1024",
		"bench step --batch -1":    "--batch -1: want 1 to 1024",
		"bench infer --steps 0":    "--steps 0",
		"bench step --format yaml": "--format yaml: unknown",
		"bench eval --case big":    "--case big: unknown; known: coco, lvis, large, single",
		"bench eval --rounds 0":    "--rounds 0: want 1 or more",
		"bench speed":              "eval, infer, loader, step",
	} {
		code, _, stderr := runHere(t.Context(), strings.Fields(line)...)
		if code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, %q; want %d and %q", line, code, stderr, exitUsage, want)
		}
	}
}
