package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"

	"focalgrid/nullable"
)

// metricNames are the metrics of a trial in the order they are shown; others
// follow by name.
var metricNames = []string{"AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl", "AP.001"}

// namesOf returns the names of metrics in the order of metricNames, others behind them.
func namesOf(metrics map[string]float64) []string {
	var names []string
	for _, name := range append(slices.Clone(metricNames), slices.Sorted(maps.Keys(metrics))...) {
		if _, ok := metrics[name]; ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// metricsJSON are the metrics of a trial in order.
func metricsJSON(metrics map[string]float64) ordered {
	out := ordered{}
	for _, name := range namesOf(metrics) {
		out = append(out, member{name, nullable.Float(metrics[name])})
	}
	return out
}

// ordered is a JSON object whose keys keep their order; nil is null.
type ordered []member

type member struct {
	key   string
	value any
}

// MarshalJSON writes the members in order.
func (o ordered) MarshalJSON() ([]byte, error) {
	if o == nil {
		return []byte("null"), nil
	}
	var buf bytes.Buffer
	buf.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			buf.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.key, err)
		}
		buf.Write(key)
		buf.WriteByte(':')
		buf.Write(value)
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

func writeIndented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
