// Package nullable writes numbers that may have no value as JSON.
package nullable

import (
	"encoding/json"
	"math"
)

// Float is a float64 whose NaN and infinities, which JSON does not have, are null there.
type Float float64

// MarshalJSON writes the number, or null.
func (f Float) MarshalJSON() ([]byte, error) {
	if v := float64(f); !math.IsNaN(v) && !math.IsInf(v, 0) {
		return json.Marshal(v)
	}
	return []byte("null"), nil
}

// Floats converts a list.
func Floats(v []float64) []Float {
	out := make([]Float, len(v))
	for i, x := range v {
		out[i] = Float(x)
	}
	return out
}
