package plan

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const claimed = `profile: mini
seeds: [0]
tune: {optim.lr: [0.05, 0.1]}
list:
  - {loss: {type: focal, gamma: 2}}
  - {loss: {type: focal, gamma: 1}}
  - {loss: {type: ce}}
`

func TestClaims(t *testing.T) {
	text := claimed + `claims:
  - {says: focal loss wins, better: {loss.gamma: 2}, than: {loss.type: ce}}
  - {says: at best too, better: {loss.gamma: 2}, than: {loss: {type: ce}}, rate: best}
  - says: γ hardly matters
    same: [{loss.gamma: 1}, {loss.gamma: 2}]
`
	want := []Claim{
		{"focal loss wins", [2]int{0, 2}, false, CommonRate},
		{"at best too", [2]int{0, 2}, false, BestRate},
		{"γ hardly matters", [2]int{1, 0}, true, CommonRate},
	}
	if got := mustPlan(t, text, Selection{}).Claims; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// Indices count the rows that --only keeps, and a claim about another row is left out.
	want = []Claim{{"focal loss wins", [2]int{0, 1}, false, CommonRate}, {"at best too", [2]int{0, 1}, false, BestRate}}
	if got := mustPlan(t, text, Selection{Only: []string{"loss.type=ce"}}).Claims; len(got) != 0 {
		t.Errorf("one row left, and claims %+v", got)
	}
	without := strings.Replace(text, "gamma: 1}}", "gamma: 1, alpha: 0.5}}", 1)
	if got := mustPlan(t, without, Selection{Only: []string{"loss.alpha=0.25"}}).Claims; !reflect.DeepEqual(got, want) {
		t.Errorf("with --only got %+v, want %+v", got, want)
	}
	at := text + "at: {mini: {claims: [{says: other, same: [{loss.gamma: 2}, {loss.gamma: 1}]}]}}\n"
	if got := mustPlan(t, at, Selection{}).Claims; len(got) != 1 || got[0].Says != "other" {
		t.Errorf("under at: got %+v", got)
	}
}

// TestClaimsWithoutTune: own best rates are chosen by the section tune.
func TestClaimsWithoutTune(t *testing.T) {
	text := strings.Replace(claimed, "tune: {optim.lr: [0.05, 0.1]}\n", "", 1) + "claims:\n  - says: a\n    rate: best\n    same: [{loss.gamma: 2}, {loss.gamma: 1}]\n"
	_, err := gridText(t, t.TempDir(), text, Selection{})
	if err == nil || !strings.HasSuffix(err.Error(), "t.yaml:9: claims: rate is best, and the file has no section tune; add one, such as tune: {optim.lr: [0.025, 0.05, 0.1]}") {
		t.Errorf("got %v", err)
	}
}

// TestClaimsRefused: each error names the line and what was expected.
func TestClaimsRefused(t *testing.T) {
	const first = "better: {loss.gamma: 2}, than: {loss.type: ce}}"
	var many strings.Builder
	for i := range maxClaims + 3 {
		fmt.Fprintf(&many, "  - {says: %d is better, %s\n", i, first)
	}
	for _, tt := range []struct{ claims, want string }{
		{"claims: 3", "t.yaml:8: claims must be a list, is \"3\""},
		{"claims: [a]", "t.yaml:8: a claim must be key: value pairs, is \"a\""},
		{"claims: [{" + first + "]", "t.yaml:8: a claim without says, the sentence that it stands for"},
		{"claims: [{says: , " + first + "]", "t.yaml:8: says must be text, is empty"},
		{"claims: [{says: ' ', " + first + "]", "t.yaml:8: says must be one line of text"},
		{"claims: [{says: a}]", "t.yaml:8: a claim has either better and than, a row each, or same, a list of two rows"},
		{"claims: [{says: a, better: {loss.gamma: 2}}]", "t.yaml:8: a claim has either better and than, a row each, or same, a list of two rows"},
		{"claims: [{says: a, same: [{loss.gamma: 2}, {loss.gamma: 1}], " + first + "]", "t.yaml:8: a claim has either better and than, a row each, or same, a list of two rows"},
		{"claims: [{says: a, same: {loss.gamma: 2}}]", "t.yaml:8: same must be a list of two rows, such as [{loss.gamma: 1}, {loss.gamma: 2}]"},
		{"claims: [{says: a, rate: own, " + first + "]", "t.yaml:8: rate must be common or best, is \"own\""},
		{"claims: [{says: a, then: {}, " + first + "]", "t.yaml:8: unknown key \"then\" in a claim; nearest: than"},
		{"claims: [{says: a, better: {loss.gama: 2}, than: {loss.type: ce}}]", "t.yaml:8: unknown key \"loss.gama\"; nearest: loss.gamma"},
		{"claims: [{says: a, better: {}, than: {loss.type: ce}}]", "t.yaml:8: better: an empty entry would choose every row"},
		{"claims:\n  - {says: a, " + first + "\n  - {says: a, " + first, "t.yaml:10: claims: \"a\" is given twice"},
		{"claims:\n  - says: a\n    better: {loss.type: focal}\n    than: {loss.type: ce}",
			"t.yaml:10: claims: loss.type=\"focal\" chooses 2 rows, among them (loss.type=\"focal\" loss.gamma=2) and (loss.type=\"focal\" loss.gamma=1); " +
				"give more settings until one is left"},
		{"claims:\n  - says: a\n    better: {loss.gamma: 2}\n    than: {loss.type: ce, loss.gamma: 2}",
			"t.yaml:11: claims: loss.type=\"ce\" loss.gamma=2 chooses no row; `runner sweep FILE --dry-run` lists the rows"},
		{"claims: [{says: a, same: [{loss.gamma: 2}, {loss.gamma: 2}]}]", "t.yaml:8: claims: both sides choose row 1; a claim is about two rows"},
		{"claims:\n" + many.String(), "t.yaml:109: claims: more than 100"},
	} {
		_, err := gridText(t, t.TempDir(), claimed+tt.claims+"\n", Selection{})
		if err == nil {
			t.Errorf("%s: accepted", tt.claims)
			continue
		}
		if got, _, _ := strings.Cut(err.Error(), "\n"); got[strings.LastIndex(got, "t.yaml:"):] != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.claims, got, tt.want)
		}
	}
}
