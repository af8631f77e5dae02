package stats

import (
	"encoding/json"
	"fmt"
)

// Kind names what a result cannot show.
type Kind string

// The kinds of caveats.
const (
	// Once: one value shows no noise.
	Once Kind = "once"
	// TooFew: with so few pairs the test cannot reject, whatever was measured.
	TooFew Kind = "too few"
	// Diverged: runs that diverged count as 0.
	Diverged Kind = "diverged"
	// Lost: seeds without a value on both sides are left out.
	Lost Kind = "lost"
	// Tied: pairs of equal values say nothing about which side is better.
	Tied Kind = "tied"
	// Unpaired: no seed has exactly one run with a value on each side, so there is no test.
	Unpaired Kind = "unpaired"
	// Approximate: there are too many pairs to count all flips of signs.
	Approximate Kind = "approximate"
	// SeedsFixed: no other seeds can be drawn, so an interval shows the choice of images alone.
	SeedsFixed Kind = "seeds fixed"
)

// Caveat is what one result cannot show. Caveats can be compared by ==.
type Caveat struct {
	Kind Kind
	// Count is the number of pairs (Tied, Approximate), of pairs without ties (TooFew), of seeds (Lost) or of runs
	// (Diverged).
	Count int
	// Need is the fewest pairs with which the test can reject, given the pairs of the other comparisons (TooFew).
	Need int
	// Comparisons is the number of comparisons in the family (TooFew).
	Comparisons int
}

// String says it in words, without a full stop.
func (c Caveat) String() string {
	switch c.Kind {
	case Once:
		return "n = 1: no run-to-run noise can be told, so a difference may be chance"
	case TooFew:
		over := ""
		if c.Comparisons > 1 {
			over = fmt.Sprintf(" over %d comparisons", c.Comparisons)
		}
		return fmt.Sprintf("n = %d is too few for any verdict at p ≤ %g%s: it takes %d pairs without ties", c.Count, Alpha, over, c.Need)
	case Diverged:
		if c.Count == 1 {
			return "1 run diverged and counts as 0"
		}
		return fmt.Sprintf("%d runs diverged and count as 0", c.Count)
	case Lost:
		return fmt.Sprintf("%s left out: not on both sides, twice on one, or without a value", count(c.Count, "seed"))
	case Tied:
		return fmt.Sprintf("%s of equal values", count(c.Count, "pair"))
	case Unpaired:
		return "no seed has one run on each side: the interval is Welch's, and there is no test"
	case Approximate:
		return fmt.Sprintf("p of %d pairs is the t test's, which the exact test approaches; it is exact up to %d pairs", c.Count, maxExact)
	case SeedsFixed:
		return "one run on a side: the interval shows the choice of images alone, not what another seed would do"
	}
	return string(c.Kind)
}

// MarshalJSON writes the kind and the words.
func (c Caveat) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind Kind   `json:"kind"`
		Text string `json:"text"`
	}{c.Kind, c.String()})
}

// count returns a number with its noun, with an s for more than one.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
