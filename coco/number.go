package coco

import (
	"io"
	"math"
	"strconv"
)

// numeric marks the bytes that a JSON number is made of.
var numeric = [256]bool{
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'+': true, '-': true, '.': true, 'e': true, 'E': true,
}

// numberBytes reads the longest run of a number's bytes at the current
// position, not yet checked. They are valid until the next read.
func (s *scanner) numberBytes() ([]byte, error) {
	start := s.pos
	i := start
	for i < s.end && numeric[s.buf[i]] {
		i++
	}
	if i < s.end && i-start <= maxNumber {
		s.pos = i
		return s.buf[start:i], nil
	}
	at := s.offset()
	s.tok = s.tok[:0]
	for {
		s.tok = append(s.tok, s.buf[s.pos:i]...)
		s.pos = i
		if len(s.tok) > maxNumber {
			return nil, s.errAt(at, "number of more than %d characters", maxNumber)
		}
		if i < s.end {
			return s.tok, nil
		}
		if err := s.fill(); err == io.EOF {
			return s.tok, nil
		} else if err != nil {
			return nil, err
		}
		i = s.pos
		for i < s.end && numeric[s.buf[i]] {
			i++
		}
	}
}

// decimal is the parsed text of a number: value = ±digits × 10^exp10, where digits
// is exact if it did not overflow. whole is true if the text has neither point nor
// exponent.
type decimal struct {
	negative bool
	digits   uint64
	exact    bool
	whole    bool
	exp10    int
}

// parseDecimal checks b against JSON's grammar of numbers.
func parseDecimal(b []byte) (d decimal, ok bool) {
	i, n := 0, len(b)
	d.exact, d.whole = true, true
	if i < n && b[i] == '-' {
		d.negative = true
		i++
	}
	first := i
	for ; i < n && b[i]-'0' <= 9; i++ {
		d.add(b[i] - '0')
	}
	if i == first || b[first] == '0' && i-first > 1 {
		return d, false
	}
	if i < n && b[i] == '.' {
		d.whole = false
		i++
		first = i
		for ; i < n && b[i]-'0' <= 9; i++ {
			d.add(b[i] - '0')
		}
		if i == first {
			return d, false
		}
		d.exp10 = first - i
	}
	if i < n && b[i]|0x20 == 'e' {
		d.whole = false
		i++
		negative := false
		if i < n && (b[i] == '+' || b[i] == '-') {
			negative = b[i] == '-'
			i++
		}
		first = i
		e := 0
		for ; i < n && b[i]-'0' <= 9; i++ {
			if e < 100000 {
				e = e*10 + int(b[i]-'0')
			}
		}
		if i == first {
			return d, false
		}
		if negative {
			e = -e
		}
		d.exp10 += e
	}
	return d, i == n
}

func (d *decimal) add(digit byte) {
	if d.digits > (math.MaxUint64-9)/10 {
		d.exact = false
		return
	}
	d.digits = d.digits*10 + uint64(digit)
}

// float returns the float64 nearest to d, which b spells.
func (d decimal) float(b []byte) (float64, error) {
	if d.exact {
		if f, ok := nearest(d.digits, d.exp10); ok {
			if d.negative {
				f = -f
			}
			return f, nil
		}
	}
	return strconv.ParseFloat(string(b), 64)
}

// decimal reads and parses a number; what names what the caller expects.
func (s *scanner) decimal(what string) ([]byte, decimal, error) {
	at := s.offset()
	b, err := s.numberBytes()
	if err != nil {
		return nil, decimal{}, err
	}
	d, ok := parseDecimal(b)
	if !ok {
		if c, err := s.peek(); string(b) == "-" && err == nil && c == 'I' {
			return nil, d, s.errAt(at, "expected %s, found -Infinity, which is not a number in JSON", what)
		}
		return nil, d, s.errAt(at, "expected %s, found %q", what, shorten(b))
	}
	return b, d, nil
}

// number reads a finite number.
func (s *scanner) number() (float64, error) {
	c, err := s.peek()
	if err != nil || c != '-' && c-'0' > 9 {
		return 0, s.expected("a number", c, err)
	}
	at := s.offset()
	b, d, err := s.decimal("a number")
	if err != nil {
		return 0, err
	}
	f, err := d.float(b)
	if err != nil {
		return 0, s.errAt(at, "expected a number within float64, found %q", shorten(b))
	}
	return f, nil
}

// integer reads a whole number that fits int64. 3.0 and 3e0 are whole as well.
func (s *scanner) integer() (int64, error) {
	c, err := s.peek()
	if err != nil || c != '-' && c-'0' > 9 {
		return 0, s.expected("a whole number", c, err)
	}
	at := s.offset()
	b, d, err := s.decimal("a whole number")
	if err != nil {
		return 0, err
	}
	if d.whole {
		switch {
		case d.exact && !d.negative && d.digits <= math.MaxInt64:
			return int64(d.digits), nil
		case d.exact && d.negative && d.digits <= 1<<63:
			return -int64(d.digits), nil
		}
		return 0, s.errAt(at, "expected a whole number of at most 64 bits, found %q", shorten(b))
	}
	f, err := d.float(b)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, s.errAt(at, "expected a whole number, found %q", shorten(b))
	}
	return int64(f), nil
}

// shorten keeps an error to one line whatever the file holds.
func shorten(b []byte) string {
	if len(b) > 40 {
		return string(b[:40]) + "..."
	}
	return string(b)
}
