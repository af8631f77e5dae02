package report

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"focalgrid/columns"
	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/experiments/sweep"
	"focalgrid/figure"
	"focalgrid/paper/claims"
	"focalgrid/results"
	"focalgrid/results/record"
	"focalgrid/setting"
)

// Options says what a report is gathered from and how it names commands.
type Options struct {
	DB string
	// Command writes a command line of the program: its verb and arguments.
	Command func(verb string, args ...string) string
	// Network draws Figure 3, of the network of a profile, and Trained Figure 4, of a recorded trial. A report without
	// pictures leaves both nil: then it has the commands alone, which are the same on every machine.
	Network func(ctx context.Context, profile string) (*figure.Figure, error)
	Trained func(ctx context.Context, t *record.Trial) (*figure.Figure, error)
}

// Gather reads a database: every grid file inside the program and every recorded sweep, at every profile at which it
// was swept. A file inside the program also counts where at least half of its rows, and at least two, have trials that
// others planned. A recorded text that has the name of such a file is added where it has claims that the file has not.
func Gather(ctx context.Context, r *sweep.Records, o Options) (*Study, error) {
	g := &gatherer{r: r, o: o, ctx: ctx, study: &Study{DB: o.DB, Engine: r.Engine.Info().Name}, shown: map[string]bool{}}
	sweeps, err := r.Store.Sweeps()
	if err != nil {
		return nil, err
	}
	if g.swept, err = r.Store.Swept(); err != nil {
		return nil, err
	}
	for _, name := range plan.Ablations() {
		if err := g.profiles(inside(name)); err != nil {
			return nil, err
		}
	}
	for _, s := range sweeps {
		text := textOf(s)
		if _, err := text.read(plan.Selection{}); err != nil {
			why, _, _ := strings.Cut(err.Error(), "\n")
			g.study.Unread = append(g.study.Unread, fmt.Sprintf("sweep %s of %s: %s", s.Name, dates(s.Created, ""), why))
			continue
		}
		if err := g.profiles(text); err != nil {
			return nil, err
		}
	}
	if err := g.changed(sweeps); err != nil {
		return nil, err
	}
	g.tellApart()
	return g.study, g.rest()
}

// source is a text of a grid file.
type source struct {
	name   string // as commands name it: one inside the program, or a file
	first  string // when this text was swept first, RFC 3339; "" for a file inside the program
	hidden bool   // its name is that of a file inside the program: without claims its rows are that file's, or changed
	read   func(plan.Selection) (*plan.Plan, error)
}

func inside(name string) source {
	return source{name: name, read: func(sel plan.Selection) (*plan.Plan, error) { return detector.Settings.LoadInside(name, sel) }}
}

func textOf(s record.Sweep) source {
	name := s.Name + ".yaml"
	return source{name: name, first: s.Created, hidden: slices.Contains(plan.Ablations(), s.Name), read: func(sel plan.Selection) (*plan.Plan, error) {
		return detector.Settings.Parse(name, []byte(s.File), sel)
	}}
}

type gatherer struct {
	r     *sweep.Records
	o     Options
	ctx   context.Context
	study *Study
	swept map[string]map[string]bool // trials that sweeps planned, by the name of their file, then by key
	shown map[string]bool            // trials in a part, by key
	plans []*plan.Plan               // of the parts
}

// profiles adds a grid file at its own profile and at every other of which something is recorded.
func (g *gatherer) profiles(from source) error {
	own, err := from.read(plan.Selection{})
	if err != nil {
		return err
	}
	for _, profile := range append([]string{""}, plan.Profiles()...) {
		if profile == own.Profile {
			continue
		}
		p := own
		args := []string{from.name}
		if profile != "" {
			if p, err = from.read(plan.Selection{Profile: profile}); err != nil {
				continue // the file's own settings do not fit every profile
			}
			args = append(args, "--profile", profile)
		}
		if from.hidden && len(p.Claims) == 0 {
			continue
		}
		if err := g.part(from, p, args, nil); err != nil {
			return err
		}
	}
	return nil
}

// part adds a plan with what is recorded of it, if that is enough and it is of no part yet, as where only a comment of
// its file was changed. set are the settings changed by flags.
func (g *gatherer) part(from source, p *plan.Plan, args, set []string) error {
	if slices.ContainsFunc(g.plans, func(o *plan.Plan) bool { return samePlan(p, o) }) {
		return nil
	}
	wide, tuned, err := g.r.WithChoices(g.ctx, p)
	if err != nil {
		return err
	}
	// A claim is about the seeds of its file; what other seeds gave afterwards changes no verdict.
	everySeed := len(p.Claims) == 0
	wide, states, remarks, err := g.r.Find(g.ctx, wide, everySeed)
	if err != nil {
		return err
	}
	trials := make([][]record.Trial, len(wide.Rows))
	var all []record.Trial
	rows, swept := map[int]bool{}, false
	for i := range states {
		s := &states[i]
		swept = swept || g.swept[p.Name][s.Key]
		if s.Recorded == nil {
			continue
		}
		trials[s.Row] = append(trials[s.Row], *s.Recorded)
		all = append(all, *s.Recorded)
		if s.Done() {
			rows[s.Row] = true
		}
	}
	// Claims of which nothing could be measured are in the report too, as not run.
	if len(all) == 0 || len(rows) == 0 && len(p.Claims) == 0 {
		return nil
	}
	if most := max(2, (len(p.Rows)+1)/2); !swept && (from.first != "" || len(rows) < most) {
		return nil
	}
	t, err := g.r.TableOf(wide, states)
	if err != nil {
		return err
	}
	t.Remarks = slices.Concat(t.Remarks, remarks, tuned)
	t.List = g.o.Command("ls")
	part := Part{
		ID: g.id(p), Name: p.Name, Source: from.name, Swept: from.first, Title: p.Title, Profile: p.Profile, Set: set,
		Table: t, Origin: originOf(all), Finding: p.Finding(), Sweep: g.sweepCommand(p, args), Print: g.o.Command("table", args...),
	}
	if part.Title == "" {
		part.Title = p.Name
	}
	for i := range all {
		g.shown[all[i].Key] = true
	}
	grid, err := g.r.Grid(g.ctx, p, everySeed, part.Sweep)
	if err != nil {
		return err
	}
	g.partFigures(&part, grid, args)
	claimed, err := g.claims(p, wide, trials, args)
	if err != nil {
		return err
	}
	if part.Claims, err = claims.Judge(claimed); err != nil {
		return err
	}
	part.Family = fmt.Sprintf("%s of %s", columns.Count(len(part.Claims), "claim"), from.name)
	g.study.Parts, g.plans = append(g.study.Parts, part), append(g.plans, p)
	return nil
}

// samePlan reports whether two plans are of one name and have the same rows, candidates of the section tune, claims,
// and seeds. Without a claim every recorded seed counts, whatever the file says.
func samePlan(p, q *plan.Plan) bool {
	sameData := func(a, b plan.Row) bool { return plan.Paths(&a.Config) == plan.Paths(&b.Config) }
	if p.Name != q.Name || p.Profile != q.Profile || !sameRows(p, q) || !slices.EqualFunc(p.Rows, q.Rows, sameData) || !reflect.DeepEqual(p.Claims, q.Claims) {
		return false
	}
	if len(p.Claims) > 0 && !slices.Equal(p.Seeds, q.Seeds) || (p.Tune == nil) != (q.Tune == nil) {
		return false
	}
	if p.Tune == nil {
		return true
	}
	tuning, err := p.Tuning()
	other, otherErr := q.Tuning()
	if err != nil || otherErr != nil {
		return err != nil && otherErr != nil
	}
	return sameRows(tuning, other) && slices.Equal(tuning.Seeds, other.Seeds)
}

// tellApart leaves the time of a text to those parts alone that would have one heading with another.
func (g *gatherer) tellApart() {
	times := make([]string, len(g.study.Parts))
	headings := map[string]int{}
	for i := range times {
		p := &g.study.Parts[i]
		times[i], p.Swept = p.Swept, ""
		headings[p.heading()]++
	}
	for i := range times {
		if p := &g.study.Parts[i]; headings[p.heading()] > 1 {
			p.Swept = times[i]
		}
	}
}

// id returns a name for the part that can be part of a file's name, and that no other part has.
func (g *gatherer) id(p *plan.Plan) string {
	plain := func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '-'
	}
	id := strings.Map(plain, p.Name+"-"+p.Profile)
	if slices.ContainsFunc(g.study.Parts, func(o Part) bool { return strings.EqualFold(o.ID, id) }) {
		id = fmt.Sprintf("%s-%d", id, len(g.study.Parts)+1)
	}
	return id
}

func (g *gatherer) sweepCommand(p *plan.Plan, args []string) string {
	if p.Tune != nil {
		args = append(slices.Clone(args), "--tune")
	}
	return g.o.Command("sweep", args...)
}

// claims joins the plan's claims with the trials of their rows; wide has the rows at own best settings too.
func (g *gatherer) claims(p, wide *plan.Plan, trials [][]record.Trial, args []string) (out []claims.Claim, err error) {
	for _, c := range p.Claims {
		claim := claims.Claim{Says: c.Says, Same: c.Same, Sweep: g.sweepCommand(p, args), Report: g.o.Command("report", "-o", "report")}
		if c.Rate == plan.CommonRate {
			claim.Sweep = g.o.Command("sweep", args...)
		}
		rows := [2]int{-1, -1}
		for i, row := range c.Rows {
			switch {
			case c.Rate == plan.CommonRate:
				rows[i] = row
			case wide.Best != nil:
				rows[i] = wide.Best[row]
			}
		}
		claim.At = recipe(p, wide, c, rows)
		if claim.Doubts, err = doubts(p, wide, c, rows); err != nil {
			return nil, err
		}
		for i, row := range rows {
			side := claims.Side{Name: difference(p, c.Rows[i], c.Rows[1-i])}
			if row >= 0 {
				side.Trials, side.Settings = trials[row], plan.Settings(&wide.Rows[row].Config)
			}
			claim.Sides[i] = side
		}
		out = append(out, claim)
	}
	return out, nil
}

// recipe says at which learning rate, or other settings that the file's section tune chooses, a claim compares its
// rows.
func recipe(p, wide *plan.Plan, c plan.Claim, rows [2]int) string {
	what, keys := "learning rate", []string{"optim.lr"}
	if p.Tune != nil && !reflect.DeepEqual(p.Tune.Factors, keys) {
		what, keys = "settings", p.Tune.Factors
	}
	values := func(row int) string {
		if row < 0 {
			return "not chosen yet"
		}
		var parts []string
		for _, key := range keys {
			parts = append(parts, key+"="+setting.Spell(wide.Rows[row].Config.Value(key)))
		}
		return strings.Join(parts, " ")
	}
	switch first, second := values(rows[0]), values(rows[1]); {
	case c.Rate == plan.CommonRate && first == second:
		return fmt.Sprintf("the common %s (%s)", what, first)
	case c.Rate == plan.CommonRate: // the rows of the file differ in it
		return fmt.Sprintf("the %s of the file (%s against %s)", what, first, second)
	}
	return fmt.Sprintf("each row's own best %s (%s against %s)", what, values(rows[0]), values(rows[1]))
}

// doubts says which row of a claim might have done better with settings beyond the candidates for its own best.
func doubts(p, wide *plan.Plan, c plan.Claim, rows [2]int) ([]string, error) {
	var out []string
	for i, row := range rows {
		if c.Rate == plan.CommonRate || row < 0 {
			continue
		}
		edges, err := p.EdgesOf(c.Rows[i], &wide.Rows[row].Config)
		if err != nil {
			return nil, err
		}
		for _, edge := range edges {
			out = append(out, fmt.Sprintf("for %s, %s", difference(p, c.Rows[i], c.Rows[1-i]), edge))
		}
	}
	return out, nil
}

// difference names a row by the factors that it does not share with the other.
func difference(p *plan.Plan, row, other int) string {
	var parts []string
	for _, key := range p.Factors {
		v, ok := p.Rows[row].Factors[key]
		if w, both := p.Rows[other].Factors[key]; ok && !(both && reflect.DeepEqual(v, w)) {
			parts = append(parts, key+"="+setting.Spell(v))
		}
	}
	return strings.Join(parts, " ")
}

// rest counts what is in no part, and sums up where everything comes from.
func (g *gatherer) rest() error {
	all, err := g.r.Store.Trials(results.Filter{})
	if err != nil {
		return err
	}
	g.study.Origin = originOf(all)
	for i := range all {
		t := &all[i]
		if t.Kind != record.KindTrain || g.shown[t.Key] || !record.IsFinal(t.Status) {
			continue
		}
		cfg, err := detector.Settings.ParseResolved(t.Key, []byte(t.Config))
		switch {
		case t.Engine != g.study.Engine || t.Numerics != strconv.Itoa(plan.Numerics):
			g.study.Foreign++
		case err == nil && cfg.Text("eval.split") == "tune":
			g.study.Tuning++
		default:
			g.study.Elsewhere++
		}
	}
	return g.paperFigures(all)
}
