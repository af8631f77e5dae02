package gomlx

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"focalgrid/engine"
)

// virtual opens an engine on virtual devices.
func virtual(t *testing.T, opt Options) *Engine {
	t.Helper()
	opt.Backend, opt.Plugin = XLA, VirtualPlugin(t)
	e, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// trained is what three steps on four images, and Forward after them, leave.
func trained(t *testing.T, e *Engine) map[string][]float32 {
	t.Helper()
	const n = 4
	p, s := small(t, n)
	ses, err := e.Compile(p, s)
	if err != nil {
		t.Fatal(err)
	}
	defer ses.Close()
	out := map[string][]float32{}
	for i := range 3 {
		r, err := ses.Step(feeds(n), nil)
		if err != nil {
			t.Fatal(err)
		}
		out[fmt.Sprintf("loss and gradient norm of step %d", i)] = []float32{float32(r.Loss), float32(r.GradNorm)}
	}
	for _, name := range []string{"w", "weight", "bias"} {
		out["gradient of "+name] = ses.Gradient(name)
	}
	v, err := ses.Forward(feeds(n))
	if err != nil {
		t.Fatal(err)
	}
	out["y"] = v["y"]
	if err := e.Store(s); err != nil {
		t.Fatal(err)
	}
	for _, name := range s.Names() {
		out[name] = s.Get(name).Values
	}
	return out
}

// TestDevices trains on a batch split among devices: what comes out is what one device computes, but for the rounding
// of float32 in sums in another order.
func TestDevices(t *testing.T) {
	want := trained(t, virtual(t, Options{}))
	for _, opt := range []Options{{Devices: 2}, {Devices: 4}, {Devices: 2, Layout: NHWC}} {
		t.Run(fmt.Sprint(opt.Devices, opt.Layout), func(t *testing.T) {
			e := virtual(t, opt)
			if name := e.Info().Name; !strings.HasSuffix(name, fmt.Sprintf("-x%d", opt.Devices)) {
				t.Errorf("%d devices are named %s", opt.Devices, name)
			}
			got := trained(t, e)
			if again := trained(t, e); fmt.Sprint(again) != fmt.Sprint(got) {
				t.Errorf("two trainings on the same devices come to %v and %v", got, again)
			}
			for name, w := range want {
				largest := 0.
				for _, v := range w {
					largest = max(largest, math.Abs(float64(v)))
				}
				for i, v := range got[name] {
					if d := math.Abs(float64(v) - float64(w[i])); len(got[name]) != len(w) || !(d <= 1e-5*largest) {
						t.Errorf("%s[%d] of %d is %g, want %g", name, i, len(got[name]), v, w[i])
						break
					}
				}
			}
		})
	}
}

// TestSplitBatch asks the compiler: the program of each of two devices is given two of the four images, and hears of
// the others only by sums.
func TestSplitBatch(t *testing.T) {
	plugin, dir := VirtualPlugin(t), t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestDevices$/^2$") // flags of XLA are read once by a process
	cmd.Env = append(os.Environ(), PluginVariable+"="+plugin, "XLA_FLAGS=--xla_dump_hlo_as_text --xla_dump_to="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*after_optimizations.txt"))
	if err != nil {
		t.Fatal(err)
	}
	images := regexp.MustCompile(`u8\[(\d),3,8,8\]\S* parameter\(`)
	talk := regexp.MustCompile(` (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)\(`)
	programs := map[string]int{} // by images and by how they hear of the others
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, pattern := range []*regexp.Regexp{images, talk} {
			for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
				found = append(found, m[1])
			}
		}
		slices.Sort(found)
		programs[strings.Join(slices.Compact(found), " ")]++
	}
	want := map[string]int{
		"4":            2, // on one device
		"2 all-reduce": 2, // on two: a step, and what is reported before it, whose norm is the batch's
	}
	if fmt.Sprint(programs) != fmt.Sprint(want) {
		t.Errorf("programs by images and collectives: %v, want %v", programs, want)
	}
}

// TestBatches: devices that do not divide a batch are refused for a step, and for Forward the first computes alone.
func TestBatches(t *testing.T) {
	two := virtual(t, Options{Devices: 2})
	const n = 3
	p, s := small(t, n)
	_, err := two.Compile(p, s)
	if want := "input x: a batch of 3 cannot be split among 2 devices: take a multiple of 2, or fewer devices"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	var y [2][]float32
	for i, e := range []*Engine{two, virtual(t, Options{})} {
		ses, err := e.Compile(&engine.Program{Graph: p.Graph, Outputs: p.Predictions}, s)
		if err != nil {
			t.Fatal(err)
		}
		v, err := ses.Forward(feeds(n))
		if err != nil {
			t.Fatal(err)
		}
		y[i] = v["y"]
		ses.Close()
	}
	if !slices.Equal(y[0], y[1]) {
		t.Errorf("three images on the first of two devices and on one give %v and %v", y[0], y[1])
	}
}

// TestTooManyDevices: the error says how many there are.
func TestTooManyDevices(t *testing.T) {
	_, err := New(Options{Backend: XLA, Plugin: VirtualPlugin(t), Devices: virtualDevices + 1})
	if err == nil || !strings.HasPrefix(err.Error(), "65 devices are asked for, and the PJRT plugin ") || !strings.HasSuffix(err.Error(), " has 64") {
		t.Errorf("error %v", err)
	}
}
