package settingtest

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"focalgrid/setting"
)

// Draw reaches both ends of a range, none, every choice with what it brings, and keeps the
// rules between settings and the bound.
func TestDraw(t *testing.T) {
	params := []setting.Param{
		{Name: "low", Kind: setting.Number, None: true, Max: 9},
		{Name: "high", Kind: setting.Number, Max: 9, Check: func(v setting.Values) error {
			if low := v.Optional("low"); low != nil && *low > v.Number("high") {
				return errors.New("must be at least low")
			}
			return nil
		}},
		{Name: "far", Kind: setting.Int, Min: 100, Max: 200},
		{Name: "open", Kind: setting.Number, Above: true, Max: math.MaxFloat32},
		{Name: "list", Kind: setting.Numbers, Min: 1, Max: 2, Count: [2]int{1, 3}},
		{Name: "type", Kind: setting.Text, Kinds: map[string][]setting.Param{
			"a": {{Name: "size", Kind: setting.Int, Max: 3}}, "b": {{Name: "size", Kind: setting.Int, Min: 4, Max: 4}, {Name: "of_b", Kind: setting.Bool}},
		}},
	}
	seen := map[string]int{}
	r := rand.New(rand.NewPCG(1, 0))
	const draws = 2000
	for range draws {
		v := Draw(r, params, 5)
		for i := range params {
			p := &params[i]
			if err := errors.Join(p.Judge(v[p.Name]), p.JudgeGroup(v)); err != nil {
				t.Fatalf("%s: %v", p.Name, err)
			}
		}
		if x := v.Number("open"); x > 5 {
			t.Fatalf("open is %g, above the bound", x)
		}
		if (v.Int("size") == 4) != (v.Text("type") == "b") {
			t.Fatalf("type %s with size %d", v.Text("type"), v.Int("size"))
		}
		for name, x := range v {
			seen[name+" "+setting.Spell(x)]++
		}
	}
	for _, want := range []string{"low none", "low 0", "low 5", "high 5", "far 100", "open 5", "type a", "type b", "of_b true", "of_b false"} {
		if seen[want] < draws/50 {
			t.Errorf("%s came %d times of %d", want, seen[want], draws)
		}
	}
}
