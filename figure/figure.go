// Package figure draws plots in one theme, as SVG, PNG or text for a terminal.
//
// A Figure is data until it is written: panels with lines, bars, heat maps, spans and labels. Everything
// fits a picture of 600 pixels; its width can be changed, and everything grows with it. Series differ by
// dashes and markers as well as by colour, and the colours can be told apart by people with any colour
// vision and in grey. What is drawn and what it means is the caller's business.
package figure

import (
	"image/color"
	"math"
)

// Figure is a picture of one or more panels that share a legend, with a title above and a caption below.
type Figure struct {
	Title   string
	Caption string // what the figure shows: units, n, where the numbers come from
	// Description says what a reader sees in the figure, for those who hear the page instead; empty: the caption.
	Description string

	Plain   string // what stands in the place of panels where the figure is text; empty: the panels in characters
	Panels  []*Panel
	Columns int // panels beside each other; 0: one

	RowHeight float64 // of a row of panels, in points, of which the figure is 450 wide; 0: by the number of rows
}

// Panel is a plot: a pair of axes and what is drawn between them, in this order.
type Panel struct {
	Title string
	X, Y  Axis

	Spans  []Span
	Bars   []Bar
	Heat   *Heat
	Lines  []Line
	Labels []Label
	Shapes []Shape
}

// Axis is an axis of a panel.
type Axis struct {
	Label string
	// Min and Max are the ends of the axis. Where both are 0 the axis covers the data, with a margin.
	Min, Max float64
	Also     []float64 // places that the axis covers besides the data, such as those of another panel
	Log      bool      // a logarithmic axis; what is not above 0 is not drawn
	Ticks    []float64 // the places that are labelled with their number; nil: round numbers
	Names    []string  // the labels at 0, 1, 2, … instead of numbers
	Hidden   bool      // draw no axis
}

// Mark says how the points of a line are drawn.
type Mark int

// The marks.
const (
	Curve  Mark = iota // a line through many points
	Joined             // markers, joined by a line
	Points             // markers alone
)

// Line is a series of points. A point that is not finite is left out, and interrupts the line.
type Line struct {
	Name string // in the legend; empty: not there. Lines of one name share an entry
	X, Y []float64
	// Low and High are an interval around each Y: a band around a Curve, a whisker at a marker. Nil: none;
	// a point without an interval has NaN.
	Low, High []float64
	Across    bool // the whiskers are around each X instead
	Mark      Mark
	Style     Style
}

// Bar is a bar between two places of the x axis, from 0 to Height.
type Bar struct{ From, To, Height float64 }

// Span marks a part of the x axis by a tinted ground.
type Span struct {
	From, To float64
	Text     string // at the top of the ground
}

// Side says where text stands beside its place.
type Side int

// The sides.
const (
	Right Side = iota
	Left
	Above
	Below
	Centre
)

// Label is text at a place of a panel.
type Label struct {
	X, Y  float64
	Text  string
	Side  Side
	Color color.Color // nil: ink
}

// Shape is a polygon or, if it is open, a line of straight pieces, in the units of the axes.
type Shape struct {
	X, Y  []float64
	Fill  color.Color // nil: not filled
	Style Style       // of its outline
	Open  bool
	Arrow bool // ends in the head of an arrow
}

// Heat is a table of coloured cells, Values[row][column], with its values printed in them. Row 0 is the
// lowest; the names of rows and columns are those of the axes. A NaN is an empty cell with a dash.
type Heat struct {
	Values [][]float64
	Print  func(v float64) string
	Ring   [][]bool // cells with a frame around them; nil: none
}

// largest is the largest number that has a place on an axis; its inverse is the smallest on a logarithmic one. The
// ratio of the two is a number too.
const largest = 1e100

// finite reports whether a number has a place on an axis.
func finite(v float64) bool { return math.Abs(v) <= largest }

// legend lists the names in the figure with the line that shows each.
func (f *Figure) legend() []Line {
	var out []Line
	seen := map[string]bool{}
	for _, p := range f.Panels {
		for _, l := range p.Lines {
			if l.Name != "" && !seen[l.Name] {
				seen[l.Name] = true
				out = append(out, l)
			}
		}
	}
	return out
}

// columns returns how many panels are beside each other.
func (f *Figure) columns() int { return max(1, min(f.Columns, len(f.Panels))) }
