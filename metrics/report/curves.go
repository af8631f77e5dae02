package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"

	"focalgrid/atomicfile"
	"focalgrid/nullable"
	"focalgrid/safecsv"
)

// curveForms are the forms of a file of curves, by how its name ends.
var curveForms = map[string]func(*Details, io.Writer) error{".json": (*Details).curvesJSON, ".csv": (*Details).curvesCSV}

// CheckCurves returns an error if curves cannot be written to a file of that name.
func CheckCurves(path string) error {
	if curveForms[filepath.Ext(path)] == nil {
		return fmt.Errorf("%s: curves are written as .json or .csv", path)
	}
	return nil
}

// WriteCurves writes precision over recall of every category and IoU threshold to
// a file, by its name as JSON or CSV. What does not exist is null, and empty in CSV.
func (d *Details) WriteCurves(path string) error {
	if err := CheckCurves(path); err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error { return curveForms[filepath.Ext(path)](d, w) })
}

type curveJSON struct {
	ID        int64            `json:"category_id"`
	Name      string           `json:"name"`
	IoU       float64          `json:"iou"`
	Precision []nullable.Float `json:"precision"`
	Score     []nullable.Float `json:"score"`
}

func (d *Details) curvesJSON(w io.Writer) error {
	list := make([]curveJSON, len(d.Curves.PerCategory))
	for i, c := range d.Curves.PerCategory {
		list[i] = curveJSON{c.CategoryID, c.Name, c.IoU, nullable.Floats(c.Precision), nullable.Floats(c.Score)}
	}
	return json.NewEncoder(w).Encode(struct {
		Recall []float64   `json:"recall"`
		Curves []curveJSON `json:"curves"`
	}{d.Curves.Recall, list})
}

func (d *Details) curvesCSV(w io.Writer) error {
	text := func(v float64) string {
		if math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	out := safecsv.NewWriter(w)
	out.Write([]string{"category_id", "name", "iou", "recall", "precision", "score"}) // errors are kept for Error
	for _, c := range d.Curves.PerCategory {
		for i, recall := range d.Curves.Recall {
			out.Write([]string{strconv.FormatInt(c.CategoryID, 10), c.Name, text(c.IoU), text(recall), text(c.Precision[i]), text(c.Score[i])})
		}
	}
	out.Flush()
	return out.Error()
}
