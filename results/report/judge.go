package report

import (
	"math"

	"focalgrid/stats"
)

// verdict says how the rows of a block compare.
type verdict struct {
	baseline    int                 // index of the baseline row; -1: none
	differences []*stats.Difference // in AP, of each row to the baseline; nil for the baseline and where there is none
	best        int                 // index of the row that is separated from the second; -1: none
}

// judge compares the rows of each block with its baseline, and its best row with the second.
// All p of the table are adjusted together.
func (t *Table) judge() []verdict {
	out := make([]verdict, len(t.Blocks))
	var family []*stats.Difference
	leads := make([]*stats.Difference, len(t.Blocks)) // of the best row over the second
	for i, b := range t.Blocks {
		v := &out[i]
		v.baseline, v.best = -1, -1
		v.differences = make([]*stats.Difference, len(b.Rows))
		for j, r := range b.Rows {
			if r.Baseline {
				v.baseline = j
			}
		}
		if v.baseline >= 0 {
			for j, r := range b.Rows {
				if d := stats.Paired(b.Rows[v.baseline].Runs, r.Runs); j != v.baseline && !math.IsNaN(d.Mean) {
					v.differences[j] = &d
					family = append(family, &d)
				}
			}
		}
		best, second := b.leaders()
		if second < 0 || b.Rows[best].Status.Diverged > 0 {
			continue
		}
		v.best = best
		switch v.baseline {
		case second:
			leads[i] = v.differences[best]
		case best:
			leads[i] = v.differences[second]
		default:
			d := stats.Paired(b.Rows[second].Runs, b.Rows[best].Runs)
			leads[i] = &d
			family = append(family, &d)
		}
	}
	stats.Adjust(family...)
	for i, lead := range leads {
		if lead == nil || !lead.Separated() {
			out[i].best = -1
		}
	}
	return out
}

// leaders returns the two rows with the highest mean AP, where a run that diverged counts as 0;
// -1 where there are fewer.
func (b *Block) leaders() (best, second int) {
	best, second = -1, -1
	means := make([]float64, len(b.Rows))
	for i, r := range b.Rows {
		sum, n := 0.0, 0.0
		for _, run := range r.Runs {
			if !math.IsNaN(run.Value) {
				sum, n = sum+run.Value, n+1
			}
		}
		means[i] = sum / n
		switch {
		case math.IsNaN(means[i]):
		case best < 0 || means[i] > means[best]:
			best, second = i, best
		case second < 0 || means[i] > means[second]:
			second = i
		}
	}
	return best, second
}
