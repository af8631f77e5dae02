package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"focalgrid/dataset/picture"
)

// pictures is a folder of decoded and resized pictures, one file a picture and size, so
// that a second epoch or run decodes nothing. A picture goes by the SHA-256 of the file that
// it was decoded from and the ratio that it was resized by, so it can stand for no other.
//
// A file is a header (magic, width and height; little-endian 32-bit words), the RGB pixels,
// and the SHA-256 of its own name and all that. One that does not hold together, such as
// after a power cut, is as good as absent, and is written anew: so it is written in place.
type pictures string

const (
	pictureMagic  = 0x32504746 // "FGP2"
	pictureHeader = 12
)

func pictureName(source [sha256.Size]byte, r picture.Ratio) string {
	return fmt.Sprintf("%s-%d-%d.rgb", hex.EncodeToString(source[:]), r.Num, r.Den)
}

// path spreads the files over folders, as some systems are slow with many in one.
func (d pictures) path(name string) string { return filepath.Join(string(d), name[:2], name) }

// read returns a picture of w x h, or nil if it is not there whole; damaged reports that
// something else is.
func (d pictures) read(source [sha256.Size]byte, r picture.Ratio, w, h int) (p *picture.RGB, damaged bool) {
	name := pictureName(source, r)
	size := pictureHeader + 3*w*h
	info, err := os.Stat(d.path(name))
	if err != nil {
		return nil, false
	}
	if !info.Mode().IsRegular() || info.Size() != int64(size+sha256.Size) {
		return nil, true
	}
	b, err := os.ReadFile(d.path(name))
	if err != nil || len(b) != size+sha256.Size {
		return nil, true
	}
	p = &picture.RGB{Width: w, Height: h, Pix: b[pictureHeader:size]}
	if !bytes.Equal(b[:pictureHeader], head(p)) || pictureSum(name, p) != [sha256.Size]byte(b[size:]) {
		return nil, true
	}
	return p, false
}

// write keeps a picture.
func (d pictures) write(source [sha256.Size]byte, r picture.Ratio, p *picture.RGB) error {
	name := pictureName(source, r)
	if err := os.MkdirAll(filepath.Dir(d.path(name)), 0o777); err != nil {
		return err
	}
	sum := pictureSum(name, p)
	err := os.WriteFile(d.path(name), append(append(head(p), p.Pix...), sum[:]...), 0o666)
	if err != nil {
		os.Remove(d.path(name))
	}
	return err
}

func head(p *picture.RGB) []byte {
	b := binary.LittleEndian.AppendUint32(nil, pictureMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(p.Width))
	return binary.LittleEndian.AppendUint32(b, uint32(p.Height))
}

func pictureSum(name string, p *picture.RGB) [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(name))
	h.Write(head(p))
	h.Write(p.Pix)
	return [sha256.Size]byte(h.Sum(nil))
}
