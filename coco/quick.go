package coco

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
)

// The functions here read the everyday form of an entry, several times as fast as the
// scanner: the entry lies completely in the buffer, and the names of the needed fields
// have no escapes. Each function takes a buffer and a position and returns the position
// after what it has read. For anything else, valid or not, it returns -1, and the scanner
// reads the entry or reports the error.
//
// The buffer ends in pad zero bytes, which are in no everyday form. So a comparison with
// the expected byte is also the check for the end.
const pad = 16

// quickDetection reads one entry of a results file.
func quickDetection(b []byte, i int, d *Detection) int {
	if b[i] != '{' {
		return -1
	}
	seen := uint(0)
	for {
		i = quickSpace(b, i+1)
		switch {
		case string(b[i:i+10]) == `"image_id"`:
			seen |= 1
			d.ImageID, i = quickInteger(b, quickColon(b, i+10))
		case string(b[i:i+13]) == `"category_id"`:
			seen |= 2
			d.CategoryID, i = quickInteger(b, quickColon(b, i+13))
		case string(b[i:i+6]) == `"bbox"`:
			seen |= 4
			i = quickBox(b, quickColon(b, i+6), &d.BBox)
		case string(b[i:i+7]) == `"score"`:
			seen |= 8
			d.Score, i = quickNumber(b, quickColon(b, i+7))
		default:
			i = quickField(b, i, quickDepth)
		}
		if i < 0 {
			return -1
		}
		if i = quickSpace(b, i); b[i] != ',' {
			break
		}
	}
	if b[i] != '}' || seen != 15 {
		return -1
	}
	return i + 1
}

// quickAnnotation reads one object of a ground-truth file.
func quickAnnotation(b []byte, i int, a *Annotation) int {
	if b[i] != '{' {
		return -1
	}
	seen := uint(0)
	a.Absent = FieldArea | FieldIsCrowd
	for {
		i = quickSpace(b, i+1)
		switch {
		case string(b[i:i+4]) == `"id"`:
			seen |= 1
			a.ID, i = quickInteger(b, quickColon(b, i+4))
		case string(b[i:i+10]) == `"image_id"`:
			seen |= 2
			a.ImageID, i = quickInteger(b, quickColon(b, i+10))
		case string(b[i:i+13]) == `"category_id"`:
			seen |= 4
			a.CategoryID, i = quickInteger(b, quickColon(b, i+13))
		case string(b[i:i+6]) == `"bbox"`:
			seen |= 8
			i = quickBox(b, quickColon(b, i+6), &a.BBox)
		case string(b[i:i+6]) == `"area"`:
			a.Absent &^= FieldArea
			a.Area, i = quickNumber(b, quickColon(b, i+6))
		case string(b[i:i+9]) == `"iscrowd"`:
			a.Absent &^= FieldIsCrowd
			var n int64
			n, i = quickInteger(b, quickColon(b, i+9))
			if n != 0 && n != 1 {
				return -1
			}
			a.IsCrowd = n == 1
		default:
			i = quickField(b, i, quickDepth)
		}
		if i < 0 {
			return -1
		}
		if i = quickSpace(b, i); b[i] != ',' {
			break
		}
	}
	if b[i] != '}' || seen != 15 {
		return -1
	}
	return i + 1
}

// quickSpace skips white space.
func quickSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t' {
		i++
	}
	return i
}

// quickColon skips the colon after a field name and the white space around it.
func quickColon(b []byte, i int) int {
	if b[i] == ':' && b[i+1] == ' ' && b[i+2] > ' ' {
		return i + 2
	}
	if i = quickSpace(b, i); b[i] != ':' {
		return len(b) - pad // a zero, which nothing begins with
	}
	return quickSpace(b, i+1)
}

// quickDepth limits how deep an unused field may be nested in the everyday form.
const quickDepth = 8

// quickField skips an unused field whose name has no escapes: a name with escapes might
// be the name of a needed field. depth limits how deep its value is nested.
func quickField(b []byte, i, depth int) int {
	if b[i] != '"' {
		return -1
	}
	for i++; b[i] != '"'; i++ {
		if b[i] < 0x20 || b[i] == '\\' {
			return -1
		}
	}
	return quickValue(b, quickColon(b, i+1), depth)
}

// quickString skips a string whose opening quote is b[i].
func quickString(b []byte, i int) int {
	for {
		i++
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < 0x20:
			return -1
		case c == '\\':
			switch b[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i++
			case 'u':
				for range 4 {
					i++
					if c := b[i+1]; c-'0' > 9 && c|0x20-'a' > 5 {
						return -1
					}
				}
				i++
			default:
				return -1
			}
		}
	}
}

// quickValue skips a value of any kind; depth limits how deep it is nested.
func quickValue(b []byte, i, depth int) int {
	c := b[i]
	switch {
	case c == '-' || c-'0' <= 9:
		_, i = quickNumber(b, i)
		return i
	case c == '"':
		return quickString(b, i)
	case string(b[i:i+4]) == "true" || string(b[i:i+4]) == "null":
		return i + 4
	case string(b[i:i+5]) == "false":
		return i + 5
	case c != '[' && c != '{' || depth == 0:
		return -1
	}
	closing := c + 2 // as in scanner.skip
	if i = quickSpace(b, i+1); b[i] == closing {
		return i + 1
	}
	for {
		if c == '{' {
			i = quickField(b, i, depth-1)
		} else {
			i = quickValue(b, i, depth-1)
		}
		if i < 0 {
			return -1
		}
		if i = quickSpace(b, i); b[i] != ',' {
			break
		}
		i = quickSpace(b, i+1)
	}
	if b[i] != closing {
		return -1
	}
	return i + 1
}

// quickBox reads an array of four numbers.
func quickBox(b []byte, i int, box *[4]float64) int {
	if b[i] != '[' {
		return -1
	}
	for j := range box {
		if box[j], i = quickNumber(b, quickSpace(b, i+1)); i < 0 {
			return -1
		}
		i = quickSpace(b, i)
		if j < 3 && b[i] != ',' {
			return -1
		}
	}
	if b[i] != ']' {
		return -1
	}
	return i + 1
}

// quickInteger reads a whole number of at most 63 bits, without an exponent.
func quickInteger(b []byte, i int) (int64, int) {
	negative := b[i] == '-'
	if negative {
		i++
	}
	first := i
	var n uint64
	for ; b[i]-'0' <= 9; i++ {
		n = n*10 + uint64(b[i]-'0')
	}
	if d := i - first; d == 0 || d > 19 || n > math.MaxInt64 || d > 1 && b[first] == '0' || numeric[b[i]] {
		return 0, -1
	}
	if negative {
		return -int64(n), i
	}
	return int64(n), i
}

// quickExponent reads what follows the e of a number: at most three digits.
func quickExponent(b []byte, i int) (e, next int) {
	negative := b[i] == '-'
	if negative || b[i] == '+' {
		i++
	}
	first := i
	for ; b[i]-'0' <= 9; i++ {
		e = e*10 + int(b[i]-'0')
	}
	if d := i - first; d == 0 || d > 3 {
		return 0, -1
	}
	if negative {
		e = -e
	}
	return e, i
}

// quickNumber reads a number to the nearest float64.
func quickNumber(b []byte, i int) (float64, int) {
	start, negative := i, b[i] == '-'
	if negative {
		i++
	}
	first := i
	var n uint64
	for ; b[i]-'0' <= 9; i++ {
		n = n*10 + uint64(b[i]-'0')
	}
	digits, exp10 := i-first, 0
	if digits == 0 || digits > 1 && b[first] == '0' {
		return 0, -1
	}
	if b[i] == '.' {
		i++
		point := i
		for {
			eight := binary.LittleEndian.Uint64(b[i:])
			if !allDigits(eight) {
				break
			}
			n = n*1e8 + eightDigits(eight)
			i += 8
		}
		for ; b[i]-'0' <= 9; i++ {
			n = n*10 + uint64(b[i]-'0')
		}
		exp10 = point - i
		digits -= exp10
		if exp10 == 0 {
			return 0, -1
		}
	}
	if b[i]|0x20 == 'e' {
		var e int
		if e, i = quickExponent(b, i+1); i < 0 {
			return 0, -1
		}
		exp10 += e
	}
	if numeric[b[i]] {
		return 0, -1
	}
	for j := first; digits > 19 && (b[j] == '0' || b[j] == '.'); j++ { // leading zeros are no digits
		if b[j] == '0' {
			digits--
		}
	}
	f, ok := nearest(n, exp10)
	if !ok || digits > 19 { // with more digits n may have overflowed
		var err error
		if f, err = strconv.ParseFloat(string(b[first:i]), 64); err != nil || i-start > maxNumber {
			return 0, -1
		}
	}
	if negative {
		f = -f
	}
	return f, i
}

// allDigits reports whether all eight bytes of v are digits: '0' to '9' have the upper
// half 3, and still have it after 6 is added.
func allDigits(v uint64) bool {
	const upper = 0xf0f0f0f0f0f0f0f0
	return v&upper == 0x3030303030303030 && (v+0x0606060606060606)&upper == 0x3030303030303030
}

// eightDigits returns the number that eight digits spell, the first in the lowest
// byte: neighbours are joined to pairs, these to fours, and these to the number.
func eightDigits(v uint64) uint64 {
	v = v & 0x0f0f0f0f0f0f0f0f * (10<<8 + 1) >> 8
	v = v & 0x00ff00ff00ff00ff * (100<<16 + 1) >> 16
	return v & 0x0000ffff0000ffff * (10000<<32 + 1) >> 32
}

// tens holds the powers of ten that a float64 represents exactly, fives the powers
// of five below 2^63.
var (
	tens  = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}
	fives = func() (f [28]uint64) {
		f[0] = 1
		for i := range f[1:] {
			f[i+1] = 5 * f[i]
		}
		return f
	}()
)

// nearest returns the float64 nearest to n × 10^exp10, halves to even, or false if it has
// no fast way to compute it.
//
// If n has at most 53 bits and the power of ten is exact, one multiplication or division
// of exact operands is rounded once and so is correct (Clinger, "How to Read Floating
// Point Numbers Accurately", 1990). If n has more bits, it is divided by the power of five
// in integers, to 63 bits or more and a last bit that represents the remainder; the
// quotient is rounded once.
func nearest(n uint64, exp10 int) (float64, bool) {
	switch {
	case n < 1<<53 && exp10 <= 0 && -exp10 < len(tens):
		return float64(n) / tens[-exp10], true
	case n < 1<<53 && exp10 > 0 && exp10 < len(tens):
		return float64(n) * tens[exp10], true
	case exp10 > 0 || -exp10 >= len(fives):
		return 0, false
	case n == 0:
		return 0, true
	}
	five := fives[-exp10]
	up, by := bits.LeadingZeros64(n), bits.LeadingZeros64(five)
	n <<= up
	q, rest := bits.Div64(n>>1, n<<63, five<<by) // n × 2^63 / five; both have their top bit set, so that it fits
	if rest != 0 {
		q |= 1
	}
	scale := by - up + exp10 - 63
	return float64(q) * math.Float64frombits(uint64(1023+scale)<<52), true
}
