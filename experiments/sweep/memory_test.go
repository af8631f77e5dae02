package sweep

import (
	"fmt"
	"strings"
	"testing"

	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/engine/enginetest"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results/record"
)

// crowded is an engine on a device whose memory is exhausted after some steps.
type crowded struct {
	engine.Engine
	engine.Stager
	bytes int64 // of the device
	left  int   // steps until nothing is left; below 0: there is always enough
}

func (c *crowded) DeviceMemory() int64 { return c.bytes }

func (c *crowded) exhausted() error {
	if c.left == 0 {
		return fmt.Errorf("%w: 9 bytes more", engine.ErrMemory)
	}
	c.left--
	return nil
}

func (c *crowded) Compile(p *engine.Program, s *engine.State) (engine.Session, error) {
	if c.left == 0 {
		return nil, c.exhausted()
	}
	ses, err := c.Engine.Compile(p, s)
	return crowdedSession{ses, c}, err
}

type crowdedSession struct {
	engine.Session
	c *crowded
}

func (s crowdedSession) Step(f engine.Feeds, assign engine.Assign) (engine.Result, error) {
	if err := s.c.exhausted(); err != nil {
		return engine.Result{}, err
	}
	return s.Session.Step(f, assign)
}

// TestMemoryExhausted: a trial that finds no memory on the device has failed and says which batch would fit; the next
// sweep goes on from its last step, to the same bits.
func TestMemoryExhausted(t *testing.T) {
	const whatToDo = "; or take a smaller batch, which makes other trials"
	for _, tt := range []struct {
		name  string
		set   []string
		steps int // until the memory is exhausted
		says  []string
	}{
		{"at a step", variants["running normaliser"], 3, []string{"step 3: ", "a step on 4 images of 64×64 needs", "the largest train.batch that fits by this estimate is 2"}},
		{"when the network is compiled", nil, 0, []string{"step 0: network for 4 images of 64×64: ", "the largest train.batch that fits by this estimate is 2"}},
		{"in pretraining", []string{"pretrain.type=crops", "pretrain.iters=4", "pretrain.batch=3", "pretrain.pixels=32", "pretrain.crops=6"}, 2,
			[]string{"initial weights: pretraining: ", "3 crops of 32 pixels (pretrain.batch is 3): "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sel := plan.Selection{Seeds: "0", Set: tt.set}
			whole, b := onDevice(t), newBench(t, 1)
			if c, err := whole.Sweep(t.Context(), whole.plan(t, tiny, sel)); err != nil || c.Done != 2 {
				t.Fatalf("%+v, %v", c, err)
			}
			on := enginetest.Device(b.Engine)
			device := &crowded{Engine: on, Stager: on.(engine.Stager), left: tt.steps}
			b.Engine = device
			p := b.plan(t, tiny, sel)
			half := p.Rows[0].Config
			half.Set("train.batch", 2)
			m, err := detector.MemoryOf(&half, half.Int("data.classes"), device)
			if err != nil {
				t.Fatal(err)
			}
			device.bytes = m.Total()

			if c, err := b.Sweep(t.Context(), p); err != nil || c.Failed != 2 || c.Diverged != 0 {
				t.Fatalf("%+v, %v; want two that failed", c, err)
			}
			for _, tr := range b.trials(t) {
				for _, text := range append(tt.says, engine.ErrMemory.Error(), whatToDo) {
					// The second trial has made no step.
					if text = strings.Replace(text, "step 3: ", "step ", 1); tr.Status != record.StatusFailed || !strings.Contains(tr.Error, text) {
						t.Errorf("trial %.12s is %s: %s\nwant %s", tr.Key, tr.Status, tr.Error, text)
					}
				}
			}
			device.left = -1
			var from []int
			b.Notify = func(e experiments.Event) {
				if s, ok := e.(TrialStarted); ok {
					from = append(from, s.Step)
				}
			}
			if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 2 {
				t.Fatalf("again: %+v, %v", c, err)
			}
			if want := tt.steps; tt.name != "in pretraining" && fmt.Sprint(from) != fmt.Sprint([]int{want, 0}) {
				t.Errorf("goes on from steps %v, want %d and 0", from, want)
			}
			for _, tr := range whole.trials(t) {
				same(t, tt.name, b.finished(t, tr.Key), whole.finished(t, tr.Key))
			}
		})
	}
}

// TestMemoryOfPlan: what is left to do counts, at its most.
func TestMemoryOfPlan(t *testing.T) {
	b := newBench(t, 1)
	p := b.plan(t, tinyBaseline+"\ngrid: {train.batch: [1, 3, 2]}\nseeds: [0]\n", plan.Selection{})
	states, err := b.States(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := b.Memory(states); m != nil || err != nil {
		t.Errorf("without a device: %v, %v", m, err)
	}
	b.Engine = &crowded{Engine: b.Engine}
	m, err := b.Memory(states)
	if err != nil || !strings.HasPrefix(m.String(), "a step on 3 images of 64×64 needs about ") {
		t.Errorf("%v, %v", m, err)
	}
	states[1].Recorded = &record.Trial{Outcome: record.Outcome{Status: record.StatusDone}}
	if m, err = b.Memory(states); err != nil || !strings.HasPrefix(m.String(), "a step on 2 images") {
		t.Errorf("with 3 done: %v, %v", m, err)
	}
	for i := range states {
		states[i].Recorded = states[1].Recorded
	}
	if m, err = b.Memory(states); m != nil || err != nil {
		t.Errorf("with all done: %v, %v", m, err)
	}
}
