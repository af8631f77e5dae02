package loss

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"testing"
)

type array struct {
	Shape []int
	Data  []float64
}

func readRef(t *testing.T, name string, into any) {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// near allows the relative 1e-9 that the reference's float64 figures are good
// for; below 1e-290 they lose digits, being close to the smallest float64.
func near(got, want float64) bool { return math.Abs(got-want) <= 1e-9*math.Abs(want)+1e-290 }
