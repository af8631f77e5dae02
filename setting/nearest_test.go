package setting

import (
	"testing"

	"pgregory.net/rapid"
)

// Nearest finds the name that one slip of the keyboard left, and distance is a metric.
func TestNearest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		word := rapid.StringMatching(`[a-z.]{0,12}`)
		a, b, c := []rune(word.Draw(rt, "a")), []rune(word.Draw(rt, "b")), []rune(word.Draw(rt, "c"))
		ab := distance(a, b)
		if ab != distance(b, a) || (ab == 0) != (string(a) == string(b)) || ab > distance(a, c)+distance(c, b) {
			rt.Fatalf("%q %q %q: distance %d", string(a), string(b), string(c), ab)
		}
	})
	for typo, want := range map[string]string{"kitten": "sitting", "loss.gmma": "loss.gamma", "optim.learning_rate": "optim.lr", "": "lr"} {
		if got := Nearest(typo, []string{"sitting", "loss.gamma", "optim.lr", "lr"}); got != want {
			t.Errorf("Nearest(%q) is %s, want %s", typo, got, want)
		}
	}
	if d := distance([]rune("kitten"), []rune("sitting")); d != 3 { // the textbook case
		t.Errorf("kitten to sitting: %d, want 3", d)
	}
}
