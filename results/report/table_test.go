package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"focalgrid/columns"
	"focalgrid/results/record"
	"focalgrid/stats"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-12 }

// done is a trial of seed 0; seeded gives trials the seeds from 0 on.
func done(ap float64) record.Trial {
	return record.Trial{Outcome: record.Outcome{Status: record.StatusDone, Metrics: map[string]float64{
		"AP": ap, "AP50": ap + .2, "AP75": ap - .1, "APs": math.NaN(), "APm": ap / 2, "APl": ap + .1, "AP.001": ap + .01,
	}}}
}

func ended(status string) record.Trial {
	return record.Trial{Outcome: record.Outcome{Status: status}}
}

func seeded(trials ...record.Trial) []record.Trial {
	for i := range trials {
		trials[i].Seed = uint64(i)
	}
	return trials
}

func paperRow(ap, ap50, ap75 float64) map[string]*float64 {
	return map[string]*float64{"AP": &ap, "AP50": &ap50, "AP75": &ap75, "APs": nil}
}

func TestNewRow(t *testing.T) {
	row := NewRow(nil, []record.Trial{done(.2), ended(record.StatusDiverged), done(.4), ended(record.StatusFailed), ended(record.StatusRunning), ended(record.StatusInterrupted)}, nil)
	if row.N != 3 || row.Status != (record.Counts{Done: 2, Diverged: 1, Failed: 1}) {
		t.Errorf("n %d, %+v; want 3: 2 done, 1 diverged, and 1 failed outside n", row.N, row.Status)
	}
	if ap := row.Metrics["AP"]; ap.N != 2 || !near(ap.Mean, .3) || !near(ap.SD, math.Sqrt(.02)) {
		t.Errorf("AP %+v, want the mean over the two that are done", ap)
	}
	if small := row.Metrics["APs"]; small.N != 0 || !math.IsNaN(small.Mean) {
		t.Errorf("APs %+v, want none: it is defined in no trial", small)
	}
}

// gammaTable has every kind of row: several seeds, one, none, diverged in part
// and wholly, failed, published and not.
func gammaTable() *Table {
	factors := func(gamma, alpha any) map[string]any { return map[string]any{"loss.gamma": gamma, "loss.alpha": alpha} }
	return &Table{
		ID: "1b", Profile: "mini", Caption: "focal loss, the best α for each γ",
		Ours:    "synthetic scenes, 128 px, ResNet-18 of quarter width, 1,200 steps",
		Paper:   "COCO minival, 600 px, ResNet-50-FPN, 90,000 steps",
		Factors: []string{"loss.gamma", "loss.alpha"},
		Blocks: []Block{{Rows: []Row{
			NewRow(factors(0, .75), seeded(done(.21), done(.23), ended(record.StatusDiverged)), paperRow(.311, .494, .33)),
			NewRow(factors(.1, .75), []record.Trial{ended(record.StatusDiverged)}, paperRow(.314, .499, .331)),
			NewRow(factors(.5, .5), nil, paperRow(.329, .517, .352)),
			NewRow(factors(1., .25), seeded(done(.27), done(.28), done(.29)), paperRow(.337, .52, .362)),
			NewRow(factors(2., .25), []record.Trial{done(.28)}, paperRow(.34, .525, .365)),
			NewRow(factors(2., "none"), []record.Trial{ended(record.StatusFailed)}, nil),
		}}},
	}
}

// goldenTables are tables of every kind, by name.
func goldenTables() map[string]*Table {
	once := gammaTable()
	once.Blocks[0].Rows = []Row{once.Blocks[0].Rows[4], NewRow(map[string]any{"loss.gamma": 5, "loss.alpha": nil}, []record.Trial{done(.25)}, nil)}
	bare := &Table{ID: "anchors", Profile: "mini", Caption: "anchor scales", Factors: []string{"anchors.scales", "image.flip"}, Extra: []string{"AP.001"},
		Blocks: []Block{{Rows: []Row{NewRow(map[string]any{"anchors.scales": []float64{1, 1.2599}, "image.flip": true}, []record.Trial{done(.3)}, nil)}}}}
	return map[string]*Table{
		"gamma": gammaTable(), "once": once, "bare": bare, "empty": {ID: "none", Factors: []string{"loss.gamma"}},
		"compared": comparedTable(), "blocks": blocksTable(), "wide": wideTable(), "published": publishedTable(), "hostile": hostileTable(),
	}
}

// comparedTable has differences of every kind over ten seeds: the baseline, separated, not separated, with diverged
// runs, of other seeds, and none.
func comparedTable() *Table {
	spread := []float64{.003, -.004, .001, .006, -.002, -.005, .004, .002, -.003, -.002}
	row := func(gamma, ap, noise float64, first uint64) Row {
		var trials []record.Trial
		for i, s := range spread {
			d := done(ap + s + noise*spread[(i+3)%len(spread)])
			d.Seed = first + uint64(i)
			trials = append(trials, d)
		}
		return NewRow(map[string]any{"loss.gamma": gamma, "loss.type": "focal"}, trials, nil)
	}
	unstable := row(5, .19, .5, 0)
	lost := NewRow(unstable.Factors, seeded(done(.19), ended(record.StatusDiverged), done(.195), done(.19), done(.18), ended(record.StatusDiverged), done(.2), done(.19), done(.18), done(.19)), nil)
	rows := []Row{row(0, .2, 0, 0), row(.5, .201, 1, 0), row(1, .24, .5, 0), row(2, .3, .5, 0), lost, row(7, .21, 0, 100), NewRow(map[string]any{"loss.gamma": 9., "loss.type": "focal"}, nil, nil)}
	rows[0].Baseline = true
	for i := range rows[:4] {
		rows[i].AddClasses([][]record.ClassMetric{
			{{Category: 1, Name: "disc", AP: .2}, {Category: 2, Name: "star & more", AP: .3}},
			{{Category: 1, Name: "disc", AP: .22 + .01*float64(i)}, {Category: 2, Name: "star & more", AP: math.NaN()}},
		})
	}
	return &Table{
		ID: "gamma", Profile: "mini", Caption: "γ over ten seeds", Ours: "synthetic val", Changed: []string{"optim.lr=0.05 (in the file 0.1)"},
		Apart: []string{"optim.lr"}, Factors: []string{"loss.type", "loss.gamma"}, Extra: []string{"AP.001"}, PerClass: true, Blocks: []Block{{Rows: rows}},
	}
}

// blocksTable has two blocks, each with a baseline.
func blocksTable() *Table {
	t := comparedTable()
	t.PerClass = false
	rows := t.Blocks[0].Rows
	t.Blocks = []Block{{Title: "Same recipe", Rows: rows[:3]}, {Title: "Own best recipe", Rows: []Row{rows[0], rows[3]}}}
	return t
}

// wideTable varies twelve settings, one at a time.
func wideTable() *Table {
	t := &Table{ID: "wide", Caption: "twelve factors"}
	base := map[string]any{}
	for i := range 12 {
		key := fmt.Sprintf("group.factor%d", i)
		t.Factors = append(t.Factors, key)
		base[key] = float64(i)
	}
	rows := []Row{NewRow(base, seeded(done(.3), done(.31)), nil)}
	for i, key := range t.Factors {
		changed := maps.Clone(base)
		changed[key] = float64(100 + i)
		rows = append(rows, NewRow(changed, seeded(done(.3+.01*float64(i)), done(.3)), nil))
	}
	t.Blocks = []Block{{Rows: rows}}
	return t
}

// publishedTable is a table of the paper alone.
func publishedTable() *Table {
	ms := 122.
	row := func(method string, ap float64) Row {
		return NewRow(map[string]any{"method": method, "image.short": 600.}, nil, paperRow(ap, ap+.2, ap+.03))
	}
	rows := []Row{row("Faster R-CNN by G-RMI (two-stage), which is a long name", .347), row("RetinaNet", .391)}
	rows[1].Millis = &ms
	return &Table{ID: "2", Published: true, Caption: "other detectors", Paper: "COCO test-dev", Factors: []string{"method", "image.short"}, Blocks: []Block{{Rows: rows}}}
}

// hostileTable has every character that a format may read otherwise.
func hostileTable() *Table {
	const evil = "#$%&_{}~^\\<>|\"'`[*-- ±×γ€中\x01 <script> \\end{table}\na|b"
	row := NewRow(map[string]any{evil: "[" + evil}, seeded(done(0), done(0)), nil)
	row.AddClasses([][]record.ClassMetric{{{Category: 1, Name: evil, AP: .1}}})
	return &Table{ID: "x", Caption: evil, Ours: evil, Factors: []string{evil}, Extra: []string{"AP.001"}, Remarks: []string{evil}, PerClass: true, Blocks: []Block{{Title: evil, Rows: []Row{row}}}}
}

// TestWideLetters: a letter that takes two places counts as two where a table has to fit a line.
func TestWideLetters(t *testing.T) {
	var rows []Row
	for i := range 4 {
		rows = append(rows, NewRow(map[string]any{"method": strings.Repeat("検出器", 3*i+1)}, seeded(done(.2), done(.3)), nil))
	}
	table := &Table{Factors: []string{"method"}, Blocks: []Block{{Rows: rows}}}
	var b strings.Builder
	must(t, table.Write(&b, "text"))
	for line := range strings.Lines(b.String()) {
		if n := columns.Width(strings.TrimRight(line, "\n")); n > pageWidth && strings.HasPrefix(line, " ") {
			t.Errorf("a row of %d places: %s", n, line)
		}
	}
	if got, want := broken("検出器 検出器", 8), []string{"検出器", "検出器"}; !slices.Equal(got, want) {
		t.Errorf("broken: %q, want %q", got, want)
	}
	if got, want := broken("検出器", 1), []string{"検", "出", "器"}; !slices.Equal(got, want) {
		t.Errorf("broken: %q, want %q", got, want)
	}
}

// TestTinyDifference: a difference that rounds to 0 has no sign, as in a comparison.
func TestTinyDifference(t *testing.T) {
	d := stats.Paired([]stats.Value{{Value: .3}}, []stats.Value{{Value: .29999}})
	if got, want := differenceText(verdict{baseline: 1, differences: []*stats.Difference{&d}}, 0), "0.0 ~"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGolden(t *testing.T) {
	for name, table := range goldenTables() {
		for _, format := range TableFormats() {
			var buf bytes.Buffer
			must(t, table.Write(&buf, format))
			golden(t, name+"."+format, buf.Bytes())
			if format != "text" || name == "hostile" { // which has one name wider than a line
				continue
			}
			for line := range strings.Lines(buf.String()) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > pageWidth && strings.HasPrefix(line, " ") {
					t.Errorf("%s: a row of %d characters: %s", name, n, line)
				}
			}
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	err := gammaTable().Write(&bytes.Buffer{}, "pdf")
	if want := `unknown table format "pdf"; known: csv, html, json, latex, markdown, text`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, err := range []error{WriteList(&bytes.Buffer{}, nil, "csv", idle), WriteTrial(&bytes.Buffer{}, trialNamed("a"), nil, "csv")} {
		if err == nil || !strings.Contains(err.Error(), "known: json, text") {
			t.Errorf("got %v, want the known formats", err)
		}
	}
}

// TestJSONForm reads the JSON as a stranger would, by the names promised.
func TestJSONForm(t *testing.T) {
	var buf bytes.Buffer
	must(t, gammaTable().Write(&buf, "json"))
	var got struct {
		Table, Profile string
		Rows           []struct {
			Factors map[string]any
			N       int
			Status  map[string]int
			Metrics map[string]struct {
				Mean, Low, High, SD *float64
				N                   int
			}
			Paper map[string]float64
		}
	}
	must(t, json.Unmarshal(buf.Bytes(), &got))
	if got.Table != "1b" || got.Profile != "mini" || len(got.Rows) != 6 {
		t.Fatalf("table %q, profile %q, %d rows", got.Table, got.Profile, len(got.Rows))
	}
	for i, r := range got.Rows {
		if len(r.Metrics) != 6 || len(r.Status) != 3 || len(r.Factors) != 2 {
			t.Errorf("row %d has %d metrics, %d statuses, %d factors; want 6, 3, 2", i, len(r.Metrics), len(r.Status), len(r.Factors))
		}
	}
	ap := got.Rows[4].Metrics["AP"]
	if *ap.Mean != .28 || ap.SD != nil || ap.Low != nil || ap.N != 1 {
		t.Errorf("one seed: AP %v, want mean .28, sd null, n 1", ap)
	}
	if ap := got.Rows[1].Metrics["AP"]; ap.Mean != nil || ap.N != 0 || got.Rows[1].N != 1 {
		t.Errorf("diverged: AP %v in n %d, want mean null over 0 in n 1", ap, got.Rows[1].N)
	}
	if got.Rows[4].Paper["AP"] != .34 || got.Rows[5].Paper != nil || !bytes.Contains(buf.Bytes(), []byte(`"paper": null`)) {
		t.Errorf("paper %v and %v, want .34 and null", got.Rows[4].Paper, got.Rows[5].Paper)
	}
	if text := buf.String(); strings.Index(text, `"loss.gamma"`) > strings.Index(text, `"loss.alpha"`) {
		t.Error("factors are not in the table's order")
	}
}

// TestCSVIsWhole: digits survive, and every line has the header's columns.
func TestCSVIsWhole(t *testing.T) {
	table := gammaTable()
	var buf bytes.Buffer
	must(t, table.Write(&buf, "csv"))
	lines, err := csv.NewReader(&buf).ReadAll()
	must(t, err)
	row := map[string]string{}
	for i, name := range lines[0] {
		row[name] = lines[4][i]
	}
	want := table.Blocks[0].Rows[3].Metrics["AP"].SD
	if row["loss.gamma"] != "1" || row["n"] != "3" || row["AP sd"] != digits(want) || row["paper AP"] != "0.337" || row["APs"] != "" {
		t.Errorf("row %v", row)
	}
}

// TestBest: a best row is one that is separated from the second; a diverged row and a lone row never are.
func TestBest(t *testing.T) {
	run := func(ap float64, n int) []record.Trial { // n seeds, the same noise in all rows
		var trials []record.Trial
		for i := range n {
			trials = append(trials, done(ap+.001*float64(i%3)))
		}
		return seeded(trials...)
	}
	diverged := run(.4, 8)
	diverged[3] = ended(record.StatusDiverged)
	diverged[3].Seed = 3
	for _, tt := range []struct {
		name string
		rows [][]record.Trial
		want int
	}{
		{"separated", [][]record.Trial{run(.2, 6), run(.3, 6)}, 1},
		{"too few seeds", [][]record.Trial{run(.2, 5), run(.3, 5)}, -1},
		{"alike", [][]record.Trial{run(.3, 8), run(.3, 8), run(.1, 8)}, -1},
		{"diverged once", [][]record.Trial{run(.2, 8), diverged}, -1},
		{"better than one that diverged", [][]record.Trial{run(.45, 8), diverged}, 0},
		{"alone", [][]record.Trial{run(.2, 8), nil}, -1},
		{"none", [][]record.Trial{nil, nil}, -1},
		{"all zero", [][]record.Trial{run(0, 8), run(0, 8)}, -1},
	} {
		var rows []Row
		for _, trials := range tt.rows {
			rows = append(rows, NewRow(nil, trials, nil))
		}
		table := &Table{Blocks: []Block{{Rows: rows}}}
		if got := table.judge()[0].best; got != tt.want {
			t.Errorf("%s: row %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestFamily: the differences of all blocks, and the best row against the second, are one family; by hand: 6 pairs of
// one sign have p = 2/2^6.
func TestFamily(t *testing.T) {
	run := func(ap float64) Row {
		return NewRow(map[string]any{"a": ap}, seeded(done(ap), done(ap+.01), done(ap), done(ap+.02), done(ap), done(ap)), nil)
	}
	base := run(.1)
	base.Baseline = true
	one := &Table{Blocks: []Block{{Rows: []Row{base, run(.2)}}}}
	if d := one.judge()[0].differences[1]; d.Comparisons != 1 || d.Adjusted != 2./64 || !d.Separated() {
		t.Errorf("one comparison: %+v", d)
	}
	// Two differences in the first block and the best row against the second, one in the second block.
	two := &Table{Blocks: []Block{{Rows: []Row{base, run(.2), run(.3)}}, {Rows: []Row{base, run(.2)}}}}
	verdicts := two.judge()
	if d := verdicts[1].differences[1]; d.Comparisons != 4 || d.Adjusted != 4*2./64 || d.Separated() {
		t.Errorf("four comparisons: %+v", d)
	}
	if verdicts[0].best != -1 || verdicts[0].differences[0] != nil {
		t.Errorf("not separated, but best: %+v", verdicts[0])
	}
}

// TestFewPairs: the notes say which rows no measurement could separate: none that Holm can separate once another is.
func TestFewPairs(t *testing.T) {
	run := func(ap float64, n int) Row {
		var trials []record.Trial
		for range n {
			trials = append(trials, done(ap))
		}
		return NewRow(map[string]any{"a": ap}, seeded(trials...), nil)
	}
	const none, some = "cannot separate any row, whatever was measured: that takes %d seeds", "A row with fewer than %d pairs"
	for _, tt := range []struct {
		name string
		rows []Row // the first, the baseline, is the best
		want string
	}{
		{"enough", []Row{run(.3, 10), run(.2, 10), run(.1, 10)}, ""},
		{"six beside ten", []Row{run(.3, 10), run(.2, 6), run(.1, 10)}, ""},
		{"five beside ten", []Row{run(.3, 10), run(.2, 5), run(.1, 10)}, fmt.Sprintf(some, 6)},
		{"six beside six", []Row{run(.3, 6), run(.2, 6), run(.1, 6)}, fmt.Sprintf(none, 7)},
		{"ties of one seed", []Row{run(0, 1), run(0, 1)}, fmt.Sprintf(none, 6)},
		{"ties of ten seeds", []Row{run(0, 10), run(0, 10)}, ""},
	} {
		tt.rows[0].Baseline = true
		table := &Table{Factors: []string{"a"}, Blocks: []Block{{Rows: tt.rows}}}
		notes := strings.Join(table.notes(table.sheet(0), false), "\n")
		said := strings.Contains(notes, "cannot separate") || strings.Contains(notes, "cannot be separated")
		if said != (tt.want != "") || !strings.Contains(notes, tt.want) {
			t.Errorf("%s: want %q in\n%s", tt.name, tt.want, notes)
		}
	}
}

// TestColumns: --columns decides alone, in its order, and an unknown one is refused.
func TestColumns(t *testing.T) {
	table := comparedTable()
	table.PerClass = false
	table.Columns = []string{"loss.gamma", "APs", "difference"}
	var buf strings.Builder
	must(t, table.Write(&buf, "text"))
	if !strings.Contains(buf.String(), "\n loss.gamma   APs          Δ AP\n") || strings.Contains(buf.String(), "Not shown") {
		t.Errorf("got\n%s", &buf)
	}
	table.Columns = []string{AllColumns}
	buf.Reset()
	must(t, table.Write(&buf, "text"))
	if !strings.Contains(buf.String(), "\n loss.type  loss.gamma   n ") || !strings.Contains(buf.String(), "APl") {
		t.Errorf("got\n%s", &buf)
	}
	table.Columns = []string{"AP", "nonsense"}
	err := table.Write(&buf, "text")
	if want := `the table has no column "nonsense"; it has loss.type, loss.gamma, n, AP, difference, AP50, AP75, APs, APm, APl, AP.001, or all alone`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestLowScores: AP.001 is shown where it differs from AP as printed, and a row of AP 0.0 that it saves is named.
func TestLowScores(t *testing.T) {
	row := func(gamma, ap, low float64) Row {
		return NewRow(map[string]any{"loss.gamma": gamma}, []record.Trial{{Outcome: record.Outcome{Status: record.StatusDone, Metrics: map[string]float64{"AP": ap, "AP.001": low}}}}, nil)
	}
	for _, tt := range []struct {
		rows       []Row
		want, miss string
	}{
		{[]Row{row(0, .2, .2001), row(5, .1, .1)}, "AP.001 (nowhere visibly different from AP)", "AP.001: "},
		{[]Row{row(0, .2, .2011), row(5, .1, .1)}, "AP.001: AP with detections", "is 0.0"},
		{[]Row{row(0, .2, .2), row(5, .0001, .013)}, "scores too low to count: loss.gamma=5 (1.3).", "nowhere"},
	} {
		table := &Table{Factors: []string{"loss.gamma"}, Extra: []string{"AP.001"}, Blocks: []Block{{Rows: tt.rows}}}
		var buf strings.Builder
		must(t, table.Write(&buf, "text"))
		if !strings.Contains(buf.String(), tt.want) || strings.Contains(buf.String(), tt.miss) {
			t.Errorf("want %q and not %q in\n%s", tt.want, tt.miss, &buf)
		}
	}
}

// TestMarkdownText: what Markdown reads otherwise is escaped, but not within code.
func TestMarkdownText(t *testing.T) {
	for text, want := range map[string]string{
		"a [b](http://c) $d$ <e> *f*": `a [b]\(http://c) \$d\$ \<e> \*f\*`,
		"alpha_gamma, not _gamma_":    `alpha_gamma, not \_gamma_`,
		"[0.5,1,2]\nnext":             "[0.5,1,2] next",
		"<a>: `ls <b>` says <c>":      "\\<a>: `ls <b>` says \\<c>",
		"a lone ` and <b>":            "a lone \\` and \\<b>",
	} {
		if got := MarkdownProse(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
