package experiments

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"focalgrid/atomicfile"
	"focalgrid/dataset"
	"focalgrid/dataset/synthetic"
	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/results"
)

// source is the data of a trial as it was when it was identified: what is trained
// on and scored is that, or the trial fails.
type source struct {
	Identity string          // of what training and scoring read
	Training string          // of what training reads: no weight depends on more
	Scored   string          // of what scoring reads
	Classes  []dataset.Class // the detector's: those of the training split, by label
	Sums     [2][][32]byte   // of the pictures of the training and of the scored split; none for the synthetic set

	older      *string // the identity that older versions recorded, once it is known
	renumbered bool    // older versions wrote the detector's classes down as others
}

// source returns the data of a row, which is looked at once: both splits are checked
// for all that training and scoring will need, and each picture is hashed. It takes
// minutes for COCO, and is known without the data for the synthetic set.
func (r *Runner) source(ctx context.Context, cfg *plan.Config) (*source, error) {
	if plan.Synthetic(cfg) {
		id := synthetic.Identity(cfg.SynthConfig())
		s := &source{Identity: id, Training: id}
		for i, name := range synthetic.New(cfg.SynthConfig()).ClassNames() {
			s.Classes = append(s.Classes, dataset.Class{ID: int64(i + 1), Name: name})
		}
		if cfg.Text("data.dir") != "" {
			return s, checkFolder(ctx, cfg, splitNames(cfg))
		}
		return s, nil
	}
	key := [3]string{cfg.Text("data.dir"), cfg.Text("data.train"), cfg.EvalSplit()}
	if s, ok := r.sources[key]; ok {
		return s, nil
	}
	s, err := r.identify(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if r.sources == nil {
		r.sources = map[[3]string]*source{}
	}
	r.sources[key] = s
	return s, nil
}

// identify looks at both splits of a folder, and says once what is worth knowing.
func (r *Runner) identify(ctx context.Context, cfg *plan.Config) (*source, error) {
	dir, names := cfg.Text("data.dir"), splitNames(cfg)
	if err := plan.RequireSplits(dir, cfg); err != nil {
		return nil, err
	}
	if err := checkFolder(ctx, cfg, names); err != nil {
		return nil, err
	}
	train, eval, err := openSplits(dir, cfg)
	if err != nil {
		return nil, err
	}
	s := &source{Classes: train.Classes}
	own := slices.Clone(eval.Classes)
	for i, set := range []*dataset.Set{train, eval} {
		if i == 1 && len(names) == 1 {
			set.Sums = train.Sums
		} else if err := set.Identify(ctx, r.hashing(set.Split)); err != nil {
			return nil, err
		}
		s.Sums[i] = set.Sums
	}
	s.Training, s.Scored = train.Identity(), eval.Identity()
	s.Identity = joined(s.Training, s.Scored)
	note, err := eval.Relabel(train.Classes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	for label, c := range own {
		s.renumbered = s.renumbered || label < len(s.Classes) && eval.CategoryID(int32(label)) != c.ID
	}
	notes := slices.Clone(train.Notes)
	if note != "" {
		notes = append(notes, dir+": "+note)
	}
	if len(names) > 1 {
		notes = append(notes, eval.Notes...)
	}
	for _, text := range notes {
		r.tell(Noted{Text: text})
	}
	return s, nil
}

// splitNames are the splits that a row reads, each once.
func splitNames(cfg *plan.Config) []string {
	if cfg.EvalSplit() == cfg.Text("data.train") {
		return []string{cfg.Text("data.train")}
	}
	return []string{cfg.Text("data.train"), cfg.EvalSplit()}
}

// openSplits reads the annotations of the training and of the scored split.
func openSplits(dir string, cfg *plan.Config) (train, eval *dataset.Set, err error) {
	if train, err = detector.OpenSplit(cfg, dir, cfg.Text("data.train")); err != nil {
		return nil, nil, err
	}
	eval, err = detector.OpenSplit(cfg, dir, cfg.EvalSplit())
	return train, eval, err
}

// joined is the identity of two splits, one trained on and one scored.
func joined(training, scored string) string {
	sum := sha256.Sum256([]byte("focalgrid splits\n" + training + "\n" + scored))
	return hex.EncodeToString(sum[:])
}

// partsFile is where the cache keeps the two identities that one was joined from: who looks at
// the scored split alone need not read the other, which may be 25 times as large.
func (r *Runner) partsFile(identity string) string {
	return filepath.Join(r.Cache, "identities", identity)
}

// keepParts writes down what the identities of the trials' data were joined from. A cache that
// cannot be written to costs the time of reading more, no more than that.
func (r *Runner) keepParts(prep []Prepared) {
	for _, s := range r.sources {
		if !slices.ContainsFunc(prep, func(q Prepared) bool { return q.source == s }) {
			continue
		}
		path := r.partsFile(s.Identity)
		if makeFolder(filepath.Dir(path)) == nil {
			_ = atomicfile.Write(path, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s %s\n", s.Training, s.Scored)
				return err
			})
		}
	}
}

// scoredPart is the scored split's part of an identity; not known where nothing was kept, or
// something that does not make up this identity.
func (r *Runner) scoredPart(identity string) (scored string, known bool) {
	text, err := os.ReadFile(r.partsFile(identity))
	if err != nil {
		return "", false
	}
	training, scored, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return scored, joined(training, scored) == identity
}

// shownProblems is how many problems of a folder an error lists.
const shownProblems = 5

// checkFolder refuses what training or scoring would trip over later.
func checkFolder(ctx context.Context, cfg *plan.Config, splits []string) error {
	dir := cfg.Text("data.dir")
	found, err := detector.CheckData(ctx, cfg, dir, splits, false, nil)
	if err != nil {
		return err
	}
	var lines []string
	count := 0
	for _, p := range found {
		if p.Note {
			continue
		}
		if count++; count <= shownProblems {
			lines = append(lines, p.String())
		}
	}
	if count == 0 {
		return nil
	}
	more := ""
	if count > shownProblems {
		more = fmt.Sprintf(", the first %d of them above", shownProblems)
	}
	return fmt.Errorf("%s\n%s: problems: %d%s; `runner data check %s` lists all", strings.Join(lines, "\n"), dir, count, more, dir)
}

// hashing tells how far the hashing of a split is; small ones are hashed at once.
func (r *Runner) hashing(split string) func(done, total int64) {
	const mega, worthTelling = 1 << 20, 64
	return func(done, total int64) {
		if total >= worthTelling*mega {
			r.tell(Preparing{What: "reading " + split + " (MB)", Done: int(done / mega), Total: int(total / mega)})
		}
	}
}

// olderIdentity is the identity that older versions recorded of the row's folder.
func (r *Runner) olderIdentity(ctx context.Context, cfg *plan.Config, s *source) (string, error) {
	if s.older == nil {
		id, err := dataset.FolderIdentity(ctx, cfg.Text("data.dir"), r.hashing("the folder"), cfg.Text("data.train"), cfg.EvalSplit())
		if err != nil {
			return "", err
		}
		s.older = &id
	}
	return *s.older, nil
}

// splits opens the data of a trial as it was when it was identified, the scored split
// under the detector's classes.
func (r *Runner) splits(ctx context.Context, cfg *plan.Config, s *source) (train, eval *dataset.Set, err error) {
	dir, err := r.PrepareData(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	if train, eval, err = openSplits(dir, cfg); err != nil {
		return nil, nil, err
	}
	if !plan.Synthetic(cfg) {
		train.Sums, eval.Sums = s.Sums[0], s.Sums[1]
		if len(train.Sums) != len(train.Images) || len(eval.Sums) != len(eval.Images) || joined(train.Identity(), eval.Identity()) != s.Identity {
			return nil, nil, fmt.Errorf("%s: its annotations were changed since they were looked at before the first step; run the same command again", dir)
		}
	}
	if _, err := train.Relabel(s.Classes); err != nil {
		return nil, nil, err
	}
	_, err = eval.Relabel(s.Classes)
	return train, eval, err
}

// labelsOf are classes as a record names them.
func labelsOf(classes []dataset.Class) []results.Label {
	out := make([]results.Label, len(classes))
	for i, c := range classes {
		out[i] = results.Label{ID: c.ID, Name: c.Name}
	}
	return out
}

// classesOf are a record's labels as classes.
func classesOf(labels []results.Label) []dataset.Class {
	out := make([]dataset.Class, len(labels))
	for i, l := range labels {
		out[i] = dataset.Class{ID: l.ID, Name: l.Name}
	}
	return out
}

// PrepareData returns the folder of a row's data. The synthetic set is drawn into the
// cache unless it is there; a folder that is named is used as it is, never filled.
func (r *Runner) PrepareData(ctx context.Context, cfg *plan.Config) (string, error) {
	dir := cfg.Text("data.dir")
	switch {
	case dir == "":
		dir = filepath.Join(r.Cache, "synthetic", synthetic.Identity(cfg.SynthConfig())[:16])
	case !plan.Synthetic(cfg):
		return dir, nil
	default:
		is, err := dataset.IsSynthetic(dir, cfg.SynthConfig())
		if err == nil && !is {
			err = fmt.Errorf("%w: the synthetic set asked for is not there", dataset.ErrOtherFolder)
		}
		if err != nil {
			return "", fmt.Errorf("synthetic set in %s: %w", dir, err)
		}
	}
	return dir, r.draw(ctx, cfg, dir, cfg.Text("data.dir") == "")
}

// Draw draws the synthetic set of the settings into a folder, unless it is there.
// The error is dataset.ErrOtherFolder where the folder holds anything else.
func (r *Runner) Draw(ctx context.Context, cfg *plan.Config, dir string) error {
	return r.draw(ctx, cfg, dir, false)
}

// draw is Draw; what is damaged in a folder of our own is made again.
func (r *Runner) draw(ctx context.Context, cfg *plan.Config, dir string, own bool) error {
	note, err := dataset.Generate(ctx, dir, cfg.SynthConfig(), dataset.GenerateOptions{
		Own: own,
		Progress: func(done, total int) {
			r.tell(Preparing{What: "preparing synthetic images", Done: done, Total: total, Note: dir})
		},
	})
	if err != nil {
		return fmt.Errorf("synthetic set in %s: %w", dir, err)
	}
	if note != "" {
		r.tell(Noted{Text: note})
	}
	return nil
}

// OpenSplit prepares the data and reads one split of it.
func (r *Runner) OpenSplit(ctx context.Context, cfg *plan.Config, split string) (*dataset.Set, error) {
	dir, err := r.PrepareData(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return detector.OpenSplit(cfg, dir, split)
}
