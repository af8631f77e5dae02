package claims

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"focalgrid/results/record"
	"focalgrid/stats"
)

// trials makes a done trial of each AP, with the seeds 0, 1, …; an AP of -1 is a trial that diverged.
func trials(ap ...float64) []record.Trial {
	var out []record.Trial
	for i, v := range ap {
		t := record.Trial{Seed: uint64(i), Outcome: record.Outcome{Status: record.StatusDone, Metrics: map[string]float64{"AP": v}}}
		if v == -1 {
			t.Outcome = record.Outcome{Status: record.StatusDiverged}
		}
		out = append(out, t)
	}
	return out
}

// above returns n values, each as much above its place in base as the last argument.
func above(base []float64, by float64) []float64 {
	out := make([]float64, len(base))
	for i := range base {
		out[i] = base[i] + by
	}
	return out
}

func claim(says string, first, second []record.Trial) Claim {
	return Claim{Says: says, At: "the common learning rate", Sides: [2]Side{{Name: "A", Trials: first}, {Name: "B", Trials: second}}}
}

func judge(t *testing.T, all ...Claim) []Judgement {
	t.Helper()
	out, err := Judge(all)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestVerdicts: ten pairs that all say the same have p = 2/2¹⁰. A family of ten makes .0195 of it, and of nine pairs .039;
// eight pairs are too few, as 10 · 2/2⁸ is .078.
func TestVerdicts(t *testing.T) {
	base := []float64{.20, .21, .22, .23, .24, .25, .26, .27, .28, .29}
	mixed := append(above(base[:5], .01), above(base[5:], -.01)...)
	other := claim("other", nil, nil)
	tests := []struct {
		name          string
		first, second []float64
		same          bool
		want          Verdict
		p             float64
	}{
		{"ten pairs", above(base, .02), base, false, Shown, 10 * 2 / 1024.},
		{"nine pairs", above(base[:9], .02), base[:9], false, Shown, 10 * 2 / 512.},
		{"eight pairs", above(base[:8], .02), base[:8], false, TooFewSeeds, 10 * 2 / 256.},
		{"the wrong sign", above(base, -.02), base, false, Contrary, 10 * 2 / 1024.},
		{"five for, five against", mixed, base, false, NotSeparated, 1},
		{"the same", mixed, base, true, NotSeparated, 1},
		{"separated, and said to be the same", above(base, .02), base, true, Contrary, 10 * 2 / 1024.},
		{"eight pairs of the same", above(base[:8], .02), base[:8], true, TooFewSeeds, 10 * 2 / 256.},
		{"equal values", base, base, false, NotSeparated, 1},
		{"one side", base, nil, false, NotRun, math.NaN()},
		{"all diverged", above(base, .02), []float64{-1, -1, -1, -1, -1, -1, -1, -1, -1, -1}, false, Shown, 10 * 2 / 1024.},
	}
	for _, tt := range tests {
		family := []Claim{claim(tt.name, trials(tt.first...), trials(tt.second...))}
		family[0].Same = tt.same
		for range 9 {
			family = append(family, other)
		}
		j := judge(t, family...)[0]
		if got := j.Difference.Adjusted; j.Verdict != tt.want || math.Abs(got-tt.p) > 1e-12 || math.IsNaN(got) != math.IsNaN(tt.p) {
			t.Errorf("%s: %s with p %v after Holm, expected %s with %v", tt.name, j.Verdict, got, tt.want, tt.p)
		}
		if j.Family != 10 || j.Needed != 9 {
			t.Errorf("%s: a family of %d in which %d seeds are needed, expected 10 and 9", tt.name, j.Family, j.Needed)
		}
	}
}

// TestNeeded: how many seeds a claim needs depends on those of the others. Of two claims one with ten pairs can be
// separated, after which Holm asks p ≤ .05 of the other, which six pairs can give; alike pairs are then shown, others
// are not separated, and five pairs are too few.
func TestNeeded(t *testing.T) {
	base := []float64{.20, .21, .22, .23, .24, .25, .26, .27, .28, .29}
	mixed := above(base[:6], .02)
	mixed[0] = .1
	for _, tt := range []struct {
		first []float64
		want  Verdict
	}{{above(base[:6], .02), Shown}, {mixed, NotSeparated}, {above(base[:5], .02), TooFewSeeds}} {
		j := judge(t, claim("a", trials(above(base, .02)...), trials(base...)), claim("b", trials(tt.first...), trials(base[:len(tt.first)]...)))[1]
		if j.Verdict != tt.want || j.Needed != 6 {
			t.Errorf("%d pairs beside ten: %s, %d needed; expected %s, 6 needed", len(tt.first), j.Verdict, j.Needed, tt.want)
		}
	}
}

// TestSeeds: only seeds that both rows have are a pair, and trials that failed or are at work are left out.
func TestSeeds(t *testing.T) {
	first, second := trials(.3, .4, .5), trials(.2, .2)
	second = append(second, record.Trial{Seed: 2, Outcome: record.Outcome{Status: record.StatusFailed}})
	j := judge(t, claim("a", first, second))[0]
	if d := j.Difference; d.N != 2 || math.Abs(d.Mean-.15) > 1e-12 || j.Rows[0].N != 3 || j.Verdict != TooFewSeeds {
		t.Errorf("n %d, mean %v, %d runs of the first row, %s", d.N, d.Mean, j.Rows[0].N, j.Verdict)
	}
	second[0].Seed, second[1].Seed = 7, 8
	if j := judge(t, claim("a", first, second))[0]; j.Verdict != TooFewSeeds || !strings.Contains(j.Paragraph(), ": 0 seeds with a value in both rows, ") {
		t.Errorf("no seed in common: %s: %s", j.Verdict, j.Paragraph())
	}
}

// TestHolm: the family is all claims, whether run or not. Of p .00195, .5 and a claim that is not run, Holm makes
// .00586, 1 and none.
func TestHolm(t *testing.T) {
	base := []float64{.20, .21, .22, .23, .24, .25, .26, .27, .28, .29}
	half := above(base, .01)
	half[0], half[1], half[2] = .18, .19, .20
	got := judge(t, claim("a", trials(above(base, .02)...), trials(base...)), claim("b", trials(half...), trials(base...)), claim("c", nil, nil))
	plain := stats.Paired([]stats.Value{{Value: .1}}, []stats.Value{{Value: .2}})
	if plain.Comparisons != 1 {
		t.Errorf("a test by itself has %d comparisons", plain.Comparisons)
	}
	if a := got[0].Difference; math.Abs(a.Adjusted-3*2/1024.) > 1e-12 || a.Comparisons != 3 {
		t.Errorf("a: p %v over %d claims", a.Adjusted, a.Comparisons)
	}
	if b := got[1].Difference; b.Adjusted != min(1, 2*b.P) {
		t.Errorf("b: p %v of %v", b.Adjusted, b.P)
	}
}

// TestPublished: a difference of the paper stands beside the same rows alone. Cross entropy with α .75 is in Tables 1b
// and 3 (31.1), focal loss with γ 2 too (34.0).
func TestPublished(t *testing.T) {
	c := claim("a", nil, nil)
	c.Sides[0].Settings = map[string]any{"loss.type": "focal", "loss.gamma": 2., "loss.alpha": .25, "loss.beta": 0., "sampler.type": "all"}
	c.Sides[1].Settings = map[string]any{"loss.type": "ce", "loss.alpha": .75, "sampler.type": "all"}
	j := judge(t, c)[0]
	var tables []string
	for _, p := range j.Published {
		tables = append(tables, p.Table)
		if math.Abs(p.Difference()-.029) > 1e-12 {
			t.Errorf("Table %s: a difference of %v", p.Table, p.Difference())
		}
	}
	if fmt.Sprint(tables) != "[1b 3]" {
		t.Errorf("tables %v", tables)
	}
	const want = "In Table 1b of the paper (COCO minival, ResNet-50-FPN, 600 px) the same rows have AP 34.0 and 31.1, a difference of +2.9"
	if got := j.Published[0].Sentence(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	c.Sides[0].Settings["anchors.scales"], c.Sides[1].Settings["anchors.scales"] = 1, 3
	if got := judge(t, c)[0].Published; len(got) != 0 {
		t.Errorf("rows that differ in what the tables do not vary: %v", got)
	}
	c.Sides[0].Settings["anchors.scales"] = 3
	c.Sides[1].Settings["sampler.type"] = "ssd"
	if got := judge(t, c)[0].Published; len(got) != 0 {
		t.Errorf("a row that the paper has not: %v", got)
	}
}

// TestParagraph: words say what the numbers are and what they cannot show.
func TestParagraph(t *testing.T) {
	base := []float64{.20, .21, .22, .23, .24, .25, .26, .27, .28, .29}
	up := above(base, .02)
	up[0] += .01
	same := claim("c", trials(append(above(base[:5], .01), above(base[5:], -.01)...)...), trials(base...))
	same.Same = true
	died := append([]float64{-1}, base[1:]...)
	family := []Claim{
		claim("a", trials(up...), trials(base...)), claim("b", trials(base[:2]...), nil), same, claim("d", trials(.3), trials(.2)),
		claim("e", trials(base...), trials(died...)),
	}
	got := judge(t, family...)
	for i, want := range [][]string{
		{"Shown: the rows are separated, and the first is better. At the common learning rate, AP is 26.6 ± 2.1 (n = 10) for A and 24.5 ± 2.2 (n = 10) for B. ",
			"The difference, paired by seed, is +2.1 AP with a 95 % interval of +1.9 to +2.3 over n = 10 seeds. ",
			"The exact sign-flip test gives p = 0.0020, and p = 0.0098 after Holm's correction over the 5 claims of the file. ",
			"P(A > B), the share of seeds in which the first row is better, is 1.00."},
		{"Not run: at the common learning rate no finished trial is recorded of B."},
		{"Not separated, as claimed. ", "0.50. This does not prove that the rows are equal: the interval excludes that the first is worse by more than 0.8 or better by more than 0.8 AP, and nothing smaller. ",
			"With n = 10 and this spread, a true difference of "},
		{"Too few seeds for a verdict: 1 seed with a value in both rows, and with 5 claims in the file it takes 7 or more. ",
			"In the one seed that both rows have, the difference is +10.0 AP."},
		{"24.5 ± 2.2 (n = 10) for A and 25.0 ± 2.1 (n = 9) for B. ", "P(A > B), the share of seeds in which the first row is better, with half of those of equal AP, is 0.55. ",
			"1 run diverged and counts as 0. 9 pairs of equal values. Only 1 pair without a tie, and with 5 claims in the file it takes 7 or more. "},
	} {
		text := got[i].Paragraph()
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("claim %s: got\n%s\nwhich lacks\n%s", got[i].Says, text, w)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Points(.0213), "+2.1"}, {Points(-.0213), "−2.1"}, {Points(-.0001), "0.0"}, {Points(0), "0.0"}, {Points(math.NaN()), "–"},
		{Probability(2.0 / 1024), "0.0020"}, {Probability(.039), "0.039"}, {Probability(1e-6), "< 0.0001"}, {Probability(math.NaN()), "–"},
		{equals(1e-6), "p < 0.0001"}, {Interval(stats.Mean([]float64{.1})), "–"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
