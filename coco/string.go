package coco

import (
	"unicode/utf16"
	"unicode/utf8"
)

// stringBytes reads a string whose opening quote is the next byte and returns
// it with its escapes resolved. The bytes are valid until the next read. A lone
// surrogate becomes U+FFFD.
func (s *scanner) stringBytes(what string) ([]byte, error) {
	start := s.offset()
	s.pos++
	// The common case: no escape, and the whole string in the buffer.
	for i := s.pos; i < s.end; i++ {
		c := s.buf[i]
		if c == '"' && i-s.pos <= maxString {
			b := s.buf[s.pos:i]
			s.pos = i + 1
			return b, nil
		}
		if c == '\\' || c < 0x20 {
			break
		}
	}
	s.tok = s.tok[:0]
	for {
		c, err := s.next()
		if err != nil {
			return nil, s.expected("the closing quote of "+what, 0, err)
		}
		switch {
		case c == '"':
			return s.tok, nil
		case c < 0x20:
			s.pos--
			return nil, s.expected("no control character in "+what, c, nil)
		case c == '\\':
			if s.tok, err = s.escape(s.tok); err != nil {
				return nil, err
			}
		default:
			s.tok = append(s.tok, c)
		}
		if len(s.tok) > maxString {
			return nil, s.errAt(start, "%s has more than %d bytes", what, maxString)
		}
	}
}

// escape reads what follows a backslash and appends the character it means.
func (s *scanner) escape(dst []byte) ([]byte, error) {
	at := s.offset() - 1
	c, err := s.next()
	if err != nil {
		return nil, s.expected("the rest of an escape", 0, err)
	}
	switch c {
	case '"', '\\', '/':
		return append(dst, c), nil
	case 'b':
		return append(dst, '\b'), nil
	case 'f':
		return append(dst, '\f'), nil
	case 'n':
		return append(dst, '\n'), nil
	case 'r':
		return append(dst, '\r'), nil
	case 't':
		return append(dst, '\t'), nil
	case 'u':
		r, err := s.hex4(at)
		if err != nil {
			return nil, err
		}
		for utf16.IsSurrogate(r) {
			// Only a following \u escape can complete the pair.
			c, err := s.next()
			if err != nil {
				return nil, s.expected("the rest of a string", 0, err)
			}
			if c != '\\' {
				s.pos--
				break
			}
			c, err = s.next()
			if err != nil {
				return nil, s.expected("the rest of an escape", 0, err)
			}
			if c != 'u' {
				s.pos--
				dst = utf8.AppendRune(dst, utf8.RuneError)
				return s.escape(dst)
			}
			second, err := s.hex4(at)
			if err != nil {
				return nil, err
			}
			if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
				return utf8.AppendRune(dst, pair), nil
			}
			dst = utf8.AppendRune(dst, utf8.RuneError)
			r = second
		}
		return utf8.AppendRune(dst, r), nil
	}
	return nil, s.errAt(at, "unknown escape \\%c in a string", c)
}

// hex4 reads the four digits of a \u escape that began at offset at.
func (s *scanner) hex4(at int64) (rune, error) {
	var r rune
	for range 4 {
		c, err := s.next()
		if err != nil {
			return 0, s.expected("four hexadecimal digits after \\u", 0, err)
		}
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, s.errAt(at, "expected four hexadecimal digits after \\u")
		}
	}
	return r, nil
}

// skipString reads a string of any length, checks its escapes and discards it: run-length
// masks are strings of many kilobytes.
func (s *scanner) skipString() error {
	s.pos++
	for {
		for s.pos < s.end {
			c := s.buf[s.pos]
			s.pos++
			if c == '"' {
				return nil
			}
			if c < 0x20 {
				s.pos--
				return s.expected("no control character in a string", c, nil)
			}
			if c == '\\' {
				var err error
				if s.tok, err = s.escape(s.tok[:0]); err != nil {
					return err
				}
			}
		}
		if err := s.fill(); err != nil {
			return s.expected("the closing quote of a string", 0, err)
		}
	}
}
