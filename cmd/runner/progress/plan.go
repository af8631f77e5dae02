package progress

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"focalgrid/columns"
	"focalgrid/experiments/plan"
	"focalgrid/experiments/sweep"
	"focalgrid/setting"
)

// factors writes what distinguishes a trial from its neighbours: "loss.gamma=2 seed=0".
func factors(p *plan.Plan, t *plan.Trial) string {
	return strings.TrimLeft(p.RowName(t.Row)+" seed="+strconv.FormatUint(t.Seed, 10), " ")
}

// cells are the factors of a row, each for its column.
func cells(p *plan.Plan, row int) []string {
	var line []string
	for _, key := range p.Factors {
		cell := columns.Gap
		if v, ok := p.Rows[row].Factors[key]; ok {
			cell = setting.Spell(v)
		}
		line = append(line, cell)
	}
	return line
}

// stateOf describes the state of a trial.
func stateOf(s *sweep.State) string {
	if s.Recorded == nil {
		return "to do"
	}
	if s.Done() {
		return s.Recorded.Status
	}
	if s.Step > 0 {
		return fmt.Sprintf("from step %d (%s)", s.Step, s.Recorded.Status)
	}
	return "again (" + s.Recorded.Status + ")"
}

// WritePlan prints the plan of a sweep: the trials in their order, with their factors, state and cost,
// the finding of the paper, and the total, which is divided among jobs.
func WritePlan(w io.Writer, p *plan.Plan, states []sweep.State, costs []sweep.Cost, pretrain float64, rates sweep.Rates, jobs int) {
	title := p.Title
	if title == "" {
		title = p.Name
	}
	if p.Table != "" {
		title = "Table " + p.Table + ": " + title
	}
	fmt.Fprintf(w, "%s (%s, profile %s)\n", title, p.File, p.Profile)
	if found := p.Finding(); found != "" {
		fmt.Fprintf(w, "The paper found: %s\n", found)
	}
	fmt.Fprintln(w)

	header := append([]string{"#"}, p.Factors...)
	rows := [][]string{append(header, "seed", "state", "cost")}
	var missing, recorded int
	var seconds float64
	for i := range states {
		s := &states[i]
		line := append([]string{strconv.Itoa(i + 1)}, cells(p, s.Row)...)
		cost := columns.Duration(costs[i].Seconds)
		if math.IsNaN(costs[i].Seconds) {
			cost = "?"
		}
		if !s.Done() {
			missing++
			cost = "~" + cost
			seconds += costs[i].Seconds
			if costs[i].Recorded {
				recorded++
			}
		}
		rows = append(rows, append(line, strconv.FormatUint(s.Seed, 10), stateOf(s), cost))
	}
	columns.Text(w, "", rows, columns.AllLeft)
	foot := fmt.Sprintf("%s, %d to do", columns.Count(len(states), "trial"), missing)
	if missing > 0 && !math.IsNaN(seconds+pretrain) {
		basis := rates.Basis()
		switch recorded {
		case 0:
		case missing:
			basis = "an estimate from recorded trials of the same work on this machine"
		default:
			basis += fmt.Sprintf(", for %d of them from recorded trials of the same work", recorded)
		}
		foot += fmt.Sprintf(": about %s on this machine, %s", columns.Duration(seconds/float64(max(1, min(jobs, missing)))+pretrain), basis)
		if pretrain > 0 {
			foot += fmt.Sprintf("; %s of it for pretraining the backbone, once", columns.Duration(pretrain))
		}
	}
	fmt.Fprintf(w, "\n%s.\n", foot)
	for _, line := range sweep.Inputs(p, states) {
		fmt.Fprintln(w, line)
	}
}

// OneSeed explains a single number under --seeds, if it may be meant as a number of seeds; otherwise it
// returns "".
func OneSeed(p *plan.Plan, flag string) string {
	if len(p.Seeds) != 1 || p.Seeds[0] < 2 || p.Seeds[0] > 100 || flag == "" || strings.Contains(flag, "..") {
		return ""
	}
	n := p.Seeds[0]
	return fmt.Sprintf("One seed, number %d; for %d seeds, from 0 on, write --seeds 0..%d.\n", n, n, n-1)
}
