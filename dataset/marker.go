package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"focalgrid/dataset/picture"
	"focalgrid/dataset/synthetic"
)

// markerName is the file that names the set in a synthetic folder; sumsName is the file
// with the SHA-256 of each of its files, the marker among them, as `sha256sum -c` reads it.
const (
	markerName = "synthetic.json"
	sumsName   = "synthetic.sha256"
)

type marker struct {
	Identity string
	Version  int
	Config   synthetic.Config
}

func formatMarker(c synthetic.Config) ([]byte, error) {
	data, err := json.MarshalIndent(marker{synthetic.Identity(c), synthetic.Version, c}, "", "  ")
	return append(data, '\n'), err
}

// parseMarker returns the identity of the set that a marker is of.
func parseMarker(data []byte) (string, error) {
	var m marker
	if err := json.Unmarshal(data, &m); err != nil {
		return "", err
	}
	if b, err := hex.DecodeString(m.Identity); err != nil || len(b) != sha256.Size {
		return "", fmt.Errorf("identity is %q, expected 64 hexadecimal digits", m.Identity)
	}
	return m.Identity, nil
}

// sum is a line of sumsName.
type sum struct {
	name string
	sum  [sha256.Size]byte
}

func formatSums(files []file) []byte {
	var b bytes.Buffer
	for _, f := range files {
		fmt.Fprintf(&b, "%x  %s\n", f.sum, f.name)
	}
	return b.Bytes()
}

// parseSums reads what formatSums writes.
func parseSums(data []byte) ([]sum, error) {
	var sums []sum
	for line := range bytes.Lines(data) {
		const digits = 2 * sha256.Size
		line, whole := bytes.CutSuffix(line, []byte("\n"))
		if !whole || len(line) < digits+3 || string(line[digits:digits+2]) != "  " {
			return nil, fmt.Errorf("line %d: expected a SHA-256, two spaces and a name", len(sums)+1)
		}
		s := sum{name: string(line[digits+2:])}
		if _, err := hex.Decode(s.sum[:], line[:digits]); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(sums)+1, err)
		}
		sums = append(sums, s)
	}
	return sums, nil
}

// loadSums reads the checksums of a folder.
func loadSums(dir string) ([]sum, error) {
	path := filepath.Join(dir, sumsName)
	if _, err := picture.StatRegular(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 1<<29)) // more than the largest set's
	if err != nil {
		return nil, err
	}
	sums, err := parseSums(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return sums, nil
}

// listedSums returns the checksums of the files, or nil where the folder has no list of them;
// there reports whether it has another or a damaged list. Where one line is damaged, the file that
// it names seems damaged.
func listedSums(dir string, files []file) (listed [][sha256.Size]byte, there bool) {
	sums, err := loadSums(dir)
	if err != nil || !slices.EqualFunc(sums, files, func(s sum, f file) bool { return s.name == f.name }) {
		return nil, !errors.Is(err, fs.ErrNotExist)
	}
	for _, s := range sums {
		listed = append(listed, s.sum)
	}
	return listed, true
}

// readSums returns the checksums of a folder that Generate drew, by name, or nil where
// it has none (it was not drawn, or by an older version) or did not get this split from Generate.
func readSums(dir, split string) (map[string][sha256.Size]byte, error) {
	if !slices.Contains(synthetic.Splits, split) {
		return nil, nil
	}
	mark, err := picture.ReadFile(filepath.Join(dir, markerName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := loadSums(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, notAsDrawn(dir, err.Error())
	}
	sums := make(map[string][sha256.Size]byte, len(list))
	for _, s := range list {
		sums[s.name] = s.sum
	}
	if sha256.Sum256(mark) != sums[markerName] {
		return nil, notAsDrawn(dir, markerName)
	}
	return sums, nil
}
