package page

import (
	"strings"
	"testing"
	"time"
)

func TestMade(t *testing.T) {
	m := Made{"runner report -o r", "v1", time.Date(2030, 5, 1, 11, 2, 3, 0, time.FixedZone("", 7200))}
	if got, want := m.String(), "Made by `runner report -o r`, runner v1, on 2030-05-01 09:02 UTC."; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestStyle: every page has a dark form and a printed one, and loads nothing.
func TestStyle(t *testing.T) {
	for _, want := range []string{"prefers-color-scheme: dark", "@media print", ":focus-visible"} {
		if !strings.Contains(style, want) {
			t.Errorf("the style has no %s", want)
		}
	}
	for _, wrong := range []string{"url(", "@import", "http"} {
		if strings.Contains(style, wrong) {
			t.Errorf("the style has %s", wrong)
		}
	}
}
