package setting

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A value is refused with what it is and what it must be, and taken at its bounds.
func TestJudge(t *testing.T) {
	choice := map[string][]Param{"focal": nil, "ce": nil}
	for _, tt := range []struct {
		p    Param
		v    any
		want string
	}{
		{Param{Kind: Number, Max: 1}, 0., ""},
		{Param{Kind: Number, Max: 1}, 1., ""},
		{Param{Kind: Number, Max: 1}, 2., "is 2, must be from 0 to 1"},
		{Param{Kind: Number, Max: 1}, math.NaN(), "is NaN, must be from 0 to 1"},
		{Param{Kind: Number, Max: 1}, nil, "is none, must be from 0 to 1"},
		{Param{Kind: Number, Max: 1, Above: true}, 0., "is 0, must be above 0 and at most 1"},
		{Param{Kind: Number, Max: 1, Below: true}, 1., "is 1, must be at least 0 and below 1"},
		{Param{Kind: Number, Max: 1, Above: true, Below: true, None: true}, 1., "is 1, must be above 0 and below 1, or none"},
		{Param{Kind: Number, Max: 1, None: true}, nil, ""},
		{Param{Kind: Number, Max: math.MaxFloat32}, -1., "is -1, must be from 0 to 3.4e+38"},
		{Param{Kind: Int, Min: 1, Max: 1_000_000}, 0, "is 0, must be from 1 to 1000000"},
		{Param{Kind: Int, Choices: []string{"18", "34"}}, 20, "is 20, must be one of 18, 34"},
		{Param{Kind: Int, Choices: []string{"18", "34"}}, 34, ""},
		{Param{Kind: Number, Choices: []string{"0", "0.5"}}, .5, ""},
		{Param{Kind: Text, Choices: []string{"c5", "p5"}}, "C5", `is "C5", must be one of c5, p5`},
		{Param{Kind: Text, Kinds: choice}, "focl", `is "focl", must be one of ce, focal`},
		{Param{Kind: Text, Kinds: choice}, strings.Repeat("x", 100), `is "` + strings.Repeat("x", 60) + `…", must be one of ce, focal`},
		{Param{Kind: Text}, "anything", ""},
		{Param{Kind: Bool}, true, ""},
		{Param{Kind: Seed}, uint64(math.MaxUint64), ""},
		{Param{Kind: Numbers, Min: .01, Max: 100, Count: [2]int{1, 64}}, []float64{}, "is [], must be 1 to 64 numbers from 0.01 to 100"},
		{Param{Kind: Numbers, Max: 1, Count: [2]int{3, 3}}, []float64{0, 1, 2}, "is [0,1,2], must be 3 numbers from 0 to 1"},
		{Param{Kind: Numbers, Max: 1, Count: [2]int{3, 3}}, []float64{0, 1, 1}, ""},
	} {
		if err := tt.p.Judge(tt.v); err == nil && tt.want != "" || err != nil && err.Error() != tt.want {
			t.Errorf("%v of %+v: error %v, want %q", tt.v, tt.p, err, tt.want)
		}
	}
	p := Param{Name: "negative", Kind: Number, Check: func(v Values) error {
		if v.Number("negative") > v.Number("positive") {
			return errors.New("must be at most positive")
		}
		return nil
	}}
	if err := p.JudgeGroup(Values{"negative": .6, "positive": .5}); err == nil || err.Error() != "is 0.6, must be at most positive" {
		t.Errorf("beside a lower positive: %v", err)
	}
	if err := p.JudgeGroup(Values{"negative": .4, "positive": .5}); err != nil {
		t.Errorf("beside a higher positive: %v", err)
	}
}

// A value has one text, and the text that value.
func TestSpellAndParse(t *testing.T) {
	for _, tt := range []struct {
		kind Kind
		v    any
		want string
	}{
		{Number, .1, "0.1"}, {Number, 1e-7, "1e-07"}, {Number, nil, "none"}, {Numbers, []float64{.5, 1, 2}, "[0.5,1,2]"}, {Numbers, []float64{}, "[]"},
		{Text, "a, b", "a, b"}, {Text, "", ""}, {Int, -3, "-3"}, {Seed, uint64(math.MaxUint64), "18446744073709551615"}, {Bool, true, "true"},
	} {
		p := Param{Kind: tt.kind, None: tt.v == nil}
		if got := Spell(tt.v); got != tt.want {
			t.Errorf("%v is spelled %s, want %s", tt.v, got, tt.want)
		}
		if v, err := p.Parse(tt.want); err != nil || !reflect.DeepEqual(v, tt.v) {
			t.Errorf("%s is read as %v (%v), want %v", tt.want, v, err, tt.v)
		}
	}
	if got := Spell([]any{json.Number("0.50"), nil, []any{"a", true}}); got != "[0.50,none,[a,true]]" {
		t.Errorf("a list out of JSON is spelled %s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		p, list := Param{Kind: Numbers}, rapid.SliceOf(rapid.Float64()).Draw(t, "list")
		if v, err := p.Parse(Spell(list)); err != nil || !slices.Equal(v.([]float64), list) {
			t.Fatalf("%s is read as %v (%v)", Spell(list), v, err)
		}
	})
}

func TestNumberOf(t *testing.T) {
	for _, tt := range []struct {
		value any
		want  float64
		ok    bool
	}{{3, 3, true}, {.5, .5, true}, {nil, 0, false}, {"2", 0, false}, {true, 0, false}, {[]float64{1}, 0, false}} {
		if got, ok := NumberOf(tt.value); got != tt.want || ok != tt.ok {
			t.Errorf("%v is %g, %t; want %g, %t", tt.value, got, ok, tt.want, tt.ok)
		}
	}
}

func TestParseIsStrict(t *testing.T) {
	for _, tt := range []struct {
		p    Param
		s    Scalar
		want string
	}{
		{Param{Kind: Number}, Scalar{Text: "two"}, `must be a number, is "two"`},
		{Param{Kind: Number}, Scalar{Text: "none"}, `must be a number, is "none"`},
		{Param{Kind: Number}, Scalar{Text: "0x10"}, `must be a number, is "0x10"`},
		{Param{Kind: Number}, Scalar{Text: ".inf"}, `must be a number, is ".inf"`},
		{Param{Kind: Number}, Scalar{Text: "010"}, `is "010"; leave out the leading zero, which YAML may read as octal`},
		{Param{Kind: Number}, Scalar{Text: "1e999"}, `is "1e999", which is out of range`},
		{Param{Kind: Number}, Scalar{Text: "2", Quoted: true}, `must be a number, is the text "2"; take the quotes away`},
		{Param{Kind: Number}, Scalar{Null: true}, "has no value, must be a number"},
		{Param{Kind: Number, None: true}, Scalar{Null: true}, "is null; write none, or a number"},
		{Param{Kind: Int}, Scalar{Text: "1.5"}, `must be a whole number, is "1.5"`},
		{Param{Kind: Int}, Scalar{Text: "1_000"}, `must be a whole number, is "1_000"`},
		{Param{Kind: Int}, Scalar{Text: "9999999999"}, `must be a whole number, is "9999999999"`},
		{Param{Kind: Int}, Scalar{Text: "010"}, `must be a whole number without leading zeros or quotes, is "010"`},
		{Param{Kind: Seed}, Scalar{Text: "-1"}, `must be a whole number from 0, is "-1"`},
		{Param{Kind: Bool}, Scalar{Text: "yes"}, `must be true or false, is "yes"`},
		{Param{Kind: Bool}, Scalar{Text: "true", Quoted: true}, `must be true or false, is "true"`},
	} {
		if v, err := tt.p.Scalar(tt.s); err == nil || err.Error() != tt.want {
			t.Errorf("%+v is read as %v (%v), want %s", tt.s, v, err, tt.want)
		}
	}
	for _, text := range []string{"1", "[1", "1]", "[1,]", "[a]", ""} {
		if v, err := (&Param{Kind: Numbers}).Parse(text); err == nil {
			t.Errorf("the list %q is read as %v", text, v)
		}
	}
	if v, err := ReadNumber(Scalar{Text: "-0"}); err != nil || math.Signbit(v) {
		t.Errorf("-0 is read as %v (%v)", v, err)
	}
}

// A component that reads what it does not declare fails at once, with the name.
func TestValues(t *testing.T) {
	v := Values{"gamma": 2., "alpha": nil, "type": "focal"}
	if alpha, gamma := v.Optional("alpha"), v.Optional("gamma"); alpha != nil || *gamma != 2 {
		t.Errorf("alpha %v, gamma %v", alpha, gamma)
	}
	for name, read := range map[string]func(){
		"beta": func() { v.Number("beta") }, "gamma": func() { v.Text("gamma") }, "alpha": func() { v.Number("alpha") },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, "setting: "+name+" is ") {
					t.Errorf("%s: %q", name, text)
				}
			}()
			read()
		}()
	}
}
