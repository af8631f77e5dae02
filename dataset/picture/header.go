package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
)

// Limits on what is decoded, far above any published set: they keep a damaged
// or hostile file from asking for all memory.
const (
	maxSide   = 1 << 15
	maxPixels = 1 << 26
	maxBytes  = 1 << 28

	// Decoding may take freeMemory bytes whatever the file's size, and beyond that
	// maxGrowth bytes for each of the file. A photograph of 64 megapixels grows at most
	// some hundred times; a file made to be small grows thousands of times.
	freeMemory = 1 << 28
	maxGrowth  = 256
)

// The most pixels that a byte of a file can stand for: deflate makes at most 1032
// bytes of one, each of 8 pixels of one bit; a JPEG spends a bit or more on each
// block of 8 x 8. A header that promises more is refused before memory is taken.
const (
	pngPixels  = 8 * 1032
	jpegPixels = 8 * 64
)

// ErrNotImage is returned where a file is neither JPEG nor PNG.
var ErrNotImage = errors.New("neither a JPEG nor a PNG file")

var (
	jpegStart = []byte("\xff\xd8")
	jpegEnd   = []byte("\xff\xd9")
	pngStart  = []byte("\x89PNG\r\n\x1a\n")
	pngEnd    = []byte("\x00\x00\x00\x00IEND\xae\x42\x60\x82")
)

// CheckSize returns an error for pictures that are too large to be decoded.
func CheckSize(w, h int) error {
	if w > maxSide || h > maxSide || w*h > maxPixels {
		return fmt.Errorf("size is %d x %d pixels, expected at most %d a side and %d in all", w, h, maxSide, maxPixels)
	}
	return nil
}

// header is read from the beginning of a picture's file.
type header struct {
	width, height int
	orientation   int    // EXIF's, 1 to 8: how a viewer turns the picture; 1 where the file does not say
	memory        int64  // bytes that decoding to RGB takes, in full
	packed        int    // pixels that a byte of the file can stand for
	end           []byte // that a file of this kind closes with, but for bytes that no decoder reads
	decode        func(io.Reader) (image.Image, error)
}

// readHeader reads it from the beginning of a file.
func readHeader(data []byte) (header, error) {
	var (
		hd     header
		config func(io.Reader) (image.Config, error)
	)
	switch {
	case bytes.HasPrefix(data, jpegStart):
		config, hd.decode, hd.packed, hd.end = jpeg.DecodeConfig, jpeg.Decode, jpegPixels, jpegEnd
	case bytes.HasPrefix(data, pngStart):
		config, hd.decode, hd.packed, hd.end = png.DecodeConfig, png.Decode, pngPixels, pngEnd
	case len(data) == 0:
		return hd, errors.New("the file is empty")
	default:
		return hd, ErrNotImage
	}
	c, err := config(bytes.NewReader(data))
	if err != nil {
		return hd, fmt.Errorf("damaged or truncated: %w", err)
	}
	hd.width, hd.height = c.Width, c.Height
	perPixel := 0.
	if bytes.HasPrefix(data, jpegStart) {
		hd.orientation, perPixel = jpegSegments(data)
	} else {
		hd.orientation, perPixel = 1, pngMemory(data)
	}
	hd.memory = int64((perPixel + 3) * float64(c.Width) * float64(c.Height))
	return hd, nil
}

// check returns why a file of so many bytes cannot be decoded as a picture of w x h
// pixels, or, where w is 0, of any size.
func (hd *header) check(size int64, w, h int) error {
	switch {
	case hd.width < 1 || hd.height < 1:
		return fmt.Errorf("size is %d x %d pixels, expected at least 1 x 1", hd.width, hd.height)
	case CheckSize(hd.width, hd.height) != nil:
		return CheckSize(hd.width, hd.height)
	case w != 0 && hd.width == h && hd.height == w && hd.orientation >= 5:
		return fmt.Errorf("size is %d x %d pixels as stored, the annotations say %d x %d, which is its size as displayed: EXIF orientation %d turns it by a quarter. "+
			"Boxes are in pixels as stored: annotate these, or store the picture turned, without that tag", hd.width, hd.height, w, h, hd.orientation)
	case w != 0 && (hd.width != w || hd.height != h):
		return fmt.Errorf("size is %d x %d pixels, the annotations say %d x %d", hd.width, hd.height, w, h)
	case int64(hd.width)*int64(hd.height) > int64(hd.packed)*size:
		return fmt.Errorf("damaged or truncated: size is %d x %d pixels, more than %d bytes can hold", hd.width, hd.height, size)
	case hd.memory > max(freeMemory, maxGrowth*size):
		return fmt.Errorf("size is %d x %d pixels, which take %d bytes of memory to decode: more than the %d that a file of %d bytes may take",
			hd.width, hd.height, hd.memory, max(freeMemory, maxGrowth*size), size)
	}
	return nil
}

// pngMemory is the bytes a pixel that Go's decoder takes.
func pngMemory(data []byte) float64 {
	if len(data) < 29 {
		return 0
	}
	depth, colour, interlaced := data[24], data[25], data[28] != 0
	before, _, _ := bytes.Cut(data, []byte("IDAT"))
	const grey, palette = 0, 3
	perPixel := 4.
	if colour == palette || colour == grey && !bytes.Contains(before, []byte("tRNS")) {
		perPixel = 1
	}
	if depth == 16 {
		perPixel *= 2
	}
	if interlaced { // the passes are decoded by themselves first
		perPixel *= 2
	}
	return perPixel
}

// jpegSegments walks the segments before the first scan. perPixel is the bytes a pixel that
// Go's decoder takes: of each component the samples and, in a progressive picture, four bytes a
// coefficient; of CMYK a copy more.
func jpegSegments(data []byte) (orientation int, perPixel float64) {
	orientation = 1
	for data = data[2:]; len(data) >= 4; {
		marker := data[1]
		if data[0] != 0xff || marker == 0 || marker == 0xff { // fill bytes, and garbage that decoders pass over
			data = data[1:]
			continue
		}
		if marker >= 0xd0 && marker <= 0xd8 { // without a length
			data = data[2:]
			continue
		}
		n := int(binary.BigEndian.Uint16(data[2:])) + 2
		if marker == 0xd9 || marker == 0xda || n < 4 || n > len(data) {
			break
		}
		segment := data[4:n]
		data = data[n:]
		switch marker {
		case 0xe1:
			if o := exifOrientation(segment); o != 0 {
				orientation = o
			}
		case 0xc0, 0xc1, 0xc2:
			perPixel = frameMemory(segment, marker == 0xc2)
		}
	}
	return orientation, perPixel
}

// frameMemory reads a start of frame: bits, height, width, number of components, and of each
// its id, sampling factors and table.
func frameMemory(frame []byte, progressive bool) float64 {
	if len(frame) < 6 || len(frame) < 6+3*int(frame[5]) {
		return 0
	}
	n, across, down, sum := int(frame[5]), 1, 1, 0
	for i := range n {
		h, v := int(frame[7+3*i]>>4), int(frame[7+3*i]&15)
		across, down, sum = max(across, h), max(down, v), sum+h*v
	}
	perPixel := float64(sum) / float64(across*down)
	if progressive {
		perPixel *= 5
	}
	if n == 4 {
		perPixel += 4
	}
	return perPixel
}

// exifOrientation reads tag 0x0112 of the first directory of an APP1 segment, or 0: it is
// a short, 1 to 8.
func exifOrientation(segment []byte) int {
	tiff, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00"))
	if !ok || len(tiff) < 8 {
		return 0
	}
	var order binary.ByteOrder
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 0
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 0
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		if len(entries) < 12 {
			return 0
		}
		const orientation, short = 0x0112, 3
		if order.Uint16(entries) == orientation && order.Uint16(entries[2:]) == short && order.Uint32(entries[4:]) == 1 {
			if v := int(order.Uint16(entries[8:])); v >= 1 && v <= 8 {
				return v
			}
			return 0
		}
		entries = entries[12:]
	}
	return 0
}
