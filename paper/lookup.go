package paper

import (
	"strconv"
	"strings"

	"focalgrid/setting"
)

// Lookup returns the published row that a trial's settings correspond to, nil
// if there is none. Settings are flat: grid keys such as "loss.gamma" to a
// number, text or list.
//
// A row corresponds if each factor the row states is set to the same value,
// and no setting contradicts t.Fixed. Nothing else is compared: a narrow
// network on small images still finds the row of its gamma, and it is the
// printed table that must state how the settings differ.
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
	_, list := raw.([]float64)
	return !list && got == strconv.Itoa(1+strings.Count(want, ","))
}

// canonical writes a value so that equal settings are equal text: whole numbers as others,
// elements of lists to four significant digits.
func canonical(v any) string {
	switch v := v.(type) {
	case int:
		return setting.Spell(float64(v))
	case float64:
		return setting.Spell(v + 0) // -0 is 0
	case []float64:
		digits := make([]string, len(v))
		for i, f := range v {
			digits[i] = strconv.FormatFloat(f, 'g', 4, 64)
		}
		return "[" + strings.Join(digits, ",") + "]"
	}
	return setting.Spell(v)
}
