package nullable

import (
	"encoding/json"
	"math"
	"testing"
)

func TestJSON(t *testing.T) {
	text, err := json.Marshal(Floats([]float64{.5, math.NaN(), 1e-5, math.Inf(1), math.Inf(-1), 0, 1e21}))
	if want := "[0.5,null,0.00001,null,null,0,1e+21]"; err != nil || string(text) != want {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
	if text, err := json.Marshal(Floats(nil)); err != nil || string(text) != "[]" {
		t.Errorf("of none: %s, %v; want []", text, err)
	}
}
