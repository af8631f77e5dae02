// Package report prints records: lists, single trials, tables and comparisons.
//
// Text and markdown are for people: AP is printed × 100 with one decimal, as papers do,
// and a missing value is a gap. CSV and JSON are for programs: fractions with all their
// digits. A Table sets the mean over seeds with its interval, and the difference to a baseline, beside
// published figures, which arrive as plain values. Settings are printed as text without knowing
// what they mean.
package report
