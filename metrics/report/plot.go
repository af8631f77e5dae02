package report

import (
	"fmt"

	"focalgrid/figure"
)

// WritePlot draws precision over recall, the mean of the classes at each IoU
// threshold, to a file, by its name as PNG or SVG.
func (r *Report) WritePlot(path string) error {
	f, err := r.curvesFigure()
	if err != nil {
		return err
	}
	return f.Write(path)
}

func (r *Report) curvesFigure() (*figure.Figure, error) {
	f := figure.New("recall", "precision")
	f.Note("IoU: AP")
	curves := r.Details.Curves
	for t, iou := range curves.IoU {
		name := fmt.Sprintf("%.2f: %s", iou, fraction(r.Result.ByIoU[t]))
		if err := f.Line(curves.Recall, curves.Mean[t], name, t, len(curves.IoU)); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// reliabilityFigure shows precision over score, bin by bin.
func (d *Details) reliabilityFigure() (*figure.Figure, error) {
	f := figure.New("score", "precision")
	for _, b := range d.Calibration.Bins {
		if b.Detections == 0 {
			continue
		}
		if err := f.Bar(b.From, b.To, b.Precision); err != nil {
			return nil, err
		}
	}
	return f, f.Diagonal("calibrated")
}
