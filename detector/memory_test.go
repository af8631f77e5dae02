package detector

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"focalgrid/engine"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments/plan"
)

// card is an engine on a device with that many bytes.
type card struct {
	engine.Engine
	bytes int64
}

func (c card) DeviceMemory() int64 { return c.bytes }

// TestMemoryOf: the largest batch is the last that needs no more than the device has.
func TestMemoryOf(t *testing.T) {
	e := gorgonia.New(kernel.NewPool(1), gorgonia.Options{})
	defer e.Close()
	cfg, err := Settings.LoadBaseline("mini", plan.Selection{Set: []string{"train.batch=6"}})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := MemoryOf(&cfg, 4, e); m != nil || err != nil {
		t.Errorf("an engine without a device needs %v, %v of it", m, err)
	}
	d := New(cfg, 4, e, engine.NewState(), nil)
	need := make([]int64, 7)
	for batch := 1; batch < len(need); batch++ {
		m, err := d.memory(batch)
		if err != nil {
			t.Fatal(err)
		}
		if need[batch] = m.Total(); need[batch] <= need[batch-1] {
			t.Errorf("%d images need %d bytes, one less %d", batch, need[batch], need[batch-1])
		}
	}
	for _, tt := range []struct {
		name    string
		bytes   int64
		largest int
		says    string // of the plan
		failing string // of an error about memory
	}{
		{"unknown", 0, 0, "how much the device has is not known", "a train.batch of 3 needs about " + gib(need[3])},
		{"enough", need[6], 6, "the device has " + gib(need[6]), "a train.batch of 3 needs about " + gib(need[3])},
		{"a byte short", need[6] - 1, 5, "the largest train.batch that fits by this estimate is 5", "by this estimate is 5"},
		{"for two", need[2], 2, "the largest train.batch that fits by this estimate is 2", "by this estimate is 2"},
		{"for none", need[1] - 1, 0, "too little for a single image", "too little for a single image"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := card{e, tt.bytes}
			m, err := MemoryOf(&cfg, 4, c)
			if err != nil || m.Total() != need[6] || m.Largest != tt.largest || m.Device != tt.bytes {
				t.Fatalf("%+v, %v; want %d bytes and a batch of %d", m, err, need[6], tt.largest)
			}
			if text := m.String(); !strings.HasPrefix(text, "a step on 6 images of 128×128 needs about "+gib(need[6])+", an estimate (") || !strings.HasSuffix(text, tt.says) && !strings.Contains(text, tt.says+":") {
				t.Errorf("%s\nwant %s", text, tt.says)
			}
			err = New(cfg, 4, c, engine.NewState(), nil).explained(fmt.Errorf("PJRT: %w", engine.ErrMemory))
			if !errors.Is(err, engine.ErrMemory) || !strings.Contains(err.Error(), "a step on 6 images of 128×128 needs") || !strings.Contains(err.Error(), tt.failing) {
				t.Errorf("error %v\nwant %s", err, tt.failing)
			}
		})
	}
	other := errors.New("another error")
	if err := d.explained(other); err != other {
		t.Errorf("%v became %v", other, err)
	}
}
