// Package terminal writes to standard output and standard error as people and programs need it: no
// text moves the cursor of a terminal or stays half written unnoticed, and sentences end at words.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Output is standard output or standard error. Text that is written to it may come from a file, so
// control characters are made visible and cannot move the cursor of a terminal. The first error of a
// write is stored, so that no verb ends as if its output had been written.
type Output struct {
	Raw  io.Writer // takes what the program itself sends to a terminal, such as its bars
	rest []byte    // the first bytes of a character that the next write completes
	err  error
}

// Write writes text.
func (o *Output) Write(text []byte) (int, error) {
	all := append(o.rest, text...)
	whole := len(all)
	for i := max(0, whole-utf8.UTFMax+1); i < len(all); i++ {
		if utf8.RuneStart(all[i]) && !utf8.FullRune(all[i:]) {
			whole = i
			break
		}
	}
	o.rest = append([]byte(nil), all[whole:]...)
	_, err := io.WriteString(o.Raw, Folded(Visible(string(all[:whole])), o.Width()))
	return len(text), o.keep(err)
}

// End writes the rest, and returns the first error of all writes.
func (o *Output) End() error {
	if len(o.rest) > 0 {
		_, err := io.WriteString(o.Raw, Visible(string(o.rest)))
		o.rest, _ = nil, o.keep(err)
	}
	return o.err
}

func (o *Output) keep(err error) error {
	if o.err == nil {
		o.err = err
	}
	return err
}

// Verbatim returns a writer for bytes that a program reads back, such as a patch: they are written
// unchanged, except to a terminal.
func (o *Output) Verbatim() io.Writer {
	if Is(o) {
		return o
	}
	return verbatim{o}
}

type verbatim struct{ *Output }

func (v verbatim) Write(p []byte) (int, error) {
	n, err := v.Raw.Write(p)
	return n, v.keep(err)
}

// Width returns the number of columns of a terminal, and 0 elsewhere.
func (o *Output) Width() int {
	if f, ok := o.Raw.(*os.File); ok && Is(o) {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil {
			return columns
		}
	}
	return 0
}

// Folded breaks sentences that are longer than width at a space, but not inside a command in backticks.
// It leaves tables and indented lines as they are, because a command must stay in one piece to be
// copied. Width 0 folds nothing.
func Folded(text string, width int) string {
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

// Visible writes control characters (except line ends and tabs) and characters that change the
// direction of a line as JSON does, "\u001b", and bytes that are not UTF-8 as "\x9b".
func Visible(text string) string {
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

// Is reports whether w is a terminal.
func Is(w io.Writer) bool {
	if o, ok := w.(*Output); ok {
		w = o.Raw
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
