package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"focalgrid/results/files"
)

// ErrBundle: a file or line is not a bundle.
var ErrBundle = errors.New("not a result bundle")

// Bundle holds one trial's whole result. Beside a database lies a folder of
// bundles, one file a trial, from which the database can be rebuilt. Weights and
// detections are in files of their own, named by their hash.
type Bundle struct {
	Trial
	Classes    []ClassMetric // by category
	Steps      []Step        // by step
	Detections files.Blob

	// Unsealed reports that it has no checksum: an older version wrote the file or the row,
	// or the trial is at work.
	Unsealed bool
}

// SweepPlan is a sweep with its plan, as bundles hold it.
type SweepPlan struct {
	Sweep
	Plan     []Planned
	Unsealed bool // as in Bundle
}

// Path returns the sweep's file in a folder of bundles. It is named by the hash of the sweep's name and
// content, as the name itself may be too long for a file.
func (s *SweepPlan) Path(dir string) string {
	return filepath.Join(dir, SweepDir, files.BlobOf([]byte(s.Name+"\n"+s.Hash)).Hash+bundleExt)
}

// hashPattern is a SHA-256, or nothing.
var hashPattern = regexp.MustCompile(`^([0-9a-f]{64})?$`)

// Check returns an error if no trial ends as the bundle says.
func (b *Bundle) Check() error {
	if err := b.Trial.Check(); err != nil {
		return err
	}
	switch {
	case !IsEnd(b.Status):
		return fmt.Errorf("its status is %q, which is not the end of a trial", b.Status)
	case !hashPattern.MatchString(b.Weights):
		return fmt.Errorf("weights are %.80q, want a SHA-256 in lower-case hex", b.Weights)
	case b.Detections != files.Blob{} && (b.Detections.Hash == "" || !hashPattern.MatchString(b.Detections.Hash) || b.Detections.Size < 0):
		return fmt.Errorf("detections are %.80q of %d bytes, want a SHA-256 in lower-case hex", b.Detections.Hash, b.Detections.Size)
	case math.IsNaN(b.WallSeconds):
		return errors.New("wall_seconds is null")
	case b.DivergedStep != nil && (*b.DivergedStep < 0 || b.Status != StatusDiverged):
		return fmt.Errorf("it is %s, and diverged at step %d", b.Status, *b.DivergedStep)
	}
	for _, name := range slices.Sorted(maps.Keys(b.Metrics)) {
		if err := checkFraction(b.Metrics[name]); err != nil {
			return fmt.Errorf("metric %.40q: %w", name, err)
		}
	}
	for i, a := range b.Attempts {
		switch {
		case a.Number != i+1:
			return fmt.Errorf("attempts: number %d in place %d", a.Number, i+1)
		case !IsEnd(a.Exit) && a.Exit != ExitKilled:
			return fmt.Errorf("attempt %d: its exit is %q", a.Number, a.Exit)
		case !json.Valid([]byte(a.Environment)):
			return fmt.Errorf("attempt %d: the environment is not JSON", a.Number)
		case a.StartStep < 0 || a.EndStep < 0 || a.Beats < 0 || a.PeakBytes < 0:
			return fmt.Errorf("attempt %d: a count is below 0", a.Number)
		}
	}
	for i, c := range b.Classes {
		if i > 0 && c.Category <= b.Classes[i-1].Category {
			return fmt.Errorf("classes: category %d after %d", c.Category, b.Classes[i-1].Category)
		}
		for _, v := range []float64{c.AP, c.AP50, c.AP75} {
			if err := checkFraction(v); err != nil {
				return fmt.Errorf("classes: category %d: %w", c.Category, err)
			}
		}
	}
	return checkSteps(b.Steps)
}

// Differences names the parts in which another result of the trial differs, ignoring who computed it and when.
func (b *Bundle) Differences(other *Bundle) ([]string, error) {
	what := []string{}
	for _, part := range []struct {
		name string
		of   func(*Bundle) any
	}{
		{"status", func(b *Bundle) any { return []any{b.Status, b.DivergedStep} }},
		{"config", func(b *Bundle) any {
			return []any{b.Kind, b.Config, b.Seed, b.Dataset, b.Init, b.Engine, b.Numerics}
		}},
		{"weights", func(b *Bundle) any { return b.Weights }},
		{"metrics", func(b *Bundle) any { return metricsJSON(b.Metrics) }},
		{"classes", func(b *Bundle) any { return classesJSON(b.Classes) }},
		{"steps", func(b *Bundle) any { return stepsJSON(b.Steps) }},
		{"detections", func(b *Bundle) any { return b.Detections }},
	} {
		x, err := jsonLine(part.of(b))
		if err != nil {
			return nil, err
		}
		y, err := jsonLine(part.of(other))
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(x, y) {
			what = append(what, part.name)
		}
	}
	return what, nil
}

// checkFraction refuses a metric that is neither a fraction nor NaN.
func checkFraction(v float64) error {
	if v < 0 || v > 1 {
		return fmt.Errorf("%v, want 0 to 1", v)
	}
	return nil
}

// IsEnd reports whether a trial may end with the status.
func IsEnd(status string) bool {
	switch status {
	case StatusDone, StatusDiverged, StatusFailed, StatusInterrupted:
		return true
	}
	return false
}

// IsFinal reports whether a trial with the status has a result, and needs no more work.
func IsFinal(status string) bool { return status == StatusDone || status == StatusDiverged }

// BundleDir returns the folder with the bundles of the database at path.
func BundleDir(path string) string { return path + ".bundles" }

// bundleExt ends the name of every bundle.
const bundleExt = ".json"

// SweepDir is the folder with the sweeps' files, inside the folder of bundles.
const SweepDir = "sweeps"

// Write writes the sweep into a folder of bundles.
func (s *SweepPlan) Write(dir string) error {
	text, err := s.Encode()
	if err != nil {
		return fmt.Errorf("bundle of sweep %s: %w", s.Name, err)
	}
	return files.Write(s.Path(dir), text)
}

// WriteBundle writes b into dir, made if need be, as KEY.json. The file appears
// whole or not at all, and an earlier one of the trial is replaced.
func WriteBundle(dir string, b *Bundle) error {
	if err := b.Check(); err != nil {
		return fmt.Errorf("bundle of trial %s: %w", Short(b.Key), err)
	}
	text, err := b.Encode()
	if err != nil {
		return fmt.Errorf("bundle of trial %s: %w", Short(b.Key), err)
	}
	return files.Write(BundlePath(dir, b.Key), text)
}

// BundlePath returns the file of the trial with the key in a folder of bundles.
func BundlePath(dir, key string) string { return filepath.Join(dir, key+bundleExt) }

// ReadBundle reads a trial's bundle. The error is ErrBundle if the file is not a bundle,
// or holds another trial than its name says.
func ReadBundle(path string) (*Bundle, error) {
	text, err := files.Read(path)
	if err != nil {
		return nil, err
	}
	line, err := DecodeLine(text)
	b := line.Trial
	if err == nil && b == nil {
		err = fmt.Errorf("%w of a trial: it holds something else", ErrBundle)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if name := filepath.Base(path); name != b.Key+bundleExt {
		return nil, fmt.Errorf("%s: %w: it holds trial %s", path, ErrBundle, Short(b.Key))
	}
	return b, nil
}

// ReadSweep reads a file that SweepPlan.Write wrote.
func ReadSweep(path string) (*SweepPlan, error) {
	text, err := files.Read(path)
	if err != nil {
		return nil, err
	}
	line, err := DecodeLine(text)
	sw := line.Sweep
	if err == nil && sw == nil {
		err = fmt.Errorf("%w of a sweep: it holds something else", ErrBundle)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if want := sw.Path(filepath.Dir(filepath.Dir(path))); filepath.Base(path) != filepath.Base(want) {
		return nil, fmt.Errorf("%s: %w: it holds sweep %q, whose file is %s", path, ErrBundle, sw.Name, filepath.Base(want))
	}
	return sw, nil
}

// BundlePaths are the files of a folder of bundles, by name.
type BundlePaths struct{ Trials, Sweeps, Choices []string }

// Count returns the number of files.
func (p BundlePaths) Count() int { return len(p.Trials) + len(p.Sweeps) + len(p.Choices) }

// BundleFiles lists the files in a folder of bundles. A folder that does not exist has none.
func BundleFiles(dir string) (p BundlePaths, err error) {
	list := func(dir string) (files []string, err error) {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("bundles: %w", err)
		}
		for _, e := range entries {
			if name := e.Name(); !e.IsDir() && !strings.HasPrefix(name, ".") && strings.HasSuffix(name, bundleExt) {
				files = append(files, filepath.Join(dir, name))
			}
		}
		return files, nil
	}
	for _, part := range []struct {
		files *[]string
		dir   string
	}{{&p.Trials, dir}, {&p.Sweeps, filepath.Join(dir, SweepDir)}, {&p.Choices, filepath.Join(dir, ChoiceDir)}} {
		if *part.files, err = list(part.dir); err != nil {
			return BundlePaths{}, err
		}
	}
	return p, nil
}
