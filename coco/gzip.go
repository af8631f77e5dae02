package coco

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
)

// unzip looks at the first bytes of the stream and, if they are gzip's, reads on
// through its decompressor; offsets then count what it puts out.
func (s *scanner) unzip() error {
	for s.end < 2 && s.read() == nil {
	}
	if !bytes.HasPrefix(s.buf[:s.end], []byte{0x1f, 0x8b}) {
		return nil
	}
	u := &unzipped{in: io.MultiReader(bytes.NewReader(bytes.Clone(s.buf[:s.end])), s.r)}
	z, err := gzip.NewReader(readFunc(u.packed))
	if err != nil {
		return s.broken(err)
	}
	u.z = z
	s.r, s.end, s.size = u, 0, 0
	return nil
}

// Gzip compresses these files to a tenth to a thirtieth of their size. A file that unpacks
// to far more was made to fill the memory.
const (
	unzipFree  = 64 << 20 // bytes to which any file may unpack
	unzipRatio = 200      // times the size of the file, above unzipFree
)

// unzipped is a gzip stream while it is read.
type unzipped struct {
	in         io.Reader
	z          *gzip.Reader
	taken, out int64 // bytes of either side
}

type readFunc func(b []byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

func (u *unzipped) packed(b []byte) (int, error) {
	n, err := u.in.Read(b)
	u.taken += int64(n)
	return n, err
}

func (u *unzipped) Read(b []byte) (int, error) {
	n, err := u.z.Read(b)
	if u.out += int64(n); u.out > unzipFree && u.out > unzipRatio*u.taken {
		return n, fmt.Errorf("unfolds to more than %d times its size: if that is meant, decompress the file first", unzipRatio)
	}
	return n, err
}
