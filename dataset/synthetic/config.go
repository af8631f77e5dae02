package synthetic

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Version numbers the drawing code. It is part of a set's identity and must grow whenever a
// pixel, a box or an encoded byte changes, which the golden hashes of the tests notice.
const Version = 1

// Quality is the quality of the JPEG files: their loss is below the noise drawn.
const Quality = 95

// Splits are the parts of a synthetic set, drawn from streams of their own.
// Whatever is chosen is chosen on tune; tables report val.
var Splits = []string{"train", "tune", "val"}

// Config lists what a synthetic set contains, as Params describes it. Fractions and means
// count to three decimals, so that the integers drawn from are exactly what is written.
type Config struct {
	Pixels           int
	Classes          int
	Train, Tune, Val int // images a split
	Objects          float64
	Empty            float64
	Distractors      float64
	MinSize, MaxSize float64
	Noise            float64
	Clutter          float64
	Seed             uint64
}

// milli is v in thousandths: the only step from floats to integers.
func milli(v float64) int64 { return int64(math.Round(v * 1000)) }

// Identity is a hash of the version and of every setting: equal identities mean
// equal files, without looking at them.
func Identity(c Config) string {
	return fingerprint("focalgrid synthetic set",
		"version", strconv.Itoa(Version), "quality", strconv.Itoa(Quality),
		"pixels", strconv.Itoa(c.Pixels), "classes", strconv.Itoa(c.Classes),
		"train", strconv.Itoa(c.Train), "tune", strconv.Itoa(c.Tune), "val", strconv.Itoa(c.Val),
		"objects", number(c.Objects), "empty", number(c.Empty), "distractors", number(c.Distractors),
		"min_size", number(c.MinSize), "max_size", number(c.MaxSize), "noise", number(c.Noise),
		"clutter", number(c.Clutter), "seed", strconv.FormatUint(c.Seed, 10))
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// fingerprint is the SHA-256 of a title and pairs of key and value, in hex.
func fingerprint(title string, pairs ...string) string {
	var b strings.Builder
	fmt.Fprintln(&b, title)
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "%s=%s\n", pairs[i], pairs[i+1])
	}
	h := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(h[:])
}
