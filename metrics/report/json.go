package report

import (
	"encoding/json"
	"io"

	"focalgrid/metrics"
	"focalgrid/nullable"
)

// document is the JSON form: the numbers of pycocotools, -1 where it has -1.
type document struct {
	Stats       [12]float64     `json:"stats"`
	StatNames   [12]string      `json:"stat_names"`
	PerCategory []categoryStats `json:"per_category"`
	*detailsJSON
	Comparison *comparisonJSON `json:"comparison,omitempty"`
}

type categoryStats struct {
	ID    int64   `json:"category_id"`
	Name  string  `json:"name"`
	AP    float64 `json:"AP"`
	AP50  float64 `json:"AP50"`
	AP75  float64 `json:"AP75"`
	APs   float64 `json:"APs"`
	APm   float64 `json:"APm"`
	APl   float64 `json:"APl"`
	AR1   float64 `json:"AR1"`
	AR10  float64 `json:"AR10"`
	AR100 float64 `json:"AR100"`
	ARs   float64 `json:"ARs"`
	ARm   float64 `json:"ARm"`
	ARl   float64 `json:"ARl"`
}

func (r *Report) writeJSON(w io.Writer) error {
	c := r.Result.COCO()
	d := document{Stats: c.Stats, StatNames: metrics.StatNames, PerCategory: []categoryStats{}}
	for _, k := range c.PerCategory {
		d.PerCategory = append(d.PerCategory, categoryStats{
			k.ID, k.Name, k.AP, k.AP50, k.AP75, k.APs, k.APm, k.APl, k.AR1, k.AR10, k.AR100, k.ARs, k.ARm, k.ARl,
		})
	}
	if r.Details != nil && r.ShowDetails {
		d.detailsJSON = r.Details.json(r.Result)
	}
	if r.Comparison != nil {
		d.Comparison = r.Comparison.json()
	}
	return json.NewEncoder(w).Encode(d)
}

// detailsJSON is what --details adds.
type detailsJSON struct {
	ByIoU       []iouJSON       `json:"by_iou"`
	Errors      errorsJSON      `json:"errors"`
	Calibration calibrationJSON `json:"calibration"`
	BestF1      []f1JSON        `json:"best_f1"`
}

type iouJSON struct {
	IoU float64        `json:"iou"`
	AP  nullable.Float `json:"AP"`
}

type errorsJSON struct {
	Foreground     float64        `json:"foreground_iou"`
	Background     float64        `json:"background_iou"`
	AP             nullable.Float `json:"AP"`
	Kinds          []errorJSON    `json:"kinds"`
	FalsePositives errorJSON      `json:"false_positives"`
	FalseNegatives errorJSON      `json:"false_negatives"`
}

type errorJSON struct {
	Kind  string         `json:"kind,omitempty"`
	Count int            `json:"count"`
	DAP   nullable.Float `json:"dAP"`
}

type calibrationJSON struct {
	IoU  float64        `json:"iou"`
	ECE  nullable.Float `json:"ece"`
	Bins []binJSON      `json:"bins"`
}

type binJSON struct {
	From       float64        `json:"from"`
	To         float64        `json:"to"`
	Detections int            `json:"detections"`
	Score      nullable.Float `json:"mean_score"`
	Precision  nullable.Float `json:"precision"`
}

type f1JSON struct {
	ID        int64          `json:"category_id"`
	Name      string         `json:"name"`
	IoU       float64        `json:"iou"`
	F1        nullable.Float `json:"f1"`
	Score     nullable.Float `json:"score"`
	Precision nullable.Float `json:"precision"`
	Recall    nullable.Float `json:"recall"`
}

func (d *Details) json(r *metrics.Result) *detailsJSON {
	j := &detailsJSON{BestF1: []f1JSON{}}
	for i, iou := range r.IoUThresholds {
		j.ByIoU = append(j.ByIoU, iouJSON{iou, nullable.Float(r.ByIoU[i])})
	}
	cost := func(kind string, c metrics.ErrorCost) errorJSON {
		return errorJSON{kind, c.Count, nullable.Float(c.DAP)}
	}
	e := d.Errors
	j.Errors = errorsJSON{
		Foreground: e.Foreground, Background: e.Background, AP: nullable.Float(e.AP),
		FalsePositives: cost("", e.FalsePositives), FalseNegatives: cost("", e.FalseNegatives),
	}
	for k, c := range e.Kinds {
		j.Errors.Kinds = append(j.Errors.Kinds, cost(metrics.ErrorKind(k).String(), c))
	}
	j.Calibration = calibrationJSON{IoU: d.Calibration.IoU, ECE: nullable.Float(d.Calibration.ECE)}
	for _, b := range d.Calibration.Bins {
		j.Calibration.Bins = append(j.Calibration.Bins, binJSON{b.From, b.To, b.Detections, nullable.Float(b.Score), nullable.Float(b.Precision)})
	}
	for k, p := range d.BestF1 {
		c := &r.PerCategory[k]
		j.BestF1 = append(j.BestF1, f1JSON{c.ID, c.Name, d.IoU, nullable.Float(p.F1), nullable.Float(p.Score), nullable.Float(p.Precision), nullable.Float(p.Recall)})
	}
	return j
}

// comparisonJSON is what --vs adds. low and high enclose 95 % of the resamples; stats and
// with_stats are in the order of stat_names, and hold null where there is no object.
type comparisonJSON struct {
	With       string           `json:"with"`
	AP         nullable.Float   `json:"AP"`
	WithAP     nullable.Float   `json:"with_AP"`
	Stats      []nullable.Float `json:"stats"`
	WithStats  []nullable.Float `json:"with_stats"`
	Difference nullable.Float   `json:"difference"`
	Low        nullable.Float   `json:"low"`
	High       nullable.Float   `json:"high"`
	StdErr     nullable.Float   `json:"standard_error"`
	Resamples  int              `json:"resamples"`
	Seed       uint64           `json:"seed"`
}

func (c *Comparison) json() *comparisonJSON {
	return &comparisonJSON{
		c.With, nullable.Float(c.A[0]), nullable.Float(c.B[0]), nullable.Floats(c.A[:]), nullable.Floats(c.B[:]), nullable.Float(c.Difference), nullable.Float(c.Low), nullable.Float(c.High), nullable.Float(c.StdErr),
		c.Resamples, c.Seed,
	}
}
