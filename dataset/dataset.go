package dataset

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"

	"focalgrid/coco"
	"focalgrid/dataset/picture"
)

// Set is one split of a folder, as a detector may learn from it.
type Set struct {
	Dir     string
	Split   string
	Classes []Class  // by ascending id; an object's label is an index into it
	Images  []Image  // in the order of the file, those without objects included
	Clipped int      // boxes that reached beyond their image and were cut
	Dropped int      // boxes without area, or with none inside their image or in network pixels: left out
	Notes   []string // what was filled in or left out, a line each

	// Sums is the SHA-256 of each image's file: nil until Identify has read them, or until
	// they are taken over from another Set of the same split. From then on a picture whose
	// bytes have another sum is refused.
	Sums [][sha256.Size]byte

	truth *coco.Dataset
	ids   []int64 // by label, the id in the split's own file; nil: the id in Classes
}

// Class is a category of the file.
type Class struct {
	ID   int64 // of the file; ids may have gaps
	Name string
}

// Image is a picture and the objects in it.
type Image struct {
	ID            int64
	File          string // path below the split's folder
	Width, Height int    // pixels, as the file of annotations states them
	Objects       []Object
}

// Object is an annotated box.
type Object struct {
	AnnotationID int64
	Box          [4]float32 // x1, y1, x2, y2 in original pixels, inside the image
	Label        int32      // index into Set.Classes
	Area         float64    // square pixels as annotated (for COCO the mask's)
	Crowd        bool       // a region of many objects: neither to be learned nor to be counted
}

// Open reads the annotations of a split; images are read when they are needed. An
// annotation without iscrowd is not a crowd, and one without area gets its box's area: Notes
// counts them.
//
// The error names the file and the entry: besides unreadable JSON these are ids
// that occur twice, annotations of an unknown image or category, images without
// a size, and file names that leave the folder. Check finds all of them at once.
func Open(dir, split string) (*Set, error) {
	file := annotationsPath(dir, split)
	truth, sums, err := readTruth(dir, split)
	if err != nil {
		return nil, err
	}
	if len(truth.Unread) > 0 {
		return nil, truth.Unread[0] // scoring could do without, pictures and classes can't
	}
	gaps := fillGaps(truth)
	set, err := newSet(dir, split, truth)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if sums != nil {
		set.Sums = make([][sha256.Size]byte, len(set.Images))
		for i, im := range set.Images {
			sum, ok := sums[split+"/"+im.File]
			if !ok {
				return nil, notAsDrawn(dir, sumsName)
			}
			set.Sums[i] = sum
		}
	}
	for _, note := range append(gaps, set.boxNotes()...) {
		set.Notes = append(set.Notes, file+": "+note)
	}
	return set, nil
}

// boxNotes counts the boxes that did not lie in their image, and notes a file without any object to
// learn or to find.
func (s *Set) boxNotes() []string {
	var notes []string
	if s.Dropped > 0 {
		notes = append(notes, plural(s.Dropped, "box")+" without area inside the image: left out")
	}
	if s.Clipped > 0 {
		notes = append(notes, plural(s.Clipped, "box")+" reaching beyond the image: clipped")
	}
	if text := noObjects(s.truth); text != "" {
		notes = append(notes, text)
	}
	return notes
}

// noObjects returns a note if a file annotates nothing but crowds, or nothing at all; else it is empty.
func noObjects(d *coco.Dataset) string {
	if slices.ContainsFunc(d.Annotations, func(a coco.Annotation) bool { return !a.IsCrowd }) {
		return ""
	}
	return "no objects: there is nothing to learn from it, and no score is defined on it"
}

// fillGaps gives annotations what their file leaves out: iscrowd becomes 0, area becomes
// the box's. It returns a line for each field, with counts.
func fillGaps(d *coco.Dataset) []string {
	var crowds, areas int
	for i := range d.Annotations {
		a := &d.Annotations[i]
		if a.Absent.Has(coco.FieldIsCrowd) {
			crowds++
		}
		if a.Absent.Has(coco.FieldArea) {
			a.Area = max(a.BBox[2], 0) * max(a.BBox[3], 0)
			areas++
		}
		a.Absent = 0
	}
	var notes []string
	if crowds > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d annotations have no iscrowd: taken as 0", crowds, len(d.Annotations)))
	}
	if areas > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d annotations have no area: taken as width x height of the box", areas, len(d.Annotations)))
	}
	return notes
}

const annotationsFolder = "annotations"

// annotationsName is the file of a split's annotations below the folder, with slashes.
func annotationsName(split string) string { return annotationsFolder + "/instances_" + split + ".json" }

func annotationsPath(dir, split string) string {
	return filepath.Join(dir, filepath.FromSlash(annotationsName(split)))
}

// readTruth reads the annotations of a split. In a folder that Generate drew it compares them with
// their checksum, and returns the checksums of the split's pictures by name below dir.
func readTruth(dir, split string) (*coco.Dataset, map[string][sha256.Size]byte, error) {
	file := annotationsPath(dir, split)
	if _, err := picture.StatRegular(file); err != nil {
		return nil, nil, err
	}
	sums, err := readSums(dir, split)
	if err != nil {
		return nil, nil, err
	}
	if sums == nil {
		truth, err := coco.ReadDataset(file)
		return truth, nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	if sha256.Sum256(data) != sums[annotationsName(split)] {
		return nil, nil, notAsDrawn(dir, annotationsName(split))
	}
	truth, err := coco.DecodeDataset(bytes.NewReader(data), file)
	return truth, sums, err
}

// newSet joins annotations to their images.
func newSet(dir, split string, truth *coco.Dataset) (*Set, error) {
	s := &Set{Dir: dir, Split: split, Classes: classesOf(truth), truth: truth}
	labels := make(map[int64]int32, len(s.Classes))
	for i, c := range s.Classes {
		if _, twice := labels[c.ID]; twice {
			return nil, fmt.Errorf("category id %d occurs twice, expected unique ids", c.ID)
		}
		labels[c.ID] = int32(i)
	}
	at := make(map[int64]int, len(truth.Images))
	s.Images = make([]Image, len(truth.Images))
	for i, im := range truth.Images {
		if _, twice := at[im.ID]; twice {
			return nil, fmt.Errorf("image id %d occurs twice, expected unique ids", im.ID)
		}
		at[im.ID] = i
		if problem := badImage(im); problem != "" {
			return nil, fmt.Errorf("image id %d: %s", im.ID, problem)
		}
		s.Images[i] = Image{ID: im.ID, File: path.Clean(im.FileName), Width: im.Width, Height: im.Height}
	}
	seen := make(map[int64]bool, len(truth.Annotations))
	for _, a := range truth.Annotations {
		if seen[a.ID] {
			return nil, fmt.Errorf("annotation id %d occurs twice, expected unique ids", a.ID)
		}
		seen[a.ID] = true
		i, ok := at[a.ImageID]
		if !ok {
			return nil, fmt.Errorf("annotation id %d: unknown image id %d", a.ID, a.ImageID)
		}
		label, ok := labels[a.CategoryID]
		if !ok {
			return nil, fmt.Errorf("annotation id %d: unknown category id %d", a.ID, a.CategoryID)
		}
		im := &s.Images[i]
		box, cut, ok := clip(a.BBox, im.Width, im.Height)
		if !ok {
			s.Dropped++
			continue
		}
		if cut {
			s.Clipped++
		}
		im.Objects = append(im.Objects, Object{a.ID, box, label, a.Area, a.IsCrowd})
	}
	return s, nil
}

// badImage returns the reason why an entry cannot be read, or "".
func badImage(im coco.Image) string {
	switch {
	case im.FileName == "":
		return "has no file_name"
	case !filepath.IsLocal(filepath.FromSlash(im.FileName)):
		return fmt.Sprintf("file_name %q leaves the folder of the split", im.FileName)
	case im.Width < 1 || im.Height < 1:
		return fmt.Sprintf("size is %d x %d pixels, expected at least 1 x 1", im.Width, im.Height)
	}
	if err := picture.CheckSize(im.Width, im.Height); err != nil {
		return err.Error()
	}
	return ""
}

// clip turns x, y, width, height into corners inside a w x h image. cut reports
// that more than a thousandth of a pixel (the rounding of published files) lay
// outside; ok is false where no area is left.
func clip(b [4]float64, w, h int) (box [4]float32, cut, ok bool) {
	corners := [4]float64{b[0], b[1], b[0] + b[2], b[1] + b[3]}
	limit := [4]float64{float64(w), float64(h), float64(w), float64(h)}
	for i, v := range corners {
		if math.IsNaN(v) {
			return box, false, false
		}
		inside := min(max(v, 0), limit[i])
		cut = cut || math.Abs(v-inside) > 1e-3
		box[i] = float32(inside)
	}
	return box, cut, b[2] > 0 && b[3] > 0 && box[2] > box[0] && box[3] > box[1]
}

// GroundTruth returns the annotations as read, gaps filled but nothing clipped or
// dropped, for evaluation. Their categories have the ids of the split's own file. The
// caller must not change them.
func (s *Set) GroundTruth() *coco.Dataset { return s.truth }

// Path is the file of image i.
func (s *Set) Path(i int) string {
	return filepath.Join(s.Dir, s.Split, filepath.FromSlash(s.Images[i].File))
}

// Fit returns the set as a network with this input sees it: without the objects that have
// no area left in its pixels, mirrored or not. Dropped and Notes count them. Where there are
// none it is the set itself.
func (s *Set) Fit(t Transform) *Set {
	fit, dropped := *s, 0
	for i := range s.Images {
		im := &s.Images[i]
		hidden := func(o Object) bool { return !t.shows(o.Box, im.Width, im.Height) }
		if !slices.ContainsFunc(im.Objects, hidden) {
			continue
		}
		if dropped == 0 {
			fit.Images = slices.Clone(s.Images)
		}
		fit.Images[i].Objects = slices.DeleteFunc(slices.Clone(im.Objects), hidden)
		dropped += len(im.Objects) - len(fit.Images[i].Objects)
	}
	if dropped == 0 {
		return s
	}
	fit.Dropped += dropped
	fit.Notes = append(slices.Clone(s.Notes), fmt.Sprintf("%s: %s without area in the network's pixels, mirrored or not: left out", annotationsPath(s.Dir, s.Split), plural(dropped, "box")))
	return &fit
}
