package dataset

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"focalgrid/dataset/synthetic"
)

// smallSynth is the smallest set worth training on.
func smallSynth() synthetic.Config {
	return synthetic.Config{
		Pixels: 128, Classes: 4, Train: 2000, Tune: 300, Val: 300,
		Objects: 2.5, Empty: 0.1, Distractors: 3, MinSize: 0.12, MaxSize: 0.6, Noise: 4, Clutter: 0.5,
	}
}

func tinySynth() synthetic.Config {
	c := smallSynth()
	c.Pixels, c.Train, c.Tune, c.Val = 48, 7, 2, 3
	return c
}

func TestGenerate(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "deep", "set")
	c := tinySynth()
	calls := 0
	if _, err := Generate(t.Context(), dir, c, GenerateOptions{Progress: func(done, total int) {
		calls++
		if done != calls || total != 12 {
			t.Errorf("progress %d of %d at call %d, want it of 12", done, total, calls)
		}
	}}); err != nil {
		t.Fatal(err)
	}
	if calls != 12 {
		t.Errorf("%d calls of progress, want 12", calls)
	}
	if problems, err := Check(t.Context(), dir, synthetic.Splits, CheckOptions{Decode: true}); len(problems) > 0 || err != nil {
		t.Errorf("the checker finds %v (%v)", problems, err)
	}
	g := synthetic.New(c)
	for _, split := range synthetic.Splits {
		s, err := Open(dir, split)
		if err != nil {
			t.Fatal(err)
		}
		for i, im := range s.Images {
			scene := g.Scene(split, i)
			if len(im.Objects) != len(scene.Boxes) {
				t.Fatalf("%s %d: %d objects, drawn %d", split, i, len(im.Objects), len(scene.Boxes))
			}
			for j, o := range im.Objects {
				b := scene.Boxes[j]
				if o.Box != [4]float32{float32(b[0]), float32(b[1]), float32(b[2]), float32(b[3])} || int(o.Label) != scene.Labels[j] {
					t.Errorf("%s %d: object %+v, drawn %v of class %d", split, i, o, b, scene.Labels[j])
				}
			}
			p, err := s.Decode(i)
			if err != nil {
				t.Fatal(err)
			}
			sum := 0
			for k := range p.Pix {
				sum += max(int(p.Pix[k])-int(scene.Pixels[k]), int(scene.Pixels[k])-int(p.Pix[k]))
			}
			if mean := float64(sum) / float64(len(p.Pix)); mean > 8 {
				t.Errorf("%s %d: encoded it differs by %g levels on average", split, i, mean)
			}
		}
	}
	first, err := FolderIdentity(t.Context(), dir, nil, synthetic.Splits...)
	if err != nil {
		t.Fatal(err)
	}

	// Once more is nothing to do; another set is refused; neither touches it.
	if _, err := Generate(t.Context(), dir, c, GenerateOptions{Progress: func(int, int) { t.Error("drawn again") }}); err != nil {
		t.Fatal(err)
	}
	c.Seed = 9
	if _, err := Generate(t.Context(), dir, c, GenerateOptions{}); !errors.Is(err, ErrOtherFolder) {
		t.Errorf("another seed in the same folder: %v, want ErrOtherFolder", err)
	}
	foreign := filepath.Join(root, "deep")
	if _, err := Generate(t.Context(), foreign, c, GenerateOptions{}); !errors.Is(err, ErrOtherFolder) || !strings.Contains(err.Error(), "no synthetic.json") {
		t.Errorf("a folder with other data: %v, want ErrOtherFolder", err)
	}
	if again, err := FolderIdentity(t.Context(), dir, nil, synthetic.Splits...); err != nil || again != first {
		t.Errorf("the folder has changed from %s to %s (%v)", first, again, err)
	}

	// Several at once, into an empty folder, give the same bytes.
	c.Seed = 0
	dir = filepath.Join(root, "race")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := Generate(t.Context(), dir, c, GenerateOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if again, err := FolderIdentity(t.Context(), dir, nil, synthetic.Splits...); err != nil || again != first {
		t.Errorf("drawn four times at once: %s, want %s (%v)", again, first, err)
	}
	noLeftovers(t, root)

	// A link to an empty folder stays a link.
	disk, link := filepath.Join(root, "disk"), filepath.Join(root, "link")
	if err := errors.Join(os.Mkdir(disk, 0o755), os.Symlink(disk, link)); err != nil {
		t.Skipf("no links here: %v", err)
	}
	if _, err := Generate(t.Context(), link, c, GenerateOptions{}); err != nil {
		t.Fatal(err)
	}
	if again, err := FolderIdentity(t.Context(), disk, nil, synthetic.Splits...); err != nil || again != first {
		t.Errorf("drawn through a link: %s, want %s (%v)", again, first, err)
	}
}

// noLeftovers holds that no temporary folder stayed behind.
func noLeftovers(t *testing.T, root string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(root, ".*tmp*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestGenerateInterrupted(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "set")
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Generate(ctx, dir, tinySynth(), GenerateOptions{Progress: func(done, total int) {
		if done == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a folder is there (%v)", err)
	}
	noLeftovers(t, root)
}
