package terminal

import (
	"bytes"
	"testing"
)

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		"plain γ – text\n\tindented\n": "plain γ – text\n\tindented\n",
		"\x1b[31mred\x1b[0m":           `\u001b[31mred\u001b[0m`,
		"bell\a back\b\r\x7f":          `bell\u0007 back\u0008\u000d\u007f`,
		"c1 \u009b31m":                 `c1 \u009b31m`,
		"turned \u202egnp.exe":         `turned \u202egnp.exe`,
		"no UTF-8 \x9b31m \xff":        `no UTF-8 \x9b31m \xff`,
		"the mark itself \ufffd":       "the mark itself \ufffd",
	} {
		if got := Visible(text); got != want {
			t.Errorf("Visible(%q) is %q, want %q", text, got, want)
		}
		// As writes cut it, also within a character.
		for cut := range len(text) {
			var out bytes.Buffer
			o := &Output{Raw: &out}
			o.Write([]byte(text[:cut]))
			o.Write([]byte(text[cut:]))
			if err := o.End(); err != nil || out.String() != want {
				t.Errorf("%q, cut at %d, is written as %q (%v), want %q", text, cut, out.String(), err, want)
			}
		}
	}
}

func TestFolded(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
	}{
		{"a sentence", "one two three four five\n", "one two\nthree four\nfive\n"},
		{"as long as the line", "12345 7890\n", "12345 7890\n"},
		{"a command stays whole", "do `runner ls --db x.db` now\n", "do\n`runner ls --db x.db`\nnow\n"},
		{"a table", "gamma       AP      n\n", "gamma       AP      n\n"},
		{"a command line", "  runner sweep gamma --seeds 0..4\n", "  runner sweep gamma --seeds 0..4\n"},
		{"one long word", "0123456789abcdef\n", "0123456789abcdef\n"},
		{"letters, not bytes", "γγγγγ γγγγ\n", "γγγγγ γγγγ\n"},
		{"no line end", "one two three", "one two\nthree"},
	} {
		if got := Folded(tt.text, 10); got != tt.want {
			t.Errorf("%s: %q is folded to %q, want %q", tt.name, tt.text, got, tt.want)
		}
		if got := Folded(tt.text, 0); got != tt.text {
			t.Errorf("%s: without a terminal it is %q", tt.name, got)
		}
	}
}
