package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"focalgrid/atomicfile"
	"focalgrid/coco"
	"focalgrid/guard"
)

// jpegQuality of the synthetic files: the loss is below the noise drawn.
const jpegQuality = 95

// ErrOtherFolder is returned where a folder holds something else than the set asked for,
// be it only a damaged copy of it; nothing in it is touched.
var ErrOtherFolder = errors.New("folder holds other data")

// GenerateOptions says how a set is drawn.
type GenerateOptions struct {
	Own      bool                  // the folder is the program's own, in its cache: what is damaged in it is drawn again
	Progress func(done, total int) // of the images drawn; may be nil
}

// Generate writes the synthetic set to dir in COCO's layout, with the checksum of every
// file. The folder appears whole or not at all: it is filled under a temporary name beside
// dir and then renamed, so that an interruption, also by ctx, leaves nothing half done at dir
// and of several processes the first one wins.
//
// A folder that holds this very set is left as it is, once its files are seen to have their
// checksums. Those that an older version drew have none: they are compared with the set drawn
// again, and get them. Where a file is damaged or missing, it is drawn again in a folder of our
// Own, each file whole or not at all, and the note says so; in any other nothing is touched, and
// the error is ErrOtherFolder.
func Generate(ctx context.Context, dir string, c SynthConfig, o GenerateOptions) (note string, err error) {
	g := NewSynth(c)
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // a link stays one: what it points to is filled
	}
	clearAbandoned(dir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		err := g.create(ctx, dir, o.Progress)
		if err == nil || ctx.Err() != nil {
			return "", err
		}
		// Another process may have finished first: its folder is the same.
		if entries, rerr := os.ReadDir(dir); rerr != nil || len(entries) == 0 {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	if !o.Own {
		if err := claims(dir, c); err != nil {
			return "", err
		}
	}
	return g.mend(ctx, dir, o)
}

// claims holds that a folder says of itself that it is the set of c.
func claims(dir string, c SynthConfig) error {
	path := filepath.Join(dir, markerName)
	data, err := readRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s has no %s: name a new or an empty folder", ErrOtherFolder, dir, markerName)
	}
	if err != nil {
		return err
	}
	id, err := parseMarker(data)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrOtherFolder, path, err)
	}
	if want := Identity(c); id != want {
		return fmt.Errorf("%w: %s is of synthetic set %.12s, asked for is %.12s: name another folder, or remove it", ErrOtherFolder, dir, id, want)
	}
	return nil
}

// create draws the set where nothing is.
func (g *Synth) create(ctx context.Context, dir string, progress func(done, total int)) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	tmp, release, err := temporary(dir)
	if err != nil {
		return err
	}
	defer release()
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	for _, folder := range append([]string{annotationsFolder}, Splits...) {
		if err := os.Mkdir(filepath.Join(tmp, folder), 0o777); err != nil {
			return err
		}
	}
	files := g.files()
	err = g.draw(ctx, files, progress, func(f *file, data []byte) error {
		f.sum = sha256.Sum256(data)
		return writeFile(f.in(tmp), data)
	})
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(tmp, sumsName), formatSums(files)); err != nil {
		return err
	}
	for _, folder := range append([]string{annotationsFolder, "."}, Splits...) {
		if err := atomicfile.SyncFolder(filepath.Join(tmp, folder)); err != nil {
			return err
		}
	}
	// An empty folder at dir gives way; not every system lets a rename do it. One
	// that is not empty stays, and the rename says so.
	if info, err := os.Lstat(dir); err == nil && info.IsDir() {
		_ = os.Remove(dir)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return atomicfile.SyncFolder(filepath.Dir(dir))
}

// IsSynthetic tells whether a folder says of itself that it is the synthetic set of c. The
// error is ErrOtherFolder where it is another one.
func IsSynthetic(dir string, c SynthConfig) (bool, error) {
	if _, err := os.Stat(filepath.Join(dir, markerName)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	err := claims(dir, c)
	return err == nil, err
}

// mend holds the files of a folder against their checksums, and those that do not have
// theirs against what they should be. Files that are not the set's are left alone.
func (g *Synth) mend(ctx context.Context, dir string, o GenerateOptions) (note string, err error) {
	files := g.files()
	listed, there := listedSums(dir, files)
	suspect, err := suspects(ctx, dir, files, listed)
	if err != nil {
		return "", err
	}
	var doubtful []file
	for i, f := range files {
		if suspect[i] {
			doubtful = append(doubtful, f)
		}
	}
	if len(doubtful) == 0 {
		return "", nil
	}
	var (
		lock sync.Mutex
		bad  []string
	)
	err = g.draw(ctx, doubtful, o.Progress, func(f *file, data []byte) error {
		was, err := readPicture(f.in(dir))
		if err == nil && f.part < 0 && listed == nil {
			if id, err := parseMarker(was); err == nil && id == Identity(g.config) {
				data = was // however an older version wrote it
			}
		}
		f.sum = sha256.Sum256(data)
		if err == nil && bytes.Equal(was, data) {
			return nil
		}
		lock.Lock()
		bad = append(bad, f.name)
		lock.Unlock()
		if !o.Own {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(f.in(dir)), 0o777); err != nil {
			return err
		}
		return atomicfile.Write(f.in(dir), func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
	})
	if err != nil {
		return "", err
	}
	slices.Sort(bad)
	if len(bad) > 0 && !o.Own {
		return "", notAsDrawn(dir, fmt.Sprintf("%s, such as %s", plural(len(bad), "file"), bad[0]))
	}
	for i := range files {
		if suspect[i] {
			files[i].sum, doubtful = doubtful[0].sum, doubtful[1:]
		}
	}
	err = atomicfile.Write(filepath.Join(dir, sumsName), func(w io.Writer) error {
		_, err := w.Write(formatSums(files))
		return err
	})
	if err != nil && !o.Own {
		err = nil // a folder that cannot be written is compared again the next time
	}
	switch {
	case err != nil:
		return "", err
	case len(bad) > 0:
		return fmt.Sprintf("synthetic set in %s: %s damaged or missing, such as %s: drawn again", dir, plural(len(bad), "file"), bad[0]), nil
	case there:
		return fmt.Sprintf("synthetic set in %s: %s was damaged: written again", dir, sumsName), nil
	}
	return "", nil
}

// suspects tells which of a folder's files are missing or do not have the checksums listed, all of
// them where there are none, and sets the files' checksums to those.
func suspects(ctx context.Context, dir string, files []file, listed [][sha256.Size]byte) ([]bool, error) {
	suspect := make([]bool, len(files))
	err := parallel(ctx, len(files), runtime.GOMAXPROCS(0), func(i int) error {
		f := &files[i]
		if listed == nil {
			suspect[i] = true
			return nil
		}
		f.sum = listed[i]
		data, err := readPicture(f.in(dir))
		suspect[i] = err != nil || sha256.Sum256(data) != f.sum
		return nil
	})
	return suspect, err
}

// notAsDrawn says that a generated folder is damaged, or was changed on purpose.
func notAsDrawn(dir, what string) error {
	return fmt.Errorf("%w: %s is not as it was drawn (%s): remove it to have it drawn again, or remove its %s if it is now data of your own",
		ErrOtherFolder, dir, what, markerName)
}

// file is one of a generated folder's.
type file struct {
	name  string // below the folder, with slashes
	part  int    // of Splits; -1: the marker
	image int    // -1: the annotations
	sum   [sha256.Size]byte
}

// in is where the file lies in a folder.
func (f *file) in(dir string) string { return filepath.Join(dir, filepath.FromSlash(f.name)) }

// files lists those of the set, but for the checksums.
func (g *Synth) files() []file {
	var files []file
	for part, n := range []int{g.config.Train, g.config.Tune, g.config.Val} {
		split := Splits[part]
		files = append(files, file{name: annotationsName(split), part: part, image: -1})
		for i := range n {
			files = append(files, file{name: split + "/" + synthFile(i), part: part, image: i})
		}
	}
	return append(files, file{name: markerName, part: -1, image: -1})
}

// draw makes what belongs into some of the files, in their order within a split, on all
// cores. What a file holds depends on its name alone, so the order of the work does not
// matter. progress (which may be nil) is called with the number of images done.
func (g *Synth) draw(ctx context.Context, files []file, progress func(done, total int), each func(f *file, data []byte) error) error {
	var lock sync.Mutex
	done, total := 0, 0
	type job struct {
		image int
		file  *file // nil: only its boxes are wanted, for the annotations
	}
	jobs := make([][]job, len(Splits))
	annotations := make([]*file, len(Splits))
	var mark *file
	for i := range files {
		switch f := &files[i]; {
		case f.part < 0:
			mark = f
		case f.image < 0:
			annotations[f.part] = f
		default:
			jobs[f.part] = append(jobs[f.part], job{f.image, f})
		}
	}
	counts := []int{g.config.Train, g.config.Tune, g.config.Val}
	for part := range Splits {
		if annotations[part] != nil {
			all := make([]job, counts[part])
			for i := range all {
				all[i].image = i
			}
			for _, j := range jobs[part] {
				all[j.image] = j
			}
			jobs[part] = all
		}
		total += len(jobs[part])
	}
	for part, split := range Splits {
		scenes := make([]Scene, counts[part]) // pixels left out
		err := parallel(ctx, len(jobs[part]), runtime.GOMAXPROCS(0), func(k int) error {
			j := jobs[part][k]
			scene := g.Scene(split, j.image)
			if j.file != nil {
				data, err := scene.encode()
				if err == nil {
					err = each(j.file, data)
				}
				if err != nil {
					return err
				}
			}
			scene.Pixels = nil
			scenes[j.image] = scene
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
		if f := annotations[part]; f != nil {
			var b bytes.Buffer
			if err := coco.EncodeDataset(&b, g.annotations(part, scenes)); err != nil {
				return err
			}
			if err := each(f, b.Bytes()); err != nil {
				return err
			}
		}
	}
	if mark != nil {
		data, err := formatMarker(g.config)
		if err != nil {
			return err
		}
		return each(mark, data)
	}
	return nil
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
