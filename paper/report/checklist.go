package report

import (
	"fmt"
	"slices"
	"strings"

	"focalgrid/columns"
	tables "focalgrid/results/report"
	"focalgrid/stats"
)

// Item is an item of the NeurIPS paper checklist with its answer.
type Item struct{ Name, Question, Answer, Why string }

// forAuthors is the answer to what a database cannot know.
const forAuthors = "For the authors to answer"

// Checklist answers the items about reproducibility in the NeurIPS paper checklist (2024: items 4 to 8) from the
// database. What it cannot know, such as where the code is published, it leaves to the authors, and says so.
func (s *Study) Checklist() []Item {
	o := &s.Origin
	var sweeps []string
	for i := range s.Parts {
		sweeps = append(sweeps, "`"+s.Parts[i].Sweep+"`")
	}
	revision := strings.Join(o.Revisions, "; ")
	steps := "A trial is a pure function of its settings, its seed, its data and the numerics version: the commands beside each table and claim " +
		"make the numbers again (with `--seeds`, where a table has seeds that its file does not name)"
	if len(o.Engines) > 0 {
		steps += fmt.Sprintf(" on engine %s with numerics %s, and `runner verify TRIAL` compares one trial with its record",
			strings.Join(o.Engines, ", "), strings.Join(o.Numerics, ", "))
	}
	tuned := "Every trial on the split tune, which is for choosing settings, is in a table."
	if s.Tuning > 0 {
		tuned = fmt.Sprintf("%s on the split tune, which is for choosing settings, are in no table; a table at own best settings names what was chosen.",
			columns.Count(s.Tuning, "trial"))
	}
	reproducible := "Yes"
	if unknown := o.Unnamed; unknown > 0 {
		reproducible = "In part"
		steps += fmt.Sprintf(". Of %s the revision of the code is unknown or was changed without a commit: their code is not named by the records",
			columns.Count(unknown, "trial"))
	}
	bars, claimed := "Yes", "No grid file here has claims: everything is exploratory."
	if !s.hasBars() {
		bars = "No"
	}
	if s.Claims() > 0 {
		claimed = fmt.Sprintf("Claimed: %s, in %s; everything else is exploratory. Whether the claims were written before the trials is not in the database: "+
			"the history of these files tells.", columns.Count(s.Claims(), "claim"), strings.Join(s.claimFiles(), " and "))
	}
	timed, time := s.compute()
	items := []Item{
		{"4. Reproducibility of results", "Are all results reproducible from what is disclosed?", reproducible, steps + "."},
		{"5. Data and code", "Is there open access to the data and the code?", forAuthors,
			fmt.Sprintf("Code: revision %s. Data: as each table says; the synthetic set is drawn by the program from its settings. Commands: %s.",
				orNone(revision), orNone(strings.Join(sweeps, ", ")))},
		{"6. Setting of experiments", "Are all details of training and testing given?", "Yes",
			"Every setting of every trial is in the database (`runner show TRIAL`), and the grid files hold what differs between rows. " + tuned},
		{"7. Statistical significance", "Are error bars given, with their meaning?", bars,
			fmt.Sprintf("Seeds: %s. The unit is the seed, which decides first weights, order and flips of images. Error bars are 95 %% t intervals of the mean over seeds, of rows with two seeds or more. "+
				"A difference is paired by seed, tested by an exact sign-flip test, and called separated where p after Holm's correction is at most %g. "+
				"%d of %d trials diverged; they count as AP 0 in comparisons. %s",
				orNone(Seeds(o.Seeds)), stats.Alpha, o.Diverged, o.Trials, claimed)},
		{"8. Compute", "Are the machines and the time given?", timed, time},
	}
	if o.Trials == 0 {
		for i := range items {
			items[i].Why = "No trial is recorded."
			if items[i].Answer != forAuthors {
				items[i].Answer = "No"
			}
		}
	}
	return items
}

// compute sums up which machine computed for how long, and answers whether all of it is known.
func (s *Study) compute() (answer, text string) {
	var parts []string
	answer = "Yes"
	for _, m := range s.Origin.ByMachine {
		parts = append(parts, fmt.Sprintf("%s for %s on %s", columns.Duration(m.Seconds), columns.Count(m.Trials, "trial"), m.Machine))
		if m.Machine == unknownMachine {
			answer = "In part"
		}
	}
	return answer, fmt.Sprintf("Wall time of the trials in the database, failed attempts and recorded pretraining included: %s.", strings.Join(parts, "; "))
}

// hasBars reports whether a row of a table has two finished seeds, which it takes for an error bar.
func (s *Study) hasBars() bool {
	for i := range s.Parts {
		for _, b := range s.Parts[i].Table.Blocks {
			if slices.ContainsFunc(b.Rows, func(r tables.Row) bool { return r.Metrics["AP"].N > 1 }) {
				return true
			}
		}
	}
	return false
}

// claimFiles names the grid files that have claims.
func (s *Study) claimFiles() []string {
	var files []string
	for i := range s.Parts {
		if p := &s.Parts[i]; !p.Exploratory() && !slices.Contains(files, p.Name+".yaml") {
			files = append(files, p.Name+".yaml")
		}
	}
	return files
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
