package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"image/jpeg"
	"path/filepath"
	"runtime"
	"sync"

	"focalgrid/coco"
	"focalgrid/dataset/picture"
	"focalgrid/dataset/synthetic"
)

// drawing is a synthetic set as the files of a folder.
type drawing struct {
	*synthetic.Generator
	config synthetic.Config
}

// file is one of a generated folder's.
type file struct {
	name  string // below the folder, with slashes
	part  int    // of synthetic.Splits; -1: the marker
	image int    // -1: the annotations
	sum   [sha256.Size]byte
}

// in is where the file lies in a folder.
func (f *file) in(dir string) string { return filepath.Join(dir, filepath.FromSlash(f.name)) }

// files lists the files of the set, but for the checksums.
func (g drawing) files() []file {
	var files []file
	for part, n := range []int{g.config.Train, g.config.Tune, g.config.Val} {
		split := synthetic.Splits[part]
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
func (g drawing) draw(ctx context.Context, files []file, progress func(done, total int), each func(f *file, data []byte) error) error {
	var lock sync.Mutex
	done, total := 0, 0
	type job struct {
		image int
		file  *file // nil: only its boxes are wanted, for the annotations
	}
	jobs := make([][]job, len(synthetic.Splits))
	annotations := make([]*file, len(synthetic.Splits))
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
	for part := range synthetic.Splits {
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
	for part, split := range synthetic.Splits {
		scenes := make([]synthetic.Scene, counts[part]) // pixels left out
		err := parallel(ctx, len(jobs[part]), runtime.GOMAXPROCS(0), func(k int) error {
			j := jobs[part][k]
			scene := g.Scene(split, j.image)
			if j.file != nil {
				data, err := encode(scene)
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
func (g drawing) annotations(part int, scenes []synthetic.Scene) *coco.Dataset {
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

// encode returns a scene as a JPEG file.
func encode(s synthetic.Scene) ([]byte, error) {
	var b bytes.Buffer
	err := jpeg.Encode(&b, (&picture.RGB{Width: s.Size, Height: s.Size, Pix: s.Pixels}).Image(), &jpeg.Options{Quality: synthetic.Quality})
	return b.Bytes(), err
}
