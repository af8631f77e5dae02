package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"focalgrid/results/files"
)

// Versions of the JSON of bundles and exports. Every one is read; the newest is written.
const (
	plainFormat  = 1 // without labels and checksum
	sealedFormat = 2 // with two losses a step
	bundleFormat = 3
	choiceFormat = 4 // of choices, which older programs do not know; the rest is as in bundleFormat
)

// number is a float64 whose NaN and infinities are null in JSON; null reads as NaN. It is written
// in the digits that the checksums of recorded bundles were taken over, which are not encoding/json's.
type number float64

func (n number) MarshalJSON() ([]byte, error) { return n.append(nil), nil }

// append appends the JSON of the number to buf.
func (n number) append(buf []byte) []byte {
	if !finite(float64(n)) {
		return append(buf, "null"...)
	}
	return strconv.AppendFloat(buf, float64(n), 'g', -1, 64)
}

func (n *number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = number(math.NaN())
		return nil
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("%.40q: want a number or null", text)
	}
	*n = number(v)
	return nil
}

// The JSON of a bundle.
type (
	bundleJSON struct {
		Bundle       int               `json:"bundle"`
		Trial        string            `json:"trial"`
		Kind         string            `json:"kind"`
		Status       string            `json:"status"`
		Error        string            `json:"error"`
		DivergedStep *int              `json:"diverged_step"`
		Seed         uint64            `json:"seed"`
		Dataset      string            `json:"dataset"`
		Init         string            `json:"init"`
		Engine       string            `json:"engine"`
		Numerics     string            `json:"numerics"`
		Started      string            `json:"started"`
		Finished     string            `json:"finished"`
		WallSeconds  number            `json:"wall_seconds"`
		Weights      string            `json:"weights"`
		Detections   *files.Blob       `json:"detections"`
		Config       json.RawMessage   `json:"config"`
		Labels       []Label           `json:"labels"`
		Provenance   json.RawMessage   `json:"provenance"`
		Attempts     []attemptJSON     `json:"attempts"`
		Metrics      map[string]number `json:"metrics"`
		Classes      []classJSON       `json:"classes"`
		Steps        stepsJSON         `json:"steps"`
		SHA256       string            `json:"sha256,omitempty"` // by seal
	}
	attemptJSON struct {
		Number      int             `json:"number"`
		Owner       string          `json:"owner"`
		Host        string          `json:"host"`
		PID         int             `json:"pid"`
		StartStep   int             `json:"start_step"`
		EndStep     int             `json:"end_step"`
		Beats       int             `json:"beats"`
		Started     string          `json:"started"`
		Ended       string          `json:"ended"`
		WallSeconds number          `json:"wall_seconds"`
		PeakBytes   int64           `json:"peak_bytes"`
		Exit        string          `json:"exit"`
		Error       string          `json:"error"`
		Environment json.RawMessage `json:"environment"`
	}
	classJSON struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
		AP   number `json:"AP"`
		AP50 number `json:"AP50"`
		AP75 number `json:"AP75"`
	}
	sweepJSON struct {
		Bundle  int       `json:"bundle"`
		Sweep   string    `json:"sweep"`
		Hash    string    `json:"hash"`
		Created string    `json:"created"`
		File    string    `json:"file"`
		Plan    []Planned `json:"plan"`
		SHA256  string    `json:"sha256,omitempty"` // by seal
	}
)

// sealStart and sealEnd enclose the checksum that ends a line: the SHA-256 of everything before sealStart.
const (
	sealStart = `,"sha256":"`
	sealEnd   = `"}`
)

// seal ends a line of JSON, an object, with its checksum.
func seal(line []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	content := bytes.TrimSuffix(line, []byte("}\n"))
	return fmt.Appendf(nil, "%s%s%s%s\n", content, sealStart, files.BlobOf(content).Hash, sealEnd), nil
}

// checkSeal compares a line with the checksum that ends it.
func checkSeal(line []byte) error {
	line = bytes.TrimSpace(line)
	at := len(line) - len(sealStart) - sha256.Size*2 - len(sealEnd)
	if at < 0 || !bytes.HasPrefix(line[at:], []byte(sealStart)) || !bytes.HasSuffix(line, []byte(sealEnd)) {
		return fmt.Errorf("%w: it does not end with its checksum: it was altered or cut off", ErrBundle)
	}
	if string(line[at+len(sealStart):len(line)-len(sealEnd)]) != files.BlobOf(line[:at]).Hash {
		return fmt.Errorf("%w: its content has another checksum than it carries: it was altered or damaged", ErrBundle)
	}
	return nil
}

// Encode writes the bundle as one line of JSON that ends with its checksum. Equal bundles give equal bytes:
// fields in a fixed order, metrics by name, numbers in the fewest digits that read back the same.
func (b *Bundle) Encode() ([]byte, error) {
	j := bundleJSON{
		Bundle: bundleFormat, Trial: b.Key, Kind: b.Kind, Status: b.Status, Error: b.Error, DivergedStep: b.DivergedStep, Seed: b.Seed,
		Dataset: b.Dataset, Init: b.Init, Engine: b.Engine, Numerics: b.Numerics, Started: b.Started, Finished: b.Finished,
		WallSeconds: number(b.WallSeconds), Weights: b.Weights, Config: json.RawMessage(b.Config), Labels: b.Labels, Provenance: json.RawMessage(b.Provenance),
		Attempts: make([]attemptJSON, len(b.Attempts)), Metrics: metricsJSON(b.Metrics),
		Classes: classesJSON(b.Classes), Steps: b.Steps,
	}
	if b.Detections != (files.Blob{}) {
		j.Detections = &b.Detections
	}
	for i, a := range b.Attempts {
		j.Attempts[i] = attemptJSON{
			a.Number, a.Owner, a.Host, a.PID, a.StartStep, a.EndStep, a.Beats, a.Started, a.Ended,
			number(a.WallSeconds), a.PeakBytes, a.Exit, a.Error, json.RawMessage(a.Environment),
		}
	}
	return seal(jsonLine(j))
}

func metricsJSON(metrics map[string]float64) map[string]number {
	out := make(map[string]number, len(metrics))
	for name, v := range metrics {
		out[name] = number(v)
	}
	return out
}

func classesJSON(classes []ClassMetric) []classJSON {
	out := make([]classJSON, len(classes))
	for i, c := range classes {
		out[i] = classJSON{c.Category, c.Name, number(c.AP), number(c.AP50), number(c.AP75)}
	}
	return out
}

// jsonLine writes v as one line of JSON.
func jsonLine(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return buf.Bytes(), err
}

// Encode writes the sweep as one line of JSON that ends with its checksum.
func (s *SweepPlan) Encode() ([]byte, error) {
	return seal(jsonLine(sweepJSON{Bundle: bundleFormat, Sweep: s.Name, Hash: s.Hash, Created: s.Created, File: s.File, Plan: slices.Concat([]Planned{}, s.Plan)}))
}

// Line is what one line of JSON holds: one of these, the others are nil.
type Line struct {
	Trial  *Bundle
	Sweep  *SweepPlan
	Choice *Choice
}

// DecodeLine reads one line of JSON.
func DecodeLine(text []byte) (l Line, err error) {
	var head struct {
		Bundle int              `json:"bundle"`
		Sweep  *json.RawMessage `json:"sweep"`
		Choice *json.RawMessage `json:"choice"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return l, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	newest := bundleFormat
	if head.Choice != nil {
		newest = choiceFormat
	}
	switch {
	case head.Bundle == 0:
		return l, fmt.Errorf("%w: it has no field \"bundle\"", ErrBundle)
	case head.Bundle < plainFormat || head.Bundle > newest:
		return l, fmt.Errorf("%w: its format is %d, known are %d to %d; update the program", ErrBundle, head.Bundle, plainFormat, newest)
	case head.Choice != nil && head.Bundle < choiceFormat:
		return l, errLater(head.Bundle)
	}
	if head.Bundle != plainFormat {
		if err := checkSeal(text); err != nil {
			return l, err
		}
	}
	switch {
	case head.Choice != nil:
		l.Choice, err = decodeChoice(text)
	case head.Sweep != nil:
		l.Sweep, err = decodeSweep(text)
	default:
		l.Trial, err = decodeBundle(text)
	}
	return l, err
}

// strictly reads JSON into v, refusing fields it does not have.
func strictly(text []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrBundle, err)
	}
	return nil
}

// errLater reports a line that claims an older format than it has.
func errLater(format int) error {
	return fmt.Errorf("%w: its format is %d, and it has fields of a later one: it was altered or damaged", ErrBundle, format)
}

func decodeSweep(text []byte) (*SweepPlan, error) {
	var j sweepJSON
	if err := strictly(text, &j); err != nil {
		return nil, err
	}
	s := &SweepPlan{Sweep{Name: j.Sweep, File: j.File, Hash: j.Hash, Created: j.Created}, j.Plan, j.Bundle == plainFormat}
	switch {
	case !s.Unsealed:
	case j.SHA256 != "":
		return nil, errLater(j.Bundle)
	case files.BlobOf([]byte(s.File)).Hash != s.Hash:
		return nil, fmt.Errorf("%w: its file has another hash than it says: it was altered or damaged", ErrBundle)
	}
	for i, p := range s.Plan {
		if !KeyPattern.MatchString(p.Key) || p.Row < 0 {
			return nil, fmt.Errorf("%w: plan: trial %d has key %.80q and row %d", ErrBundle, i+1, p.Key, p.Row)
		}
	}
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	return s, nil
}

func decodeBundle(text []byte) (*Bundle, error) {
	var j bundleJSON
	if err := strictly(text, &j); err != nil {
		return nil, err
	}
	b := &Bundle{Trial: Trial{
		Key: j.Trial, Kind: j.Kind, Config: string(j.Config), Seed: j.Seed, Dataset: j.Dataset, Init: j.Init, Engine: j.Engine,
		Numerics: j.Numerics, Labels: append([]Label(nil), j.Labels...), Started: j.Started, Provenance: string(j.Provenance),
		Outcome: Outcome{
			Status: j.Status, Error: j.Error, DivergedStep: j.DivergedStep, Finished: j.Finished, WallSeconds: float64(j.WallSeconds),
			Weights: j.Weights, Metrics: map[string]float64{},
		},
	}, Steps: j.Steps, Unsealed: j.Bundle == plainFormat}
	plain := j.SHA256 == "" && j.Labels == nil
	twoLosses := len(b.Steps) == 0 || slices.EqualFunc(b.Steps[0].Losses, FirstNames, hasName)
	if j.Bundle <= plainFormat && !plain || j.Bundle <= sealedFormat && !twoLosses {
		return nil, errLater(j.Bundle)
	}
	if j.Detections != nil {
		b.Detections = *j.Detections
	}
	for _, a := range j.Attempts {
		b.Attempts = append(b.Attempts, Attempt{
			a.Number, a.Owner, a.Host, a.PID, a.StartStep, a.EndStep, a.Beats, a.Started, a.Ended,
			float64(a.WallSeconds), a.PeakBytes, a.Exit, a.Error, string(a.Environment),
		})
	}
	for name, v := range j.Metrics {
		b.Metrics[name] = float64(v)
	}
	for _, c := range j.Classes {
		b.Classes = append(b.Classes, ClassMetric{c.ID, c.Name, float64(c.AP), float64(c.AP50), float64(c.AP75)})
	}
	if err := b.Check(); err != nil {
		return nil, fmt.Errorf("%w: trial %.64q: %w", ErrBundle, j.Trial, err)
	}
	return b, nil
}

// finite reports whether a number is neither NaN nor an infinity.
func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
