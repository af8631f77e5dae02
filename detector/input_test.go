package detector

import (
	"testing"

	"focalgrid/experiments/plan"
)

func TestInputSize(t *testing.T) {
	for _, tt := range []struct {
		profile string
		set     []string
		h, w    int
	}{
		{"mini", nil, 128, 128},
		{"mini", []string{"image.short=100", "image.long=100"}, 128, 128}, // padded to 32
		{"paper", nil, 608, 1024},                            // for everything wide up to 600×1000
		{"paper", []string{"image.batches=mixed"}, 608, 800}, // 480×640 brought to 600×800
	} {
		cfg, err := Settings.LoadBaseline(tt.profile, plan.Selection{Set: tt.set})
		if err != nil {
			t.Fatal(err)
		}
		if h, w := InputSize(&cfg); h != tt.h || w != tt.w {
			t.Errorf("%s %v: input is %d×%d, want %d×%d", tt.profile, tt.set, h, w, tt.h, tt.w)
		}
	}
}
