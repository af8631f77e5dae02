package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"focalgrid/dataset"
	"focalgrid/detector"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results/record"
)

// one is the selection of a single row and seed of tiny, on a folder.
func one(folder string) plan.Selection {
	return plan.Selection{Seeds: "0", Only: []string{"loss.gamma=2"}, DataDir: folder, Set: []string{"data.name=coco"}}
}

// folder copies the images of tiny to a folder of its own.
func (b *bench) folder(t *testing.T, name string) string {
	t.Helper()
	p := b.plan(t, tiny, plan.Selection{})
	dir, err := b.PrepareData(t.Context(), &p.Rows[0].Config)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(b.dir, name)
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(to, "synthetic.json")); err != nil {
		t.Fatal(err)
	}
	return to
}

// edit changes a split's annotations.
func edit(t *testing.T, dir, split string, change func(map[string]any)) {
	t.Helper()
	path := filepath.Join(dir, "annotations", "instances_"+split+".json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := map[string]any{}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	change(d)
	if text, err = json.Marshal(d); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

// entries are the elements of an array of a split's annotations.
func entries(d map[string]any, key string) []map[string]any {
	var out []map[string]any
	for _, e := range d[key].([]any) {
		out = append(out, e.(map[string]any))
	}
	return out
}

// newClass is an entry of categories.
func newClass(id int, name string) any { return map[string]any{"id": id, "name": name} }

// sweepOne sweeps one trial on a folder as a new process would, and returns it with what was noted.
func (b *bench) sweepOne(t *testing.T, folder string) (*record.Trial, []string) {
	t.Helper()
	b.forget()
	var noted []string
	b.Notify = func(e experiments.Event) {
		if n, ok := e.(experiments.Noted); ok {
			noted = append(noted, n.Text)
		}
	}
	p := b.plan(t, tiny, one(folder))
	if _, err := b.Sweep(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	states, err := b.States(t.Context(), p)
	if err != nil || states[0].Recorded == nil {
		t.Fatalf("%+v, %v", states, err)
	}
	return states[0].Recorded, noted
}

// TestScoredUnderTheDetectorsClasses: however the scored split numbers and orders its
// classes, the same boxes give the same scores, and what differs is said.
func TestScoredUnderTheDetectorsClasses(t *testing.T) {
	b := newBench(t, 2)
	want, noted := b.sweepOne(t, b.folder(t, "same"))
	if len(noted) != 0 {
		t.Errorf("of equal lists it says %q", noted)
	}
	wantLabels := []record.Label{{ID: 1, Name: "disc"}, {ID: 2, Name: "square"}, {ID: 3, Name: "triangle"}, {ID: 4, Name: "star"}}
	if !slices.Equal(want.Labels, wantLabels) {
		t.Errorf("recorded labels are %v, want %v", want.Labels, wantLabels)
	}
	for _, tt := range []struct {
		name   string
		note   string
		change func(map[string]any)
	}{
		{"a class without objects before the others", `"root"`, func(d map[string]any) {
			d["categories"] = append([]any{newClass(0, "root")}, d["categories"].([]any)...)
		}},
		{"one behind", `"more"`, func(d map[string]any) {
			d["categories"] = append(d["categories"].([]any), newClass(9, "more"))
		}},
		{"other ids of the same names", "by name", func(d map[string]any) {
			for _, c := range entries(d, "categories") {
				c["id"] = 11 - c["id"].(float64)
			}
			for _, a := range entries(d, "annotations") {
				a["category_id"] = 11 - a["category_id"].(float64)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			folder := b.folder(t, tt.name)
			edit(t, folder, "val", tt.change)
			got, noted := b.sweepOne(t, folder)
			if got.Key == want.Key || got.Weights != want.Weights || !slices.Equal(got.Labels, wantLabels) {
				t.Errorf("key %.12s, weights %.12s, labels %v; want another key, weights %.12s and the training split's labels", got.Key, got.Weights, got.Labels, want.Weights)
			}
			if !maps.EqualFunc(got.Metrics, want.Metrics, func(a, b float64) bool { return a == b || a != a && b != b }) {
				t.Errorf("scores are %v, want %v", got.Metrics, want.Metrics)
			}
			if len(noted) != 1 || !strings.Contains(noted[0], tt.note) {
				t.Errorf("it says %q, want once something with %s", noted, tt.note)
			}
			v, err := b.Verify(t.Context(), got, 0)
			if err != nil || v.Differs != nil {
				t.Errorf("verified: %+v, %v", v, err)
			}
		})
	}
}

// TestSaysWhatIsLeftOut: boxes that are cut or left out, and a split without objects, are
// said with their counts before the first step.
func TestSaysWhatIsLeftOut(t *testing.T) {
	b := newBench(t, 2)
	folder := b.folder(t, "coco")
	edit(t, folder, "train", func(d map[string]any) {
		boxes := entries(d, "annotations")
		boxes[0]["bbox"] = []float64{5, 5, 1000, 1000}
		boxes[1]["bbox"] = []float64{5, 5, -5, 5}
	})
	edit(t, folder, "val", func(d map[string]any) { d["annotations"] = []any{} })
	file := func(split string) string { return filepath.Join(folder, "annotations", "instances_"+split+".json") }
	want := []string{
		file("train") + ": 1 box without area inside the image: left out",
		file("train") + ": 1 box reaching beyond the image: clipped",
		file("val") + ": no objects: there is nothing to learn from it, and no score is defined on it",
	}
	if _, noted := b.sweepOne(t, folder); !slices.Equal(noted, want) {
		t.Errorf("it says %q, want %q", noted, want)
	}
}

// TestClassUnknownToTheSplit: what a detector finds of a class that the scored split lacks
// is kept, and counts for nothing.
func TestClassUnknownToTheSplit(t *testing.T) {
	b := newBench(t, 2)
	folder := b.folder(t, "coco")
	edit(t, folder, "val", func(d map[string]any) {
		d["categories"] = d["categories"].([]any)[:2]
		d["annotations"] = slices.DeleteFunc(d["annotations"].([]any), func(a any) bool {
			return a.(map[string]any)["category_id"].(float64) > 2
		})
	})
	got, _ := b.sweepOne(t, folder)
	if got.Status != record.StatusDone {
		t.Fatalf("%+v", got.Outcome)
	}
	text, err := b.Store.Detections(got.Key)
	if err != nil || !strings.Contains(string(text), `"category_id": 4`) {
		t.Errorf("no detection of class 4 is kept (%v)", err)
	}
	if classes, err := b.Store.Classes(got.Key); err != nil || len(classes) != 2 {
		t.Errorf("AP of %d classes, %v; want that of the split's 2", len(classes), err)
	}
}

// TestRefusedBeforeTheFirstStep: what training or scoring would trip over is said when
// planning, by a sweep and by its dry run, and nothing is recorded.
func TestRefusedBeforeTheFirstStep(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, dir string)
		want   []string
	}{
		{"classes that fit neither way", func(t *testing.T, dir string) {
			edit(t, dir, "val", func(d map[string]any) {
				d["categories"] = append(d["categories"].([]any), newClass(9, "cat"))
				entries(d, "annotations")[0]["category_id"] = 9
			})
		}, []string{`9 "cat"`, `the detector's classes are 1 "disc", 2 "square", 3 "triangle", 4 "star"`}},
		{"no such split", func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, "annotations", "instances_val.json"), filepath.Join(dir, "annotations", "instances_val2017.json")); err != nil {
				t.Fatal(err)
			}
		}, []string{"no split val; it has train, tune, val2017: pass --set data.val=val2017"}},
		{"a picture is missing", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "val", "000000000002.jpg")); err != nil {
				t.Fatal(err)
			}
		}, []string{filepath.Join("val", "000000000002.jpg"), "image id"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, 2)
			folder := b.folder(t, "coco")
			tt.change(t, folder)
			p := b.plan(t, tiny, one(folder))
			_, err := b.Plan(t.Context(), p)
			_, again := b.Sweep(t.Context(), p)
			if err == nil || again == nil || err.Error() != again.Error() {
				t.Fatalf("the plan says %v, the sweep %v; want both to refuse alike", err, again)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("it says %q, want %q in it", err, want)
				}
			}
			if n := len(b.trials(t)); n != 0 {
				t.Errorf("%d trials are recorded, want none", n)
			}
		})
	}
}

// TestWhatWasHashedIsUsed: pictures and annotations that are changed after the plan was made
// are not trained on nor scored, here and in worker processes, and leave nothing behind.
func TestWhatWasHashedIsUsed(t *testing.T) {
	for jobs, files := range [][]string{
		1: {"train/000000000003.jpg", "val/000000000003.jpg", "annotations/instances_val.json"},
		2: {"train/000000000003.jpg"},
	} {
		for _, file := range files {
			t.Run(fmt.Sprint(jobs, " jobs, ", file), func(t *testing.T) {
				b := newBench(t, 2)
				if jobs > 1 {
					b.jobs(jobs, testWorker{})
				}
				folder := b.folder(t, "coco")
				sel := one(folder)
				sel.Only = nil
				p := b.plan(t, tiny, sel)
				states, err := b.Plan(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(folder, filepath.FromSlash(file))
				was, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				now := []byte(strings.Replace(string(was), `"area":`, `"area":1`, 1))
				if picture, found := strings.CutSuffix(path, "3.jpg"); found {
					if now, err = os.ReadFile(picture + "4.jpg"); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.WriteFile(path, now, 0o666); err != nil {
					t.Fatal(err)
				}
				if c, err := b.Sweep(t.Context(), p); err != nil || c != (record.Counts{Failed: 2}) {
					t.Fatalf("changed: %+v, %v; want both to fail", c, err)
				}
				if err := os.WriteFile(path, was, 0o666); err != nil {
					t.Fatal(err)
				}
				b.forget()
				if c, err := b.Sweep(t.Context(), p); err != nil || c != (record.Counts{Done: 2}) {
					t.Fatalf("put back: %+v, %v", c, err)
				}
				fresh := newBench(t, 2)
				if _, err := fresh.Sweep(t.Context(), fresh.plan(t, tiny, sel)); err != nil {
					t.Fatal(err)
				}
				for _, s := range states {
					same(t, "trial "+s.Key[:12], b.finished(t, s.Key), fresh.finished(t, s.Key))
				}
			})
		}
	}
}

// TestOtherTrainingIsRefused: a trial that was stopped on other training data mixes as a
// finished one would; one whose scored split alone was changed goes on.
func TestOtherTrainingIsRefused(t *testing.T) {
	for _, tt := range []struct {
		split   string
		refused bool
	}{{"train", true}, {"val", false}} {
		t.Run(tt.split, func(t *testing.T) {
			b := newBench(t, 2)
			folder := b.folder(t, "coco")
			p := b.plan(t, tiny, one(folder))
			b.stopAt(t, p, 4)
			edit(t, folder, tt.split, func(d map[string]any) {
				box := entries(d, "annotations")[0]["bbox"].([]any)
				box[2] = box[2].(float64) - 1
			})
			b.forget()
			c, err := b.Sweep(t.Context(), p)
			if tt.refused != errors.Is(err, ErrDataChanged) || !tt.refused && (err != nil || c.Done != 1) {
				t.Fatalf("%+v, %v; refused should be %t", c, err, tt.refused)
			}
			if tt.refused {
				return
			}
			for _, tr := range b.trials(t) {
				if tr.Status == record.StatusDone && tr.Attempts[0].StartStep != 4 {
					t.Errorf("it began at step %d, want 4", tr.Attempts[0].StartStep)
				}
			}
		})
	}
}

// asOlder records a trial as an older version did: under the identity of the folder's every
// byte, without labels, with the path as it was typed.
func (b *bench) asOlder(t *testing.T, from *bench, tr *record.Trial, folder string) string {
	t.Helper()
	cfg, err := detector.Settings.ParseResolved("trial", []byte(tr.Config))
	if err != nil {
		t.Fatal(err)
	}
	id := plan.Identity{Config: plan.Canonical(&cfg), Seed: tr.Seed, Init: tr.Init, Engine: tr.Engine, Numerics: plan.Numerics}
	if id.Data, err = dataset.FolderIdentity(t.Context(), folder, nil, "train", "val"); err != nil {
		t.Fatal(err)
	}
	steps, err := from.Store.StepRows(tr.Key)
	if err != nil {
		t.Fatal(err)
	}
	dets, err := from.Store.Detections(tr.Key)
	if err != nil {
		t.Fatal(err)
	}
	old := *tr
	cfg.Set("data.dir", "data")
	old.Key, old.Dataset, old.Labels, old.Config, old.Attempts = id.Key(), id.Data, nil, string(plan.Resolved(&cfg)), nil
	n, err := b.Store.BeginTrial(old, record.Attempt{Owner: "older", Host: "there"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Store.FinishTrial(old.Key, n, record.Finish{Outcome: old.Outcome, Steps: steps, Detections: dets, EndStep: 6}); err != nil {
		t.Fatal(err)
	}
	return old.Key
}

// TestOlderRecordsStayDone: a trial that an older version recorded, which knew a folder by all
// its bytes, is done as long as they are the same, and can be verified. One that it scored
// under the scored split's numbers, where these are others, is done again.
func TestOlderRecordsStayDone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(map[string]any)
		done   bool
	}{
		{"equal lists", func(map[string]any) {}, true},
		{"one more class behind", func(d map[string]any) { d["categories"] = append(d["categories"].([]any), newClass(9, "more")) }, true},
		{"one more class before", func(d map[string]any) {
			d["categories"] = append([]any{newClass(0, "root")}, d["categories"].([]any)...)
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now, b := newBench(t, 2), newBench(t, 2)
			folder := now.folder(t, "coco")
			edit(t, folder, "val", tt.change)
			tr, _ := now.sweepOne(t, folder)
			key := b.asOlder(t, now, tr, folder)
			got, noted := b.sweepOne(t, folder)
			if tt.done != (got.Key == key) || tt.done != (len(b.trials(t)) == 1) {
				t.Fatalf("the sweep ends with trial %.12s of %d, the older one is %.12s; want it to stay done: %t", got.Key, len(b.trials(t)), key, tt.done)
			}
			if said := slices.ContainsFunc(noted, func(s string) bool { return strings.Contains(s, "an older version scored them") }); said == tt.done {
				t.Errorf("it says %q", noted)
			}
			old, err := b.Store.Trial(key)
			if err != nil {
				t.Fatal(err)
			}
			if err := experiments.Relocate(old, folder); err != nil {
				t.Fatal(err)
			}
			old.Weights = "" // they are beside the other database
			if err := b.SameData(t.Context(), old); err != nil {
				t.Errorf("the data of the older trial: %v", err)
			}
		})
	}
}

// TestDetectorTrustsTheRecord: the classes are those recorded; pictures of one's own need no
// folder, and the scored split must be what it was.
func TestDetectorTrustsTheRecord(t *testing.T) {
	b := newBench(t, 2)
	folder := b.folder(t, "coco")
	tr, _ := b.sweepOne(t, folder)
	picture := filepath.Join(b.dir, "mine.jpg")
	text, err := os.ReadFile(filepath.Join(folder, "val", "000000000001.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(picture, text, 0o666); err != nil {
		t.Fatal(err)
	}
	open := func() *experiments.Trained {
		b.forget()
		d, err := b.OpenDetector(t.Context(), tr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		return d
	}
	moved := folder + " moved"
	if err := os.Rename(folder, moved); err != nil {
		t.Fatal(err)
	}
	var found []detector.Found
	dets, err := open().ViewFiles(t.Context(), []string{picture}, 0, func(v detector.View) error { found = v.Found; return nil })
	if err != nil || len(dets) == 0 || len(found) == 0 || found[0].Class == "" {
		t.Errorf("without the folder: %d detections, %v", len(dets), err)
	}
	if _, err := open().Scored(t.Context(), false); err == nil || !strings.Contains(err.Error(), folder) {
		t.Errorf("the scored split of a folder that is gone: %v", err)
	}
	if err := experiments.Relocate(tr, folder+" mistyped"); err == nil || !strings.Contains(err.Error(), "no such folder; nearest: "+moved) {
		t.Errorf("a mistyped folder: %v", err)
	}
	if err := experiments.Relocate(tr, moved); err != nil {
		t.Fatal(err)
	}
	training, aside := filepath.Join(moved, "train"), filepath.Join(b.dir, "train")
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	move(training, aside)
	if set, err := open().Scored(t.Context(), false); err != nil || len(set.Images) != 12 || len(set.Sums) != 12 {
		t.Errorf("where the folder was moved to, without the pictures of the training split, which it need not read: %v", err)
	}
	for _, parts := range []string{"", "no identities\n", tr.Dataset + " " + tr.Dataset + "\n"} {
		if err := os.WriteFile(filepath.Join(b.Cache, "identities", tr.Dataset), []byte(parts), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := open().Scored(t.Context(), false); err == nil {
			t.Errorf("with %q for the parts of the identity it did not read the training split", parts)
		}
		move(aside, training)
		if set, err := open().Scored(t.Context(), false); err != nil || len(set.Sums) != 12 {
			t.Errorf("with %q for the parts of the identity: %v; want all to be read", parts, err)
		}
		move(training, aside)
	}
	move(aside, training)
	edit(t, moved, "val", func(d map[string]any) { d["annotations"] = d["annotations"].([]any)[1:] })
	if _, err := open().Scored(t.Context(), false); !errors.Is(err, experiments.ErrOtherData) || !strings.Contains(err.Error(), moved) {
		t.Errorf("other annotations: %v, want experiments.ErrOtherData", err)
	}
	if _, err := open().Scored(t.Context(), true); err != nil {
		t.Errorf("other annotations, allowed: %v", err)
	}
	if _, err := b.Verify(t.Context(), tr, 0); !errors.Is(err, experiments.ErrOtherData) {
		t.Errorf("verified on other annotations: %v", err)
	}
}

// TestHashingStops: the end of the context ends the look at a folder.
func TestHashingStops(t *testing.T) {
	b := newBench(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Plan(ctx, b.plan(t, tiny, one(b.folder(t, "coco")))); !errors.Is(err, context.Canceled) {
		t.Errorf("the plan ends with %v, want the context's error", err)
	}
}
