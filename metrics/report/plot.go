package report

import (
	"fmt"
	"math"

	"focalgrid/figure"
)

// WritePlot draws precision over recall, the mean of the classes at each IoU
// threshold, to a file, by its name as PNG or SVG.
func (r *Report) WritePlot(path string) error { return r.curvesFigure().Write(path, 2*figure.Width) }

func (r *Report) curvesFigure() *figure.Figure {
	curves := r.Details.Curves
	p := &figure.Panel{
		X: figure.Axis{Label: "recall", Max: 1},
		Y: figure.Axis{Label: "precision", Max: 1},
	}
	for t, iou := range curves.IoU {
		p.Lines = append(p.Lines, figure.Line{
			Name: fmt.Sprintf("%.2f: %s", iou, fraction(r.Result.ByIoU[t])),
			X:    curves.Recall, Y: curves.Mean[t],
			Style: figure.Ordered(t, len(curves.IoU)),
		})
	}
	return &figure.Figure{
		Title:   "Precision over recall",
		Caption: "The mean over the classes at each IoU threshold, with its AP, a fraction, in the legend.",
		Panels:  []*figure.Panel{p},
	}
}

// reliabilityFigure shows precision over score, bin by bin.
func (d *Details) reliabilityFigure() *figure.Figure {
	p := &figure.Panel{
		X: figure.Axis{Label: "score", Max: 1},
		Y: figure.Axis{Label: "precision", Max: 1},
	}
	detections := 0
	for _, b := range d.Calibration.Bins {
		if b.Detections > 0 && !math.IsNaN(b.Precision) {
			p.Bars = append(p.Bars, figure.Bar{From: b.From, To: b.To, Height: b.Precision})
			detections += b.Detections
		}
	}
	p.Lines = []figure.Line{{Name: "calibrated", X: []float64{0, 1}, Y: []float64{0, 1}, Style: figure.Muted()}}
	return &figure.Figure{
		Title:   "Precision by score",
		Caption: fmt.Sprintf("Precision of the detections with a score in each bin; %d detections.", detections),
		Panels:  []*figure.Panel{p},
	}
}
