package claims

import (
	"fmt"
	"math"
	"strings"

	"focalgrid/columns"
	"focalgrid/stats"
)

// Paragraph puts the judgement into plain sentences: the verdict, the numbers behind it, and what they cannot show. The
// claim itself, the commands and the published figures are not in it.
func (j *Judgement) Paragraph() string {
	d := j.Difference
	if j.Verdict == NotRun {
		return j.notRun()
	}
	var s sentences
	s.add("%s", j.headline())
	s.add("At %s, AP is %s for %s and %s for %s", j.At, estimate(j.Rows[0]), j.Sides[0].Name, estimate(j.Rows[1]), j.Sides[1].Name)
	switch {
	case d.Paired && d.N == 1:
		s.add("In the one seed that both rows have, the difference is %s AP", Points(d.Mean))
	case d.Paired:
		s.add("The difference, paired by seed, is %s AP with a 95 %% interval of %s over n = %d seeds", Points(d.Mean), Interval(d.Estimate), d.N)
		s.add("The exact sign-flip test gives %s, and %s after Holm's correction over the %s of the file",
			equals(d.P), equals(d.Adjusted), columns.Count(j.Family, "claim"))
		s.add("P(A > B), the share of seeds in which the first row is better%s, is %s", halves(d.Ties), columns.Decimals(d.Superiority, 2))
	}
	for _, c := range d.Caveats {
		switch {
		case c.Kind == stats.TooFew && j.Verdict == NotSeparated: // for its ties
			s.add("Only %s without a tie, and with %s in the file it takes %d or more", columns.Count(c.Count, "pair"), columns.Count(j.Family, "claim"), c.Need)
		case c.Kind != stats.TooFew && c.Kind != stats.Once: // of which headline tells
			s.add("%s", capital(c.String()))
		}
	}
	if len(j.Doubts) > 0 {
		s.add("A row's best may lie beyond its candidates: %s", strings.Join(j.Doubts, "; "))
	}
	if j.Verdict != NotSeparated {
		return s.String()
	}
	if j.Same {
		s.add("This does not prove that the rows are equal: the interval excludes that the first is worse by more than %s or better by more than %s AP, and nothing smaller",
			Magnitude(max(0, -d.Low)), Magnitude(max(0, d.High)))
	} else {
		s.add("This does not prove that the rows are equal")
	}
	if !math.IsNaN(j.Detectable) && !math.IsInf(j.Detectable, 0) {
		s.add("With n = %d and this spread, a true difference of %s AP would be found with a chance of 80 %%", d.N, Magnitude(j.Detectable))
	}
	return s.String()
}

// headline is the first sentence.
func (j *Judgement) headline() string {
	switch j.Verdict {
	case Shown:
		return "Shown: the rows are separated, and the first is better"
	case Contrary:
		if j.Same {
			return "Contrary to the claim, the rows are separated"
		}
		return "Contrary to the claim, the first row is worse, and the rows are separated"
	case NotSeparated:
		if j.Same {
			return "Not separated, as claimed"
		}
		return "Not shown: the rows are not separated"
	}
	return fmt.Sprintf("Too few seeds for a verdict: %s with a value in both rows, and with %s in the file it takes %d or more",
		columns.Count(j.Difference.N, "seed"), columns.Count(j.Family, "claim"), j.Needed)
}

// halves says how ties count in a share of seeds, where there are any.
func halves(ties int) string {
	if ties == 0 {
		return ""
	}
	return ", with half of those of equal AP"
}

func (j *Judgement) notRun() string {
	var missing []string
	for _, side := range j.Sides {
		if side.unfinished() {
			missing = append(missing, side.Name)
		}
	}
	return fmt.Sprintf("Not run: at %s no finished trial is recorded of %s.", j.At, strings.Join(missing, " nor of "))
}

// Sentence puts a published difference into words.
func (p Published) Sentence() string {
	return fmt.Sprintf("In Table %s of the paper (%s) the same rows have AP %s and %s, a difference of %s",
		p.Table, p.Setting, columns.Percent(p.AP[0]), columns.Percent(p.AP[1]), Points(p.Difference()))
}

// Points prints a difference in AP × 100 with its sign.
func Points(v float64) string {
	text := columns.Percent(v)
	switch {
	case text == "-0.0" || text == "0.0":
		return "0.0"
	case v > 0:
		return "+" + text
	}
	return strings.Replace(text, "-", "−", 1)
}

// Magnitude prints a difference in AP × 100 that has no sign.
func Magnitude(v float64) string { return columns.Percent(math.Abs(v)) }

// Interval prints the ends of a difference's interval.
func Interval(e stats.Estimate) string {
	if math.IsNaN(e.Low) || math.IsNaN(e.High) {
		return columns.Gap
	}
	return Points(e.Low) + " to " + Points(e.High)
}

// Probability prints a p with two digits.
func Probability(p float64) string {
	switch {
	case math.IsNaN(p):
		return columns.Gap
	case p < .0001:
		return "< 0.0001"
	case p < .01:
		return columns.Decimals(p, 4)
	}
	return columns.Decimals(p, 3)
}

func equals(p float64) string {
	text := Probability(p)
	if strings.HasPrefix(text, "<") {
		return "p " + text
	}
	return "p = " + text
}

// estimate prints the mean of one row with the half width of its interval.
func estimate(e stats.Estimate) string {
	if half := e.HalfWidth(); !math.IsNaN(half) {
		return fmt.Sprintf("%s ± %s (n = %d)", columns.Percent(e.Mean), columns.Percent(half), e.N)
	}
	return fmt.Sprintf("%s (n = %d)", columns.Percent(e.Mean), e.N)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// sentences joins sentences, each with its full stop.
type sentences []string

func (s *sentences) add(format string, args ...any) {
	*s = append(*s, fmt.Sprintf(format, args...)+".")
}

func (s sentences) String() string { return strings.Join(s, " ") }
