package report

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"focalgrid/results/record"
)

// idle says that nobody works on a trial that is recorded as running.
func idle(*record.Trial) bool { return false }

func TestList(t *testing.T) {
	step := 40
	trials := []record.Trial{trialNamed("a"), trialNamed("b"), trialNamed("c"), trialNamed("d"), trialNamed("p")}
	trials[0].Outcome = outcomeDone()
	trials[1].Config = `{"loss":{"gamma":0.5,"type":"focal"},"profile":"mini"}`
	trials[1].Outcome = record.Outcome{Status: record.StatusDiverged, DivergedStep: &step, Error: "loss is +Inf", Finished: "2030-05-01T10:02:03Z", WallSeconds: 123.4}
	trials[2].Config = `{"loss":{"type":"ce"},"profile":"mini"}`
	trials[2].Outcome = record.Outcome{Status: record.StatusFailed, Error: "image 7: file is cut off\nmore", Finished: "2030-05-01T10:02:03Z"}
	trials[3].Outcome = record.Outcome{Status: record.StatusRunning}
	trials[3].Attempts = []record.Attempt{{Number: 1, EndStep: 200, Exit: record.ExitKilled}, {Number: 2, StartStep: 200, EndStep: 230}}
	trials[4].Kind, trials[4].Config, trials[4].Outcome = record.KindPretrain, `{"steps":300}`, record.Outcome{Status: record.StatusDone}
	for _, format := range []string{"text", "json"} {
		var buf bytes.Buffer
		must(t, WriteList(&buf, trials, format, idle))
		golden(t, "list."+format, buf.Bytes())
	}
	var none bytes.Buffer
	must(t, WriteList(&none, nil, "json", idle))
	must(t, WriteList(&none, nil, "text", idle))
	if got := none.String(); got != "[]\nno trials\n" {
		t.Errorf("no trials: %q", got)
	}
	trials[0].Config = "{"
	if err := WriteList(&none, trials, "text", idle); err == nil || !strings.Contains(err.Error(), "configuration") {
		t.Errorf("a broken configuration: %v", err)
	}
}

// TestListOrder: settings that tell more trials apart come first; the engine stands before them where there are
// several, and what else an identity has where trials look alike without it.
func TestListOrder(t *testing.T) {
	var trials []record.Trial
	for i := range 4 {
		trial := trialNamed(fmt.Sprint(i))
		trial.Status = record.StatusDone
		trial.Config = fmt.Sprintf(`{"a.two":%d,"b.one":%t,"c.four":%d,"d.none":1}`, i/2, i == 0, i)
		trials = append(trials, trial)
	}
	again := trials[3]
	again.Key, again.Numerics, again.Engine = keyOf("again"), "2", "other"
	trials = append(trials, again)
	var out strings.Builder
	must(t, WriteList(&out, trials, "text", idle))
	for _, want := range []string{
		" engine=gorgonia c.four=0 a.two=0 b.one=true  ",
		" engine=gorgonia c.four=2 a.two=1 b.one=false  ",
		" engine=gorgonia numerics=1 c.four=3 a.two=1 b.one=false  ",
		" engine=other numerics=2 c.four=3 a.two=1 b.one=false  ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}

func TestShow(t *testing.T) {
	trial := trialNamed("a")
	trial.Outcome = outcomeDone()
	trial.Attempts = []record.Attempt{
		{Number: 1, Host: "one", PID: 41, EndStep: 207, Started: "2030-05-01T09:00:00Z", Ended: "2030-05-01T09:30:00Z", WallSeconds: 61.24,
			Exit: record.StatusFailed, Error: "its process died: signal: killed\nlog", Environment: `{"go":"go1.26.7","threads":2,"gpu":"none"}`},
		{Number: 2, Host: "two", PID: 1234, StartStep: 200, EndStep: 230, Started: "2030-05-01T10:00:00Z", PeakBytes: 123e6, Environment: trial.Provenance},
	}
	nan := math.NaN()
	classes := []record.ClassMetric{{Category: 7, Name: "disc", AP: .3, AP50: .5, AP75: .2}, {Category: 2, Name: "ring", AP: nan, AP50: nan, AP75: nan}}
	for _, format := range []string{"text", "json"} {
		var buf bytes.Buffer
		must(t, WriteTrial(&buf, trial, classes, format))
		golden(t, "show."+format, buf.Bytes())
	}
}

// TestBrokenLines: line breaks in errors and names leave columns as they are, and what is
// no number is a gap.
func TestBrokenLines(t *testing.T) {
	trial := trialNamed("a")
	trial.Config = `{"data.name":"one\ntwo","a\nb":1}`
	trial.Outcome = record.Outcome{
		Status: record.StatusFailed, Error: "first line\nsecond\r\nthird", WallSeconds: math.Inf(1), Finished: "2030-05-01T10:01:00Z",
		Metrics: map[string]float64{"AP": math.NaN(), "AP50": math.Inf(1)},
	}
	trial.Attempts = []record.Attempt{{Number: 1, Host: "ho\nst", Exit: record.StatusFailed, WallSeconds: math.NaN(), Error: "a\tb\nc", Environment: "{}"}}
	var out strings.Builder
	must(t, WriteTrial(&out, trial, []record.ClassMetric{{Category: 1, Name: "two\u2028lines\n", AP: math.NaN(), AP50: math.Inf(-1), AP75: .5}}, "text"))
	must(t, WriteList(&out, []record.Trial{trial, trialNamed("b")}, "text", idle))
	must(t, WriteComparison(&out, Comparison{A: Side{Name: "a\nb", Trials: []record.Trial{trial}}, B: Side{Name: "c", Trials: []record.Trial{trialNamed("b")}}}, "text"))
	got := out.String()
	for _, want := range []string{
		"error       first line\n            second", "            third\n", "(a b)", " ho st ", "  data.name  one two\n", "  a b ", "two lines", "a b: ",
		"  AP          –\n", "  AP50        –\n", "wall        –\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	for _, bad := range []string{"NaN", "Inf", "\u2028", "\t"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q is in\n%s", bad, got)
		}
	}
}

// BenchmarkWriteList prints 10,000 trials with 10 metrics each.
func BenchmarkWriteList(b *testing.B) {
	trials := make([]record.Trial, 10_000)
	for i := range trials {
		t := trialNamed(fmt.Sprint(i))
		t.Config, t.Seed = fmt.Sprintf(`{"loss":{"gamma":%d},"train":{"iters":1000,"lr":0.01}}`, i/10), uint64(i%10)
		t.Metrics = map[string]float64{}
		for _, name := range metricNames[:10] {
			t.Metrics[name] = .3
		}
		trials[i] = t
	}
	for _, format := range []string{"text", "json"} {
		b.Run(format, func(b *testing.B) {
			for b.Loop() {
				if err := WriteList(io.Discard, trials, format, idle); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
