package dataset

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"focalgrid/atomicfile"
	"focalgrid/coco"
	"focalgrid/guard"
)

// jpegQuality of the synthetic files: the loss is below the noise drawn.
const jpegQuality = 95

// markerName is the file by which a synthetic folder tells what it holds.
const markerName = "synthetic.json"

type marker struct {
	Identity string
	Version  int
	Config   SynthConfig
}

// ErrOtherFolder is returned by Generate where the folder holds something else
// than the set asked for; nothing in it is touched.
var ErrOtherFolder = errors.New("folder holds other data")

// GenerateOptions says how a set is drawn.
type GenerateOptions struct {
	Own      bool                  // the folder is the program's own, in its cache: what is damaged in it is made again
	Progress func(done, total int) // of the images drawn; may be nil
}

// Generate writes the synthetic set to dir in COCO's layout. A folder that holds this very set is left
// as it is. The folder appears whole or not at all: it is filled under a
// temporary name beside dir and then renamed, so that an interruption leaves
// nothing half done at dir and of several processes the first one wins. (What a
// killed process leaves beside dir, .NAME.tmp-*, may be removed.)
//
// The note, empty otherwise, tells what was damaged and is made again. An end of ctx leaves
// nothing behind.
func Generate(ctx context.Context, dir string, c SynthConfig, o GenerateOptions) (note string, err error) {
	g, err := NewSynth(c)
	if err != nil {
		return "", err
	}
	return "", g.generate(ctx, dir, o.Progress)
}

func (g *Synth) generate(ctx context.Context, dir string, progress func(done, total int)) (err error) {
	c := g.config
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // a link stays one: what it points to is filled
	}
	if done, err := generated(dir, c); done || err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".tmp-")
	if err != nil {
		return err
	}
	defer func() {
		if tmp != "" {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := g.write(ctx, tmp, progress); err != nil {
		return err
	}
	// An empty folder at dir gives way; not every system lets a rename do it. One
	// that is not empty stays, and the rename says so.
	if info, err := os.Lstat(dir); err == nil && info.IsDir() {
		_ = os.Remove(dir)
	}
	if err := os.Rename(tmp, dir); err != nil {
		// Another process may have finished first: its folder is the same.
		done, other := generated(dir, c)
		if done {
			return nil
		}
		return errors.Join(err, other)
	}
	tmp = ""
	return atomicfile.SyncFolder(filepath.Dir(dir))
}

// IsSynthetic tells whether a folder holds the synthetic set of c. The error is
// ErrOtherFolder where it holds another synthetic set.
func IsSynthetic(dir string, c SynthConfig) (bool, error) {
	if _, err := os.Stat(filepath.Join(dir, markerName)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return generated(dir, c)
}

// generated tells whether dir holds the set of c; the error is ErrOtherFolder
// where it holds anything else.
func generated(dir string, c SynthConfig) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	path := filepath.Join(dir, markerName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("%w: %s has no %s: name a new or an empty folder", ErrOtherFolder, dir, markerName)
	}
	if err != nil {
		return false, err
	}
	var m marker
	if err := json.Unmarshal(data, &m); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	if want := Identity(c); m.Identity != want {
		return false, fmt.Errorf("%w: %s is of synthetic set %.12s, asked for is %.12s: name another folder, or remove it", ErrOtherFolder, dir, m.Identity, want)
	}
	return true, nil
}

// write draws and encodes every image on all cores. What a file holds depends
// on its name alone, so the order of the work does not matter.
func (g *Synth) write(ctx context.Context, dir string, progress func(done, total int)) error {
	c := g.config
	if err := os.Mkdir(filepath.Join(dir, "annotations"), 0o755); err != nil {
		return err
	}
	counts := []int{c.Train, c.Tune, c.Val}
	total, done := c.Train+c.Tune+c.Val, 0
	var lock sync.Mutex
	for part, split := range Splits {
		if err := os.Mkdir(filepath.Join(dir, split), 0o755); err != nil {
			return err
		}
		scenes := make([]Scene, counts[part]) // pixels left out
		err := parallel(ctx, len(scenes), runtime.GOMAXPROCS(0), func(i int) error {
			scene := g.Scene(split, i)
			data, err := scene.encode()
			if err != nil {
				return err
			}
			scene.Pixels = nil
			scenes[i] = scene
			if err := writeFile(filepath.Join(dir, split, synthFile(i)), data); err != nil {
				return err
			}
			if progress != nil {
				lock.Lock()
				defer lock.Unlock()
				done++
				progress(done, total)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := coco.WriteDataset(annotationsPath(dir, split), g.annotations(part, scenes)); err != nil {
			return err
		}
		if err := atomicfile.SyncFolder(filepath.Join(dir, split)); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(marker{Identity(c), SynthVersion, c}, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, markerName), append(data, '\n')); err != nil {
		return err
	}
	return errors.Join(atomicfile.SyncFolder(filepath.Join(dir, "annotations")), atomicfile.SyncFolder(dir))
}

func synthFile(i int) string { return fmt.Sprintf("%012d.jpg", i+1) }

// annotations describes the scenes of a split. Ids count from 1 in train, from
// 2^20 + 1 in tune and so on, so that an id names one image of the whole set.
// An area is the box's, as there are no masks.
func (g *Synth) annotations(part int, scenes []Scene) *coco.Dataset {
	d := &coco.Dataset{Images: []coco.Image{}, Annotations: []coco.Annotation{}}
	for k, name := range g.ClassNames() {
		d.Categories = append(d.Categories, coco.Category{ID: int64(k + 1), Name: name})
	}
	base := int64(part) << 20
	for i, s := range scenes {
		id := base + int64(i) + 1
		d.Images = append(d.Images, coco.Image{ID: id, FileName: synthFile(i), Width: s.Size, Height: s.Size})
		for j, b := range s.Boxes {
			w, h := float64(b[2]-b[0]), float64(b[3]-b[1])
			d.Annotations = append(d.Annotations, coco.Annotation{
				ID:         int64(part)<<32 + int64(len(d.Annotations)) + 1,
				ImageID:    id,
				CategoryID: int64(s.Labels[j] + 1),
				BBox:       [4]float64{float64(b[0]), float64(b[1]), w, h},
				Area:       w * h,
			})
		}
	}
	return d
}

// encode returns the scene as a JPEG file.
func (s Scene) encode() ([]byte, error) {
	var b bytes.Buffer
	err := jpeg.Encode(&b, (&RGB{s.Size, s.Size, s.Pixels}).Image(), &jpeg.Options{Quality: jpegQuality})
	return b.Bytes(), err
}

// Image returns the picture as Go's opaque RGBA image, sharing nothing.
func (p *RGB) Image() *image.RGBA {
	im := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
	for i := range p.Width * p.Height {
		copy(im.Pix[4*i:4*i+3], p.Pix[3*i:])
		im.Pix[4*i+3] = 255
	}
	return im
}

// writeFile writes and syncs a file in a folder that is not in use yet.
func writeFile(path string, data []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// parallel calls work for 0 to n-1 on at most workers goroutines and returns the
// error of the lowest index, or ctx's. After an error no new work is begun.
func parallel(ctx context.Context, n, workers int, work func(i int) error) error {
	var (
		wg     sync.WaitGroup
		lock   sync.Mutex
		next   int
		first  = n
		fault  error
		panics guard.Catcher
	)
	for range min(max(workers, 1), n) {
		wg.Go(func() {
			defer panics.Catch()
			for {
				lock.Lock()
				i := next
				next++
				stop := i >= n || fault != nil || ctx.Err() != nil
				lock.Unlock()
				if stop {
					return
				}
				if err := work(i); err != nil {
					lock.Lock()
					if i < first {
						first, fault = i, err
					}
					lock.Unlock()
				}
			}
		})
	}
	wg.Wait()
	panics.Throw()
	if fault == nil {
		fault = ctx.Err()
	}
	return fault
}
