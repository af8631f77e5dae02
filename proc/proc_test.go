package proc

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestField(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cpuinfo")
	if err := os.WriteFile(file, []byte("processor\t: 0\nmodel name\t: A: B \nmodel name\t: C\nempty\t:\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"processor": "0", "model name": "A: B", "empty": "", "model": ""} {
		if got := Field(file, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if got := Field(file+"x", "processor"); got != "" {
		t.Errorf("a file that is not there has %q", got)
	}
}

func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux reports it")
	}
	ResetPeak()
	before := Memory()
	held := make([]byte, 64<<20)
	for i := range held {
		held[i] = 1
	}
	if now, peak := Memory(), PeakMemory(); before <= 0 || now < before+32<<20 || peak < now {
		t.Errorf("%d bytes, then %d with a peak of %d; want 64 MiB more", before, now, peak)
	}
	runtime.KeepAlive(held)
}
