package experiments

import (
	"testing"

	"focalgrid/detector"
	"focalgrid/experiments/plan"
)

// TestAnchorStats: every anchor is one of three things, and a set of mini has the
// imbalance that its profile states, about 1 : 180.
func TestAnchorStats(t *testing.T) {
	cfg, err := detector.Settings.LoadBaseline("mini", plan.Selection{Set: []string{"data.images.train=1", "data.images.tune=1", "data.images.val=60"}})
	if err != nil {
		t.Fatal(err)
	}
	r := newLab(t, 1)
	set, err := r.OpenSplit(t.Context(), &cfg, "val")
	if err != nil {
		t.Fatal(err)
	}
	st, err := detector.CountAnchors(t.Context(), &cfg, set, 0)
	if err != nil {
		t.Fatal(err)
	}
	if st.Images != 60 || st.Anchors != 60*3069 || st.Positive+st.Ignored+st.Background != st.Anchors {
		t.Errorf("%+v does not add up", st)
	}
	if imbalance := float64(st.Background) / float64(st.Positive); imbalance < 100 || imbalance > 350 {
		t.Errorf("foreground to background is 1 : %.0f, want about 1 : 180", imbalance)
	}
	if some, err := detector.CountAnchors(t.Context(), &cfg, set, 7); err != nil || some.Images != 7 {
		t.Errorf("of 7 images asked for %d were looked at (%v)", some.Images, err)
	}
}
