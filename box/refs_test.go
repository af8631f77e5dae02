package box

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"testing"
)

// array is a tensor of the reference files: data row-major, null where a value is not finite.
type array struct {
	Shape []int
	Data  []*float64
}

func (a array) flat() []float64 {
	out := make([]float64, len(a.Data))
	for i, v := range a.Data {
		out[i] = math.NaN()
		if v != nil {
			out[i] = *v
		}
	}
	return out
}

func boxesOf[F Float](a array) [][4]F {
	v := a.flat()
	out := make([][4]F, len(v)/4)
	for i := range out {
		for j := range out[i] {
			out[i][j] = F(v[4*i+j])
		}
	}
	return out
}

func float32s(a array) []float32 {
	var out []float32
	for _, v := range a.flat() {
		out = append(out, float32(v))
	}
	return out
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

// near allows the 1e-9 that the reference's float64 figures are good for.
func near(got, want float64) bool { return math.Abs(got-want) <= 1e-9*max(1, math.Abs(want)) }
