package usage

import "testing"

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"loss.gamma=2": "loss.gamma=2", "0..4": "0..4", "a b": "'a b'", "": "''", "it's": `'it'\''s'`,
		"anchors.ratios=[1,2]": "'anchors.ratios=[1,2]'", "$HOME": "'$HOME'", "γ": "'γ'",
	} {
		if got := shellWord(word); got != want {
			t.Errorf("shellWord(%q) is %s, want %s", word, got, want)
		}
	}
}
