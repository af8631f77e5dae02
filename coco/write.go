package coco

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"

	"focalgrid/atomicfile"
)

// WriteDataset writes d as a ground-truth file, one entry a line, in the order
// of d. Equal values give equal bytes. The file appears whole or not at all: it
// is written beside path and moved there.
func WriteDataset(path string, d *Dataset) error {
	return atomicfile.Write(path, func(w io.Writer) error { return EncodeDataset(w, d) })
}

// WriteDetections writes a results file; see WriteDataset.
func WriteDetections(path string, dets []Detection) error {
	return atomicfile.Write(path, func(w io.Writer) error { return EncodeDetections(w, dets) })
}

// EncodeDataset writes d as JSON. Numbers have the fewest digits that read back
// to the same float64; one that is not finite has no form in JSON and is an
// error that names its entry. Fields in Absent are left out, as are an image's
// unknown file name and size and a category's empty supercategory.
func EncodeDataset(w io.Writer, d *Dataset) error {
	e := &encoder{w: bufio.NewWriter(w)}
	e.raw("{\"images\": [")
	for i, im := range d.Images {
		e.entry("images", i)
		e.raw(`{"id": `)
		e.integer(im.ID)
		if im.FileName != "" {
			e.raw(`, "file_name": `)
			e.text(im.FileName)
		}
		if im.Width != 0 || im.Height != 0 {
			e.raw(`, "width": `)
			e.integer(int64(im.Width))
			e.raw(`, "height": `)
			e.integer(int64(im.Height))
		}
		e.raw("}")
	}
	e.raw("\n],\n\"annotations\": [")
	for i, a := range d.Annotations {
		e.entry("annotations", i)
		e.raw(`{"id": `)
		e.integer(a.ID)
		e.raw(`, "image_id": `)
		e.integer(a.ImageID)
		e.raw(`, "category_id": `)
		e.integer(a.CategoryID)
		e.raw(`, "bbox": `)
		e.box(a.BBox)
		if !a.Absent.Has(FieldArea) {
			e.raw(`, "area": `)
			e.number("area", a.Area)
		}
		if !a.Absent.Has(FieldIsCrowd) {
			e.raw(`, "iscrowd": `)
			if a.IsCrowd {
				e.raw("1")
			} else {
				e.raw("0")
			}
		}
		e.raw("}")
	}
	e.raw("\n],\n\"categories\": [")
	for i, c := range d.Categories {
		e.entry("categories", i)
		e.raw(`{"id": `)
		e.integer(c.ID)
		e.raw(`, "name": `)
		e.text(c.Name)
		if c.Supercategory != "" {
			e.raw(`, "supercategory": `)
			e.text(c.Supercategory)
		}
		e.raw("}")
	}
	e.raw("\n]}\n")
	return e.flush()
}

// EncodeDetections writes dets as JSON; see EncodeDataset.
func EncodeDetections(w io.Writer, dets []Detection) error {
	e := &encoder{w: bufio.NewWriter(w)}
	e.raw("[")
	for i, d := range dets {
		e.entry("detections", i)
		e.raw(`{"image_id": `)
		e.integer(d.ImageID)
		e.raw(`, "category_id": `)
		e.integer(d.CategoryID)
		e.raw(`, "bbox": `)
		e.box(d.BBox)
		e.raw(`, "score": `)
		e.number("score", d.Score)
		e.raw("}")
	}
	e.raw("\n]\n")
	return e.flush()
}

// encoder writes JSON and keeps the first error, after which it writes nothing.
type encoder struct {
	w       *bufio.Writer
	scratch []byte
	section string
	index   int
	err     error
}

func (e *encoder) raw(s string) {
	if e.err == nil {
		_, e.err = e.w.WriteString(s)
	}
}

func (e *encoder) bytes(b []byte) {
	if e.err == nil {
		_, e.err = e.w.Write(b)
	}
}

// entry begins entry i of an array on a line of its own.
func (e *encoder) entry(section string, i int) {
	e.section, e.index = section, i
	if i > 0 {
		e.raw(",")
	}
	e.raw("\n")
}

func (e *encoder) integer(n int64) {
	e.scratch = strconv.AppendInt(e.scratch[:0], n, 10)
	e.bytes(e.scratch)
}

func (e *encoder) number(field string, f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		if e.err == nil {
			e.err = fmt.Errorf("%s[%d].%s: expected a finite number, found %g", e.section, e.index, field, f)
		}
		return
	}
	// Plain digits for everyday magnitudes, an exponent beyond them.
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e17) {
		format = 'e'
	}
	e.scratch = strconv.AppendFloat(e.scratch[:0], f, format, -1, 64)
	e.bytes(e.scratch)
}

func (e *encoder) box(b [4]float64) {
	for i, f := range b {
		if i == 0 {
			e.raw("[")
		} else {
			e.raw(", ")
		}
		e.number("bbox", f)
	}
	e.raw("]")
}

func (e *encoder) text(s string) {
	b, err := json.Marshal(s)
	if err != nil && e.err == nil {
		e.err = fmt.Errorf("%s[%d]: %w", e.section, e.index, err)
	}
	e.bytes(b)
}

func (e *encoder) flush() error {
	if e.err != nil {
		return e.err
	}
	return e.w.Flush()
}
