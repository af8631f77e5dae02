package record

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"maps"
	"math"
	"slices"

	"focalgrid/results/files"
)

// The parts of a database that have a checksum each, as the table checksums names them.
const (
	PartTrial      = "trial"
	PartSteps      = "steps"
	PartClasses    = "classes"
	PartDetections = "detections"
	PartSweep      = "sweep"
	PartChoice     = "choice"
)

// digest hashes values one after the other, each with its kind and length, so that no
// two lists of values are one text.
type digest struct {
	hash.Hash
	buf []byte
}

func newDigest() *digest { return &digest{Hash: sha256.New()} }

func (d *digest) text(values ...string) {
	for _, v := range values {
		d.buf = binary.LittleEndian.AppendUint64(append(d.buf[:0], 't'), uint64(len(v)))
		d.Write(d.buf)
		d.buf = append(d.buf[:0], v...)
		d.Write(d.buf)
	}
}

func (d *digest) int(values ...int64) {
	d.buf = d.buf[:0]
	for _, v := range values {
		d.buf = binary.LittleEndian.AppendUint64(append(d.buf, 'i'), uint64(v))
	}
	d.Write(d.buf)
}

// float hashes numbers as SQLite returns them: those that are not finite are
// absent, and there is one zero.
func (d *digest) float(values ...float64) {
	d.buf = d.buf[:0]
	for _, v := range values {
		switch {
		case !finite(v):
			d.buf = append(d.buf, 'n')
		case v == 0:
			v = 0
			fallthrough
		default:
			d.buf = binary.LittleEndian.AppendUint64(append(d.buf, 'f'), math.Float64bits(v))
		}
	}
	d.Write(d.buf)
}

func (d *digest) hex() string { return hex.EncodeToString(d.Sum(nil)) }

// Sum returns the checksum of a trial without its log, classes and detections, which have their own. What a
// trial lacks adds nothing, so that recorded checksums stay right when later versions record more.
func (t *Trial) Sum() string {
	d := newDigest()
	d.text(t.Key, t.Kind, t.Config, t.Dataset, t.Init, t.Engine, t.Numerics, t.Status, t.Error, t.Started, t.Finished, t.Provenance, t.Weights)
	d.int(int64(t.Seed))
	if t.DivergedStep != nil {
		d.int(int64(*t.DivergedStep))
	}
	d.float(t.WallSeconds)
	for _, l := range t.Labels {
		d.int(l.ID)
		d.text(l.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Metrics)) {
		d.text(name)
		d.float(t.Metrics[name])
	}
	for _, a := range t.Attempts {
		d.int(int64(a.Number), int64(a.PID), int64(a.StartStep), int64(a.EndStep), int64(a.Beats), a.PeakBytes)
		d.text(a.Owner, a.Host, a.Started, a.Ended, a.Exit, a.Error, a.Environment)
		d.float(a.WallSeconds)
	}
	return d.hex()
}

// SumClasses returns the checksum of the metrics by category.
func SumClasses(classes []ClassMetric) string {
	d := newDigest()
	for _, c := range classes {
		d.int(c.Category)
		d.text(c.Name)
		d.float(c.AP, c.AP50, c.AP75)
	}
	return d.hex()
}

// SumBlob returns the checksum of the reference to a file.
func SumBlob(b files.Blob) string {
	d := newDigest()
	d.text(b.Hash)
	d.int(b.Size)
	return d.hex()
}

// Sum returns the checksum of the sweep and its plan.
func (s *SweepPlan) Sum() string {
	d := newDigest()
	d.text(s.Name, s.File, s.Hash, s.Created)
	for _, p := range s.Plan {
		d.text(p.Key)
		d.int(int64(p.Row))
	}
	return d.hex()
}

// ErrSum is returned where the content read is not the content written.
var ErrSum = errors.New("the content no longer has its checksum")

// Differs returns ErrSum if a checksum is not the recorded one.
func Differs(what, sum, recorded string) error {
	if sum == recorded {
		return nil
	}
	return fmt.Errorf("%s: %w", what, ErrSum)
}
