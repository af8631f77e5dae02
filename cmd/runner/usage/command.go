package usage

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"focalgrid/experiments/plan"
	"focalgrid/experiments/sweep"
	"focalgrid/results/record"
)

// DefaultDB is the results database if --db is not given.
const DefaultDB = "runs/focalgrid.db"

// Next returns three commands that are useful after a sweep on that engine and number of devices.
func Next(p *plan.Plan, states []sweep.State, source string, sel *plan.Selection, engine string, devices int, db string) []string {
	best := ""
	most := -1.
	failed := ""
	trained := engine // as tables name it
	for _, s := range states {
		if s.Recorded == nil {
			continue
		}
		if devices > 1 {
			trained = s.Recorded.Engine
		}
		if ap := s.Recorded.Metrics["AP"]; s.Recorded.Status == record.StatusDone && ap > most {
			best, most = s.Key[:12], ap
		}
		if s.Recorded.Status == record.StatusFailed && failed == "" {
			failed = s.Key[:12]
		}
	}
	flags := flagsOf(sel)
	shown := slices.Clone(flags)
	if engine != "auto" {
		flags, shown = append(flags, "--engine", engine), append(shown, "--engine", trained)
	}
	if devices > 1 {
		flags = append(flags, "--devices", strconv.Itoa(devices))
	}
	lines := []string{Command("table", db, append([]string{source}, append(shown, "--format", "markdown")...)...)}
	switch {
	case failed != "":
		lines = append(lines, Command("show", db, failed))
	case best != "":
		lines = append(lines, Command("detect", db, best, "--val", "16", "-o", "look"))
	default:
		lines = append(lines, Command("ls", db))
	}
	seeds := "0..4"
	if n, top := len(p.Seeds), slices.Max(p.Seeds); n > 1 && top < 1000 {
		seeds = fmt.Sprintf("0..%d", top+uint64(n))
	}
	if p.Best != nil {
		flags = append(flags, "--tune")
	}
	return append(lines, Command("sweep", db, append([]string{source}, append(flags, "--seeds", seeds)...)...))
}

// Sweep returns the command that trains a selection of a grid file on an engine.
func Sweep(source string, sel *plan.Selection, engine, db string) string {
	words := append([]string{source}, flagsOf(sel)...)
	if sel.Seeds != "" {
		words = append(words, "--seeds", sel.Seeds)
	}
	if engine != "auto" {
		words = append(words, "--engine", engine)
	}
	return Command("sweep", db, words...)
}

// flagsOf writes a selection as it was typed, without its seeds.
func flagsOf(s *plan.Selection) []string {
	var out []string
	if s.Profile != "" {
		out = append(out, "--profile", s.Profile)
	}
	for _, v := range s.Set {
		out = append(out, "--set", v)
	}
	for _, v := range s.Only {
		out = append(out, "--only", v)
	}
	if s.DataDir != "" {
		out = append(out, "--data", s.DataDir)
	}
	return out
}

// Command writes a command line for a shell.
func Command(verb, db string, args ...string) string {
	words := append([]string{verb}, args...)
	if db != DefaultDB {
		words = append(words, "--db", db)
	}
	return Line(words...)
}

// Line writes the program's arguments as a command line for a shell.
func Line(args ...string) string {
	words := []string{"runner"}
	for _, w := range args {
		words = append(words, shellWord(w))
	}
	return strings.Join(words, " ")
}

// shellWord quotes a word that a POSIX shell would change.
func shellWord(w string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=,:+@%", r)
	}
	if w != "" && strings.IndexFunc(w, func(r rune) bool { return !plain(r) }) < 0 {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}
