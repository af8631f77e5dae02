package paper

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// Lookup returns the published row that a trial's settings correspond to, nil
// if there is none. Settings are flat: grid keys such as "loss.gamma" to a
// number, text or list.
//
// A row corresponds if each factor the row states is set to the same value,
// and no setting contradicts t.Fixed. Nothing else is compared: a narrow
// network on small images still finds the row of its gamma, and it is the
// printed table that has to say how the settings differ.
//
// Numbers are equal if they are written alike in their shortest form (0.1, .1
// and 1e-1 are one value; so are the integer 2 and the float 2). Lists of
// anchor scales, which are irrational, are compared to four digits, and may be
// given by their count. loss.type ce is focal with gamma 0.
func (t *Table) Lookup(settings map[string]any) *Row {
	got := spelled(settings)
	for key, want := range spelled(t.Fixed) {
		if v, ok := got[key]; ok && v != want {
			return nil
		}
	}
	for i := range t.Rows {
		row := &t.Rows[i]
		want := spelled(row.Factors)
		match := len(want) > 0
		for key, w := range want {
			v, ok := got[key]
			if !ok || !sameFactor(key, v, w, settings[key]) {
				match = false
				break
			}
		}
		if match {
			return row
		}
	}
	return nil
}

// spelled writes each setting in its canonical text, with ce spelled as the
// focal loss it is (eq. 5 with γ = 0).
func spelled(settings map[string]any) map[string]string {
	out := make(map[string]string, len(settings))
	for key, v := range settings {
		out[key] = canonical(v)
	}
	if out["loss.type"] == "ce" {
		out["loss.type"] = "focal"
		out["loss.gamma"] = "0"
	}
	return out
}

func sameFactor(key, got, want string, raw any) bool {
	if got == want {
		return true
	}
	if key != "anchors.scales" && key != "anchors.ratios" {
		return false
	}
	if v := reflect.ValueOf(raw); v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return got == strconv.Itoa(len(strings.Fields(want)))
	}
	return false
}

// canonical writes a value so that equal settings are equal text: numbers by
// strconv's shortest form, elements of lists to four significant digits, the
// absent value as "none".
func canonical(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return strconv.FormatFloat(f, 'g', -1, 64)
	case string:
		return v
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Pointer, reflect.Interface:
		if rv.IsNil() {
			return "none"
		}
		return canonical(rv.Elem().Interface())
	case reflect.Bool:
		return strconv.FormatBool(rv.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatFloat(float64(rv.Int()), 'g', -1, 64)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatFloat(float64(rv.Uint()), 'g', -1, 64)
	case reflect.Float32:
		// +0 turns -0 into 0.
		return strconv.FormatFloat(rv.Float()+0, 'g', -1, 32)
	case reflect.Float64:
		return strconv.FormatFloat(rv.Float()+0, 'g', -1, 64)
	case reflect.String:
		return rv.String()
	case reflect.Slice, reflect.Array:
		parts := make([]string, rv.Len())
		for i := range parts {
			parts[i] = canonical(rv.Index(i).Interface())
			if f, err := strconv.ParseFloat(parts[i], 64); err == nil {
				parts[i] = strconv.FormatFloat(f, 'g', 4, 64)
			}
		}
		return "[" + strings.Join(parts, " ") + "]"
	default:
		// A table has no factor of another kind, so this text equals none of them.
		return rv.Kind().String()
	}
}
