package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"focalgrid/coco"
)

// Problem is one finding of Check.
type Problem struct {
	File    string // the file at fault
	Subject string // "image", "annotation", "category", or empty: the file as a whole
	ID      int64  // of the subject
	Text    string // what is wrong, and what was expected
	Note    bool   // reading copes with it: a box that is clipped or left out, a stray file
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

// CheckOptions says how closely Check looks.
type CheckOptions struct {
	Decode    bool                  // decode every picture in full; otherwise its header and its end are looked at
	Transform *Transform            // of the network that boxes are judged for; nil: in the pictures' own pixels alone
	Progress  func(done, total int) // of the pictures; may be nil
}

// Check looks through the splits of a folder and returns everything that is
// wrong, in the order of the files: annotations that cannot be read, ids that
// are unknown or occur twice, boxes that are no boxes, and every image that is
// missing, truncated, of another kind or of another size. Each image is decoded
// in full. It never stops at a finding, except that of an unreadable JSON file
// nothing more can be said.
func Check(ctx context.Context, dir string, splits []string, o CheckOptions) ([]Problem, error) {
	var found []Problem
	for _, split := range splits {
		path := annotationsPath(dir, split)
		d, err := coco.ReadDataset(path)
		if err != nil {
			found = append(found, Problem{File: path, Text: plainError(path, err)})
			continue
		}
		found = append(found, checkEntries(path, d)...)
		found = append(found, checkImages(dir, split, d)...)
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

// checkEntries looks at the annotations alone.
func checkEntries(path string, d *coco.Dataset) []Problem {
	var found []Problem
	add := func(subject string, id int64, note bool, format string, args ...any) {
		found = append(found, Problem{path, subject, id, fmt.Sprintf(format, args...), note})
	}
	categories := map[int64]bool{}
	for _, c := range d.Categories {
		if categories[c.ID] {
			add("category", c.ID, false, "occurs twice, expected unique ids")
		}
		categories[c.ID] = true
	}
	images := map[int64]coco.Image{}
	files := map[string]int64{}
	for _, im := range d.Images {
		if _, twice := images[im.ID]; twice {
			add("image", im.ID, false, "occurs twice, expected unique ids")
		}
		images[im.ID] = im
		if other, twice := files[im.FileName]; twice && im.FileName != "" && other != im.ID {
			add("image", im.ID, false, "file_name %q is that of image id %d too", im.FileName, other)
		}
		files[im.FileName] = im.ID
		if text := badImage(im); text != "" {
			add("image", im.ID, false, "%s", text)
		}
	}
	annotations := map[int64]bool{}
	noArea := 0
	for _, a := range d.Annotations {
		if annotations[a.ID] {
			add("annotation", a.ID, false, "occurs twice, expected unique ids")
		}
		annotations[a.ID] = true
		im, known := images[a.ImageID]
		if !known {
			add("annotation", a.ID, false, "unknown image id %d", a.ImageID)
		}
		if !categories[a.CategoryID] {
			add("annotation", a.ID, false, "unknown category id %d", a.CategoryID)
		}
		if a.Absent.Has(coco.FieldArea) {
			noArea++
		} else if !(a.Area >= 0) || math.IsInf(a.Area, 0) {
			add("annotation", a.ID, false, "area is %g, expected 0 or more", a.Area)
		}
		x, y, w, h := a.BBox[0], a.BBox[1], a.BBox[2], a.BBox[3]
		sum := x + y + w + h
		switch {
		case math.IsNaN(sum) || math.IsInf(sum, 0):
			add("annotation", a.ID, false, "bbox %v is not finite", a.BBox)
		case w < 0 || h < 0:
			add("annotation", a.ID, false, "bbox %v has a negative size, expected x, y, width, height", a.BBox)
		case !known || im.Width < 1 || im.Height < 1:
		default:
			if _, cut, ok := clip(a.BBox, im.Width, im.Height); !ok {
				add("annotation", a.ID, true, "bbox %v has no area inside the image of %d x %d pixels: left out", a.BBox, im.Width, im.Height)
			} else if cut {
				add("annotation", a.ID, true, "bbox %v reaches beyond the image of %d x %d pixels: clipped", a.BBox, im.Width, im.Height)
			}
		}
	}
	if noArea > 0 {
		found = append(found, Problem{File: path, Text: fmt.Sprintf("%d of %d annotations have no area, so AP by size cannot be told", noArea, len(d.Annotations)), Note: true})
	}
	return found
}

// checkImages decodes every image of a split and looks for stray files.
func checkImages(dir, split string, d *coco.Dataset) []Problem {
	each := make([]*Problem, len(d.Images))
	// The work itself never fails: what it finds is its result.
	_ = parallel(context.Background(), len(each), runtime.GOMAXPROCS(0), func(i int) error {
		im := d.Images[i]
		if im.FileName == "" || !filepath.IsLocal(filepath.FromSlash(im.FileName)) {
			return nil // named among the entries
		}
		path := filepath.Join(dir, split, filepath.FromSlash(im.FileName))
		if _, err := decodeFile(path, max(im.Width, 0), max(im.Height, 0)); err != nil {
			each[i] = &Problem{File: path, Subject: "image", ID: im.ID, Text: plainError(path, err)}
		}
		return nil
	})
	var found []Problem
	named := make(map[string]bool, len(each))
	for i, p := range each {
		named[filepath.FromSlash(d.Images[i].FileName)] = true
		if p != nil {
			found = append(found, *p)
		}
	}
	root := filepath.Join(dir, split)
	entries, err := os.ReadDir(root)
	if err != nil {
		return append(found, Problem{File: root, Text: plainError(root, err)})
	}
	stray, example := 0, ""
	for _, e := range entries {
		if !e.IsDir() && !named[e.Name()] {
			if stray == 0 {
				example = e.Name()
			}
			stray++
		}
	}
	if stray > 0 {
		found = append(found, Problem{File: root, Text: fmt.Sprintf("%d files that the annotations do not name, the first %q", stray, example), Note: true})
	}
	return found
}
