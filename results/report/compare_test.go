package report

import (
	"bytes"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"focalgrid/results/record"
	"focalgrid/stats"
)

// sideOf is a side of trials with those seeds, each AP that many hundredths above .28.
func sideOf(name, config string, above map[uint64]float64) Side {
	s := Side{Name: name}
	for _, seed := range []uint64{0, 1, 2, 3} {
		more, ok := above[seed]
		if !ok {
			continue
		}
		t := trialNamed(name + string(rune('0'+seed)))
		t.Config, t.Seed = config, seed
		t.Outcome = outcomeDone()
		t.Metrics["AP"] = .28 + more/100
		t.Attempts = []record.Attempt{{Number: 1, Environment: t.Provenance}}
		s.Trials = append(s.Trials, t)
		var log []record.Step
		for i := range 100 {
			log = append(log, record.Step{Step: i, Loss: 2 / float64(i+1), Losses: record.FirstLosses(1/float64(i+1), 1/float64(i+1)), LR: .01, GradNorm: 1 + more, Positives: 9})
		}
		s.Logs = append(s.Logs, log)
	}
	return s
}

func TestCompare(t *testing.T) {
	a := sideOf("gamma=0", `{"loss":{"gamma":0,"type":"focal"},"profile":"mini"}`, map[uint64]float64{0: 0, 1: 2, 2: 1})
	b := sideOf("gamma=2", `{"loss":{"gamma":2,"type":"focal"},"optim":{"lr":0.01},"profile":"mini"}`, map[uint64]float64{0: 3, 1: 4, 3: 9})
	b.Trials[0].Attempts[0].Environment = `{"go":"go1.26.8","threads":8}`
	b.Logs[0][99].Loss, b.Logs[1][99].Loss, b.Logs[2][99].Loss = math.NaN(), math.NaN(), math.NaN()
	c := Comparison{A: a, B: b, TwoLevel: &stats.TwoLevel{Mean: .025, Low: -.01, High: .06, StdErr: .02, N: 2, Images: 300, Resamples: 1000}}
	for _, format := range CompareFormats() {
		var buf bytes.Buffer
		must(t, WriteComparison(&buf, c, format))
		golden(t, "compare."+format, buf.Bytes())
	}
	if err := WriteComparison(io.Discard, c, "html"); err == nil || !strings.Contains(err.Error(), "csv, json, text") {
		t.Errorf("unknown format: %v", err)
	}
	if err := WriteComparison(io.Discard, Comparison{A: a, B: Side{Name: "empty.db"}}, "text"); err == nil || !strings.Contains(err.Error(), "empty.db: no trials to compare") {
		t.Errorf("an empty side: %v", err)
	}
}

// A trial on both sides is compared to the bit.
func TestCompareSameTrials(t *testing.T) {
	all := map[uint64]float64{0: 0, 1: 1}
	a, b := sideOf("x", `{}`, all), sideOf("x", `{}`, all)
	b.Trials[1].Metrics["AP"] = math.Nextafter(b.Trials[1].Metrics["AP"], 1)
	b.Trials[1].Weights = keyOf("other")
	a.Name, b.Name = "here.db", "there.db"
	var buf bytes.Buffer
	must(t, WriteComparison(&buf, Comparison{A: a, B: b}, "text"))
	for _, want := range []string{
		"2 of these trials are on both sides: 1 equal to the bit, 1 not\n",
		"  " + record.Short(a.Trials[1].Key) + " differs in weights, AP\n",
		"\nsettings: no difference\n",
		"\nenvironment: no difference\n",
	} {
		if !strings.Contains(buf.String(), want) {
			t.Errorf("lacks %q:\n%s", want, buf.String())
		}
	}
}

func asRecorded(settings string) string { return settings }

func TestMatching(t *testing.T) {
	all := append(sideOf("a", `{"loss.gamma":0.5,"loss.type":"focal"}`, map[uint64]float64{0: 0}).Trials,
		sideOf("b", `{"anchors.ratios":[0.5,1,2],"loss.gamma":2,"loss.type":"focal"}`, map[uint64]float64{0: 0, 1: 0}).Trials...)
	pretraining := trialNamed("p")
	pretraining.Kind, pretraining.Config = record.KindPretrain, `{"loss.gamma":2}`
	all = append(all, pretraining)
	for _, tt := range []struct {
		settings map[string]string
		want     int
	}{
		{map[string]string{"loss.gamma": "0.50"}, 1},
		{map[string]string{"loss.gamma": "2", "loss.type": "focal"}, 2},
		{map[string]string{"loss.gamma": "2", "loss.type": "ce"}, 0},
		{map[string]string{"anchors.ratios": "[0.5,1,2]"}, 2},
		{map[string]string{"anchors.ratios": "[.5, 1, 2.0]"}, 2},
		{map[string]string{"anchors.ratios": "[0.5 1 2]"}, 2},
		{map[string]string{"anchors.ratios": "[1,2]"}, 0},
		{map[string]string{}, 3},
	} {
		if got, err := matching(all, tt.settings, asRecorded); err != nil || len(got) != tt.want {
			t.Errorf("%v: %d trials, %v; want %d", tt.settings, len(got), err, tt.want)
		}
	}
	onlyType := func(string) string { return `{"loss.type":"ce"}` }
	if got, err := matching(all, map[string]string{"loss.type": "ce"}, onlyType); err != nil || len(got) != 3 {
		t.Errorf("the settings that matter: %d trials, %v; want 3", len(got), err)
	}
	if _, err := matching(all, map[string]string{"loss.gamma": "2"}, onlyType); err == nil {
		t.Error("a setting that does not matter selects trials")
	}
	if _, err := matching(all, map[string]string{"loss.gama": "2"}, asRecorded); err == nil || !strings.Contains(err.Error(), "loss.gama: no recorded trial has it") {
		t.Errorf("an unknown setting: %v", err)
	}
}

// Every loss that a side's logs have is compared, after the sum.
func TestQuantities(t *testing.T) {
	two := record.Step{Losses: record.FirstLosses(1, 2)}
	three := record.Step{Losses: []record.Loss{{Name: "class", Value: 1}, {Name: "centerness", Value: 3}, {Name: "box", Value: 2}}}
	var names []string
	for _, q := range quantities(Side{Logs: [][]record.Step{{}, {two}}}, Side{Logs: [][]record.Step{{three}}}) {
		names = append(names, q.name)
		if got := q.of(two); q.name == "centerness_loss" && !math.IsNaN(got) || q.name == "box_loss" && got != 2 {
			t.Errorf("%s of two losses is %g", q.name, got)
		}
	}
	if want := []string{"loss", "cls_loss", "box_loss", "centerness_loss", "lr", "grad_norm", "positives"}; !slices.Equal(names, want) {
		t.Errorf("compared are %v, want %v", names, want)
	}
}

// A loss with a long name stands as far from its curves as the others do.
func TestCurvesOfLongNames(t *testing.T) {
	side := Side{Logs: [][]record.Step{{{Losses: []record.Loss{{Name: "class", Value: 1}, {Name: "centerness", Value: 3}}}}}}
	var b bytes.Buffer
	writeCurves(&b, newCurves(side, side))
	for _, want := range []string{"\n  cls_loss        A ", "\n  centerness_loss A "} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
