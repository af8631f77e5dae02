package report

import (
	"fmt"
	"strconv"
	"strings"

	"focalgrid/columns"
	"focalgrid/experiments/plan"
	"focalgrid/paper/claims"
)

// claimHeads are the heads of a table of claims; the first two columns are text.
var claimHeads = []string{"claim", "verdict", "Δ AP", "95 % interval", "n", "p", "p (Holm)", "P(A > B)"}

// claimRows returns a row for each claim of the part.
func (p *Part) claimRows() [][]string {
	var rows [][]string
	for i := range p.Claims {
		j := &p.Claims[i]
		row := []string{fmt.Sprintf("%d. %s", i+1, j.Says), string(j.Verdict), columns.Gap, columns.Gap, "0", columns.Gap, columns.Gap, columns.Gap}
		if d := j.Difference; d.Paired {
			row = append(row[:2], claims.Points(d.Mean), claims.Interval(d.Estimate), strconv.Itoa(d.N),
				claims.Probability(d.P), claims.Probability(d.Adjusted), columns.Decimals(d.Superiority, 2))
		}
		rows = append(rows, row)
	}
	return rows
}

// claimNote explains the columns.
func (p *Part) claimNote() string {
	return fmt.Sprintf("Δ AP is the first row's AP (× 100) minus the second's, paired by seed: the mean over n seeds with its 95 %% t interval. "+
		"p is of the exact two-sided sign-flip test; Holm's correction is over the %s, run or not. "+
		"A verdict is given by p after the correction alone. P(A > B) is the share of seeds in which the first row is better, with half of those of equal AP.", p.Family)
}

// verdicts counts the claims by verdict: "7 shown, 1 not run".
func (p *Part) verdicts() string {
	counts := map[claims.Verdict]int{}
	for i := range p.Claims {
		counts[p.Claims[i].Verdict]++
	}
	var parts []string
	for _, v := range []claims.Verdict{claims.Shown, claims.Contrary, claims.NotSeparated, claims.TooFewSeeds, claims.NotRun} {
		if counts[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[v], v))
		}
	}
	return strings.Join(parts, ", ")
}

// published says what the paper has of a claim's rows, and what differs.
func (p *Part) published(j *claims.Judgement) string {
	if len(j.Published) == 0 {
		return "The paper publishes no figure of both rows."
	}
	var parts []string
	for _, q := range j.Published {
		parts = append(parts, q.Sentence()+".")
	}
	return fmt.Sprintf("%s These are published figures of another experiment than ours (%s): compare the sign, not the size.", strings.Join(parts, " "), p.setting())
}

// setting says in which setting the part's trials were measured.
func (p *Part) setting() string {
	return strings.TrimSuffix("profile "+p.Profile+", "+p.Table.Ours, ", ")
}

// label says what the part is evidence of.
func (p *Part) label() string {
	if p.Exploratory() {
		return "Exploratory: the grid file claims nothing of these rows."
	}
	if len(p.Set) > 0 {
		return "The rows that the claims are about, with settings that the grid file does not have: " + strings.Join(p.Set, ", ") +
			". Comparisons in this table other than the claims are exploratory."
	}
	return "The rows that the claims are about. Comparisons in this table other than the claims are exploratory."
}

// heading names the part.
func (p *Part) heading() string {
	text := fmt.Sprintf("%s (%s at %s", p.Title, p.Name, p.Profile)
	if len(p.Set) > 0 {
		text += ", " + strings.Join(p.Set, " ")
	}
	if p.Swept != "" {
		text += ", as swept on " + p.Swept
	}
	return text + ")"
}

// commandNote says what the commands of a report leave open.
const commandNote = "Commands are for the database runs/focalgrid.db and for grid files in the current folder: another database is named by --db " +
	"(for `runner report`, by its path alone), and a grid file of your own by its path."

// summary is the first sentence of a report.
func (s *Study) summary() string {
	if len(s.Parts) == 0 {
		return fmt.Sprintf("No table: of %s in the database none is finished and of a grid file's rows.", columns.Count(s.Origin.Trials, "trial"))
	}
	text := fmt.Sprintf("%s from %s.", columns.Count(len(s.Parts), "table"), columns.Count(s.Origin.Trials, "trial"))
	for i := range s.Parts {
		if p := &s.Parts[i]; !p.Exploratory() {
			text += fmt.Sprintf(" Of the %s at %s: %s.", p.Family, p.Profile, p.verdicts())
		}
	}
	return text
}

// elsewhere says which trials no part shows; "" where there is none.
func (s *Study) elsewhere() string {
	var parts []string
	if s.Tuning > 0 {
		parts = append(parts, fmt.Sprintf("%s on the split tune, which is for choosing settings", columns.Count(s.Tuning, "trial")))
	}
	if s.Foreign > 0 {
		parts = append(parts, fmt.Sprintf("%s that another engine or other numerics computed than this report is about (%s, numerics %d; `--engine` names another)",
			columns.Count(s.Foreign, "trial"), s.Engine, plan.Numerics))
	}
	if s.Elsewhere > 0 {
		parts = append(parts, fmt.Sprintf("%s with other settings than the rows of a grid file (`runner ls` lists them)", columns.Count(s.Elsewhere, "trial")))
	}
	if len(parts) == 0 {
		return ""
	}
	return "In no table: " + strings.Join(parts, ", and ") + "."
}
