package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"focalgrid/columns"
	"focalgrid/stats"
)

// notes are the sentences under a table, each in one line: what the figures are, how far they
// can be trusted and compared, and what is missing. bold says that the format shows the best row.
func (t *Table) notes(s *sheet, bold bool) []string {
	if t.Published {
		return t.publishedNotes(s)
	}
	var notes []string
	add := func(format string, args ...any) { notes = append(notes, columns.OneLine(fmt.Sprintf(format, args...))) }
	rows := t.rows()
	t.noteSettings(add)
	var once, several, diverged, failed int
	for _, r := range rows {
		switch {
		case r.N == 1:
			once++
		case r.N > 1:
			several++
		}
		if r.Status.Diverged > 0 {
			diverged++
		}
		failed += r.Status.Failed
	}
	switch {
	case several > 0:
		text := "AP × 100; mean ± half the width of the 95 % t interval over n seeds"
		if once > 0 {
			text += "; where n is 1 no noise can be told"
		}
		add("%s.", text)
	case once > 0:
		add("AP × 100. One seed (%s); add seeds with --seeds 0..4.", stats.Caveat{Kind: stats.Once})
	}
	if diverged > 0 {
		add("k/n diverged: in k of n runs the loss became not finite; the mean is over the others, and in comparisons these runs count as AP 0.")
	}
	t.noteComparisons(add, bold)
	t.noteLowScores(add, s)
	if slices.ContainsFunc(rows, func(r Row) bool { return r.Millis != nil }) {
		add("paper ms: inference time for an image on an Nvidia M40, as published. The time of ours is not recorded, and no time on another machine could be compared.")
	}
	if slices.ContainsFunc(s.columns, func(c tableColumn) bool { return c.name == settingsColumn }) {
		add("settings: what a row does not name is as in the %s.", t.referenceName())
	}
	if hasGap(s) {
		add("%s: not run, not published, or not defined (no such object in the data, no such setting in the row).", columns.Gap)
	}
	if s.hidden != "" {
		add("%s", s.hidden)
	}
	for _, remark := range t.Remarks {
		add("%s", remark)
	}
	list := cmp.Or(t.List, "runner ls")
	if failed == 1 {
		add("1 trial failed; `%s` says why.", list)
	} else if failed > 1 {
		add("%d trials failed; `%s` says why.", failed, list)
	}
	return notes
}

// publishedNotes are the notes of a table that is the paper's alone.
func (t *Table) publishedNotes(s *sheet) []string {
	notes := []string{fmt.Sprintf("Published figures, AP × 100: %s. Nothing here was measured by this program.", t.Paper)}
	if slices.ContainsFunc(t.rows(), func(r Row) bool { return r.Millis != nil }) {
		notes = append(notes, "ms: inference time for an image on an Nvidia M40.")
	}
	if hasGap(s) {
		notes = append(notes, columns.Gap+": not published, or without meaning in the row.")
	}
	if s.hidden != "" {
		notes = append(notes, s.hidden)
	}
	return append(notes, t.Remarks...)
}

func hasGap(s *sheet) bool {
	return slices.ContainsFunc(s.columns, func(c tableColumn) bool {
		return slices.ContainsFunc(c.cells, func(x cell) bool { return x.text == columns.Gap })
	})
}

// noteSettings says in which settings the figures of each side were measured.
func (t *Table) noteSettings(add func(string, ...any)) {
	ours := t.Ours
	if t.Profile != "" {
		ours = strings.TrimSuffix("profile "+t.Profile+", "+ours, ", ")
	}
	if len(t.Changed) > 0 {
		ours = strings.TrimPrefix(ours+"; changed by --set: "+strings.Join(t.Changed, ", "), "; ")
	}
	if ours != "" {
		add("Ours: %s.", ours)
	}
	if len(t.published()) > 0 {
		add("Paper: %s.", t.Paper)
		add("The settings differ: compare the order of rows and the gaps between them, not the figures.")
	}
	if len(t.Apart) > 0 {
		add("No published figure stands beside a row that differs from the table's own settings in what the paper's table does not vary: %s.",
			strings.Join(t.Apart, ", "))
	}
}

// noteComparisons explains the differences, and says how many seeds a verdict takes.
func (t *Table) noteComparisons(add func(string, ...any), bold bool) {
	var all []*stats.Difference
	least, most, unpaired := 0, 0, 0
	for _, v := range t.judge() {
		for _, d := range v.differences {
			switch {
			case d == nil:
			case !d.Paired:
				unpaired++
			default:
				if len(all) == 0 || d.N < least {
					least = d.N
				}
				most = max(most, d.N)
				all = append(all, d)
			}
		}
	}
	if len(all)+unpaired == 0 {
		return
	}
	text := fmt.Sprintf("Δ AP: difference to the %s", t.baselineName())
	switch {
	case most > least:
		text += fmt.Sprintf(", paired by seed over %d to %d seeds", least, most)
	case len(all) > 0:
		text += ", paired by seed over " + columns.Count(most, "seed")
	}
	add("%s; %s: not separated from it.", text, notSeparated)
	if unpaired > 0 {
		add("Where no seed has one run on each side the difference is of the means, with Welch's interval, and there is no test.")
	}
	if len(all) == 0 {
		return
	}
	comparisons := all[0].Comparisons
	few, need := 0, 0
	if least := stats.LeastPairs(comparisons); most < least { // of tied pairs alone there is no caveat
		need = least
	}
	for _, d := range all {
		for _, c := range d.Caveats {
			if c.Kind == stats.TooFew {
				need = c.Need
			}
		}
	}
	for _, d := range all {
		if d.N-d.Ties < need {
			few++
		}
	}
	const test = "the exact sign-flip test of the paired differences, adjusted by Holm for"
	if few == len(all) {
		add("With so few seeds %s %s, cannot separate any row, whatever was measured: that takes %d seeds or more.", test, columns.Count(comparisons, "comparison"), need)
		return
	}
	separated := fmt.Sprintf("Separated: p ≤ %g of %s %s in this table.", stats.Alpha, test, columns.Count(comparisons, "comparison"))
	if bold {
		separated += " Bold: the best row, where it is separated from the second."
	}
	if few > 0 {
		separated += fmt.Sprintf(" A row with fewer than %d pairs that are not tied cannot be separated, whatever was measured.", need)
	}
	add("%s", separated)
}

// baselineName names the row that differences are taken to.
func (t *Table) baselineName() string {
	var names []string
	for _, r := range t.rows() {
		if r.Baseline {
			if name := t.rowName(r); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) != 1 || names[0] == "" {
		return "baseline"
	}
	return "row " + names[0]
}

// referenceName names the row whose settings are given in full.
func (t *Table) referenceName() string {
	if slices.ContainsFunc(t.rows(), func(r Row) bool { return r.Baseline }) {
		return "baseline"
	}
	return "first row"
}

// rowName spells the factors of a row that vary in the table.
func (t *Table) rowName(r Row) string {
	rows := t.rows()
	var parts []string
	for _, key := range t.Factors {
		text, ok := r.factor(key)
		varies := slices.ContainsFunc(rows, func(other Row) bool { o, has := other.factor(key); return o != text || has != ok })
		if ok && varies {
			parts = append(parts, key+"="+text)
		}
	}
	return strings.Join(parts, " ")
}

// noteLowScores explains AP.001 where it is shown, and names the rows whose detections all have low scores.
func (t *Table) noteLowScores(add func(string, ...any), s *sheet) {
	if slices.ContainsFunc(s.columns, func(c tableColumn) bool { return c.name == lowScore }) {
		add("%s: AP with detections from a score of .001 on; the other columns have those above eval.score, .05 in the paper.", lowScore)
	}
	var names []string
	zero := columns.Percent(0)
	for _, r := range t.rows() {
		ap, low := r.Metric("AP"), r.Metric(lowScore)
		if ap.N > 0 && low.N > 0 && columns.Percent(ap.Mean) == zero && columns.Percent(low.Mean) != zero {
			if len(names) < mostNamed {
				name := t.rowName(r)
				if name == "" {
					name = "the row"
				}
				names = append(names, fmt.Sprintf("%s (%s)", name, columns.Percent(low.Mean)))
			} else if len(names) == mostNamed {
				names = append(names, "…")
			}
		}
	}
	if len(names) > 0 {
		add("AP is 0.0 but %s is not: the detector finds objects, with scores too low to count: %s.", lowScore, strings.Join(names, "; "))
	}
}

// mostNamed is how many rows a note names.
const mostNamed = 3
