package coco

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
)

// Error describes a problem in the content of a file. File, Entry and Field say where to
// look; Offset counts bytes from the start of the file.
type Error struct {
	File    string
	Offset  int64
	Entry   string // "annotations[12]", or empty outside an entry
	Field   string // "bbox", or empty outside a field
	Problem string // what was expected, and what was found
}

func (e *Error) Error() string {
	where := e.Entry
	switch {
	case e.Field != "" && where != "":
		where += "." + e.Field
	case e.Field != "":
		where = e.Field
	}
	if where != "" {
		where += ": "
	}
	return fmt.Sprintf("%s: byte %d: %s%s", e.File, e.Offset, where, e.Problem)
}

// scanner walks JSON text without building a tree. It holds one buffer of the
// stream, which pad zero bytes follow; a token that crosses the buffer's end is
// gathered in tok. After the first error its methods must not be called again.
type scanner struct {
	r    io.Reader
	name string

	buf      []byte
	pos, end int
	base     int64 // offset in the stream of buf[0]
	size     int64 // of the whole stream, 0 if unknown
	workers  int   // goroutines that read long arrays
	tok      []byte

	section string // where we are, for errors
	index   int    // entry within section, -1 outside
	field   string
}

const bufferSize = 256 << 10

func newScanner(r io.Reader, name string) *scanner {
	return &scanner{r: r, name: name, buf: make([]byte, bufferSize+pad), workers: runtime.GOMAXPROCS(0), index: -1}
}

func (s *scanner) offset() int64 { return s.base + int64(s.pos) }

// errAt makes the error for a problem at the given offset.
func (s *scanner) errAt(offset int64, format string, args ...any) *Error {
	e := &Error{File: s.name, Offset: offset, Field: s.field, Problem: fmt.Sprintf(format, args...)}
	if s.index >= 0 {
		e.Entry = fmt.Sprintf("%s[%d]", s.section, s.index)
	} else if s.section != "" && s.field == "" {
		e.Field = s.section
	}
	return e
}

// expected makes the error for a wrong byte at the current position, or for
// the end of the file there (err is then what fill returned).
func (s *scanner) expected(what string, c byte, err error) error {
	switch {
	case err == nil:
		return s.errAt(s.offset(), "expected %s, found %s", what, describe(c))
	case errors.Is(err, io.EOF):
		return s.errAt(s.offset(), "expected %s, found the end of the file (is it complete?)", what)
	}
	return err
}

// describe names a byte in an error; what begins a JSON value is named by its kind.
func describe(c byte) string {
	switch {
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == '"':
		return "a string"
	case c == 'n':
		return "null or other text"
	case c == 't' || c == 'f':
		return "true, false or other text"
	case c == '-' || c >= '0' && c <= '9':
		return "a number"
	case c == 'N' || c == 'I':
		return "NaN or Infinity, which are not numbers in JSON"
	case c < 0x20 || c >= 0x7f:
		return fmt.Sprintf("byte 0x%02x", c)
	}
	return strconv.QuoteRune(rune(c))
}

// fill replaces the spent buffer by the next bytes of the stream. It returns
// io.EOF at the end, any other error with file and offset.
func (s *scanner) fill() error {
	s.base += int64(s.pos)
	s.pos, s.end = 0, 0
	err := s.read()
	if err != nil && err != io.EOF {
		return s.broken(err)
	}
	return err
}

// broken wraps an error of the stream.
func (s *scanner) broken(err error) error {
	hint := ""
	if errors.Is(err, io.ErrUnexpectedEOF) { // of gzip
		hint = " (is it complete?)"
	}
	return fmt.Errorf("%s: byte %d: %w%s", s.name, s.base, err, hint)
}

// refill moves what is unread to the front of the buffer and fills up the rest as
// far as the stream gives. An error of the stream comes again in fill.
func (s *scanner) refill() {
	s.base += int64(s.pos)
	s.end = copy(s.buf, s.buf[s.pos:s.end])
	s.pos = 0
	clear(s.buf[s.end : s.end+pad])
	for s.end < bufferSize && s.read() == nil {
	}
}

// read appends bytes of the stream to the buffer, at least one if the error is nil.
func (s *scanner) read() error {
	for range 100 {
		n, err := s.r.Read(s.buf[s.end:bufferSize])
		if n > 0 {
			s.end += n
			clear(s.buf[s.end : s.end+pad])
			return nil // an error that came with data comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// peek returns the next byte that is not white space and leaves it unread.
func (s *scanner) peek() (byte, error) {
	for {
		for s.pos < s.end {
			c := s.buf[s.pos]
			if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
				return c, nil
			}
			s.pos++
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
}

// next returns the next byte, white space included, and reads it.
func (s *scanner) next() (byte, error) {
	if s.pos == s.end {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	c := s.buf[s.pos]
	s.pos++
	return c, nil
}

// open reads the given bracket; what describes what the bracket should begin.
func (s *scanner) open(bracket byte, what string) error {
	c, err := s.peek()
	if err != nil || c != bracket {
		return s.expected(what, c, err)
	}
	s.pos++
	return nil
}

// more reads what is between the elements of an array or object with the given closing
// bracket. It returns true if an element follows. first is true if no element has been
// read yet.
func (s *scanner) more(closing byte, first bool) (bool, error) {
	c, err := s.peek()
	switch {
	case err == nil && c == closing:
		s.pos++
		return false, nil
	case err == nil && first:
		return true, nil
	case err == nil && c == ',':
		s.pos++
		return true, nil
	}
	return false, s.expected(fmt.Sprintf("',' or %q", closing), c, err)
}

// key reads an object's key and the colon after it. The bytes are valid until
// the next call.
func (s *scanner) key() ([]byte, error) {
	c, err := s.peek()
	if err != nil || c != '"' {
		return nil, s.expected("a field name in double quotes", c, err)
	}
	k, err := s.stringBytes("a field name")
	if err != nil {
		return nil, err
	}
	// The colon may lie in the next buffer, which would overwrite k.
	if s.pos < s.end && s.buf[s.pos] == ':' {
		s.pos++
		return k, nil
	}
	s.tok = append(s.tok[:0], k...)
	c, err = s.peek()
	if err != nil || c != ':' {
		return nil, s.expected("':' after the field name", c, err)
	}
	s.pos++
	return s.tok, nil
}

// literal reads the given word (true, false, null, ...); what names what the caller
// accepts, for the error.
func (s *scanner) literal(word, what string) error {
	at := s.offset()
	for i := range len(word) {
		c, err := s.next()
		if err != nil {
			return s.expected(what, 0, err)
		}
		if c != word[i] {
			return s.errAt(at, "expected %s, found other text", what)
		}
	}
	return nil
}

// skip reads a value of any kind, checks its grammar and discards it. NaN and Infinity,
// which Python writes, are allowed, because the value is not used.
func (s *scanner) skip(depth int) error {
	c, err := s.peek()
	if err != nil {
		return s.expected("a value", 0, err)
	}
	switch {
	case c == '"':
		return s.skipString()
	case c == '[' || c == '{':
		if depth >= maxDepth {
			return s.errAt(s.offset(), "values nested more than %d deep", maxDepth)
		}
		s.pos++
		closing := c + 2 // ']' is '['+2 and '}' is '{'+2
		for first := true; ; first = false {
			ok, err := s.more(closing, first)
			if err != nil || !ok {
				return err
			}
			if c == '{' {
				if _, err := s.key(); err != nil {
					return err
				}
			}
			if err := s.skip(depth + 1); err != nil {
				return err
			}
		}
	case c == '-' || c-'0' <= 9:
		at := s.offset()
		b, err := s.numberBytes()
		if err != nil {
			return err
		}
		if len(b) == 1 && c == '-' {
			return s.literal("Infinity", "a number")
		}
		if _, ok := parseDecimal(b); !ok {
			return s.errAt(at, "expected a number, found %q", shorten(b))
		}
		return nil
	case c == 't':
		return s.literal("true", "a value")
	case c == 'f':
		return s.literal("false", "a value")
	case c == 'n':
		return s.literal("null", "a value")
	case c == 'N':
		return s.literal("NaN", "a value")
	case c == 'I':
		return s.literal("Infinity", "a value")
	}
	return s.expected("a value", c, nil)
}

// finish checks that only white space is left.
func (s *scanner) finish() error {
	c, err := s.peek()
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return err
	}
	return s.expected("the end of the file", c, nil)
}
