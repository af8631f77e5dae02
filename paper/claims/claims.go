// Package claims judges statements that a study made before its runs, such as "focal loss is better than cross entropy",
// from the recorded trials of two rows.
//
// The unit is the seed: a claim is judged by the difference in AP between the two rows, paired by seed. AP is a fraction
// here, and × 100 in words. All claims that are judged together are one family, over which Holm's correction is made.
// How a difference is estimated and tested is the business of package stats; which rows a claim is about is the business
// of package experiments/plan.
package claims

import (
	"math"

	"focalgrid/results/record"
	"focalgrid/stats"
)

// Claim is a statement about two rows, with what is recorded of them.
type Claim struct {
	Says   string   // the statement
	Same   bool     // the statement is that the rows are not separated; otherwise, that the first is better
	At     string   // the learning rate at which the rows are compared: "the common learning rate"
	Doubts []string // why other settings than a row's own best may be better
	Sides  [2]Side  // the first and the second row
	Sweep  string   // the command that trains the rows
	Report string   // the command that judges the claim
}

// Side is one row of a claim.
type Side struct {
	Name     string         // the settings by which the row differs from others
	Settings map[string]any // all its settings, by the keys of a grid file
	Trials   []record.Trial // of any seed and status
}

// Verdict is what the trials say about a claim.
type Verdict string

// The verdicts. A claim is shown or contrary only where the exact test, after Holm's correction, separates the rows.
const (
	Shown        Verdict = "shown"
	Contrary     Verdict = "contrary"      // the rows are separated, and the claim has the wrong sign or says that they are not
	NotSeparated Verdict = "not separated" // which is no proof that the rows are equal
	TooFewSeeds  Verdict = "too few seeds" // the test cannot separate the rows, whatever was measured
	NotRun       Verdict = "not run"       // a row has no finished trial
)

// Judgement is a claim with its verdict and the numbers that the verdict is made from.
type Judgement struct {
	Claim
	Verdict Verdict
	// Rows are the AP of both rows over the trials that are done, each for itself.
	Rows [2]stats.Estimate
	// Difference is the first row's AP minus the second's, by seed. A trial that diverged counts as AP 0.
	Difference stats.Difference
	// Family counts the claims that are judged together, those not run included.
	Family int
	// Needed is the number of seeds below which this claim cannot be shown, whatever is measured. Holm's correction asks
	// for fewer once other claims are separated, which those can be that have enough seeds themselves.
	Needed int
	// Detectable is the true difference in AP that as many seeds with this spread find with a chance of 80 %; +Inf where
	// they are too few, NaN where the spread is not known.
	Detectable float64
	// Published holds the differences between the same rows in the paper's tables.
	Published []Published
}

// Judge judges the claims of one study, in order. A claim that is not run yet counts in Holm's correction like one whose
// p is 1, so that no verdict gets weaker as more trials are recorded for other claims.
func Judge(all []Claim) ([]Judgement, error) {
	out := make([]Judgement, len(all))
	family := make([]*stats.Difference, len(all))
	for i, c := range all {
		j := &out[i]
		j.Claim = c
		j.Family = len(all)
		var runs [2][]stats.Value
		for s, side := range c.Sides {
			runs[s] = record.Values(side.Trials, "AP")
			j.Rows[s] = stats.Mean(stats.Finished(runs[s]))
		}
		j.Difference = stats.Paired(runs[1], runs[0])
		family[i] = &j.Difference
		if !j.Difference.Paired {
			family[i] = &stats.Difference{P: 1}
		}
		var err error
		if j.Published, err = published(c.Sides); err != nil {
			return nil, err
		}
	}
	stats.Adjust(family...)
	pairs := make([]int, len(all)) // without ties
	for i, d := range family {
		pairs[i] = d.N - d.Ties
	}
	needed := stats.LeastPairsOf(pairs)
	for i := range out {
		j := &out[i]
		j.Needed = needed
		j.Verdict = j.verdict()
		j.Detectable = math.NaN()
		if d := j.Difference; d.Paired {
			j.Detectable = stats.Detectable(d.SD, d.N, j.Family)
		}
	}
	return out, nil
}

func (j *Judgement) verdict() Verdict {
	d := j.Difference
	switch {
	case j.Sides[0].unfinished() || j.Sides[1].unfinished():
		return NotRun
	case d.Separated() && !j.Same && d.Mean > 0:
		return Shown
	case d.Separated():
		return Contrary
	case d.N < j.Needed:
		return TooFewSeeds
	}
	return NotSeparated
}

// unfinished reports whether no trial of the row is done or diverged.
func (s *Side) unfinished() bool { return len(record.Values(s.Trials, "AP")) == 0 }
