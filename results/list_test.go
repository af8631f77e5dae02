package results

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

// leavesSlowly is leaves by encoding/json.
func leavesSlowly(config string) (map[string]any, bool) {
	var root map[string]any
	dec := json.NewDecoder(strings.NewReader(config))
	dec.UseNumber()
	if !json.Valid([]byte(config)) || dec.Decode(&root) != nil || root == nil {
		return nil, false
	}
	flat := map[string]any{}
	var walk func(prefix string, m map[string]any)
	walk = func(prefix string, m map[string]any) {
		for key, v := range m {
			if sub, ok := v.(map[string]any); ok {
				walk(prefix+key+".", sub)
			} else {
				flat[prefix+key] = v
			}
		}
	}
	walk("", root)
	return flat, true
}

func FuzzLeaves(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"loss.gamma":2,"a":[1,[2,"]"],{"b":3}]}`, ` { "loss" : { "gamma" : 2 , "type" : "fo\"cal" } , "x" : null }`,
		`{"a":{"b":{}},"c":"\\"}`, `{"\u0061":1e5,"b":-0.5}`, `null`, `[1]`, `"x"`, `3`, `{"a":1}{`, "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, config string) {
		want, ok := leavesSlowly(config)
		got, err := flatten(config)
		if ok != (err == nil) {
			t.Fatalf("%q: %v, encoding/json reads it: %v", config, err, ok)
		}
		// Where a key is given twice any of its values will do; encoding/json
		// also replaces what is no UTF-8.
		if len(got) == len(want) && strings.ToValidUTF8(config, "") == config && strings.Count(config, ":") == len(want) && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %v, want %v", config, got, want)
		}
	})
}

// TestBrokenLines: line breaks in errors and names leave columns as they are, and what is
// no number is a gap.
func TestBrokenLines(t *testing.T) {
	trial := trialNamed("a")
	trial.Config = `{"data.name":"one\ntwo","a\nb":1}`
	trial.Outcome = Outcome{
		Status: StatusFailed, Error: "first line\nsecond\r\nthird", WallSeconds: math.Inf(1), Finished: "2030-05-01T10:01:00Z",
		Metrics: map[string]float64{"AP": math.NaN(), "AP50": math.Inf(1)},
	}
	trial.Attempts = []Attempt{{Number: 1, Host: "ho\nst", Exit: StatusFailed, WallSeconds: math.NaN(), Error: "a\tb\nc", Environment: "{}"}}
	var out strings.Builder
	must(t, WriteTrial(&out, trial, []ClassMetric{{Category: 1, Name: "two\u2028lines\n", AP: math.NaN(), AP50: math.Inf(-1), AP75: .5}}, "text"))
	must(t, WriteList(&out, []Trial{trial, trialNamed("b")}, "text"))
	must(t, WriteComparison(&out, Side{Name: "a\nb", Trials: []Trial{trial}}, Side{Name: "c", Trials: []Trial{trialNamed("b")}}, "text"))
	got := out.String()
	for _, want := range []string{
		"error       first line\n            second", "            third\n", "(a b)", " ho st ", "  data.name  one two\n", "  a b ", "two lines", "a b: ",
		"  AP          –\n", "  AP50        –\n", "wall        –\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	for _, bad := range []string{"NaN", "Inf", "\u2028", "\t"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q is in\n%s", bad, got)
		}
	}
}
