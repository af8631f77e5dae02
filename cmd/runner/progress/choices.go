package progress

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"

	"focalgrid/columns"
	"focalgrid/experiments/plan"
	"focalgrid/experiments/sweep"
)

// WriteChoices prints what each row scored at its candidates, which of them it chose, and what speaks against the
// choice.
func WriteChoices(w io.Writer, p *plan.Plan, choices []sweep.Choice) {
	if len(choices) > 0 {
		fmt.Fprintf(w, "\nChosen by the mean AP × 100 on the split tune:\n\n")
		rows := [][]string{append(p.Factors[:len(p.Factors):len(p.Factors)], "candidate", "n", "AP", "")}
		for _, c := range choices {
			for i, o := range c.Candidates {
				ap := columns.Percent(o.AP)
				if o.Diverged > 0 {
					ap += fmt.Sprintf(" (%d/%d diverged)", o.Diverged, o.N)
				}
				mark := ""
				if i == c.Best {
					mark = "best"
				}
				rows = append(rows, append(cells(p, c.Row), o.Settings, fmt.Sprint(o.N), ap, mark))
			}
		}
		columns.Text(w, "", rows, columns.AllLeft)
		fmt.Fprintln(w)
	}
	chosen := map[int]bool{}
	say := func(row int, format string, args ...any) {
		fmt.Fprintf(w, "%s: %s.\n", cmp.Or(p.RowName(row), "The baseline"), fmt.Sprintf(format, args...))
	}
	for _, c := range choices {
		chosen[c.Row] = true
		if c.Was != "" {
			say(c.Row, "%s replaces the choice recorded before, %s", c.Candidates[c.Best].Settings, c.Was)
		}
		for _, doubt := range c.Doubts {
			say(c.Row, "%s", doubt)
		}
	}
	for row := range p.Rows {
		if !chosen[row] {
			say(row, "nothing is chosen, as trials of its candidates failed")
		}
	}
}

// WriteUnchosen prints how many trials come of rows whose own best settings are not chosen yet, and what they cost: as
// much as the trials of the row itself. A row whose best are the settings that it has needs none.
func WriteUnchosen(w io.Writer, p *plan.Plan, costs []sweep.Cost, jobs int) {
	unchosen := map[int]bool{}
	for row := range p.Rows {
		if p.Best == nil || row < len(p.Best) && p.Best[row] < 0 {
			unchosen[row] = true
		}
	}
	if len(unchosen) == 0 {
		return
	}
	seconds := 0.
	for i, t := range p.Trials {
		if unchosen[t.Row] {
			seconds += costs[i].Seconds
		}
	}
	n := len(unchosen) * len(p.Seeds)
	about := ""
	if !math.IsNaN(seconds) {
		about = ": about " + columns.Duration(seconds/float64(min(jobs, n))) + " on this machine"
	}
	fmt.Fprintf(w, "Then each row at its own best %s, once that is chosen, up to %s × %s = %s%s.\n",
		strings.Join(p.Tune.Factors, ", "), columns.Count(len(unchosen), "row"), columns.Count(len(p.Seeds), "seed"), columns.Count(n, "more trial"), about)
}
