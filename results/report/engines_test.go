package report

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

// onEngine makes a side's trials those of an engine.
func onEngine(s Side, engine string) Side {
	for i := range s.Trials {
		s.Trials[i].Engine = engine
	}
	return s
}

// TestCompareEngines: one training on two engines is compared step by step, as far as both go.
func TestCompareEngines(t *testing.T) {
	const config = `{"loss":{"gamma":2,"type":"focal"}}`
	a := onEngine(sideOf("a", config, map[uint64]float64{2: 1}), "gorgonia")
	b := onEngine(sideOf("b", config, map[uint64]float64{2: 1.5}), "gomlx-xla-cuda-f32-nhwc")
	plugin := "/opt/xla/xla_cuda_plugin.so sha256:" + strings.Repeat("0123456789abcdef", 4)
	b.Trials[0].Attempts[0].Environment = `{"go":"go1.26.8","threads":2,"plugin":"` + plugin + `"}`
	b.Logs[0] = b.Logs[0][:71]
	for i := range b.Logs[0] {
		b.Logs[0][i].Loss *= 1 + 1e-7*math.Pow(1.2, float64(i))
	}
	b.Logs[0][0].Loss = a.Logs[0][0].Loss
	b.Logs[0][8].Loss = math.NaN()
	text := func(a, b Side) string {
		t.Helper()
		var buf bytes.Buffer
		must(t, WriteComparison(&buf, Comparison{A: a, B: b}, "text"))
		return buf.String()
	}
	golden(t, "compare.engines", []byte(text(a, b)))

	// From other first weights it is no comparison of engines, and the text says so.
	b.Trials[0].Init, b.Trials[0].Numerics = "other", "9"
	if got := text(a, b); !strings.Contains(got, "\nThey differ in first weights, numerics too: these are not two engines at one task.\n") || strings.Contains(got, "ReLU") {
		t.Errorf("trials from other weights:\n%s", got)
	}
	for name, sides := range map[string][2]Side{
		"one engine":      {a, onEngine(sideOf("b", config, map[uint64]float64{2: 1}), "gorgonia")},
		"other seeds":     {a, onEngine(sideOf("b", config, map[uint64]float64{3: 1}), "other")},
		"several seeds":   {onEngine(sideOf("a", config, map[uint64]float64{1: 1, 2: 1}), "gorgonia"), onEngine(sideOf("b", config, map[uint64]float64{1: 1, 2: 1}), "other")},
		"no common steps": {a, onEngine(Side{Name: "b", Trials: sideOf("b", config, map[uint64]float64{2: 1}).Trials}, "other")},
	} {
		if got := text(sides[0], sides[1]); strings.Contains(got, "on two engines") || strings.Contains(got, "\nengines: ") == (name == "one engine") {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	// Means over trials of several engines are named as such, though both sides have the same.
	both := Side{Name: "x.db", Trials: append(a.Trials, b.Trials...)}
	if want, got := "\nengines: A gomlx-xla-cuda-f32-nhwc (CUDA, float32), gorgonia (CPU, float32); B gomlx-xla-", text(both, both); !strings.Contains(got, want) {
		t.Errorf("a database of two engines lacks %q:\n%s", want, got)
	}
}

func TestDescribeEngine(t *testing.T) {
	for name, want := range map[string]string{
		"gorgonia":                   "gorgonia (CPU, float32)",
		"gorgonia-exact":             "gorgonia-exact (CPU, float32)",
		"gomlx-go-f64-nchw":          "gomlx-go-f64-nchw (CPU, float64)",
		"gomlx-xla-cpu-f32-nchw":     "gomlx-xla-cpu-f32-nchw (CPU, float32)",
		"gomlx-xla-cuda-f32-nhwc-x4": "gomlx-xla-cuda-f32-nhwc-x4 (CUDA, float32, 4 devices)",
		"gomlx-xla-cuda-fp8-nhwc":    "gomlx-xla-cuda-fp8-nhwc (CUDA, fp8)",
		"gomlx-new":                  "gomlx-new",
		"another":                    "another",
		"":                           "",
	} {
		if got := describeEngine(name, false); got != want {
			t.Errorf("%q is described as %q, want %q", name, got, want)
		}
	}
	if got, want := describeEngine("gomlx-xla-cuda-f32-nchw", true), "gomlx-xla-cuda-f32-nchw (CUDA, float32 with bfloat16 convolutions)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
