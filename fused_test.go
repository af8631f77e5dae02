package focalgrid_test

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// exact are the packages whose floating-point results are recorded, directly or
// through what is trained with them.
var exact = []string{"box", "coco", "dataset", "engine", "engine/gorgonia", "engine/kernel", "metrics", "model", "optim", "portable", "sampler"}

// TestNothingIsFused: the compiler may turn x*y + z into one operation that rounds
// once, and for some processors it does; then a trial has other bits there. A
// conversion, float64(x*y) + z, forbids it. The test compiles for such a processor
// and looks for the instructions.
func TestNothingIsFused(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for another processor")
	}
	args, paths := []string{"build"}, []string{}
	for _, p := range exact {
		args, paths = append(args, "-gcflags="+module+"/"+p+"=-S"), append(paths, "./"+p)
	}
	cmd := exec.Command("go", append(args, paths...)...)
	cmd.Env = append(os.Environ(), "GOARCH=arm64", "GOOS=linux", "CGO_ENABLED=0")
	listing, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go build for arm64: %v\n%.2000s", err, listing)
	}
	if n := strings.Count(string(listing), "FMULD"); n < 100 {
		t.Fatalf("the listing has %d multiplications: is it one of arm64's instructions?", n)
	}
	fused := regexp.MustCompile(`\(([^)]*\.go):(\d+)\)\s+FN?M(?:ADD|SUB)[SD]\s`)
	seen := map[string]bool{}
	for _, m := range fused.FindAllStringSubmatch(string(listing), -1) {
		text, err := os.ReadFile(m[1])
		if err != nil {
			t.Fatal(err)
		}
		line := 0
		for s := range strings.Lines(string(text)) {
			if line++; m[2] == strconv.Itoa(line) && !strings.Contains(s, "math.FMA(") && !seen[m[1]+":"+m[2]] {
				seen[m[1]+":"+m[2]] = true
				t.Errorf("%s:%s: a product and a sum may be fused; write float64(x*y) + z:%s", m[1], m[2], strings.TrimRight(s, "\n"))
			}
		}
	}
}
