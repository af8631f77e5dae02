package coco

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// TestNumbers compares with strconv, which rounds correctly, on the shapes a
// file may hold.
func TestNumbers(t *testing.T) {
	texts := []string{
		"0", "-0", "0.0", "1", "-1", "0.1", "0.30000000000000004", "217.62", "1481.3806499999994",
		"9007199254740991", "9007199254740992", "9007199254740993", "9007199254740993e0", "18446744073709551616",
		"1e22", "1e23", "1e-22", "1e-23", "4.9e-324", "2e-324", "1e-400", "1.7976931348623157e308", "2.2250738585072011e-308",
		"0.1000000000000000055511151231257827021181583404541015625", "123456789012345678901234567890e-20",
		"0e99999999999", "1E+2", "0.000000000000000000000000000000000000000001",
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		bits := r.Uint64()
		if f := math.Float64frombits(bits); !math.IsNaN(f) && !math.IsInf(f, 0) {
			texts = append(texts, strconv.FormatFloat(f, 'e', -1, 64))
		}
		texts = append(texts,
			strconv.FormatFloat(r.NormFloat64()*1000, 'f', r.IntN(20), 64),
			strconv.FormatFloat(r.Float64(), 'g', -1, 64))
	}
	s := newScanner(strings.NewReader(strings.Join(texts, " ")), "f")
	quick := 0
	for _, text := range texts {
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.number()
		if err != nil || math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%s: got %v, %v; want %v", text, got, err, want)
		}
		got, next := quickNumber(padded(text), 0)
		if next >= 0 {
			quick++
			if next != len(text) || math.Float64bits(got) != math.Float64bits(want) {
				t.Errorf("%s: quickly %v, %d bytes; want %v, %d", text, got, next, want, len(text))
			}
		}
	}
	if quick < len(texts)/3 {
		t.Errorf("%d of %d numbers were read quickly, want most of the everyday ones", quick, len(texts))
	}
	for _, text := range []string{"-", "01", "1.", ".5", "1e", "1e+", "+1", "--1", "1.2.3", "1e5e5", "1-2", "x1"} {
		if f, err := newScanner(strings.NewReader(text), "f").number(); err == nil {
			t.Errorf("%q read as %v, want an error", text, f)
		}
	}
}

func padded(text string) []byte { return append([]byte(text), make([]byte, pad)...) }

// TestNearest has what lies between two float64s, or nearly.
func TestNearest(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	check := func(n uint64, exp10 int) {
		text := fmt.Sprintf("%de%d", n, exp10)
		want, err := strconv.ParseFloat(text, 64)
		if got, ok := nearest(n, exp10); ok && (err != nil || got != want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for range 10_000 {
		check(r.Uint64()>>r.IntN(64), r.IntN(60)-30)
		half := 1<<53 + r.Uint64N(1<<53) | 1 // 54 bits: half-way between two float64s
		for k := range 5 {
			n := half * fives[k] // and so is n × 10^-k
			check(n, -k)
			check(n-1, -k)
			check(n+1, -k)
		}
	}
	for exp10 := -30; exp10 < 30; exp10++ {
		for _, n := range []uint64{0, 1, 1<<53 - 1, 1 << 53, 1<<53 + 1, 1<<63 - 1, 1 << 63, math.MaxUint64} {
			check(n, exp10)
		}
	}
}

func TestIntegers(t *testing.T) {
	tests := []struct {
		text string
		want int64
	}{
		{"0", 0}, {"-0", 0}, {"9223372036854775807", math.MaxInt64}, {"-9223372036854775808", math.MinInt64},
		{"900100581904", 900100581904}, {"3.0", 3}, {"2e3", 2000}, {"-1.50e1", -15},
	}
	for _, tt := range tests {
		got, err := newScanner(strings.NewReader(tt.text), "f").integer()
		if err != nil || got != tt.want {
			t.Errorf("%s: got %d, %v", tt.text, got, err)
		}
	}
	for _, text := range []string{"-9223372036854775809", "1e300", "0.5", "99999999999999999999"} {
		if n, err := newScanner(strings.NewReader(text), "f").integer(); err == nil {
			t.Errorf("%s read as %d, want an error", text, n)
		}
	}
}

// FuzzNumber compares with strconv.
func FuzzNumber(f *testing.F) {
	for _, text := range []string{"0", "-12.5", "9.999999999999999e-23", "0.00012345678901234567", "1e5", "01", "1.", "-"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := newScanner(strings.NewReader(text), "fuzz").number()
		if quick, next := quickNumber(padded(text), 0); next >= 0 && (err != nil || math.Float64bits(quick) != math.Float64bits(got)) {
			t.Fatalf("%q: quickly %v, else %v, %v", text, quick, got, err)
		}
		text = strings.TrimLeft(text, space)
		if end := strings.IndexFunc(text, func(r rune) bool { return r > 0x7f || !numeric[r] }); end >= 0 {
			text = text[:end]
		}
		if want, wantErr := strconv.ParseFloat(text, 64); err == nil && (wantErr != nil || math.Float64bits(got) != math.Float64bits(want)) {
			t.Fatalf("%q: got %v, want %v, %v", text, got, want, wantErr)
		}
	})
}
