package dataset

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
)

// pictures is a folder of decoded and resized pictures, one file an image, so
// that a second epoch or run decodes nothing. Whoever names the folder sees to it
// that it serves one data set at one size.
//
// A file is a header (magic, width, height, CRC-32 of the pixels; little-endian
// 32-bit words) and the RGB pixels. One that does not hold together, such as after a
// power cut, is as good as absent.
type pictures string

const (
	pictureMagic  = 0x31504746 // "FGP1"
	pictureHeader = 16
)

func (d pictures) path(id int64) string {
	return filepath.Join(string(d), strconv.FormatInt(id, 10)+".rgb")
}

// read returns the picture of an image, or nil if it is not there whole.
func (d pictures) read(id int64) *RGB {
	b, err := os.ReadFile(d.path(id))
	if err != nil || len(b) < pictureHeader || binary.LittleEndian.Uint32(b) != pictureMagic {
		return nil
	}
	p := &RGB{Width: int(binary.LittleEndian.Uint32(b[4:])), Height: int(binary.LittleEndian.Uint32(b[8:])), Pix: b[pictureHeader:]}
	if p.Width > maxSide || p.Height > maxSide || len(p.Pix) != 3*p.Width*p.Height || crc32.ChecksumIEEE(p.Pix) != binary.LittleEndian.Uint32(b[12:]) {
		return nil
	}
	return p
}

// write keeps a picture: under a temporary name first, so that a reader never
// meets half of it.
func (d pictures) write(id int64, p *RGB) error {
	if err := os.MkdirAll(string(d), 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(string(d), ".tmp-*")
	if err != nil {
		return err
	}
	var head [pictureHeader]byte
	binary.LittleEndian.PutUint32(head[:], pictureMagic)
	binary.LittleEndian.PutUint32(head[4:], uint32(p.Width))
	binary.LittleEndian.PutUint32(head[8:], uint32(p.Height))
	binary.LittleEndian.PutUint32(head[12:], crc32.ChecksumIEEE(p.Pix))
	_, err = f.Write(head[:])
	if err == nil {
		_, err = f.Write(p.Pix)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), d.path(id))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
