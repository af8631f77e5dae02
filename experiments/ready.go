package experiments

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"focalgrid/dataset"
)

// Missing says what must still be passed before the plan can be run, as
// Config.Missing does for one trial.
func (p *Plan) Missing() error {
	var found []error
	seen := map[string]bool{}
	for _, row := range p.Rows {
		if err := row.Config.Missing(); err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			found = append(found, err)
		}
	}
	return errors.Join(found...)
}

// MissingSplits says which splits the folders of the plan's rows do not have, and which they have.
func (p *Plan) MissingSplits() error {
	var found []error
	seen := map[string]bool{}
	for _, row := range p.Rows {
		c := row.Config
		if synthetic(&c) || c.Data.Dir == "" {
			continue
		}
		if err := missingSplits(c.Data.Dir, &c); err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			found = append(found, err)
		}
	}
	return errors.Join(found...)
}

// PrepareAll makes the data of every trial that is not done. The error is
// dataset.ErrOtherFolder where data.dir holds something else.
func (r *Runner) PrepareAll(ctx context.Context, states []State) error {
	var ready []string
	for _, s := range states {
		cfg := s.Config
		key := cfg.Data.Dir + "\n" + dataset.Identity(cfg.synthConfig())
		if s.Done() || slices.Contains(ready, key) {
			continue
		}
		if _, err := r.PrepareData(ctx, &cfg); err != nil {
			return err
		}
		ready = append(ready, key)
	}
	return nil
}

// splitsIn lists the splits that a folder in COCO's layout has, by name; none for any other.
func splitsIn(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(escapeGlob(dir), "annotations", "instances_*.json"))
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		name := filepath.Base(f)
		files[i] = name[len("instances_") : len(name)-len(".json")]
	}
	return files, nil
}

// escapeGlob keeps a folder's own name from being read as a pattern.
func escapeGlob(dir string) string {
	var b []byte
	for i := range len(dir) {
		if c := dir[i]; c == '*' || c == '?' || c == '[' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, dir[i])
	}
	return string(b)
}

// Refresh looks the states up again, with identities as they are known.
func (r *Runner) Refresh(states []State) ([]State, error) {
	out := slices.Clone(states)
	return out, r.lookUp(out)
}
