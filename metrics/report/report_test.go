package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"focalgrid/coco"
	"focalgrid/metrics"
	"focalgrid/page"
	"focalgrid/page/pagetest"
	"focalgrid/stats"
)

// street has some images of two classes, and a third class without objects.
func street() (*coco.Dataset, []coco.Detection) {
	rng := rand.New(rand.NewPCG(1, 2))
	gt := &coco.Dataset{Categories: []coco.Category{{ID: 1, Name: "car"}, {ID: 2, Name: "<b>tram</b> & | \"bus\"\n"}, {ID: 3}}}
	var dt []coco.Detection
	for i := range int64(12) {
		gt.Images = append(gt.Images, coco.Image{ID: i})
		for range 4 {
			box := [4]float64{200 * rng.Float64(), 200 * rng.Float64(), 10 + 90*rng.Float64(), 10 + 90*rng.Float64()}
			class := 1 + rng.Int64N(2)
			gt.Annotations = append(gt.Annotations, coco.Annotation{ID: int64(len(gt.Annotations) + 1), ImageID: i, CategoryID: class, BBox: box, Area: box[2] * box[3]})
			for range 2 {
				near := box
				near[0] += 20 * rng.NormFloat64()
				dt = append(dt, coco.Detection{ImageID: i, CategoryID: 1 + rng.Int64N(3), BBox: near, Score: rng.Float64()})
			}
		}
	}
	return gt, dt
}

// made evaluates gt and dt with all there is.
func made(t *testing.T, gt *coco.Dataset, dt []coco.Detection, opt metrics.Options) *Report {
	t.Helper()
	m, err := metrics.Match(gt, dt, opt)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Examine(gt, dt, m, opt)
	if err != nil {
		t.Fatal(err)
	}
	half, err := metrics.Match(gt, dt[:len(dt)/2], opt)
	if err != nil {
		t.Fatal(err)
	}
	c, err := metrics.Compare(m, half, 20, 0)
	if err != nil {
		t.Fatal(err)
	}
	return &Report{
		GroundTruth: "gt.json", Detections: "<dt>.json", Images: len(gt.Images), Result: m.Result(), Options: opt,
		PerClass: true, Details: d, ShowDetails: true, Comparison: &Comparison{Comparison: *c, With: "b.json"},
		Made: page.Made{Command: "runner eval --html 'a b'", Version: "v1", At: time.Date(2030, 5, 1, 9, 0, 0, 0, time.UTC)},
	}
}

// TestEverywhere writes every form of ordinary and of degenerate evaluations:
// nothing fails, and no NaN shows.
func TestEverywhere(t *testing.T) {
	gt, dt := street()
	one := metrics.DefaultOptions()
	one.IoUThresholds = []float64{.75}
	twice := metrics.DefaultOptions()
	twice.IoUThresholds = []float64{.5, .5}
	outside := []coco.Detection{{ImageID: 1, CategoryID: 1, BBox: [4]float64{0, 0, 9, 9}, Score: 7}}
	tests := []struct {
		name string
		gt   *coco.Dataset
		dt   []coco.Detection
		opt  metrics.Options
	}{
		{"ordinary", gt, dt, metrics.DefaultOptions()},
		{"one threshold", gt, dt, one},
		{"a threshold twice", gt, dt, twice},
		{"no detections", gt, nil, metrics.DefaultOptions()},
		{"a score above 1", gt, outside, metrics.DefaultOptions()},
		{"no objects", &coco.Dataset{Images: gt.Images, Categories: gt.Categories}, dt, metrics.DefaultOptions()},
		{"no classes", &coco.Dataset{Images: gt.Images}, dt, metrics.DefaultOptions()},
		{"nothing", &coco.Dataset{}, nil, metrics.DefaultOptions()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			r := made(t, tt.gt, tt.dt, tt.opt)
			for _, format := range Formats() {
				var b bytes.Buffer
				if err := r.Write(&b, format); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(b.String(), "NaN") {
					t.Errorf("%s shows NaN:\n%s", format, &b)
				}
				if format == "json" && !json.Valid(b.Bytes()) {
					t.Errorf("no JSON:\n%s", &b)
				}
			}
			file := func(name string, write func(string) error) []byte {
				path := filepath.Join(dir, name)
				if err := write(path); err != nil {
					t.Fatal(err)
				}
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				return text
			}
			if text := file("c.json", r.Details.WriteCurves); !json.Valid(text) {
				t.Errorf("no JSON:\n%s", text)
			}
			lines, err := csv.NewReader(bytes.NewReader(file("c.csv", r.Details.WriteCurves))).ReadAll()
			if want := 1 + 101*len(tt.opt.IoUThresholds)*len(tt.gt.Categories); err != nil || len(lines) != want {
				t.Errorf("curves in CSV: %d lines (%v), want %d", len(lines), err, want)
			}
			if im, err := png.Decode(bytes.NewReader(file("p.png", r.WritePlot))); err != nil || im.Bounds().Dx() < 800 {
				t.Errorf("the plot: %v, %v", im, err)
			}
			checkPage(t, file("r.html", r.WriteHTML))
			if left, err := os.ReadDir(dir); err != nil || len(left) != 4 {
				t.Errorf("files %v (%v), want the four written", left, err)
			}
		})
	}
}

// checkPage wants a page that everybody can read, with all text escaped, and that says how it was made.
func checkPage(t *testing.T, text []byte) {
	t.Helper()
	for _, problem := range pagetest.Problems(text) {
		t.Errorf("page: %s", problem)
	}
	if want := "Made by <code>runner eval --html &#39;a b&#39;</code>, runner v1, on 2030-05-01 09:00 UTC."; !bytes.Contains(text, []byte(want)) {
		t.Errorf("page does not say %s", want)
	}
	for _, wrong := range []string{"NaN", "ZgotmplZ", "<b>tram", "<dt>", "url(", "@import"} {
		if bytes.Contains(text, []byte(wrong)) {
			t.Errorf("page has %q", wrong)
		}
	}
}

// TestJSON: numbers read back to the same bits, -1 stands where pycocotools has it.
func TestJSON(t *testing.T) {
	gt, dt := street()
	r := made(t, gt, dt, metrics.DefaultOptions())
	var b bytes.Buffer
	if err := r.Write(&b, "json"); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Stats       []float64
		StatNames   []string `json:"stat_names"`
		PerCategory []struct {
			ID   int64 `json:"category_id"`
			Name string
			AP   float64
			ARl  float64
		} `json:"per_category"`
		Errors struct {
			AP    float64
			Kinds []struct {
				Kind  string
				Count int
				DAP   float64
			}
		}
		Calibration struct {
			ECE  float64
			Bins []struct{ Precision *float64 }
		}
		BestF1 []struct{ F1 *float64 } `json:"best_f1"`
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := r.Result.COCO()
	for i, v := range want.Stats {
		if got.Stats[i] != v || got.StatNames[i] != metrics.StatNames[i] {
			t.Errorf("%s: %v, want %s %v", got.StatNames[i], got.Stats[i], metrics.StatNames[i], v)
		}
	}
	for i, k := range want.PerCategory {
		if g := got.PerCategory[i]; g.ID != k.ID || g.Name != k.Name || g.AP != k.AP || g.ARl != k.ARl {
			t.Errorf("class %+v, want %+v", g, k)
		}
	}
	if got.PerCategory[2].AP != -1 || got.BestF1[2].F1 != nil || got.BestF1[0].F1 == nil {
		t.Error("a class without objects: want AP -1 and F1 null")
	}
	if got.Errors.AP != r.Details.Errors.AP || got.Errors.Kinds[metrics.Missed].Kind != "missed" || got.Errors.Kinds[metrics.Localisation].DAP != r.Details.Errors.Kinds[metrics.Localisation].DAP {
		t.Errorf("errors %+v, want %+v", got.Errors, r.Details.Errors)
	}
	if got.Calibration.ECE != r.Details.Calibration.ECE || len(got.Calibration.Bins) != bins {
		t.Errorf("calibration %+v, want %+v", got.Calibration, r.Details.Calibration)
	}

	r.ShowDetails, r.Comparison = false, nil
	b.Reset()
	if err := r.Write(&b, "json"); err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b.Bytes(), &keys); err != nil || len(keys) != 3 {
		t.Errorf("plain JSON has the keys %v (%v), want stats, stat_names and per_category alone", keys, err)
	}
}

func TestRefused(t *testing.T) {
	gt, dt := street()
	r := made(t, gt, dt, metrics.DefaultOptions())
	if err := r.Write(io.Discard, "yaml"); err == nil || !strings.Contains(err.Error(), "known: json, markdown, text") {
		t.Errorf("unknown format: %v", err)
	}
	dir := t.TempDir()
	if err := r.Details.WriteCurves(filepath.Join(dir, "c.txt")); err == nil {
		t.Error("curves as .txt are written")
	}
	for _, write := range []func(string) error{r.WriteHTML, r.WritePlot} {
		if err := write(filepath.Join(dir, "none", "x")); err == nil {
			t.Error("a file in no folder is written")
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSparkline(t *testing.T) {
	if got, want := sparkline([]float64{1, 1, 1, .5, 0}), "0,0.0 40,0.0 60,15.0 80,30.0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := sparkline([]float64{math.NaN()}); got != "" {
		t.Errorf("without objects: %q", got)
	}
}

func TestDifference(t *testing.T) {
	of := func(value, low, high float64) *difference {
		return (&Comparison{Comparison: metrics.Comparison{Difference: value, Interval: stats.Interval{Low: low, High: high}}}).difference()
	}
	if d := of(.02, .01, .03); !strings.Contains(d.Verdict, "better") || !(d.Zero < d.From && d.From < d.At && d.At < d.To) {
		t.Errorf("above 0: %+v", d)
	}
	if d := of(-.02, -.03, -.01); !strings.Contains(d.Verdict, "worse") || !(d.To < d.Zero) {
		t.Errorf("below 0: %+v", d)
	}
	if d := of(.01, -.01, .03); !strings.Contains(d.Verdict, "holds 0") || !(d.From < d.Zero && d.Zero < d.To) {
		t.Errorf("around 0: %+v", d)
	}
	if d := of(0, 0, 0); d.At != 50 || d.Zero != 50 || d.Distance != 0 {
		t.Errorf("no difference: %+v", d)
	}
	if d := of(math.NaN(), math.NaN(), math.NaN()); d.Drawn {
		t.Errorf("nothing: %+v", d)
	}
}
