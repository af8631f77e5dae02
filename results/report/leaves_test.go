package report

import (
	"encoding/json"
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
