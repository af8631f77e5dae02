package experiments

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"focalgrid/atomicfile"
	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/weights"
)

// pretrainedTiny are settings of the tiny grid for a backbone that is pretrained in no time.
var pretrainedTiny = []string{"pretrain.type=crops", "pretrain.iters=3", "pretrain.batch=4", "pretrain.crops=40", "pretrain.pixels=32", "pretrain.classes=2"}

// flips is how many single bits are flipped in each kind of file.
const flips = 60

// flipped calls try with copies of a file's bytes, each with one bit flipped: half of
// them in its header, which is small.
func flipped(t *testing.T, text []byte, try func(at string, damaged []byte)) {
	t.Helper()
	draw := rand.New(rand.NewPCG(1, 2))
	header := 8 + int(binary.LittleEndian.Uint64(text))
	for i := range flips {
		n := len(text)
		if i%2 == 0 {
			n = header
		}
		bit := draw.IntN(8 * n)
		damaged := bytes.Clone(text)
		damaged[bit/8] ^= 1 << (bit % 8)
		try(fmt.Sprintf("bit %d of %d header and %d other bytes", bit, header, len(text)-header), damaged)
	}
}

// No flipped bit in a checkpoint, a pretrained backbone or final weights goes unnoticed.
func TestFlippedBits(t *testing.T) {
	b := newBench(t, 2)
	b.CheckpointEvery = 1
	sel := plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}, Set: pretrainedTiny}
	p := b.plan(t, tiny, sel)
	cfg := p.Rows[0].Config

	// A pretraining that is stopped leaves a checkpoint, as a trial does.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.Observe = func(e Event) {
		if e, ok := e.(Preparing); ok && e.What == "pretraining a backbone" {
			cancel()
		}
	}
	if _, err := b.Pretrain(ctx, &cfg); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	key := b.PretrainKey(&cfg)
	check := func(folder, key string) {
		t.Helper()
		names, err := checkpoints(folder)
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		path := filepath.Join(folder, names[0])
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		flipped(t, text, func(at string, damaged []byte) {
			f, err := weights.Decode(damaged, path)
			if err == nil {
				_, err = checkpointOf(f, key)
			}
			if err == nil {
				t.Errorf("%s: %s went unnoticed", path, at)
			}
		})
	}
	check(b.pretrainWork(key), key)
	b.Observe = nil
	trial := b.stopAt(t, p, 3)
	check(b.workFolder(trial), trial)
	if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 {
		t.Fatalf("%+v, %v", c, err)
	}

	text, err := os.ReadFile(b.pretrainedPath(key))
	if err != nil {
		t.Fatal(err)
	}
	flipped(t, text, func(at string, damaged []byte) {
		f, err := weights.Decode(damaged, "x")
		if err == nil {
			err = checkPretrained(f, key)
		}
		if err == nil {
			t.Errorf("pretrained backbone: %s went unnoticed", at)
		}
	})

	tr := b.trials(t)[0]
	path := b.Store.WeightsPath(tr.Weights)
	text, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped(t, text, func(at string, damaged []byte) {
		if err := os.WriteFile(path, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := b.weightsOf(&tr); err == nil {
			t.Errorf("final weights: %s went unnoticed", at)
		}
	})
}

// A pretrained backbone in the cache that is not as it was written is made again, to the
// same bits, and said so; one that cannot be read is left alone.
func TestPretrainedDamaged(t *testing.T) {
	b := newBench(t, 2)
	cfg := b.plan(t, tiny, plan.Selection{Set: pretrainedTiny}).Rows[0].Config
	_, made, err := b.pretrained(t.Context(), &cfg)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(made.Where)
	if err != nil {
		t.Fatal(err)
	}
	written := func(change func(f *weights.File)) func([]byte) []byte {
		return func(text []byte) []byte {
			f, err := weights.Decode(text, "x")
			if err != nil {
				t.Fatal(err)
			}
			change(f)
			var out bytes.Buffer
			if err := weights.Encode(&out, f.Tensors, f.Metadata, weights.F32); err != nil {
				t.Fatal(err)
			}
			return out.Bytes()
		}
	}
	for _, tt := range []struct {
		name   string
		damage func([]byte) []byte
		says   string
	}{
		{"whole", func(b []byte) []byte { return b }, ""},
		{"a bit of a number", func(b []byte) []byte { b[len(b)/2] ^= 0x40; return b }, "its content has hash"},
		{"cut short", func(b []byte) []byte { return b[:len(b)/2] }, "bytes of data"},
		{"of an older version", written(func(f *weights.File) { delete(f.Metadata, metaHash) }), "it has no hash of its content"},
		{"of another identity", written(func(f *weights.File) {
			delete(f.Metadata, metaHash)
			f.Metadata["identity"] = "0123456789abcdef"
			if err := seal(f.Tensors, f.Metadata); err != nil {
				t.Fatal(err)
			}
		}), `it says it is "0123456789ab"`},
	} {
		if err := os.WriteFile(made.Where, tt.damage(bytes.Clone(whole)), 0o666); err != nil {
			t.Fatal(err)
		}
		said := ""
		b.Observe = func(e Event) {
			if n, ok := e.(Noted); ok {
				said += n.Text
			}
		}
		if _, _, err := b.pretrained(t.Context(), &cfg); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if !strings.Contains(said, tt.says) || (said != "") != strings.Contains(said, made.Where+" is made again") || (said == "") != (tt.says == "") {
			t.Errorf("%s: it said %q, want %q", tt.name, said, tt.says)
		}
		if text, err := os.ReadFile(made.Where); err != nil || !bytes.Equal(text, whole) {
			t.Errorf("%s: the file is not what it was (%v)", tt.name, err)
		}
	}

	if err := os.Remove(made.Where); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(made.Where, made.Where); err != nil { // ELOOP, whoever opens it
		t.Skip(err)
	}
	if _, _, err := b.pretrained(t.Context(), &cfg); err == nil || !strings.Contains(err.Error(), made.Where) {
		t.Errorf("one that cannot be opened: %v", err)
	}
	if _, err := os.Lstat(made.Where); err != nil {
		t.Errorf("it was touched: %v", err)
	}
}

// Final weights that are damaged are refused, and a trial with the same weights, as of
// another database in the folder, puts them right.
func TestFinalWeightsDamaged(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}})
	if c, err := b.Sweep(t.Context(), p); err != nil || c.Done != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	tr := b.trials(t)[0]
	path := b.Store.WeightsPath(tr.Weights)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	damaged[len(damaged)/2] ^= 0x40
	if err := os.WriteFile(path, damaged, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := b.OpenDetector(t.Context(), &tr); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tr.Weights) {
		t.Errorf("a detector of them: %v", err)
	}
	if _, err := b.Verify(t.Context(), &tr, 0); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("verified: %v", err)
	}
	f, err := weights.Decode(whole, path)
	if err != nil {
		t.Fatal(err)
	}
	state := engine.NewState()
	for _, w := range f.Tensors {
		if err := state.Set(w.Name, w.Shape, w.Data); err != nil {
			t.Fatal(err)
		}
	}
	if hash, err := b.keepWeights(tr.Key, state); err != nil || hash != tr.Weights {
		t.Fatal(hash, err)
	}
	if text, err := os.ReadFile(path); err != nil || !bytes.Equal(text, whole) {
		t.Errorf("they were not put right (%v)", err)
	}
	if rest, _ := filepath.Glob(filepath.Join(filepath.Dir(path), atomicfile.Prefix+"*")); len(rest) > 0 {
		t.Errorf("it left %v", rest)
	}
}

// A file of initial weights that is replaced while a sweep runs is refused, with both
// identities; put back, the same command does the rest.
func TestInitialWeightsReplaced(t *testing.T) {
	b := newBench(t, 2)
	file := filepath.Join(b.dir, "init.safetensors")
	cfg := b.plan(t, tiny, plan.Selection{}).Rows[0].Config
	draw := func(seed uint64) string {
		t.Helper()
		ts, err := b.InitialWeights(t.Context(), &cfg, seed)
		if err == nil {
			err = weights.Write(file, ts, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		from := cfg
		from.Set("pretrain.type", "file")
		from.Set("pretrain.file", file)
		_, id, err := detector.ReadInitial(&from, cfg.Int("data.classes"))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	planned := draw(1)
	p := b.plan(t, tiny, plan.Selection{Seeds: "0,1", Only: []string{"loss.gamma=2"}, Set: []string{"pretrain.type=file", "pretrain.file=" + file}})
	now := ""
	b.Observe = func(e Event) {
		if s, ok := e.(TrialStarted); ok && s.Index == 1 {
			now = draw(2)
		}
	}
	c, err := b.Sweep(t.Context(), p)
	if err != nil || c != (results.Counts{Done: 1, Failed: 1}) {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, tr := range b.trials(t) {
		if tr.Seed == 1 && (!strings.Contains(tr.Error, planned) || !strings.Contains(tr.Error, now) || !strings.Contains(tr.Error, file)) {
			t.Errorf("it failed with %q; want %s and %s in it", tr.Error, planned, now)
		}
	}
	b.Observe = nil
	if draw(1) != planned {
		t.Fatal("the same draws have another identity")
	}
	if c, err := b.Sweep(t.Context(), p); err != nil || c != (results.Counts{Done: 2}) {
		t.Errorf("put back: %+v, %v", c, err)
	}
}

// The backbones inside the program are as they were written.
func TestEmbedded(t *testing.T) {
	all, err := Embedded()
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
}
