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
	"focalgrid/engine"
	"focalgrid/experiments/plan"
	"focalgrid/results/record"
)

// Data finds and prepares what trials are trained and scored on.
type Data struct {
	Cache  string      // folder for generated data and pretrained weights
	Notify func(Event) // receives progress; nil: nobody does

	known map[[3]string]*Source // folders looked at so far, by path and splits
}

// Report passes an event on to whoever receives progress.
func (d *Data) Report(e Event) {
	if d.Notify != nil {
		d.Notify(e)
	}
}

// CacheDir returns the folder for generated data and pretrained weights: FOCALGRID_CACHE, or focalgrid in the user's
// cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("FOCALGRID_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder (%w): set FOCALGRID_CACHE to one", err)
	}
	return dir + "/focalgrid", nil
}

// Loader makes batches of a trial's data; train asks for flips and the training batch. Photographs are decoded and
// resized once, into the cache folder; the synthetic set is at its size already and fits memory.
func (t *Trainer) Loader(c *plan.Config, set *dataset.Set, draw engine.Draw, train bool) (*dataset.Loader, error) {
	o := dataset.LoaderOptions{Batch: detector.EvalBatch, Cache: true, Bytes: detector.Remote(t.Engine)}
	if train {
		o.Batch, o.FlipProb = c.Int("train.batch"), c.Number("image.flip")
	}
	if !plan.Synthetic(c) {
		o.Pictures = filepath.Join(t.Cache, "pictures")
		o.Mended = func(path string) { t.Report(Noted{"cached picture " + path + " was damaged: made again"}) }
	}
	return dataset.NewLoader(set, c.Transform(), o, draw)
}

// Source describes the data of a trial as it was when it was identified. The trial fails if the data that it trains on
// or scores is no longer the same.
type Source struct {
	Identity string          // of what training and scoring read
	Training string          // of what training reads: no weight depends on more
	Scored   string          // of what scoring reads
	Classes  []dataset.Class // the detector's: the classes of the training split, by label
	Sums     [2][][32]byte   // of the pictures of the training and of the scored split; none for the synthetic set

	older      *string // the identity that older versions recorded, once it is known
	renumbered bool    // older versions wrote the detector's classes down as others
}

// Identify returns the data of a row, which is looked at once: both splits are checked for all that training and
// scoring will need, and each picture is hashed. It takes minutes for COCO, and is known without the data for the
// synthetic set.
func (d *Data) Identify(ctx context.Context, cfg *plan.Config) (*Source, error) {
	if plan.Synthetic(cfg) {
		id := synthetic.Identity(cfg.SynthConfig())
		s := &Source{Identity: id, Training: id}
		for i, name := range synthetic.New(cfg.SynthConfig()).ClassNames() {
			s.Classes = append(s.Classes, dataset.Class{ID: int64(i + 1), Name: name})
		}
		if cfg.Text("data.dir") != "" {
			return s, checkFolder(ctx, cfg, splitNames(cfg))
		}
		return s, nil
	}
	key := [3]string{cfg.Text("data.dir"), cfg.Text("data.train"), cfg.EvalSplit()}
	if s, ok := d.known[key]; ok {
		return s, nil
	}
	s, err := d.identify(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if d.known == nil {
		d.known = map[[3]string]*Source{}
	}
	d.known[key] = s
	return s, nil
}

// identify looks at both splits of a folder, and reports once what is worth knowing.
func (d *Data) identify(ctx context.Context, cfg *plan.Config) (*Source, error) {
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
	s := &Source{Classes: train.Classes}
	own := slices.Clone(eval.Classes)
	for i, set := range []*dataset.Set{train, eval} {
		if i == 1 && len(names) == 1 {
			set.Sums = train.Sums
		} else if err := set.Identify(ctx, d.hashing(set.Split)); err != nil {
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
		d.Report(Noted{Text: text})
	}
	return s, nil
}

// splitNames lists the splits that a row reads, each once.
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

// joined returns the identity of two splits, one trained on and one scored.
func joined(training, scored string) string {
	sum := sha256.Sum256([]byte("focalgrid splits\n" + training + "\n" + scored))
	return hex.EncodeToString(sum[:])
}

// partsFile returns the cache's file with the two identities that an identity was joined from: with it the scored split
// can be checked without reading the other, which may be 25 times as large.
func (d *Data) partsFile(identity string) string {
	return filepath.Join(d.Cache, "identities", identity)
}

// RememberParts writes down what the identity of a folder's data was joined from. A cache that cannot be written to
// costs the time of reading more, no more than that.
func (d *Data) RememberParts(s *Source) {
	if path := d.partsFile(s.Identity); makeFolder(filepath.Dir(path)) == nil {
		_ = atomicfile.Write(path, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s %s\n", s.Training, s.Scored)
			return err
		})
	}
}

// scoredPart returns the scored split's part of an identity. It is not known where the cache has no file, or a file
// whose parts do not make up this identity.
func (d *Data) scoredPart(identity string) (scored string, known bool) {
	text, err := os.ReadFile(d.partsFile(identity))
	if err != nil {
		return "", false
	}
	training, scored, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return scored, joined(training, scored) == identity
}

// shownProblems is how many problems of a folder an error lists.
const shownProblems = 5

// checkFolder refuses a folder that training or scoring would fail on later.
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

// hashing reports how far the hashing of a split is; small ones are hashed at once.
func (d *Data) hashing(split string) func(done, total int64) {
	const mega, worthReporting = 1 << 20, 64
	return func(done, total int64) {
		if total >= worthReporting*mega {
			d.Report(Preparing{What: "reading " + split + " (MB)", Done: int(done / mega), Total: int(total / mega)})
		}
	}
}

// OlderIdentity returns the identity that older versions recorded of the row's folder.
func (d *Data) OlderIdentity(ctx context.Context, cfg *plan.Config, s *Source) (string, error) {
	if s.older == nil {
		id, err := dataset.FolderIdentity(ctx, cfg.Text("data.dir"), d.hashing("the folder"), cfg.Text("data.train"), cfg.EvalSplit())
		if err != nil {
			return "", err
		}
		s.older = &id
	}
	return *s.older, nil
}

// WasKnownAs reports whether older versions recorded that identity of the data; false also before OlderIdentity was
// asked.
func (s *Source) WasKnownAs(identity string) bool { return s.older != nil && *s.older == identity }

// Misread reports whether t is a result for which an older version took the detector's labels for the scored split's,
// which are others.
func (s *Source) Misread(t *record.Trial) bool {
	return s.renumbered && t.Labels == nil && record.IsFinal(t.Status)
}

// Labels returns the detector's classes as a record names them.
func (s *Source) Labels() []record.Label {
	out := make([]record.Label, len(s.Classes))
	for i, c := range s.Classes {
		out[i] = record.Label{ID: c.ID, Name: c.Name}
	}
	return out
}

// splits opens the data of a trial as it was when it was identified, the scored split under the detector's classes.
func (d *Data) splits(ctx context.Context, cfg *plan.Config, s *Source) (train, eval *dataset.Set, err error) {
	dir, err := d.PrepareData(ctx, cfg)
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

// classesOf converts a record's labels to classes.
func classesOf(labels []record.Label) []dataset.Class {
	out := make([]dataset.Class, len(labels))
	for i, l := range labels {
		out[i] = dataset.Class{ID: l.ID, Name: l.Name}
	}
	return out
}

// PrepareData returns the folder of a row's data. The synthetic set is drawn into the cache unless it is there; a
// folder that is named is used as it is, never filled.
func (d *Data) PrepareData(ctx context.Context, cfg *plan.Config) (string, error) {
	dir := cfg.Text("data.dir")
	switch {
	case dir == "":
		dir = filepath.Join(d.Cache, "synthetic", synthetic.Identity(cfg.SynthConfig())[:16])
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
	return dir, d.draw(ctx, cfg, dir, cfg.Text("data.dir") == "")
}

// Draw draws the synthetic set of the settings into a folder, unless it is there. The error is dataset.ErrOtherFolder
// where the folder holds anything else.
func (d *Data) Draw(ctx context.Context, cfg *plan.Config, dir string) error {
	return d.draw(ctx, cfg, dir, false)
}

// draw does what Draw does, and with own repairs a damaged folder of the cache.
func (d *Data) draw(ctx context.Context, cfg *plan.Config, dir string, own bool) error {
	note, err := dataset.Generate(ctx, dir, cfg.SynthConfig(), dataset.GenerateOptions{
		Own: own,
		Progress: func(done, total int) {
			d.Report(Preparing{What: "preparing synthetic images", Done: done, Total: total, Note: dir})
		},
	})
	if err != nil {
		return fmt.Errorf("synthetic set in %s: %w", dir, err)
	}
	if note != "" {
		d.Report(Noted{Text: note})
	}
	return nil
}

// OpenSplit prepares the data and reads one split of it.
func (d *Data) OpenSplit(ctx context.Context, cfg *plan.Config, split string) (*dataset.Set, error) {
	dir, err := d.PrepareData(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return detector.OpenSplit(cfg, dir, split)
}
