// Package stats estimates means and differences over independent runs, and states with every
// result what it cannot show.
//
// A value that is not defined is NaN; it is left out and not counted. Sums are taken in the
// order of the values, so that equal input gives equal bits. What the values mean and in
// which unit they are is the caller's business.
package stats
