package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Open reads a file of weights in any known format. The content decides, not the name:
// safetensors (see Decode), or a state_dict written by PyTorch's torch.save, such as
// torchvision's .pth files.
//
// In a .pth file, tensors of float32, float64, float16 and bfloat16 are read, with any
// strides; tensors of other types are listed in Skipped. The names of nested dictionaries
// are joined by a dot. Nothing in the file is run: anything but tensors, dictionaries, lists
// and plain values is refused by its name.
func Open(path string) (*File, error) { return readFile(path, openAny) }

func openAny(r io.ReaderAt, size int64, name string) (*File, error) {
	var magic [4]byte
	if n, err := r.ReadAt(magic[:], 0); n < len(magic) && err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	switch {
	case string(magic[:]) == "PK\x03\x04":
		f, err := decodePTH(r, size)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return f, nil
	case magic[0] == 0x80 && magic[1] >= 2 && magic[1] <= 5:
		return nil, fmt.Errorf("%s: a pickle without an archive around it, as PyTorch wrote before version 1.6: load and save it anew, "+
			"python3 -c \"import torch; torch.save(torch.load('OLD.pth', map_location='cpu'), 'NEW.pth')\"", name)
	}
	return decode(r, size, name)
}

// Limits on a .pth file. The file of a ResNet-152 has 932 tensors, which its pickle describes
// in 140 kB.
const (
	maxPickle  = 4 << 20
	maxTensors = 50_000
	maxGrowth  = 8 // times the file's size: float16 takes 2, tensors may share memory
)

// decodePTH reads the archive that torch.save writes: a pickle, NAME/data.pkl, that describes
// the object, and a file NAME/data/KEY with the numbers of each storage.
func decodePTH(r io.ReaderAt, size int64) (*File, error) {
	if size > maxFile {
		return nil, fmt.Errorf("%d bytes, more than the %d that are read", size, int64(maxFile))
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: is the file complete?", err)
	}
	files := map[string]*zip.File{}
	root, found := "", false
	for _, f := range z.File {
		if files[f.Name] != nil {
			return nil, fmt.Errorf("the archive has two files %q", f.Name)
		}
		files[f.Name] = f
		if base, ok := strings.CutSuffix(f.Name, "data.pkl"); ok && strings.Count(base, "/") == 1 && strings.HasSuffix(base, "/") {
			root, found = base, true
		}
	}
	if !found {
		return nil, errors.New("an archive without data.pkl; is it a file of torch.save?")
	}
	if f := files[root+"byteorder"]; f != nil {
		b, err := stored(f, 16)
		if err != nil {
			return nil, err
		}
		if string(b) != "little" {
			return nil, fmt.Errorf("byte order %q; only little is read", b)
		}
	}
	text, err := stored(files[root+"data.pkl"], maxPickle)
	if err != nil {
		return nil, err
	}
	object, err := unpickle(text)
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	if _, ok := object.(*dict); !ok {
		return nil, fmt.Errorf("data.pkl: expected a dictionary of tensors, found %s; save model.state_dict()", kindOf(object))
	}
	p := &archive{files: files, root: root, left: maxGrowth * size, file: &File{}, seen: map[string]bool{}}
	if err := p.add("", object, 0); err != nil {
		return nil, err
	}
	slices.SortFunc(p.file.Tensors, func(a, b Tensor) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(p.file.Skipped, func(a, b Skipped) int { return strings.Compare(a.Name, b.Name) })
	return p.file, nil
}

// stored returns the content of a file of the archive, of at most limit bytes. torch.save
// does not compress, so the content is no longer than the bytes in the archive.
func stored(f *zip.File, limit int64) ([]byte, error) {
	switch {
	case f.Method != zip.Store || f.UncompressedSize64 != f.CompressedSize64:
		return nil, fmt.Errorf("%s is compressed, which torch.save does not do", f.Name)
	case f.UncompressedSize64 > uint64(limit):
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", f.Name, f.UncompressedSize64, limit)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	defer r.Close()
	// The buffer grows with the bytes that are there, whatever the archive's directory says.
	var b bytes.Buffer
	if _, err := io.Copy(&b, io.LimitReader(r, limit+1)); err != nil {
		return nil, fmt.Errorf("%s: %w: is the file complete?", f.Name, err)
	}
	return b.Bytes(), nil
}

// An archive is a file of torch.save while its tensors are read.
type archive struct {
	files map[string]*zip.File
	root  string
	left  int64 // bytes that tensors may still take
	names int
	file  *File
	seen  map[string]bool
	// The storage read last: most tensors have one of their own.
	key  string
	data []byte
}

// add adds the tensors of an object under a name.
func (p *archive) add(name string, object any, depth int) error {
	if p.names++; p.names > maxTensors {
		return fmt.Errorf("more than %d tensors and values", maxTensors)
	}
	switch v := object.(type) {
	case *dict:
		if depth == 8 {
			return fmt.Errorf("%s: dictionaries nested more than 8 deep", name)
		}
		for i, key := range v.keys {
			k, ok := key.(string)
			if !ok {
				continue // for example the state of an optimiser
			}
			if name != "" {
				k = name + "." + k
			}
			if err := p.add(k, v.values[i], depth+1); err != nil {
				return err
			}
		}
	case *tensor:
		if p.seen[name] {
			return fmt.Errorf("tensor %q: two tensors of this name", name)
		}
		p.seen[name] = true
		if err := p.tensor(name, v); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
	}
	return nil
}

// tensor reads one tensor's numbers.
func (p *archive) tensor(name string, t *tensor) error {
	n, err := elements(t.shape)
	if err != nil {
		return err
	}
	width := int64(storages[t.storage.class].width)
	last := t.offset // the farthest element
	for i, d := range t.shape {
		if n > 0 && d > 1 {
			if t.stride[i] > maxFile/int64(d) {
				return fmt.Errorf("stride %d is more than any file has", t.stride[i])
			}
			last += int64(d-1) * t.stride[i]
		}
	}
	if n > 0 && last >= t.storage.size {
		return fmt.Errorf("element %d of a storage of %d", last, t.storage.size)
	}
	dtype := storages[t.storage.class].dtype
	switch dtype {
	case "F32", "F64", "F16", "BF16":
	default:
		p.file.Skipped = append(p.file.Skipped, Skipped{name, dtype, t.shape})
		return nil
	}
	if p.left -= 4 * n; p.left < 0 {
		return fmt.Errorf("the tensors take more than %d times the bytes of the file", maxGrowth)
	}
	if p.key != t.storage.key || p.data == nil {
		f := p.files[p.root+"data/"+t.storage.key]
		if f == nil {
			return fmt.Errorf("the archive lacks its numbers, data/%s", t.storage.key)
		}
		if p.data, err = stored(f, maxFile); err != nil {
			return err
		}
		p.key = t.storage.key
	}
	if t.storage.size > int64(len(p.data))/width {
		return fmt.Errorf("data/%s has %d bytes, %d numbers take %d", t.storage.key, len(p.data), t.storage.size, t.storage.size*width)
	}
	out := Tensor{Name: name, Shape: t.shape, Data: make([]float32, 0, n)}
	index := make([]int, len(t.shape))
	for at := t.offset; int64(len(out.Data)) < n; {
		out.Data = append(out.Data, float(dtype, p.data[at*width:]))
		for d := len(index) - 1; d >= 0; d-- {
			at += t.stride[d]
			if index[d]++; index[d] < t.shape[d] {
				break
			}
			at -= int64(index[d]) * t.stride[d]
			index[d] = 0
		}
	}
	p.file.Tensors = append(p.file.Tensors, out)
	return nil
}

// float returns the first number of b, rounded to float32 if it is a float64.
func float(dtype string, b []byte) float32 {
	switch dtype {
	case "F64":
		return float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
	case "F16":
		return fromHalf(binary.LittleEndian.Uint16(b))
	case "BF16":
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(b))
}
