package report

import (
	"fmt"
	"slices"

	"focalgrid/coco"
	"focalgrid/columns"
	"focalgrid/metrics"
)

// bins is the number of score bins of a calibration.
const bins = 10

// Details are what lies behind the twelve numbers.
type Details struct {
	IoU         float64 // of BestF1 and Calibration
	Curves      *metrics.Curves
	BestF1      []metrics.OperatingPoint // by category
	Calibration *metrics.Calibration
	Errors      *metrics.Errors
}

// Examine looks into an evaluation whose matches are m. Best F1 and calibration
// are at IoU .5, or the first threshold if that is none of opt's.
func Examine(gt *coco.Dataset, dt []coco.Detection, m *metrics.Matches, opt metrics.Options) (*Details, error) {
	d := &Details{IoU: .5, Curves: m.Curves()}
	if !slices.Contains(opt.IoUThresholds, d.IoU) {
		d.IoU = opt.IoUThresholds[0]
	}
	var err error
	if d.BestF1, err = m.BestF1(d.IoU); err != nil {
		return nil, err
	}
	if d.Calibration, err = m.Calibration(d.IoU, bins); err != nil {
		return nil, err
	}
	d.Errors, err = metrics.FindErrors(gt, dt, opt, metrics.DefaultErrorOptions())
	return d, err
}

func (r *Report) iouTable() table {
	t := table{title: "AP by IoU", rows: [][]string{nil, nil}}
	for i, iou := range r.Result.IoUThresholds {
		t.rows[0] = append(t.rows[0], columns.Decimals(iou, 2))
		t.rows[1] = append(t.rows[1], fraction(r.Result.ByIoU[i]))
	}
	return t
}

// errorTable lists the AP that each kind of error costs; the last two lines overlap with the lines above.
func (d *Details) errorTable() table {
	e := d.Errors
	t := table{
		title: fmt.Sprintf("Errors at IoU %.2f (background below %.2f): what AP %s would gain if one kind were fixed", e.Foreground, e.Background, fraction(e.AP)),
		left:  1,
		rows:  [][]string{{"kind", "count", "dAP"}},
	}
	add := func(kind string, c metrics.ErrorCost) {
		t.rows = append(t.rows, []string{kind, fmt.Sprint(c.Count), fraction(c.DAP)})
	}
	for k, c := range e.Kinds {
		add(metrics.ErrorKind(k).String(), c)
	}
	add("all false positives", e.FalsePositives)
	add("all false negatives", e.FalseNegatives)
	return t
}

func (d *Details) calibrationTable() table {
	c := d.Calibration
	t := table{
		title: fmt.Sprintf("Calibration at IoU %.2f: expected error %s", c.IoU, fraction(c.ECE)),
		left:  1,
		rows:  [][]string{{"score", "detections", "mean score", "precision"}},
	}
	for _, b := range c.Bins {
		t.rows = append(t.rows, []string{
			fmt.Sprintf("%.1f to %.1f", b.From, b.To), fmt.Sprint(b.Detections), fraction(b.Score), fraction(b.Precision),
		})
	}
	return t
}

func (d *Details) f1Table() table {
	t := table{
		title: fmt.Sprintf("Best F1 at IoU %.2f", d.IoU),
		left:  1,
		rows:  [][]string{{"class", "F1", "from score", "precision", "recall"}},
	}
	for k, p := range d.BestF1 {
		c := &d.Curves.PerCategory[k*len(d.Curves.IoU)]
		t.rows = append(t.rows, []string{oneLine(c.Name, c.CategoryID), fraction(p.F1), fraction(p.Score), fraction(p.Precision), fraction(p.Recall)})
	}
	return t
}

func (c *Comparison) table() table {
	t := table{
		title: fmt.Sprintf("Compared with %s: paired bootstrap over images, %d resamples, seed %d", c.With, c.Resamples, c.Seed),
		left:  1,
		rows:  [][]string{{"metric", "this", "the other", "difference", "95 % interval", "standard error"}},
	}
	for i, name := range metrics.StatNames {
		interval, stdErr := columns.Gap, columns.Gap // drawn for AP alone
		if i == 0 {
			interval, stdErr = columns.Decimals(c.Low, 4)+" to "+columns.Decimals(c.High, 4), columns.Decimals(c.StdErr, 4)
		}
		t.rows = append(t.rows, []string{name, columns.Decimals(c.A[i], 4), columns.Decimals(c.B[i], 4), columns.Decimals(c.A[i]-c.B[i], 4), interval, stdErr})
	}
	return t
}
