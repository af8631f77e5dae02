package coco

import (
	"math"
	"unicode/utf8"
)

var (
	needsID        = []string{"id"}
	needsForObject = []string{"id", "image_id", "category_id", "bbox"}
	needsForBox    = []string{"image_id", "category_id", "bbox", "score"}
)

// object reads one object of a known kind: field is called at each value and
// returns the bits of the fields that it has read (0 for one it skipped).
// names lists the needed fields, name i having bit i.
func (s *scanner) object(names []string, field func(key []byte) (uint, error)) (uint, error) {
	if err := s.open('{', "an object"); err != nil {
		return 0, err
	}
	at := s.offset() - 1
	var seen uint
	for first := true; ; first = false {
		ok, err := s.more('}', first)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		key, err := s.key()
		if err != nil {
			return 0, err
		}
		bit, err := field(key)
		if err != nil {
			return 0, err
		}
		s.field = ""
		seen |= bit
	}
	for i, name := range names {
		if seen&(1<<i) == 0 {
			s.field = name
			return 0, s.errAt(at, "missing; every entry needs it")
		}
	}
	return seen, nil
}

// image reads an entry of d.Images.
func (d *Dataset) image(s *scanner, im *Image) error {
	_, err := s.object(needsID, func(key []byte) (uint, error) {
		var err error
		var wrong *Error
		switch string(key) {
		case "id":
			s.field = "id"
			im.ID, err = s.integer()
			return 1, err
		case "file_name":
			s.field = "file_name"
			im.FileName, wrong, err = s.text()
		case "width":
			s.field = "width"
			im.Width, wrong, err = s.pixels()
		case "height":
			s.field = "height"
			im.Height, wrong, err = s.pixels()
		default:
			err = s.skip(2)
		}
		if wrong != nil {
			d.Unread = append(d.Unread, wrong)
		}
		return 0, err
	})
	return err
}

// category reads an entry of d.Categories.
func (d *Dataset) category(s *scanner, c *Category) error {
	_, err := s.object(needsID, func(key []byte) (uint, error) {
		var err error
		switch string(key) {
		case "id":
			s.field = "id"
			c.ID, err = s.integer()
			return 1, err
		case "name":
			s.field = "name"
			var wrong *Error
			if c.Name, wrong, err = s.text(); wrong != nil {
				d.Unread = append(d.Unread, wrong)
			}
		case "supercategory":
			s.field = "supercategory"
			c.Supercategory, _, err = s.text() // not needed here
		default:
			err = s.skip(2)
		}
		return 0, err
	})
	return err
}

func (s *scanner) annotation(a *Annotation) error {
	const area, iscrowd = 1 << 4, 1 << 5 // after the bits of needsForObject
	seen, err := s.object(needsForObject, func(key []byte) (uint, error) {
		var err error
		switch string(key) {
		case "id":
			s.field = "id"
			a.ID, err = s.integer()
			return 1, err
		case "image_id":
			s.field = "image_id"
			a.ImageID, err = s.integer()
			return 2, err
		case "category_id":
			s.field = "category_id"
			a.CategoryID, err = s.integer()
			return 4, err
		case "bbox":
			s.field = "bbox"
			return 8, s.box(&a.BBox)
		case "area":
			s.field = "area"
			a.Area, err = s.number()
			return area, err
		case "iscrowd":
			s.field = "iscrowd"
			a.IsCrowd, err = s.flag()
			return iscrowd, err
		}
		return 0, s.skip(2)
	})
	if seen&area == 0 {
		a.Absent |= FieldArea
	}
	if seen&iscrowd == 0 {
		a.Absent |= FieldIsCrowd
	}
	return err
}

func (s *scanner) detection(d *Detection) error {
	_, err := s.object(needsForBox, func(key []byte) (uint, error) {
		var err error
		switch string(key) {
		case "image_id":
			s.field = "image_id"
			d.ImageID, err = s.integer()
			return 1, err
		case "category_id":
			s.field = "category_id"
			d.CategoryID, err = s.integer()
			return 2, err
		case "bbox":
			s.field = "bbox"
			return 4, s.box(&d.BBox)
		case "score":
			s.field = "score"
			d.Score, err = s.number()
			return 8, err
		}
		return 0, s.skip(2)
	})
	return err
}

// box reads an array of exactly four numbers.
func (s *scanner) box(b *[4]float64) error {
	const what = "an array of 4 numbers: x, y, width, height"
	if err := s.open('[', what); err != nil {
		return err
	}
	at := s.offset() - 1
	for i := 0; ; i++ {
		ok, err := s.more(']', i == 0)
		if err != nil {
			return err
		}
		if !ok && i < 4 {
			return s.errAt(at, "expected %s; found %d", what, i)
		}
		if !ok {
			return nil
		}
		if i == 4 {
			return s.errAt(at, "expected %s; found more", what)
		}
		if b[i], err = s.number(); err != nil {
			return err
		}
	}
}

// flag reads 0, 1, true or false. Any whole number from 1 to 255 is true, as for COCO's own
// tools.
func (s *scanner) flag() (bool, error) {
	const what = "0 or 1"
	c, err := s.peek()
	switch {
	case err == nil && c == 't':
		return true, s.literal("true", what)
	case err == nil && c == 'f':
		return false, s.literal("false", what)
	case err != nil || c-'0' > 9 && c != '-':
		return false, s.expected(what, c, err)
	}
	at := s.offset()
	n, err := s.integer()
	if err != nil {
		return false, err
	}
	if n < 0 || n > 255 {
		return false, s.errAt(at, "expected %s, found %d", what, n)
	}
	return n != 0, nil
}

// pixels reads a length in pixels; null reads as 0, unknown. Any value that is not a length
// also reads as 0, and wrong describes the value.
func (s *scanner) pixels() (n int, wrong *Error, err error) {
	const what = "a whole number"
	c, err := s.peek()
	switch {
	case err != nil:
		return 0, nil, s.expected(what, 0, err)
	case c == 'n':
		return 0, nil, s.literal("null", "a number of pixels")
	case c != '-' && c-'0' > 9:
		return 0, s.unfit(what, c), s.skip(2)
	}
	at := s.offset()
	b, err := s.numberBytes()
	if err != nil {
		return 0, nil, err
	}
	d, ok := parseDecimal(b)
	if !ok {
		return 0, nil, s.errAt(at, "expected %s, found %q", what, shorten(b))
	}
	f, err := d.float(b)
	switch {
	case err != nil || f != math.Trunc(f):
		return 0, s.errAt(at, "expected %s, found %q", what, shorten(b)), nil
	case f < 0 || f > 1<<30:
		return 0, s.errAt(at, "expected a number of pixels from 0 to 2^30, found %s", shorten(b)), nil
	}
	return int(f), nil, nil
}

// text reads a name; null reads as "", unknown. Any value that is not text also reads as "",
// and wrong describes the value.
func (s *scanner) text() (text string, wrong *Error, err error) {
	const what = "a string"
	c, err := s.peek()
	switch {
	case err != nil:
		return "", nil, s.expected(what, 0, err)
	case c == 'n':
		return "", nil, s.literal("null", what)
	case c != '"':
		return "", s.unfit(what, c), s.skip(2)
	}
	at := s.offset()
	b, err := s.stringBytes(what)
	if err != nil {
		return "", nil, err
	}
	if !utf8.Valid(b) {
		return "", s.errAt(at, "expected a string in UTF-8"), nil
	}
	return string(b), nil, nil
}

// unfit returns the error for a value of the wrong kind, which begins here.
func (s *scanner) unfit(what string, c byte) *Error {
	return s.errAt(s.offset(), "expected %s, found %s", what, describe(c))
}
