// Package paper holds the published results of Lin, Goyal, Girshick, He and Dollár, "Focal Loss
// for Dense Object Detection" (ICCV 2017, arXiv 1708.02002 v2): Tables 1a to 1e, 2 and 3, one
// CSV file for each table in tables/.
//
// In the files a figure is written as the paper prints it (AP × 100, one decimal). In a Row it is
// a fraction in [0,1], or nil if the paper does not publish it. The settings that distinguish the
// rows are named by the keys of an ablation grid (loss.gamma, model.depth, …), so Lookup finds the
// published row of a trial by its settings. How our numbers are trained, stored or printed is the
// business of other packages.
package paper

import (
	"embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
)

//go:embed tables/*.csv
var files embed.FS

// ErrNoTable is returned by Load if the paper has no table with this id.
var ErrNoTable = errors.New("no such table in the paper")

// Metrics are the names of the published figures, in the order of the paper.
var Metrics = []string{"AP", "AP50", "AP75", "APs", "APm", "APl"}

// Table is one published table.
type Table struct {
	ID       string // "1b"
	Caption  string // what the table varies
	Split    string // "minival" (val2017) or "test-dev"; only minival can be scored locally
	Backbone string // of every row, or "varies"
	Scale    int    // shorter side in pixels, training and test; 0 where it varies between rows
	Finding  string // one line: what the paper concludes from it

	// Factors are the columns that distinguish the rows. A row may lack one (OHEM's batch size
	// has no meaning for focal loss).
	Factors []string
	// Fixed are settings that all rows share; a trial with other values is another
	// experiment: Table 1a is only about gamma 0.
	Fixed map[string]any
	Rows  []Row
}

// Row is one line of a published table.
type Row struct {
	Label   string              // the method's name where the paper prints one
	Factors map[string]any      // by grid key: float64, string or []float64
	Metrics map[string]*float64 // by the names in Metrics, fractions in [0,1]; nil: not published
	Millis  *float64            // inference time per image on an Nvidia M40, milliseconds (Table 1e)
}

// about describes the tables; their figures are in tables/<id>.csv.
var about = map[string]Table{
	"1a": {
		Caption: "α-balanced cross entropy (γ = 0)", Split: "minival", Backbone: "ResNet-50-FPN", Scale: 600,
		Finding: "balanced cross entropy is best at α = .75 (31.1 AP, against 30.2 at .5); at α = .1 it learns nothing (0.0)",
		Fixed:   map[string]any{"loss.type": "focal", "loss.gamma": 0.0, "sampler.type": "all"},
	},
	"1b": {
		Caption: "focal loss, the best α for each γ", Split: "minival", Backbone: "ResNet-50-FPN", Scale: 600,
		Finding: "γ = 2 with α = .25 gains 2.9 AP over balanced cross entropy (34.0 against 31.1); every γ above 0 gains",
		Fixed:   map[string]any{"loss.type": "focal", "sampler.type": "all"},
	},
	"1c": {
		Caption: "anchor scales and aspect ratios", Split: "minival", Backbone: "ResNet-50-FPN", Scale: 600,
		Finding: "one square anchor gives 30.3 AP, 2 scales × 3 ratios 34.2; beyond 6 to 9 anchors nothing is gained",
		Fixed:   map[string]any{"loss.type": "focal", "loss.gamma": 2.0, "loss.alpha": 0.25, "sampler.type": "all"},
	},
	"1d": {
		Caption: "focal loss against online hard example mining", Split: "minival", Backbone: "ResNet-101-FPN", Scale: 600,
		Finding: "focal loss (36.0 AP) beats the best OHEM setting by 3.2 (32.8); OHEM 1:3 is worse still (31.1 at best)",
	},
	"1e": {
		Caption: "accuracy and speed by depth and image scale", Split: "test-dev", Backbone: "varies",
		Finding: "AP rises with depth and scale, from 30.5 (ResNet-50, 400 px, 64 ms) to 37.8 (ResNet-101, 800 px, 198 ms)",
		Fixed:   map[string]any{"loss.type": "focal", "loss.gamma": 2.0, "loss.alpha": 0.25, "sampler.type": "all"},
	},
	"2": {
		Caption: "single-model results against other detectors", Split: "test-dev", Backbone: "varies",
		Finding: "RetinaNet reaches 39.1 AP with ResNet-101-FPN and 40.8 with ResNeXt-101-FPN, above the best two-stage row (36.8)",
	},
	"3": {
		Caption: "cross entropy, FL and FL*", Split: "minival", Backbone: "ResNet-50-FPN", Scale: 600,
		Finding: "FL* (33.8 and 33.9 AP) is as good as FL (34.0), both about 2.8 above cross entropy (31.1): the exact form is not crucial",
		Fixed:   map[string]any{"sampler.type": "all"},
	},
}

// IDs lists the known tables in the order of the paper.
func IDs() []string {
	ids := make([]string, 0, len(about))
	for id := range about {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Load returns the published table with this id ("1a" … "1e", "2", "3"). The caller owns the
// value. The error is ErrNoTable, with the known ids, if there is no such table.
func Load(id string) (*Table, error) {
	t, ok := about[id]
	if !ok {
		return nil, fmt.Errorf("table %q: %w; known: %s", id, ErrNoTable, strings.Join(IDs(), ", "))
	}
	t.ID = id
	fixed := make(map[string]any, len(t.Fixed))
	for k, v := range t.Fixed {
		fixed[k] = v
	}
	t.Fixed = fixed
	text, err := fs.ReadFile(files, "tables/"+id+".csv")
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", id, err)
	}
	if err := t.parse(string(text)); err != nil {
		return nil, fmt.Errorf("table %s: %w", id, err)
	}
	return &t, nil
}

// Setting describes the conditions under which the table was measured, without those that vary
// between its rows: "COCO minival, ResNet-50-FPN, 600 px".
func (t *Table) Setting() string {
	parts := []string{"COCO " + t.Split}
	if t.Backbone != "varies" {
		parts = append(parts, t.Backbone)
	}
	if t.Scale > 0 {
		parts = append(parts, fmt.Sprintf("%d px", t.Scale))
	}
	return strings.Join(parts, ", ")
}

// parse fills Factors and Rows from CSV text: a header of factor keys, metric names and perhaps
// "label" and "ms", then one line for each row. Metrics are AP × 100.
func (t *Table) parse(text string) error {
	lines, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		return errors.New("no header line")
	}
	header := lines[0]
	for _, name := range header {
		if name != "label" && name != "ms" && !slices.Contains(Metrics, name) {
			t.Factors = append(t.Factors, name)
		}
	}
	for i, line := range lines[1:] {
		row := Row{Factors: map[string]any{}, Metrics: map[string]*float64{}}
		for _, name := range Metrics {
			row.Metrics[name] = nil
		}
		for j, cell := range line {
			name := header[j]
			switch {
			case name == "label":
				row.Label = cell
			case cell == "":
				// not stated, or has no meaning for this row
			case name == "ms":
				v, err := strconv.ParseFloat(cell, 64)
				if err != nil {
					return fmt.Errorf("line %d: ms: %w", i+2, err)
				}
				row.Millis = &v
			case slices.Contains(Metrics, name):
				// Moving the decimal point in the text gives the float nearest to .311;
				// 31.1/100 differs from it by one bit.
				v, err := strconv.ParseFloat(cell+"e-2", 64)
				if err != nil || !(v >= 0 && v <= 1) {
					return fmt.Errorf("line %d: %s is %q, want a number from 0 to 100", i+2, name, cell)
				}
				row.Metrics[name] = &v
			default:
				if row.Factors[name], err = parseFactor(name, cell); err != nil {
					return fmt.Errorf("line %d: %s: %w", i+2, name, err)
				}
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return nil
}

// parseFactor reads one factor cell: a number if it looks like one, otherwise text. The paper
// gives anchors as counts: n scales are 2^(k/n) for k < n (§5.2 gives n = 3 and 4; 1 and 2 follow
// the same rule); 1 ratio is the square, 3 ratios are 1:2, 1:1 and 2:1.
func parseFactor(name, cell string) (any, error) {
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		return cell, nil
	}
	switch name {
	case "anchors.scales":
		scales := make([]float64, int(v))
		for k := range scales {
			scales[k] = math.Exp2(float64(k) / v)
		}
		return scales, nil
	case "anchors.ratios":
		switch v {
		case 1:
			return []float64{1}, nil
		case 3:
			return []float64{0.5, 1, 2}, nil
		}
		return nil, fmt.Errorf("%g ratios, the paper has 1 or 3", v)
	}
	return v, nil
}
