package experiments

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments/plan"
	"focalgrid/optim"
	"focalgrid/weights"
)

var updateNumerics = flag.Bool("update-numerics", false, "record the hashes of the short trajectories anew")

// TestNumerics holds the constant Numerics to its meaning: as long as it
// stays, a short training of each norm and loss family ends in the recorded bits.
func TestNumerics(t *testing.T) {
	type record struct {
		Numerics int
		Hashes   map[string]string
	}
	const path = "testdata/numerics.json"
	var want record
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, set := range [][]string{
		{"model.norm=batch", "model.head_norm=group"}, {"model.norm=frozen", "model.head_norm=none"},
		{"model.norm=group", "model.head_norm=batch"},
		{"loss.type=ce"}, {"loss.gamma=0.5"}, {"loss.type=focal_star"}, {"sampler.type=ssd"}, {"sampler.type=ohem"},
		{"box_loss.type=giou"}, {"optim.type=adamw", "optim.lr=0.001"},
	} {
		name := fmt.Sprint(set)
		got[name] = ""
		t.Run(strings.Join(set, ","), func(t *testing.T) {
			cfg, err := detector.Settings.LoadBaseline("mini", plan.Selection{Set: append([]string{
				"data.pixels=64", "image.short=64", "image.long=64", "data.min_size=0.2", "model.width=0.25", "model.fpn=16", "train.batch=3", "pretrain.type=none",
				"optim.warmup=0", "optim.lr=0.01",
			}, set...)})
			if err != nil {
				t.Fatal(err)
			}
			for _, level := range kernel.Levels() {
				pool, err := kernel.NewPoolLevel(2, level)
				if err != nil {
					t.Fatal(err)
				}
				h := trainedBits(t, cfg, gorgonia.New(pool, gorgonia.Options{}))
				pool.Close()
				if level == kernel.Best() {
					got[name] = h
				}
				if h != want.Hashes[name] && !*updateNumerics {
					t.Errorf("kernel set %s ends in other bits than recorded: if that is meant, bump Numerics in canonical.go and run this test with -update-numerics", level)
				}
			}
		})
	}
	if *updateNumerics {
		text, err := json.MarshalIndent(record{plan.Numerics, got}, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if want.Numerics != plan.Numerics || !slices.Equal(slices.Sorted(maps.Keys(want.Hashes)), slices.Sorted(maps.Keys(got))) {
		t.Fatalf("%s is of numerics %d with %d trajectories; the code has numerics %d and %d: record anew with -update-numerics", path, want.Numerics, len(want.Hashes), plan.Numerics, len(got))
	}
}

// TestNumericsWithoutVectors trains as a processor without AVX2 and fused multiply-adds
// does, where package math computes other bits too.
func TestNumericsWithoutVectors(t *testing.T) {
	if kernel.Best() == kernel.Plain {
		t.Skip("this processor has no vectors to do without: TestNumerics says it all")
	}
	if testing.Short() {
		t.Skip("plain Go is slow")
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestNumerics$/^(model.norm=frozen|optim.type=adamw|sampler.type=ohem)", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=cpu.avx2=off,cpu.avx=off,cpu.fma=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "--- PASS: TestNumerics/"); n != 3 {
		t.Errorf("%d trajectories were trained, want 3:\n%s", n, out)
	}
}

// trainedBits trains three steps and hashes the weights.
func trainedBits(t *testing.T, cfg plan.Config, e engine.Engine) string {
	t.Helper()
	d := detector.New(cfg, cfg.Int("data.classes"), e, engine.NewState(), detector.Drawer(0))
	defer d.Close()
	batch := miniBatch(t, &cfg)
	for i := range 3 {
		info := detector.StepInfo{Step: i, LR: optim.New(cfg.Group("optim")).LRAt(i, 3)}
		if err := d.Step(batch, &info); err != nil {
			t.Fatal(err)
		}
	}
	h, err := weights.Hash(detector.NetworkTensors(d.State))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestTapeMachineAgrees: Gorgonia's own machine, running the same graph by other
// code, ends in the plan's bits.
func TestTapeMachineAgrees(t *testing.T) {
	for _, set := range []string{"sampler.type=all", "sampler.type=ohem"} {
		cfg, err := detector.Settings.LoadBaseline("mini", plan.Selection{Set: []string{
			"data.pixels=64", "image.short=64", "image.long=64", "data.min_size=0.2", "train.batch=2", "pretrain.type=none", "optim.warmup=0", "optim.lr=0.01", set,
		}})
		if err != nil {
			t.Fatal(err)
		}
		pool := kernel.NewPool(2)
		defer pool.Close()
		plan := trainedBits(t, cfg, gorgonia.New(pool, gorgonia.Options{}))
		if tape := trainedBits(t, cfg, gorgonia.New(pool, gorgonia.Options{TapeMachine: true})); tape != plan {
			t.Errorf("%s: the tape machine ends in %s, the plan in %s", set, tape, plan)
		}
	}
}
