package kernel

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

var updateBits = flag.Bool("update-bits", false, "record the kernels' bits anew")

// TestRecordedBits holds the kernels of any processor to the bits recorded with AVX-512.
func TestRecordedBits(t *testing.T) {
	const path = "testdata/bits.json"
	want := map[string]string{}
	if text, err := os.ReadFile(path); err != nil {
		t.Fatal(err)
	} else if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	hash := func(v []float32) string {
		h := sha256.New()
		if err := binary.Write(h, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(h.Sum(nil))
	}
	p := NewPool(2)
	defer p.Close()
	got := map[string]string{}
	for _, s := range mapShapes[:5] {
		got[fmt.Sprintf("maps %v", s)] = hash(mapKernels(p, s))
	}
	for _, c := range slices.Concat(convShapes[:6], winogradShapes[1:4], winogradShapes[6:7]) {
		r := rand.New(rand.NewPCG(3, uint64(c.In())))
		x, w, dy, bias := randoms(r, c.In()), randoms(r, c.Weights()), randoms(r, c.Out()), randoms(r, c.K)
		y, dx, dw := make([]float32, c.Out()), make([]float32, c.In()), make([]float32, c.Weights())
		l := NewLayer(p, c)
		l.Forward(y, x, w, bias, true)
		l.GradInput(dx, dy, w)
		l.GradWeights(dw, x, dy)
		got[fmt.Sprintf("convolution %+v", c)] = hash(slices.Concat(y, dx, dw))
	}
	got["rows"] = hash(rowKernels(p, 2500))
	if *updateBits {
		text, err := json.MarshalIndent(got, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if len(got) != len(want) {
		t.Errorf("%s has %d results, the test %d: record anew with -update-bits", path, len(want), len(got))
	}
	for name, h := range got {
		if h != want[name] {
			t.Errorf("%s: kernel set %s gives other bits than recorded", name, p.Level())
		}
	}
}

// TestARM64 runs tests of this package as an arm64 processor would, where there is
// an emulator of one.
func TestARM64(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for another processor")
	}
	var emulator string
	for _, name := range []string{"qemu-aarch64", "qemu-aarch64-static"} {
		if path, err := exec.LookPath(name); err == nil {
			emulator = path
		}
	}
	if emulator == "" {
		t.Skip("arm64 was not tested: qemu-aarch64 (Debian's package qemu-user) is not installed")
	}
	binary := filepath.Join(t.TempDir(), "kernel.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), "GOARCH=arm64", "GOOS=linux", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go test -c for arm64: %v\n%.2000s", err, out)
	}
	out, err := exec.Command(emulator, binary, "-test.short", "-test.run", "TestRecordedBits|TestFMAIsExact").CombinedOutput()
	if err != nil {
		t.Errorf("on arm64: %v\n%s", err, out)
	}
}
