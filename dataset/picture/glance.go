package picture

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// Glance reads only the header and the end of a file. It reports whether the file ends as a
// whole one does, and what then keeps it from being decoded as a picture of w x h pixels. A file
// that is not whole, by what Glance has read, may be one all the same: Decode answers that.
// The orientation is EXIF's, 0 where it is not known.
func Glance(file string, w, h int) (orientation int, whole bool, err error) {
	info, err := StatRegular(file)
	if err == nil {
		err = checkBytes(info)
	}
	if err != nil {
		return 0, false, err
	}
	f, err := os.Open(file)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	size := info.Size()
	for _, n := range []int64{1 << 14, 1 << 18} {
		start := make([]byte, min(n, size))
		if _, err := f.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
			return 0, false, err
		}
		if hd, err := readHeader(start); err == nil {
			end := make([]byte, min(int64(len(hd.end)), size))
			if _, err := f.ReadAt(end, size-int64(len(end))); err != nil || !bytes.Equal(end, hd.end) {
				break
			}
			return hd.orientation, true, hd.check(size, w, h)
		}
		if n >= size {
			break
		}
	}
	return 0, false, nil
}

// Orientation returns the EXIF orientation of a picture, 1 to 8, or 0 if the bytes are not the
// beginning of a picture.
func Orientation(data []byte) int {
	hd, err := readHeader(data)
	if err != nil {
		return 0
	}
	return hd.orientation
}
