package report

import (
	"fmt"
	"strings"

	"focalgrid/columns"
	"focalgrid/stats"
)

// Item is an item of the NeurIPS paper checklist with its answer.
type Item struct{ Name, Question, Answer, Why string }

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
		"make the numbers again"
	if len(o.Engines) > 0 {
		steps += fmt.Sprintf(" on engine %s with numerics %s, and `runner verify TRIAL` compares one trial with its record",
			strings.Join(o.Engines, ", "), strings.Join(o.Numerics, ", "))
	}
	tuned := "No trial chose a setting."
	if s.Tuning > 0 {
		tuned = fmt.Sprintf("%s that no table shows scored the split tune, as those do that choose settings.",
			capital(columns.Count(s.Tuning, "trial")))
	}
	return []Item{
		{"4. Reproducibility of results", "Are all results reproducible from what is disclosed?", "Yes", steps + "."},
		{"5. Data and code", "Is there open access to the data and the code?", "For the authors to answer",
			fmt.Sprintf("Code: revision %s. Data: as each table says; the synthetic set is drawn by the program from its settings. Commands: %s.",
				orNone(revision), orNone(strings.Join(sweeps, ", ")))},
		{"6. Setting of experiments", "Are all details of training and testing given?", "Yes",
			"Every setting of every trial is in the database (`runner show TRIAL`), and the grid files hold what differs between rows. " + tuned},
		{"7. Statistical significance", "Are error bars given, with their meaning?", "Yes",
			fmt.Sprintf("Seeds: %s. The unit is the seed, which decides first weights, order and flips of images. Error bars are 95 %% t intervals of the mean over seeds. "+
				"A difference is paired by seed, tested by an exact sign-flip test, and called separated where p after Holm's correction is at most %g. "+
				"%d of %d trials diverged; they count as AP 0 in comparisons. Claims were stated before the trials (%s); everything else is exploratory.",
				orNone(Seeds(o.Seeds)), stats.Alpha, o.Diverged, o.Trials, columns.Count(s.Claims(), "claim"))},
		{"8. Compute", "Are the machines and the time given?", "Yes", s.compute()},
	}
}

// compute sums up which machine computed for how long.
func (s *Study) compute() string {
	var parts []string
	for _, m := range s.Origin.ByMachine {
		parts = append(parts, fmt.Sprintf("%s for %s on %s", columns.Duration(m.Seconds), columns.Count(m.Trials, "trial"), m.Machine))
	}
	if len(parts) == 0 {
		return "No trial is recorded."
	}
	return fmt.Sprintf("Wall time of everything in the database, choosing settings, failed attempts and pretraining included: %s.", strings.Join(parts, "; "))
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
