// Package coco holds the two JSON files of COCO detection as plain values: the
// ground truth (instances_*.json) and the results of a detector (an array of
// boxes with scores). It reads them as a stream, writes them, and computes
// nothing.
//
// A box is x, y, width, height in pixels of the original image, x and y of its
// upper left corner, exactly as the file states it. An area is in square
// pixels and is the annotation's own figure (for COCO that of the segmentation
// mask), not the box's. Numbers are read to the nearest float64 and written
// with the fewest digits that read back to the same bits.
//
// Which boxes a detector may learn from, and what a file's gaps mean for it, is
// the business of package dataset; average precision is that of metrics.
package coco

// Dataset is a ground-truth file: what its images show.
type Dataset struct {
	Images      []Image
	Annotations []Annotation
	Categories  []Category

	// Unread counts the file names, widths and heights of images and the names of
	// categories that have the wrong type. They are read as absent: scoring needs none of
	// them, but a caller that does must check Unread.
	Unread []*Error
}

// Image is one picture. FileName is empty and Width and Height are 0 (pixels)
// where the file does not say.
type Image struct {
	ID       int64
	FileName string
	Width    int
	Height   int
}

// Annotation is one object in one image.
type Annotation struct {
	ID         int64
	ImageID    int64
	CategoryID int64
	BBox       [4]float64 // x, y, width, height in pixels
	Area       float64    // square pixels
	IsCrowd    bool       // a region of many objects, not to be counted
	Absent     Fields     // what the file leaves out; zero when it is complete
}

// Category is a class of objects. Ids need not be contiguous: COCO's 80 go up
// to 90. Name and Supercategory are empty where the file does not say.
type Category struct {
	ID            int64
	Name          string
	Supercategory string
}

// Detection is one scored box of a results file.
type Detection struct {
	ImageID    int64
	CategoryID int64
	BBox       [4]float64 // x, y, width, height in pixels
	Score      float64    // higher is surer; any finite value
}

// Fields is a set of annotation fields that a file may leave out and an
// evaluation may need. The zero value is the empty set.
type Fields uint8

// The fields whose absence is told apart from zero.
const (
	FieldArea Fields = 1 << iota
	FieldIsCrowd
)

// Has reports whether every field of g is in f.
func (f Fields) Has(g Fields) bool { return f&g == g }

// Bounds on what is read. They lie far above every published file and keep a
// hostile one from being mistaken for data.
const (
	maxEntries = 1<<31 - 1 // images, annotations, categories or detections
	maxDepth   = 512       // nesting of a value that is skipped
	maxString  = 1 << 20   // bytes of a name or of an object's key
	maxNumber  = 4096      // bytes of one number
)
