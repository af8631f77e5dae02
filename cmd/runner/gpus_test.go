package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"focalgrid/gpu"
)

// twoGPUs are those of a machine with two.
func twoGPUs(dir string) *gpus {
	return &gpus{dir: dir, list: gpu.List{Driver: "580.65.06", Devices: []gpu.Device{{Name: "NVIDIA H200", UUID: "GPU-a"}, {Index: 1, Name: "NVIDIA L4", UUID: "GPU-b"}}}}
}

// Workers get a GPU each, the sweep itself the first one's; a sweep beside it is told that it shares.
func TestGPUs(t *testing.T) {
	t.Setenv("CUDA_VISIBLE_DEVICES", "0,1")
	dir := t.TempDir()
	var notes bytes.Buffer
	one := twoGPUs(dir)
	defer one.close()
	if err := errors.Join(one.enter(&notes), one.take(2, &notes)); err != nil {
		t.Fatal(err)
	}
	if got := os.Getenv("CUDA_VISIBLE_DEVICES"); got != "GPU-a" || notes.Len() > 0 {
		t.Errorf("the sweep sees %q, notes %q", got, &notes)
	}
	if got, want := one.names(), []string{"NVIDIA H200 (GPU-a), driver 580.65.06", "NVIDIA L4 (GPU-b), driver 580.65.06"}; !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
	for place, want := range []string{"GPU-a", "GPU-b", "GPU-a"} { // the third has none of its own
		cmd := exec.Command("sh", "-c", "echo $CUDA_VISIBLE_DEVICES; test ! -e /proc/self/fd || ls -l /proc/self/fd/3")
		one.give(cmd, place)
		out, err := cmd.CombinedOutput()
		name, file, _ := strings.Cut(string(out), "\n")
		if holds := strings.Contains(file, "focalgrid-"+want+"-0.lock"); name != want || (err == nil) != (place < 2) || holds != (place < 2 && file != "") {
			t.Errorf("worker %d: %v\n%s", place, err, out)
		}
	}
	two := twoGPUs(dir)
	defer two.close()
	if err := two.take(1, &notes); err != nil {
		t.Fatal(err)
	}
	if got, want := notes.String(), "note: worker 1 shares NVIDIA H200 (GPU-a) with 1 more, of this sweep or another\n"; got != want {
		t.Errorf("noted %q, want %q", got, want)
	}
	one.close()
	three := twoGPUs(dir)
	defer three.close()
	notes.Reset()
	if err := three.take(2, &notes); err != nil || notes.Len() > 0 {
		t.Errorf("after the first sweep: %v, noted %q", err, &notes)
	}
}

// Without a GPU that is known, and for engines on none, nothing is taken or changed.
func TestNoGPUs(t *testing.T) {
	for name, g := range map[string]*gpus{"an engine on none": nil, "none known": {err: errors.New("no nvidia-smi"), dir: "/nowhere"}} {
		t.Setenv("CUDA_VISIBLE_DEVICES", "5")
		var notes bytes.Buffer
		cmd := exec.Command("true")
		g.give(cmd, 0)
		if err := errors.Join(g.enter(&notes), g.take(2, &notes)); err != nil || notes.Len() > 0 || os.Getenv("CUDA_VISIBLE_DEVICES") != "5" || cmd.Env != nil || len(cmd.ExtraFiles) > 0 || len(g.names()) > 0 {
			t.Errorf("%s: %v, noted %q, sees %s, gives %v %v, names %v", name, err, &notes, os.Getenv("CUDA_VISIBLE_DEVICES"), cmd.Env, cmd.ExtraFiles, g.names())
		}
		g.close()
	}
}
