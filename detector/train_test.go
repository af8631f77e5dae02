package detector

import (
	"fmt"
	"path/filepath"
	"testing"

	"focalgrid/dataset"
	"focalgrid/sampler"
)

// TestNamed: an error about an object of a batch names file, image and annotation, whatever
// crowds lie before it.
func TestNamed(t *testing.T) {
	set := &dataset.Set{Dir: "d", Split: "train", Images: []dataset.Image{{}, {
		ID: 7, File: "a.jpg", Objects: []dataset.Object{{AnnotationID: 1, Crowd: true}, {AnnotationID: 2}, {AnnotationID: 3, Crowd: true}, {AnnotationID: 4}},
	}}}
	batch := &dataset.Batch{Items: []dataset.Item{{Index: 0}, {Index: 1}}}
	err := named(fmt.Errorf("assign: %w", &sampler.ObjectError{Image: 1, Object: 1, Reason: "box [1 2 1 3]"}), set, batch)
	if want := filepath.Join("d", "train", "a.jpg") + ": image id 7, annotation id 4: box [1 2 1 3]"; err.Error() != want {
		t.Errorf("it says %q, want %q", err, want)
	}
}
