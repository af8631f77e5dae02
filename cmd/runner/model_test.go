package main

import "testing"

func TestParseSize(t *testing.T) {
	if h, w, err := parseSize("608x800"); h != 608 || w != 800 || err != nil {
		t.Errorf("608x800 is %d high, %d wide (%v)", h, w, err)
	}
	for _, text := range []string{"", "x", "608", "608x", "x800", "0x1", "-1x5", "5x99999", "5x5x5"} {
		if _, _, err := parseSize(text); err == nil {
			t.Errorf("%q is accepted as a size", text)
		}
	}
}
