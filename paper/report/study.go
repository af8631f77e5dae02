// Package report puts what a database holds beside what was claimed and what is published: the judged claims, tables,
// figures, where the numbers come from, and what it takes to make them again, as a page (HTML), as LaTeX, and as
// Markdown.
//
// Gather reads the database; the writers only spell what it found. How a claim is judged is the business of package
// claims, how a table looks of results/report, and what a figure shows of paper/figures.
package report

import (
	"focalgrid/figure"
	"focalgrid/page"
	"focalgrid/paper/claims"
	tables "focalgrid/results/report"
)

// Study is everything that a report shows.
type Study struct {
	DB    string // path of the database
	Made  page.Made
	Parts []Part
	// Figures are the paper's that are drawn from no table here, and Undrawn names those that are left out.
	Figures []Figure
	Undrawn []Undrawn
	Origin  Origin // of all trials of the database
	// These count the trials that are finished and in no part: those that choose settings on the split tune, those that
	// another engine or other numerics computed, and those of other settings than a grid file's.
	Tuning, Foreign, Elsewhere int
	Engine                     string // whose trials the report is about
	// Unread says which recorded sweeps could not be read, and why.
	Unread []string
}

// Part is a grid file at one profile, with what is recorded of it.
type Part struct {
	ID      string // unique in the study, such as gamma-mini
	Name    string
	Source  string // as commands name it: a grid file inside the program, or a file
	Swept   string // when its text was swept first, where another text of that name has a part; else ""
	Title   string
	Profile string
	Table   *tables.Table
	Set     []string // settings changed by flags: "optim.warmup=200", and by --data: "data.dir=…"
	Figures []Figure
	Undrawn []Undrawn
	Claims  []claims.Judgement
	Family  string // which claims are judged together
	Finding string // what the paper concludes from its table, or ""
	Origin  Origin // of the part's trials
	Sweep   string // the command that trains the rows
	Print   string // the command that prints the table
}

// Figure is a figure of a study or of a part.
type Figure struct {
	Name           string // unique in the study
	Shows          string // what it shows; "" where it is a part's table again, as a picture
	*figure.Figure        // nil in a report without pictures
	Draw           string // the command that draws it
}

// Exploratory reports whether the part's grid file claims nothing of its rows.
func (p *Part) Exploratory() bool { return len(p.Claims) == 0 }

// Claims counts the claims of all parts.
func (s *Study) Claims() int {
	n := 0
	for _, p := range s.Parts {
		n += len(p.Claims)
	}
	return n
}
