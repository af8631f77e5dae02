package dataset

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"focalgrid/coco"
	"focalgrid/dataset/picture"
)

// Problem is one finding of Check.
type Problem struct {
	File    string // the file at fault
	Subject string // "image", "annotation", "category", or empty: the file as a whole
	ID      int64  // of the subject
	Text    string // what is wrong, and what was expected
	Note    bool   // training and scoring cope with it: a box that is clipped or left out, a stray file
}

// String is one line: the file, the entry, what is wrong.
func (p Problem) String() string {
	kind := ""
	if p.Note {
		kind = "note: "
	}
	if p.Subject == "" {
		return fmt.Sprintf("%s: %s%s", p.File, kind, p.Text)
	}
	return fmt.Sprintf("%s: %s id %d: %s%s", p.File, p.Subject, p.ID, kind, p.Text)
}

// CheckOptions sets how closely Check looks.
type CheckOptions struct {
	Decode    bool                  // decode every picture in full; otherwise its header and its end are looked at
	Transform *Transform            // of the network that boxes are judged for; nil: in the pictures' own pixels alone
	Progress  func(done, total int) // of a split's pictures; may be nil
}

// Check looks through splits of a folder, the one to train on first, and returns everything
// that training or scoring would refuse, or leave out (a note), in the order of the files:
// annotations that cannot be read, ids that are unknown or occur twice, boxes without area,
// and every image that is missing, truncated, of another kind or of another size. The first
// split's categories are the detector's classes: what another split's cannot be mapped to is a
// problem too. It goes on after a finding, but for an unreadable JSON file, about which nothing
// more is known. The error is ctx's.
//
// Both depths find the same but for damage within a file whose header and end are whole.
func Check(ctx context.Context, dir string, splits []string, o CheckOptions) ([]Problem, error) {
	var (
		found   []Problem
		classes []Class // of the first split
	)
	for i, split := range splits {
		c := checker{ctx: ctx, o: o, dir: dir, split: split, file: annotationsPath(dir, split)}
		truth, sums, err := readTruth(dir, split)
		if err != nil {
			found = append(found, Problem{File: c.file, Text: plainError(c.file, err)})
			continue
		}
		for _, e := range truth.Unread {
			c.add("", 0, false, "%s", plainError(c.file, e))
		}
		c.entries(truth)
		if i == 0 {
			classes = classesOf(truth)
		} else if set, err := newSet(dir, split, truth); err == nil && len(classes) > 0 && len(set.Classes) > 0 {
			note, err := set.Relabel(classes)
			if err != nil {
				c.add("", 0, false, "%s", plainError(c.file, err))
			} else if note != "" {
				c.add("", 0, true, "%s (classes are those of split %s)", note, splits[0])
			}
		}
		c.images(truth, sums)
		found = append(found, c.found...)
	}
	return found, ctx.Err()
}

// plainError is the message without the path that the finding names already.
func plainError(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "the file is missing"
	case errors.Is(err, fs.ErrPermission):
		return "no permission to read it"
	}
	return strings.TrimPrefix(err.Error(), path+": ")
}

// checker looks at one split.
type checker struct {
	ctx        context.Context
	o          CheckOptions
	dir, split string
	file       string // of the annotations
	found      []Problem
}

// add appends a finding of the file of annotations.
func (c *checker) add(subject string, id int64, note bool, format string, args ...any) {
	c.found = append(c.found, Problem{c.file, subject, id, fmt.Sprintf(format, args...), note})
}

// entries looks at the annotations alone, and fills their gaps.
func (c *checker) entries(d *coco.Dataset) {
	if len(d.Images) == 0 {
		c.add("", 0, false, "no images, expected at least one")
	}
	if len(d.Categories) == 0 {
		c.add("", 0, false, "no categories, expected at least one")
	}
	for _, gap := range fillGaps(d) {
		c.add("", 0, true, "%s", gap)
	}
	if text := noObjects(d); text != "" && len(d.Images) > 0 && len(d.Categories) > 0 {
		c.add("", 0, true, "%s", text)
	}
	categories := map[int64]bool{}
	for _, k := range d.Categories {
		if categories[k.ID] {
			c.add("category", k.ID, false, "occurs twice, expected unique ids")
		}
		categories[k.ID] = true
	}
	images := map[int64]coco.Image{}
	files := map[string]int64{}
	for _, im := range d.Images {
		if _, twice := images[im.ID]; twice {
			c.add("image", im.ID, false, "occurs twice, expected unique ids")
		}
		images[im.ID] = im
		if text := badImage(im); text != "" {
			c.add("image", im.ID, false, "%s", text)
			continue
		}
		name := path.Clean(im.FileName)
		if other, twice := files[name]; twice && other != im.ID {
			c.add("image", im.ID, true, "file_name %q is that of image id %d too", im.FileName, other)
		}
		files[name] = im.ID
	}
	annotations := map[int64]bool{}
	for _, a := range d.Annotations {
		if annotations[a.ID] {
			c.add("annotation", a.ID, false, "occurs twice, expected unique ids")
		}
		annotations[a.ID] = true
		im, known := images[a.ImageID]
		if !known {
			c.add("annotation", a.ID, false, "unknown image id %d", a.ImageID)
		}
		if !categories[a.CategoryID] {
			c.add("annotation", a.ID, false, "unknown category id %d", a.CategoryID)
		}
		if !(a.Area >= 0) || math.IsInf(a.Area, 0) {
			c.add("annotation", a.ID, true, "area is %g, expected 0 or more", a.Area)
		}
		if known && im.Width > 0 && im.Height > 0 {
			c.box(a, im)
		}
	}
}

// box looks at an annotation of an image whose size is known.
func (c *checker) box(a coco.Annotation, im coco.Image) {
	inside, cut, ok := clip(a.BBox, im.Width, im.Height)
	switch {
	case !ok && (a.BBox[2] < 0 || a.BBox[3] < 0):
		c.add("annotation", a.ID, true, "bbox %v has a negative size, expected x, y, width, height: left out", a.BBox)
	case !ok:
		c.add("annotation", a.ID, true, "bbox %v has no area inside the image of %d x %d pixels: left out", a.BBox, im.Width, im.Height)
	case c.o.Transform != nil && !c.o.Transform.shows(inside, im.Width, im.Height):
		w, h, _ := c.o.Transform.Size(im.Width, im.Height)
		c.add("annotation", a.ID, true, "bbox %v has no area in the network's %d x %d pixels, mirrored or not: left out", a.BBox, w, h)
	case cut:
		c.add("annotation", a.ID, true, "bbox %v reaches beyond the image of %d x %d pixels: clipped", a.BBox, im.Width, im.Height)
	}
}

// images looks at every image's file, and for files that are no image's.
func (c *checker) images(d *coco.Dataset, sums map[string][sha256.Size]byte) {
	root := filepath.Join(c.dir, c.split)
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		if len(d.Images) > 0 {
			c.found = append(c.found, Problem{File: root, Text: "the folder of the images is missing; a link to the folder that they are in will do"})
		}
		return
	}
	var (
		lock   sync.Mutex
		done   int
		faults = make([]error, len(d.Images))
		turned = make([]int, len(d.Images)) // EXIF orientation
	)
	at := func(i int) string { return filepath.Join(root, filepath.FromSlash(d.Images[i].FileName)) }
	// The work itself never fails: what it finds is its result.
	_ = parallel(c.ctx, len(d.Images), runtime.GOMAXPROCS(0), func(i int) error {
		im := d.Images[i]
		if badImage(im) == "" { // named among the entries
			var sum *[sha256.Size]byte
			if s, ok := sums[c.split+"/"+path.Clean(im.FileName)]; ok {
				sum = &s
			}
			turned[i], faults[i] = inspect(at(i), im.Width, im.Height, sum, c.o.Decode)
		}
		if c.o.Progress != nil {
			lock.Lock()
			defer lock.Unlock()
			done++
			c.o.Progress(done, len(d.Images))
		}
		return nil
	})
	sideways, first := 0, -1
	for i, err := range faults {
		if err != nil {
			c.found = append(c.found, Problem{File: at(i), Subject: "image", ID: d.Images[i].ID, Text: plainError(at(i), err) + misplaced(root, d.Images[i].FileName, err)})
		}
		if turned[i] > 1 {
			if sideways++; first < 0 {
				first = i
			}
		}
	}
	if sideways > 0 {
		c.found = append(c.found, Problem{File: root, Note: true, Text: fmt.Sprintf("%s with an EXIF orientation, such as %q (%d): pixels and boxes are taken as stored, not as displayed",
			plural(sideways, "image"), d.Images[first].FileName, turned[first])})
	}
	c.strays(root, d)
}

// misplaced describes where a missing picture seems to be: in the split's folder itself,
// while its name has the folders that another tool put it in.
func misplaced(root, name string, err error) string {
	base := path.Base(name)
	if !errors.Is(err, fs.ErrNotExist) || base == path.Clean(name) {
		return ""
	}
	if _, err := os.Stat(filepath.Join(root, base)); err != nil {
		return ""
	}
	return fmt.Sprintf("; there is %s, but file_name is %q", filepath.Join(root, base), name)
}

// strays looks for what the annotations do not name.
func (c *checker) strays(root string, d *coco.Dataset) {
	real := map[string]string{}  // the folder without links, by a folder's name below root
	through := map[string]bool{} // folders that names lead through
	named := map[string]bool{}   // by path
	for _, im := range d.Images {
		if badImage(im) != "" {
			continue
		}
		dir, base := path.Split(path.Clean(im.FileName))
		dir = path.Clean(dir)
		if _, ok := real[dir]; !ok {
			real[dir], _ = filepath.EvalSymlinks(filepath.Join(root, filepath.FromSlash(dir)))
			for up := dir; up != "."; up = path.Dir(up) {
				through[up] = true
			}
		}
		named[filepath.Join(real[dir], base)] = true
	}
	stray, example := 0, ""
	err := walk(c.ctx, root, func(name string) bool { return through[name] }, func(f found) {
		if !named[f.path] {
			if stray++; stray == 1 {
				example = f.name
			}
		}
	})
	if err != nil && c.ctx.Err() == nil {
		c.found = append(c.found, Problem{File: root, Text: plainError(root, err), Note: true})
	}
	if stray > 0 {
		c.found = append(c.found, Problem{File: root, Text: fmt.Sprintf("%s that the annotations do not name, such as %q: left out", plural(stray, "entry"), example), Note: true})
	}
}

// inspect looks at a picture's file as training and scoring would read it: its bytes have
// the sum, where that is known, and it holds a whole picture of w x h pixels. Without decode
// it trusts a file whose header has that size and that ends as such files do; it decodes a
// file that ends otherwise, as with bytes that decoders pass over, all the same.
func inspect(file string, w, h int, sum *[sha256.Size]byte, decode bool) (orientation int, err error) {
	if !decode && sum == nil {
		orientation, whole, err := picture.Glance(file, w, h)
		if err != nil || whole {
			return orientation, err
		}
	}
	data, err := picture.ReadFile(file)
	if err != nil {
		return 0, err
	}
	if sum != nil && sha256.Sum256(data) != *sum {
		return 0, ErrChanged
	}
	_, err = picture.Decode(data, w, h)
	return picture.Orientation(data), err
}

// plural is a count with its noun.
func plural(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "x"):
		return fmt.Sprintf("%d %ses", n, noun)
	case strings.HasSuffix(noun, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(noun, "y"))
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
