package coco

import (
	"fmt"
	"io"
	"os"
)

// longEntry is more bytes than most entries have. If the buffer holds fewer, it is
// refilled before the next entry.
const longEntry = 4 << 10

// firstEntries is the number of entries after which the length of the rest is estimated
// and, with several processors, reading continues in parallel.
const firstEntries = 1024

// ReadDataset reads a ground-truth file, or standard input where path is "-"; see
// DecodeDataset.
func ReadDataset(path string) (*Dataset, error) {
	return read(path, "ground truth", decodeDataset)
}

// ReadDetections reads a results file, or standard input where path is "-"; see
// DecodeDetections.
func ReadDetections(path string) ([]Detection, error) {
	return read(path, "detections", decodeDetections)
}

func read[T any](path, what string, decode func(*scanner) (T, error)) (v T, err error) {
	if path == "-" {
		return decode(newScanner(os.Stdin, "standard input"))
	}
	f, err := os.Open(path)
	if err != nil {
		return v, fmt.Errorf("%s: %w", what, err)
	}
	defer f.Close()
	s := newScanner(f, path)
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		s.size = info.Size()
	}
	return decode(s)
}

// DecodeDataset reads ground truth in the format of COCO's instances_*.json: an object
// with the arrays images, annotations and categories. A gzip stream is recognised by its
// first bytes and decompressed. name stands for the stream in errors. Up to GOMAXPROCS
// goroutines read long arrays; their number changes only the time.
//
// images and categories are required; annotations may be missing, as in the files of
// COCO's test sets. An image and a category need their id. An annotation needs id,
// image_id, category_id and bbox; its Absent records whether area and iscrowd are missing.
// Fields that scoring does not need (file_name, width, height, name) may be of any type;
// Unread counts those of a wrong type. Other fields (segmentation, licenses, ...) are
// skipped. If a field is given twice, the last one counts. References between entries are
// not checked.
//
// An error in the content is an *Error; an error of r is wrapped.
func DecodeDataset(r io.Reader, name string) (*Dataset, error) {
	return decodeDataset(newScanner(r, name))
}

func decodeDataset(s *scanner) (*Dataset, error) {
	if err := s.unzip(); err != nil {
		return nil, err
	}
	if err := s.open('{', "an object with images, annotations and categories"); err != nil {
		return nil, err
	}
	d := &Dataset{}
	var haveImages, haveCategories bool
	for first := true; ; first = false {
		ok, err := s.more('}', first)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		key, err := s.key()
		if err != nil {
			return nil, err
		}
		switch string(key) {
		case "images":
			haveImages = true
			d.Images, err = entries(s, "images", nil, d.image)
		case "annotations":
			d.Annotations, err = entries(s, "annotations", quickAnnotation, (*scanner).annotation)
		case "categories":
			haveCategories = true
			d.Categories, err = entries(s, "categories", nil, d.category)
		default:
			err = s.skip(1)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := s.finish(); err != nil {
		return nil, err
	}
	if !haveImages {
		return nil, s.errAt(s.offset(), "no array \"images\"; is this a ground-truth file?")
	}
	if !haveCategories {
		return nil, s.errAt(s.offset(), "no array \"categories\"; is this a ground-truth file of object detection?")
	}
	return d, nil
}

// DecodeDetections reads a results file of box detection: an array of objects with
// image_id, category_id, bbox and score. All four are required; other fields are skipped.
// An empty array is valid. Compression, name and errors are as in DecodeDataset.
func DecodeDetections(r io.Reader, name string) ([]Detection, error) {
	return decodeDetections(newScanner(r, name))
}

func decodeDetections(s *scanner) ([]Detection, error) {
	if err := s.unzip(); err != nil {
		return nil, err
	}
	dets, err := entries(s, "detections", quickDetection, (*scanner).detection)
	if err != nil {
		return nil, err
	}
	if err := s.finish(); err != nil {
		return nil, err
	}
	return dets, nil
}

// entries reads an array of objects. It reads each object by quick, or by read where quick
// fails; quick may be nil, for arrays that need no speed. The result is not nil.
func entries[T any](s *scanner, section string, quick func(b []byte, i int, e *T) int, read func(*scanner, *T) error) ([]T, error) {
	s.section = section
	if err := s.open('[', "an array of objects"); err != nil {
		return nil, err
	}
	list := []T{}
	start := s.offset()
	for first := true; ; first = false {
		ok, err := s.more(']', first)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if len(list) == maxEntries {
			return nil, s.errAt(s.offset(), "more than %d entries", maxEntries)
		}
		if len(list) == cap(list) && quick != nil {
			list = grow(list, s.expect(len(list), start))
		}
		var zero T
		list = append(list, zero)
		e := &list[len(list)-1]
		next := -1
		if quick != nil {
			if s.end-s.pos < longEntry {
				s.refill()
			}
			b := s.buf[:s.end+pad]
			next = quick(b, quickSpace(b, s.pos), e)
		}
		if next >= 0 {
			s.pos = next
		} else {
			*e = zero
			s.index = len(list) - 1
			if err := read(s, e); err != nil {
				return nil, err
			}
			s.index = -1
		}
		if len(list) == firstEntries && quick != nil && s.workers > 1 {
			list = parallel(s, list, start, quick)
		}
	}
	s.section = ""
	return list, nil
}

// grow returns list with room for n more entries. Unlike slices.Grow it does not write to
// the room: the system provides memory only when it is touched.
func grow[T any](list []T, n int) []T {
	bigger := make([]T, len(list), len(list)+n)
	copy(bigger, list)
	return bigger
}

// expect returns how many more entries there may be after n entries of an array that
// began at offset start. If the size of the stream is known, expect estimates a little too
// high, so that the list need not be copied to grow; unused room costs addresses, not
// memory.
func (s *scanner) expect(n int, start int64) int {
	rest := s.size - s.offset()
	if n < firstEntries {
		return firstEntries
	}
	if rest <= 0 {
		return n
	}
	return int(float64(rest)/float64(s.offset()-start)*float64(n)*1.05) + firstEntries
}
