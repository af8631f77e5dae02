package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// output is standard output or standard error. Text that is written to it may come from a file, so
// control characters are made visible and cannot move the cursor of a terminal. The first error of a
// write is stored, so that no verb ends as if its output had been written.
type output struct {
	raw  io.Writer // what the program itself sends to a terminal, such as its bars
	rest []byte    // the first bytes of a character that the next write completes
	err  error
}

// Write writes text.
func (o *output) Write(text []byte) (int, error) {
	all := append(o.rest, text...)
	whole := len(all)
	for i := max(0, whole-utf8.UTFMax+1); i < len(all); i++ {
		if utf8.RuneStart(all[i]) && !utf8.FullRune(all[i:]) {
			whole = i
			break
		}
	}
	o.rest = append([]byte(nil), all[whole:]...)
	_, err := io.WriteString(o.raw, folded(visible(string(all[:whole])), o.width()))
	return len(text), o.keep(err)
}

// end writes the rest, and returns the first error of all writes.
func (o *output) end() error {
	if len(o.rest) > 0 {
		_, err := io.WriteString(o.raw, visible(string(o.rest)))
		o.rest, _ = nil, o.keep(err)
	}
	return o.err
}

func (o *output) keep(err error) error {
	if o.err == nil {
		o.err = err
	}
	return err
}

// verbatim is for bytes that a program reads back, such as a patch: they are written unchanged, except
// to a terminal.
func (o *output) verbatim() io.Writer {
	if terminal(o) {
		return o
	}
	return verbatim{o}
}

type verbatim struct{ *output }

func (v verbatim) Write(p []byte) (int, error) {
	n, err := v.raw.Write(p)
	return n, v.keep(err)
}

// width is the number of columns of a terminal, and 0 elsewhere.
func (o *output) width() int {
	if f, ok := o.raw.(*os.File); ok && terminal(o) {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil {
			return columns
		}
	}
	return 0
}

// folded breaks sentences that are longer than width at a space, but not inside a command in backticks.
// It leaves tables and indented lines as they are, because a command must stay in one piece to be
// copied. Width 0 folds nothing.
func folded(text string, width int) string {
	if width <= 0 {
		return text
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		for !strings.HasPrefix(line, " ") && !strings.Contains(line, "  ") && utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > width {
			at, column, quoted := -1, 0, false
			for i, r := range line {
				if column++; column > width+1 && at >= 0 {
					break
				}
				quoted = quoted != (r == '`')
				if r == ' ' && !quoted {
					at = i
				}
			}
			if at < 0 {
				break
			}
			out.WriteString(line[:at] + "\n")
			line = line[at+1:]
		}
		out.WriteString(line)
	}
	return out.String()
}

// visible writes control characters (except line ends and tabs) and characters that change the
// direction of a line as JSON does, "\u001b", and bytes that are not UTF-8 as "\x9b".
func visible(text string) string {
	hidden := func(r rune) bool {
		turns := r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
		return unicode.IsControl(r) && r != '\n' && r != '\t' || turns || r == utf8.RuneError
	}
	var out []byte
	from := 0
	for i, r := range text {
		if !hidden(r) {
			continue
		}
		out = append(out, text[from:i]...)
		_, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r != utf8.RuneError:
			out = fmt.Appendf(out, `\u%04x`, r)
		case size == 1:
			out = fmt.Appendf(out, `\x%02x`, text[i])
		default: // U+FFFD itself
			out = append(out, text[i:i+size]...)
		}
		from = i + size
	}
	if from == 0 {
		return text
	}
	return string(append(out, text[from:]...))
}

// terminal reports whether w is a terminal.
func terminal(w io.Writer) bool {
	if o, ok := w.(*output); ok {
		w = o.raw
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
