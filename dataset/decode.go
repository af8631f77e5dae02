package dataset

import (
	"crypto/sha256"
	"fmt"

	"focalgrid/dataset/picture"
)

// Decode reads image i. Its size must be what the annotations state and, where Sums are
// set, its bytes must have that sum. Grey and CMYK become RGB, transparency is ignored, and
// so is EXIF orientation: pixels are as stored, and so are boxes, as for COCO's own tools.
// The error names the file and the image's id.
func (s *Set) Decode(i int) (*picture.RGB, error) {
	data, err := s.read(i)
	if err != nil {
		return nil, err
	}
	return s.decode(i, data)
}

// read returns the file of image i.
func (s *Set) read(i int) ([]byte, error) {
	data, err := picture.ReadFile(s.Path(i))
	if err == nil && s.Sums != nil && sha256.Sum256(data) != s.Sums[i] {
		err = fmt.Errorf("%s: %w", s.Path(i), ErrChanged)
	}
	if err != nil {
		return nil, fmt.Errorf("image id %d: %w", s.Images[i].ID, err)
	}
	return data, nil
}

// decode decodes what read returned.
func (s *Set) decode(i int, data []byte) (*picture.RGB, error) {
	im := &s.Images[i]
	rgb, err := picture.Decode(data, im.Width, im.Height)
	if err != nil {
		return nil, fmt.Errorf("image id %d: %s: %w", im.ID, s.Path(i), err)
	}
	return rgb, nil
}
