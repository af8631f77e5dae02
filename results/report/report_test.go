package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"

	"focalgrid/results/record"
)

var update = flag.Bool("update", false, "rewrite the golden files; read the difference before committing")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, got, 0o666))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got\n%s\nwant\n%s", name, got, want)
	}
}

// keyOf is a trial key for tests.
func keyOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

func trialNamed(name string) record.Trial {
	return record.Trial{
		Key: keyOf(name), Kind: record.KindTrain, Config: `{"loss":{"gamma":2,"type":"focal"},"profile":"mini"}`, Seed: 3,
		Dataset: "synth-1", Init: "r18", Engine: "gorgonia", Numerics: "1",
		Started: "2030-05-01T10:00:00Z", Provenance: `{"go":"go1.26.8","threads":2}`,
	}
}

func outcomeDone() record.Outcome {
	return record.Outcome{
		Status: record.StatusDone, Finished: "2030-05-01T10:01:00Z", WallSeconds: 60, Weights: keyOf("weights"),
		Metrics: map[string]float64{"AP": .284, "AP50": .5, "APs": math.NaN(), "AP.001": .29},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
