package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

const metadataKey = "__metadata__"

// Read reads a safetensors file; see Decode.
func Read(path string) (*File, error) { return readFile(path, decode) }

// readFile reads a regular file with decode.
func readFile(path string, decode func(r io.ReaderAt, size int64, name string) (*File, error)) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, fmt.Errorf("%s: expected a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	return decode(f, info.Size(), path)
}

// Decode reads the bytes of a file; name stands for the file in errors, which also name the
// tensor. F32, F16 and BF16 numbers are read exactly, F64 numbers are rounded. Tensors of
// other types are listed in Skipped.
//
// The header must describe the rest of the file without gap or overlap, each name once,
// with shapes that fit the given bytes. Numbers may be infinite or NaN; the caller decides
// whether that is an error.
func Decode(b []byte, name string) (*File, error) {
	return decode(bytes.NewReader(b), int64(len(b)), name)
}

// entry is a tensor as the header describes it. Its bytes are begin to end of the bytes
// after the header.
type entry struct {
	name       string
	dtype      string
	shape      []int
	begin, end int64
}

func decode(r io.ReaderAt, size int64, name string) (*File, error) {
	fail := func(format string, args ...any) (*File, error) {
		return nil, fmt.Errorf("%s: "+format, append([]any{name}, args...)...)
	}
	if size > maxFile {
		return fail("%d bytes, more than the %d that are read", size, int64(maxFile))
	}
	if size < 8 {
		return fail("expected 8 bytes with the header's length, found %d; is it a safetensors file?", size)
	}
	var prefix [8]byte
	if _, err := r.ReadAt(prefix[:], 0); err != nil {
		return fail("%w", err)
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	if length > maxHeader {
		return fail("header of %d bytes, at most %d are allowed; is it a safetensors file?", length, maxHeader)
	}
	if length < 2 {
		return fail("header: expected a JSON object; is it a safetensors file?")
	}
	if int64(length) > size-8 {
		return fail("header of %d bytes in a file of %d; is it complete?", length, size)
	}
	header := make([]byte, length)
	if _, err := r.ReadAt(header, 8); err != nil {
		return fail("%w", err)
	}
	entries, metadata, err := parseHeader(header)
	if err != nil {
		return fail("%w", err)
	}
	start := 8 + int64(length)
	if err := checkLayout(entries, size-start); err != nil {
		return fail("%w", err)
	}
	f := &File{Metadata: metadata}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	chunk := make([]byte, chunkBytes)
	for _, e := range entries {
		switch e.dtype {
		case "F32", "F64", "F16", "BF16":
		default:
			f.Skipped = append(f.Skipped, Skipped{e.name, e.dtype, e.shape})
			continue
		}
		data, err := readNumbers(r, start+e.begin, e, chunk)
		if err != nil {
			return fail("tensor %q: %w", e.name, err)
		}
		f.Tensors = append(f.Tensors, Tensor{e.name, e.shape, data})
	}
	return f, nil
}

// readNumbers reads the numbers of e, which begin at the given offset of r.
func readNumbers(r io.ReaderAt, offset int64, e entry, chunk []byte) ([]float32, error) {
	width := sizes[e.dtype]
	data := make([]float32, 0, (e.end-e.begin)/width)
	for left := e.end - e.begin; left > 0; {
		b := chunk[:min(left, int64(len(chunk)))]
		if n, err := r.ReadAt(b, offset); n < len(b) {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // the file has shrunk since its size was read
			}
			return nil, err
		}
		offset += int64(len(b))
		left -= int64(len(b))
		for i := int64(0); i < int64(len(b)); i += width {
			data = append(data, float(e.dtype, b[i:]))
		}
	}
	return data, nil
}

// checkLayout checks that the entries cover size bytes without gap or overlap, and that
// each entry has the bytes of its shape.
func checkLayout(entries []entry, size int64) error {
	for _, e := range entries {
		width, ok := sizes[e.dtype]
		if !ok {
			return fmt.Errorf("tensor %q: unknown type %q", e.name, e.dtype)
		}
		n, err := elements(e.shape)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", e.name, err)
		}
		if e.begin < 0 || e.end < e.begin || e.end > size {
			return fmt.Errorf("tensor %q: bytes %d to %d do not lie in the %d bytes of data", e.name, e.begin, e.end, size)
		}
		if n*width != e.end-e.begin {
			return fmt.Errorf("tensor %q: %s of shape %v takes %d bytes, found %d", e.name, e.dtype, e.shape, n*width, e.end-e.begin)
		}
	}
	byPlace := slices.Clone(entries)
	slices.SortFunc(byPlace, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	at := int64(0)
	for _, e := range byPlace {
		if e.begin != at {
			return fmt.Errorf("tensor %q: its bytes begin at %d, expected %d: tensors overlap or leave a gap", e.name, e.begin, at)
		}
		at = e.end
	}
	if at != size {
		return fmt.Errorf("%d bytes of data, the header describes %d", size, at)
	}
	return nil
}

// parseHeader reads the JSON of the header. It refuses unknown and repeated keys; of repeated
// keys, encoding/json would silently use the last.
func parseHeader(b []byte) ([]entry, map[string]string, error) {
	if b[0] != '{' {
		return nil, nil, errors.New("header: expected a JSON object; is it a safetensors file?")
	}
	if !utf8.Valid(b) {
		return nil, nil, errors.New("header: expected UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var entries []entry
	var metadata map[string]string
	seen := map[string]bool{}
	err := object(d, func(key string) error {
		if seen[key] {
			return fmt.Errorf("tensor %q: two tensors of this name", key)
		}
		seen[key] = true
		if key == metadataKey {
			metadata = map[string]string{}
			return object(d, func(k string) error {
				if _, ok := metadata[k]; ok {
					return fmt.Errorf("metadata: %q is given twice", k)
				}
				v, err := text(d)
				metadata[k] = v
				return err
			})
		}
		e, err := parseEntry(d, key)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", key, err)
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if _, err := d.Token(); err != io.EOF { // the spaces that pad the header are not a token
		return nil, nil, errors.New("header: text after its end")
	}
	return entries, metadata, nil
}

func parseEntry(d *json.Decoder, name string) (entry, error) {
	e := entry{name: name}
	seen := map[string]bool{}
	err := object(d, func(key string) error {
		if seen[key] {
			return fmt.Errorf("%s is given twice", key)
		}
		seen[key] = true
		var err error
		switch key {
		case "dtype":
			e.dtype, err = text(d)
		case "shape":
			var dims []int64
			dims, err = integers(d, maxDims)
			e.shape = make([]int, len(dims))
			for i, n := range dims {
				e.shape[i] = int(n)
			}
		case "data_offsets":
			var at []int64
			at, err = integers(d, 2)
			if err == nil && len(at) != 2 {
				return fmt.Errorf("data_offsets: expected 2 numbers, found %d", len(at))
			}
			if err == nil {
				e.begin, e.end = at[0], at[1]
			}
		default:
			return fmt.Errorf("unknown field %q; known: dtype, shape, data_offsets", key)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	for _, field := range []string{"dtype", "shape", "data_offsets"} {
		if err == nil && !seen[field] {
			err = fmt.Errorf("%s is missing", field)
		}
	}
	return e, err
}

// object reads a JSON object; value must read the value of each key.
func object(d *json.Decoder, value func(key string) error) error {
	if err := delim(d, '{'); err != nil {
		return err
	}
	for d.More() {
		key, err := text(d)
		if err != nil {
			return err
		}
		if err := value(key); err != nil {
			return err
		}
	}
	return delim(d, '}')
}

// integers reads an array of at most limit whole numbers of 0 or more.
func integers(d *json.Decoder, limit int) ([]int64, error) {
	if err := delim(d, '['); err != nil {
		return nil, err
	}
	var list []int64
	for d.More() {
		t, err := token(d)
		if err != nil {
			return nil, err
		}
		number, ok := t.(json.Number)
		if !ok {
			return nil, errors.New("expected whole numbers")
		}
		n, err := number.Int64()
		if err != nil || n < 0 || n > maxFile {
			return nil, fmt.Errorf("expected whole numbers from 0 to %d, found %.40s", int64(maxFile), number.String())
		}
		if len(list) == limit {
			return nil, fmt.Errorf("more than %d numbers", limit)
		}
		list = append(list, n)
	}
	return list, delim(d, ']')
}

func text(d *json.Decoder) (string, error) {
	t, err := token(d)
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", errors.New("expected a string")
	}
	return s, nil
}

func delim(d *json.Decoder, want json.Delim) error {
	t, err := token(d)
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("expected %q", want.String())
	}
	return nil
}

func token(d *json.Decoder) (json.Token, error) {
	t, err := d.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("byte %d: %w", d.InputOffset(), err)
	}
	return t, nil
}
