// Package safecsv writes CSV that spreadsheets read as data.
//
// A spreadsheet runs a cell that begins with = + - or @ as a formula, also in a file that
// it opens, and also in quotes. Names come from files of other people. So a cell that
// begins like a formula is written with an apostrophe before it, which makes it text.
// Numbers stay numbers.
package safecsv

import (
	"encoding/csv"
	"io"
	"math"
	"strconv"
	"strings"
)

// Writer writes records, as csv.Writer does.
type Writer struct{ csv *csv.Writer }

// NewWriter returns a writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{csv.NewWriter(w)} }

// Write writes one record. Error returns its error too.
func (w *Writer) Write(record []string) error {
	safe := make([]string, len(record))
	for i, cell := range record {
		safe[i] = text(cell)
	}
	return w.csv.Write(safe)
}

// Flush writes the buffered records.
func (w *Writer) Flush() { w.csv.Flush() }

// Error returns the first error of Write and Flush.
func (w *Writer) Error() error { return w.csv.Error() }

// text returns a cell that no spreadsheet reads as a formula.
func text(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return cell
	}
	if v, err := strconv.ParseFloat(cell, 64); err == nil && !math.IsInf(v, 0) && !math.IsNaN(v) {
		return cell
	}
	return "'" + cell
}
