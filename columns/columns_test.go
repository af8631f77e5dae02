package columns

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	rows := [][]string{{"class", "objects", "AP"}, {"dog", "2", "0.454"}, {"größer", "10"}, {"all"}, {"", "", ""}}
	for _, tt := range []struct {
		indent string
		left   int
		want   string
	}{
		{"", AllLeft, "class   objects  AP\ndog     2        0.454\ngrößer  10\nall\n\n"},
		{"  ", 1, "  class   objects     AP\n  dog           2  0.454\n  größer       10\n  all\n\n"},
		{"", 0, " class  objects     AP\n   dog        2  0.454\ngrößer       10\n   all\n\n"},
	} {
		var b strings.Builder
		if err := Text(&b, tt.indent, rows, tt.left); err != nil || b.String() != tt.want {
			t.Errorf("indent %q, %d at the left: %v, got\n%s\nwant\n%s", tt.indent, tt.left, err, &b, tt.want)
		}
	}
	var b strings.Builder
	if err := Text(&b, "", [][]string{{"日本", "1"}, {"abcde", "2"}}, 1); err != nil || b.String() != "日本   1\nabcde  2\n" {
		t.Errorf("letters of two places: %v, got\n%s", err, &b)
	}
	b.Reset()
	if err := Text(&b, "", nil, 0); err != nil || b.String() != "" {
		t.Errorf("no rows: %q, %v", &b, err)
	}
}

// TestTables: a cell is one line, and ends no cell of Markdown. The caller's rows stay as they are.
func TestTables(t *testing.T) {
	header, rows := []string{"loss.gamma", "n", "AP"}, [][]string{{"a|b\nc", "3", "28.4"}, {"2", "10", Gap}}
	var ruled, markdown strings.Builder
	if err := errors.Join(Ruled(&ruled, header, rows, 1), Markdown(&markdown, header, rows, 1)); err != nil {
		t.Fatal(err)
	}
	if want := " loss.gamma   n    AP\n──────────────────────\n a|b c        3  28.4\n 2           10     –\n"; ruled.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &ruled, want)
	}
	if want := "| loss.gamma |  n |   AP |\n|:-----------|---:|-----:|\n| a\\|b c     |  3 | 28.4 |\n| 2          | 10 |    – |\n"; markdown.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &markdown, want)
	}
	ruled.Reset()
	markdown.Reset()
	broken := []string{"loss.\ngamma", "n|m", "AP"}
	if err := errors.Join(Ruled(&ruled, broken, rows, 1), Markdown(&markdown, broken, rows, 1)); err != nil {
		t.Fatal(err)
	}
	if want := " loss.  n|m    AP\n gamma\n──────────────────\n"; !strings.HasPrefix(ruled.String(), want) {
		t.Errorf("got\n%s\nwant\n%s", &ruled, want)
	}
	if want := "| loss. gamma | n\\|m |   AP |\n"; !strings.HasPrefix(markdown.String(), want) {
		t.Errorf("got\n%s\nwant\n%s", &markdown, want)
	}
	if rows[0][0] != "a|b\nc" {
		t.Errorf("the cell handed in is now %q", rows[0][0])
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Percent(.28449), "28.4"}, {Percent(0), "0.0"}, {Percent(math.NaN()), Gap}, {Percent(math.Inf(1)), Gap},
		{Decimals(.28449, 3), "0.284"}, {Decimals(-2, 0), "-2"}, {Decimals(math.Inf(-1), 3), Gap},
		{OneLine("a\tb\r\nc\u2028"), "a b c"}, {OneLine("a  b"), "a  b"}, {OneLine("\n"), ""},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

// TestFullDisk: an error of the writer is returned.
func TestFullDisk(t *testing.T) {
	rows := [][]string{{"a"}}
	for name, err := range map[string]error{"Text": Text(full{}, "", rows, 0), "Ruled": Ruled(full{}, rows[0], rows, 0), "Markdown": Markdown(full{}, rows[0], rows, 0)} {
		if !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var errFull = errors.New("the disk is full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
