package sweep

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"focalgrid/experiments/plan"
	"focalgrid/results/record"
)

// Choice describes the choice of a plan's row among its candidates.
type Choice struct {
	Row        int // of the plan
	Candidates []Candidate
	Best       int      // index of Candidates
	Was        string   // the settings that were chosen before, if others; "" if there was no other choice
	Doubts     []string // why other candidates may be better
}

// Candidate is what a row scored at one of its candidates.
type Candidate struct {
	Settings    string  // "optim.lr=0.05"
	AP          float64 // mean over the trials; a trial that diverged counts as 0
	N, Diverged int     // trials
}

// Choose records, for each row of the plan, the candidate with the highest mean AP. It reads the states of the plan's
// Tuning. A trial that diverged counts as AP 0; where candidates score the same, the smaller setting is chosen. A
// choice that is recorded already stays as it is if it rests on the same candidates and trials. A row of which a trial
// has no result has no new choice, and is not in what Choose returns.
func (r *Records) Choose(p *plan.Plan, tuning []State) ([]Choice, error) {
	rows, err := byRow(p, tuning)
	if err != nil {
		return nil, err
	}
	var out []Choice
	for row, of := range rows {
		if slices.ContainsFunc(of, func(s State) bool { return !s.Done() }) {
			continue
		}
		c := Choice{Row: row}
		choice := record.Choice{Subject: r.subject(p, of), Chosen: r.Timestamp()}
		candidates := byCandidate(of)
		for i, trials := range candidates {
			cfg := &trials[0].Config
			ap, diverged, err := meanAP(trials)
			if err != nil {
				return nil, err
			}
			name, err := p.SpellChosen(row, p.Tune.Chosen(cfg))
			if err != nil {
				return nil, err
			}
			c.Candidates = append(c.Candidates, Candidate{Settings: name, AP: ap, N: len(trials), Diverged: diverged})
			choice.Candidates = append(choice.Candidates, record.Candidate{Settings: p.Tune.Chosen(cfg), AP: ap, Trials: keysOf(trials)})
			if best := c.Candidates[c.Best]; ap > best.AP || ap == best.AP && p.Tune.Less(cfg, &candidates[c.Best][0].Config) {
				c.Best = i
			}
		}
		choice.Best = choice.Candidates[c.Best].Settings
		if c.Doubts, err = doubts(p, row, &choice); err != nil {
			return nil, err
		}
		switch before, err := r.Store.Choice(choice.Subject); {
		case err != nil:
			return nil, err
		case before != nil && before.Best != choice.Best:
			if c.Was, err = p.SpellChosen(row, before.Best); err != nil {
				return nil, err
			}
		}
		if err := r.Store.SaveChoice(choice); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func keysOf(states []State) []string {
	var keys []string
	for _, s := range states {
		keys = append(keys, s.Key)
	}
	return keys
}

// byRow groups the states of a plan's Tuning by the row of the plan.
func byRow(p *plan.Plan, states []State) ([][]State, error) {
	tuning, err := p.Tuning()
	if err != nil {
		return nil, err
	}
	out := make([][]State, len(p.Rows))
	for _, s := range states {
		row := tuning.Rows[s.Row].Index
		out[row] = append(out[row], s)
	}
	return out, nil
}

// byCandidate groups the states of a row by candidate, in the order of the file; the seeds of each are in order too.
func byCandidate(of []State) [][]State {
	rows := map[int][]State{}
	for _, s := range of {
		rows[s.Row] = append(rows[s.Row], s)
	}
	var out [][]State
	for _, row := range slices.Sorted(maps.Keys(rows)) {
		out = append(out, rows[row])
	}
	return out
}

// meanAP averages the AP of trials that have a result; one that diverged counts as 0.
func meanAP(trials []State) (mean float64, diverged int, err error) {
	for _, s := range trials {
		if s.Recorded.Status == record.StatusDiverged {
			diverged++
			continue
		}
		ap, ok := s.Recorded.Metrics["AP"]
		if !ok || math.IsNaN(ap) {
			return 0, 0, fmt.Errorf("trial %.12s has no AP to choose by: the split %s has no object of its classes", s.Key, s.Config.EvalSplit())
		}
		mean += ap
	}
	return mean / float64(len(trials)), diverged, nil
}

// subject returns the identity of what a choice is for: a row without the settings that are chosen, on its data, from
// its first weights, with the candidates and seeds that are compared. It is "" where no trial says which data and weights these are.
func (r *Records) subject(p *plan.Plan, of []State) string {
	var candidates []string
	for _, trials := range byCandidate(of) {
		candidates = append(candidates, p.Tune.Chosen(&trials[0].Config))
	}
	for _, s := range of {
		data, init := s.Data, s.Init
		if data == "" && s.Recorded != nil { // found by its settings
			data, init = s.Recorded.Dataset, s.Recorded.Init
		}
		if data != "" {
			return plan.Identity{Config: p.Tune.Subject(&s.Config, candidates), Data: data, Init: init, Engine: r.Engine.Info().Name, Numerics: plan.Numerics}.Key()
		}
	}
	return ""
}

// doubts says why other candidates than those of a choice may be better: all scored the same, or the best is at the
// edge of them.
func doubts(p *plan.Plan, row int, c *record.Choice) ([]string, error) {
	var candidates []string
	same := len(c.Candidates) > 1
	for _, o := range c.Candidates {
		candidates = append(candidates, o.Settings)
		same = same && o.AP == c.Candidates[0].AP
	}
	if same {
		best, err := p.SpellChosen(row, c.Best)
		return []string{fmt.Sprintf("all candidates have the same AP, %.3g, so that %s is a guess", c.Candidates[0].AP, best)}, err
	}
	return p.Edges(row, c.Best, candidates)
}

// WithChoices returns the plan with the rows at their own best values, as far as they are recorded, as a second block,
// and remarks on what is not chosen, or chosen from something else than the file and the records now say. Where nothing
// is chosen it is the plan itself.
func (r *Records) WithChoices(ctx context.Context, p *plan.Plan) (*plan.Plan, []string, error) {
	if p.Tune == nil || r.Store == nil {
		return p, nil, nil
	}
	if has, err := r.Store.HasChoices(); err != nil || !has {
		return p, nil, err
	}
	tuning, err := p.Tuning()
	if err != nil { // with these flags the table is not one that the choices are for
		return p, []string{fmt.Sprintf("No rows at their own best settings: %v.", err)}, nil
	}
	_, states, _, err := r.Find(ctx, tuning, false)
	if err != nil {
		return nil, nil, err
	}
	chosen := make([]string, len(p.Rows))
	said := remarks{}
	any := false
	trialsOf, err := byRow(p, states)
	if err != nil {
		return nil, nil, err
	}
	for row, of := range trialsOf {
		c, err := r.recordedChoice(p, of)
		if err != nil {
			return nil, nil, err
		}
		if c == nil {
			said.add("no own best settings are chosen yet; a sweep with --tune chooses them", row)
			continue
		}
		any = true
		chosen[row] = c.Best
		stale, err := r.stale(p, c, of)
		if err != nil {
			return nil, nil, err
		}
		if stale != "" {
			said.add(fmt.Sprintf("the choice is stale, as %s; a sweep with --tune chooses again", stale), row)
		}
		list, err := doubts(p, row, c)
		if err != nil {
			return nil, nil, err
		}
		for _, doubt := range list {
			said.add(doubt, row)
		}
	}
	if !any {
		return p, nil, nil
	}
	p, err = p.WithBest(chosen)
	return p, append([]string{describeTune(p)}, said.lines()...), err
}

// recordedChoice returns the choice recorded for a row, given the states of its Tuning; nil if there is none.
func (r *Records) recordedChoice(p *plan.Plan, of []State) (*record.Choice, error) {
	subject := r.subject(p, of)
	if subject == "" {
		return nil, nil
	}
	return r.Store.Choice(subject)
}

// stale says why a choice is not the one that the recorded trials would give; "" if it is.
func (r *Records) stale(p *plan.Plan, c *record.Choice, of []State) (string, error) {
	const replaced = "trials that it rests on were replaced"
	same := slices.EqualFunc(c.Candidates, byCandidate(of), func(o record.Candidate, trials []State) bool {
		return o.Settings == p.Tune.Chosen(&trials[0].Config) && slices.EqualFunc(o.Trials, trials, func(key string, s State) bool {
			return s.Key == "" || s.Key == key // a trial that was looked for by its settings and is not recorded has no key
		})
	})
	if !same {
		return replaced, nil
	}
	for i, trials := range byCandidate(of) {
		if slices.ContainsFunc(trials, func(s State) bool { return !s.Done() }) {
			continue
		}
		if mean, _, err := meanAP(trials); err != nil || mean != c.Candidates[i].AP {
			return replaced, err
		}
	}
	return "", nil
}

// remarks gathers what is to be said of rows: the places of the rows in the table, from 1, by what is said.
type remarks map[string][]string

func (r remarks) add(text string, row int) { r[text] = append(r[text], strconv.Itoa(row+1)) }

func (r remarks) lines() []string {
	var out []string
	for _, text := range slices.Sorted(maps.Keys(r)) {
		noun := "Row"
		if len(r[text]) > 1 {
			noun = "Rows"
		}
		out = append(out, fmt.Sprintf("%s %s: %s.", noun, strings.Join(r[text], ", "), text))
	}
	return out
}

// describeTune says how the rows of the second block were chosen.
func describeTune(p *plan.Plan) string {
	var seeds []string
	for _, seed := range p.Tune.Seeds {
		seeds = append(seeds, strconv.FormatUint(seed, 10))
	}
	noun := "seeds"
	if len(seeds) == 1 {
		noun = "seed"
	}
	return fmt.Sprintf("Own best recipe: each row at the %s with the highest mean AP on the split tune, with %s %s; the table reports other images and other seeds.",
		strings.Join(p.Tune.Factors, ", "), noun, strings.Join(seeds, ", "))
}
