package figures

import (
	"fmt"
	"strings"

	"focalgrid/figure"
	"focalgrid/paper"
	"focalgrid/setting"
)

// fpnMillis is the time an image that §5.2 gives for Faster R-CNN with FPN on an Nvidia M40, in milliseconds.
const fpnMillis = 172

// speed draws Figure 2: published AP over published time an image, on an Nvidia M40. RetinaNet is Table 1e. Of the
// detectors in Table 2 only Faster R-CNN with FPN has a time in the paper's text; SSD513 and DSSD513 are drawn as
// lines at their AP. Times on other hardware cannot be compared with these, so nothing measured here is drawn.
func speed(*Input) (*figure.Figure, error) {
	own, err := paper.Load("1e")
	if err != nil {
		return nil, err
	}
	others, err := paper.Load("2")
	if err != nil {
		return nil, err
	}
	p := &figure.Panel{
		X: figure.Axis{Label: "time an image on an Nvidia M40 (ms)", Min: 50, Max: 250},
		Y: figure.Axis{Label: "AP × 100, COCO test-dev", Min: 28, Max: 39},
	}
	for i, depth := range []float64{50, 101} {
		line := figure.Line{Name: fmt.Sprintf("RetinaNet-%g", depth), Mark: figure.Joined, Style: figure.Distinct(i)}
		for _, row := range own.Rows {
			if row.Factors["model.depth"] != depth {
				continue
			}
			x, y := *row.Millis, 100**row.Metrics["AP"]
			line.X, line.Y = append(line.X, x), append(line.Y, y)
			p.Labels = append(p.Labels, figure.Label{X: x, Y: y, Text: setting.Spell(row.Factors["image.short"]), Side: besideLine(depth, row.Factors["image.short"])})
		}
		p.Lines = append(p.Lines, line)
	}
	for _, row := range others.Rows {
		ap := 100 * *row.Metrics["AP"]
		method, _, _ := strings.Cut(fmt.Sprint(row.Factors["method"]), " (")
		switch method {
		case "Faster R-CNN w FPN":
			p.Lines = append(p.Lines, figure.Line{Name: "Faster R-CNN", X: []float64{fpnMillis}, Y: []float64{ap}, Mark: figure.Points, Style: figure.Distinct(2)})
			p.Labels = append(p.Labels, figure.Label{X: fpnMillis, Y: ap, Text: "with FPN"})
		case "SSD513", "DSSD513":
			p.Lines = append(p.Lines, figure.Line{X: []float64{50, 250}, Y: []float64{ap, ap}, Style: figure.Muted()})
			p.Labels = append(p.Labels, figure.Label{X: 225, Y: ap, Text: method, Side: figure.Above})
		}
	}
	return &figure.Figure{
		Title: "Figure 2. AP against time an image, as published",
		Caption: "Published figures alone: Tables 1e and 2 and §5.2 of the paper; one model a point, labelled with its image scale in px. " +
			"Dashed: AP of one-stage detectors, whose time the paper does not state in its text.",
		Description: "Two rising lines of five points, RetinaNet-50 from 30.5 AP at 64 ms to 35.7 at 153 ms and RetinaNet-101 from " +
			"31.9 at 81 ms to 37.8 at 198 ms. Faster R-CNN with FPN, 36.2 AP at 172 ms, lies below the line of RetinaNet-101.",
		Panels: []*figure.Panel{p},
	}, nil
}

// besideLine returns the side of a point at which the label of its scale hits neither line.
func besideLine(depth float64, scale any) figure.Side {
	switch {
	case scale == 400.0:
		return figure.Right
	case scale == 500.0:
		return figure.Left
	case depth == 50:
		return figure.Below
	}
	return figure.Above
}
