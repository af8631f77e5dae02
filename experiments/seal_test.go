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

	"focalgrid/detector"
	"focalgrid/experiments/plan"
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
	b := newLab(t, 2)
	b.CheckpointEvery = 1
	o := b.order(t, plan.Selection{Set: pretrainedTiny})
	cfg, err := detector.Settings.ParseResolved("tiny", []byte(o.Config))
	if err != nil {
		t.Fatal(err)
	}

	// A pretraining that is stopped leaves a checkpoint, as a trial does.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.Notify = func(e Event) {
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
	b.Notify = nil
	b.stopAt(t, o, 3)
	check(b.work(o), o.Key)
	o.Attempt++
	r := b.recorded(o, b.run(t.Context(), t, o))

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

	path := r.Weights
	text, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped(t, text, func(at string, damaged []byte) {
		if err := os.WriteFile(path, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := finalWeights(r.Trial, path); err == nil {
			t.Errorf("final weights: %s went unnoticed", at)
		}
	})
}

// A pretrained backbone in the cache that is not as it was written is made again, to the
// same bits, and said so; one that cannot be read is left alone.
func TestPretrainedDamaged(t *testing.T) {
	b := newLab(t, 2)
	cfg, err := detector.Settings.ParseResolved("tiny", []byte(b.order(t, plan.Selection{Set: pretrainedTiny}).Config))
	if err != nil {
		t.Fatal(err)
	}
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
		b.Notify = func(e Event) {
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

// The backbones inside the program are as they were written.
func TestEmbedded(t *testing.T) {
	all, err := Embedded()
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
}
