// Package weights stores tensors in files of the safetensors format: 8 bytes with the
// length of a JSON header (little-endian), the header, and the numbers one after the other,
// row-major and little-endian. Such a file holds only data: reading it runs no code, and
// every size is checked before memory is allocated.
//
// In memory all numbers are float32. Files hold F32 or, at half the size, F16. BF16 and F64
// are read as well, and Open also reads the tensors in files of PyTorch's torch.save. What
// the name of a tensor means is the business of package model.
package weights

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"focalgrid/atomicfile"
)

// Tensor is a named array. Data is row-major and as long as the product of
// Shape; an empty Shape is a single number.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// Skipped describes a tensor in a file whose numbers have a type that float32 cannot
// represent, such as the I64 counters of PyTorch's batch norms.
type Skipped struct {
	Name  string
	DType string // as the file says
	Shape []int
}

// File is what a file holds.
type File struct {
	Tensors  []Tensor // by ascending name
	Metadata map[string]string
	Skipped  []Skipped // by ascending name; checked like the others, but not read
}

// DType is the type of the numbers in a written file.
type DType int

const (
	// F32 keeps every bit.
	F32 DType = iota
	// F16 rounds to the nearest half-precision number, ties to even, and refuses numbers
	// beyond its range of ±65504.
	F16
)

// Limits on the file.
const (
	maxHeader = 100_000_000 // bytes, as in the format's own library
	maxFile   = 16 << 30    // bytes
	maxDims   = 32
)

// sizes maps every type of the format to the bytes of one number.
var sizes = map[string]int64{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1,
	"I16": 2, "U16": 2, "F16": 2, "BF16": 2,
	"I32": 4, "U32": 4, "F32": 4,
	"I64": 8, "U64": 8, "F64": 8, "C64": 8,
}

// Encode writes ts in a canonical form: tensors sorted by name, metadata by key, the header
// padded with spaces to a multiple of 8 bytes. Names must differ and must not be empty.
func Encode(w io.Writer, ts []Tensor, metadata map[string]string, as DType) error {
	ts = slices.Clone(ts)
	slices.SortStableFunc(ts, func(a, b Tensor) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	header, err := encodeHeader(ts, metadata, as)
	if err != nil {
		return err
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))); err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	chunk := make([]byte, 0, chunkBytes)
	for _, t := range ts {
		for i, f := range t.Data {
			if as == F32 {
				chunk = binary.LittleEndian.AppendUint32(chunk, math.Float32bits(f))
			} else {
				h, ok := toHalf(f)
				if !ok {
					return fmt.Errorf("tensor %q: value %d is %g, beyond the ±65504 of F16; write F32", t.Name, i, f)
				}
				chunk = binary.LittleEndian.AppendUint16(chunk, h)
			}
			if len(chunk)+4 > chunkBytes {
				if _, err := w.Write(chunk); err != nil {
					return err
				}
				chunk = chunk[:0]
			}
		}
	}
	_, err = w.Write(chunk)
	return err
}

const chunkBytes = 64 << 10

// encodeHeader checks ts, sorted by name, and makes the header.
func encodeHeader(ts []Tensor, metadata map[string]string, as DType) ([]byte, error) {
	name, size := "F32", 4
	switch as {
	case F32:
	case F16:
		name, size = "F16", 2
	default:
		return nil, fmt.Errorf("unknown type of numbers %d; known: F32, F16", as)
	}
	var h bytes.Buffer
	h.WriteByte('{')
	if len(metadata) > 0 {
		h.WriteString(`"` + metadataKey + `":{`)
		for i, k := range slices.Sorted(maps.Keys(metadata)) {
			if i > 0 {
				h.WriteByte(',')
			}
			writeString(&h, k)
			h.WriteByte(':')
			writeString(&h, metadata[k])
		}
		h.WriteByte('}')
	}
	at := 0
	for i, t := range ts {
		if t.Name == "" || t.Name == metadataKey {
			return nil, fmt.Errorf("tensor %q: not a name for a tensor", t.Name)
		}
		if i > 0 && ts[i-1].Name == t.Name {
			return nil, fmt.Errorf("tensor %q: two tensors of this name", t.Name)
		}
		n, err := elements(t.Shape)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if n != int64(len(t.Data)) {
			return nil, fmt.Errorf("tensor %q: shape %v has %d values, data has %d", t.Name, t.Shape, n, len(t.Data))
		}
		if h.Len() > 1 {
			h.WriteByte(',')
		}
		writeString(&h, t.Name)
		fmt.Fprintf(&h, `:{"dtype":%q,"shape":[`, name)
		for j, d := range t.Shape {
			if j > 0 {
				h.WriteByte(',')
			}
			fmt.Fprint(&h, d)
		}
		end := at + size*len(t.Data)
		fmt.Fprintf(&h, `],"data_offsets":[%d,%d]}`, at, end)
		at = end
	}
	h.WriteByte('}')
	for h.Len()%8 != 0 {
		h.WriteByte(' ')
	}
	if h.Len() > maxHeader {
		return nil, fmt.Errorf("names and metadata take %d bytes, more than the %d of the format", h.Len(), maxHeader)
	}
	return h.Bytes(), nil
}

// writeString writes s as JSON; bytes that are not UTF-8 become U+FFFD.
func writeString(h *bytes.Buffer, s string) {
	e := json.NewEncoder(h)
	e.SetEscapeHTML(false)
	// Encoding a string into memory cannot fail.
	_ = e.Encode(s)
	h.Truncate(h.Len() - 1) // Encode ends the line
}

// elements returns the product of shape.
func elements(shape []int) (int64, error) {
	if len(shape) > maxDims {
		return 0, fmt.Errorf("shape has %d dimensions, at most %d are allowed", len(shape), maxDims)
	}
	n, zero := int64(1), false
	for _, d := range shape {
		switch {
		case d < 0:
			return 0, fmt.Errorf("shape %v: expected dimensions of 0 or more", shape)
		case d == 0:
			zero = true
		case n > maxFile/int64(d):
			return 0, fmt.Errorf("shape %v: more values than any file may have", shape)
		default:
			n *= int64(d)
		}
	}
	if zero {
		n = 0
	}
	return n, nil
}

// Write writes ts to a file; see Encode, with F32. The file appears whole or not at all: it
// is written beside path, synced and renamed.
func Write(path string, ts []Tensor, metadata map[string]string) error {
	return WriteAs(path, ts, metadata, F32)
}

// WriteAs is Write with a choice of the type of numbers.
func WriteAs(path string, ts []Tensor, metadata map[string]string, as DType) error {
	return atomicfile.Write(path, func(w io.Writer) error { return Encode(w, ts, metadata, as) })
}

// Hash identifies tensors: it returns the SHA-256, in hexadecimal, of Encode's output for
// them as F32 without metadata. The order of ts does not matter; names, shapes and every bit
// of the numbers do.
func Hash(ts []Tensor) (string, error) {
	h := sha256.New()
	if err := Encode(h, ts, nil, F32); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
