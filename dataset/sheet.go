package dataset

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"

	"focalgrid/atomicfile"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// Panel is one picture of a contact sheet.
type Panel struct {
	Pixels  *image.RGBA
	Marks   []Mark
	Caption string // below the picture; empty for none
}

// Mark is a rectangle on a panel.
type Mark struct {
	Box   [4]float32 // x1, y1, x2, y2 in the panel's pixels, before the zoom
	Color color.RGBA
	Text  string // at the upper left corner; empty for none
}

// Size of the letters of basicfont, and the space between panels.
const (
	letterWidth, letterHeight, letterAscent = 7, 13, 11
	gap                                     = 4
)

// Sheet lays the panels out in rows of columns pictures, each pixel enlarged
// zoom times (both at least 1), so that the marks and letters on top stay fine.
func Sheet(panels []Panel, columns, zoom int) *image.RGBA {
	columns, zoom = max(min(columns, len(panels)), 1), max(zoom, 1)
	w, h, caption := 1, 1, 0
	for _, p := range panels {
		w, h = max(w, p.Pixels.Rect.Dx()*zoom), max(h, p.Pixels.Rect.Dy()*zoom)
		if p.Caption != "" {
			caption = letterHeight + 2
		}
	}
	rows := max((len(panels)+columns-1)/columns, 1)
	out := image.NewRGBA(image.Rect(0, 0, columns*(w+gap)+gap, rows*(h+caption+gap)+gap))
	draw.Draw(out, out.Rect, image.NewUniform(color.RGBA{32, 32, 32, 255}), image.Point{}, draw.Src)
	for i, p := range panels {
		at := image.Pt(gap+i%columns*(w+gap), gap+i/columns*(h+caption+gap))
		cell := image.Rect(at.X, at.Y, at.X+p.Pixels.Rect.Dx()*zoom, at.Y+p.Pixels.Rect.Dy()*zoom)
		view := out.SubImage(cell).(*image.RGBA)
		enlarge(view, p.Pixels, zoom)
		for _, m := range p.Marks {
			m.outline(view, zoom)
		}
		for _, m := range p.Marks { // letters last, so that no frame crosses them
			m.label(view, zoom)
		}
		if p.Caption != "" {
			line := out.SubImage(image.Rect(at.X, at.Y+h, at.X+w, at.Y+h+caption)).(*image.RGBA)
			write(line, p.Caption, at.X, at.Y+h+1, color.RGBA{220, 220, 220, 255})
		}
	}
	return out
}

func enlarge(dst, src *image.RGBA, zoom int) {
	for y := range dst.Rect.Dy() {
		for x := range dst.Rect.Dx() {
			dst.SetRGBA(dst.Rect.Min.X+x, dst.Rect.Min.Y+y, src.RGBAAt(src.Rect.Min.X+x/zoom, src.Rect.Min.Y+y/zoom))
		}
	}
}

// frame is the mark's rectangle in the coordinates of the view. Boxes far
// outside are cut first, as not every float fits an int.
func (m Mark) frame(view *image.RGBA, zoom int) image.Rectangle {
	px := func(v float32, limit int) int {
		if !(v > -1) { // also not a number
			return -1
		}
		return int(min(v*float32(zoom), float32(limit+1)))
	}
	w, h := view.Rect.Dx(), view.Rect.Dy()
	r := image.Rectangle{
		Min: image.Pt(px(m.Box[0], w), px(m.Box[1], h)),
		Max: image.Pt(px(m.Box[2], w), px(m.Box[3], h)),
	}
	return r.Add(view.Rect.Min)
}

func (m Mark) outline(view *image.RGBA, zoom int) {
	r := m.frame(view, zoom)
	ink := image.NewUniform(m.Color)
	const t = 1 // thickness
	for _, side := range []image.Rectangle{
		{r.Min, image.Pt(r.Max.X, r.Min.Y+t)},
		{image.Pt(r.Min.X, r.Max.Y-t), r.Max},
		{r.Min, image.Pt(r.Min.X+t, r.Max.Y)},
		{image.Pt(r.Max.X-t, r.Min.Y), r.Max},
	} {
		draw.Draw(view, side.Intersect(view.Rect), ink, image.Point{}, draw.Src)
	}
}

// label writes the text on a plate above the frame, or inside where there is
// no room above, moved so that it begins within the picture.
func (m Mark) label(view *image.RGBA, zoom int) {
	if m.Text == "" {
		return
	}
	r := m.frame(view, zoom)
	width := letterWidth*len([]rune(m.Text)) + 2
	x := max(min(r.Min.X, view.Rect.Max.X-width), view.Rect.Min.X)
	y := r.Min.Y - letterHeight
	if y < view.Rect.Min.Y {
		y = max(r.Min.Y, view.Rect.Min.Y)
	}
	plate := image.Rect(x, y, x+width, y+letterHeight).Intersect(view.Rect)
	draw.Draw(view, plate, image.NewUniform(m.Color), image.Point{}, draw.Src)
	ink := color.RGBA{255, 255, 255, 255}
	if 3*int(m.Color.R)+6*int(m.Color.G)+int(m.Color.B) > 1280 { // a light plate
		ink = color.RGBA{0, 0, 0, 255}
	}
	write(view, m.Text, x+1, y, ink)
}

func write(dst *image.RGBA, text string, x, y int, ink color.RGBA) {
	d := font.Drawer{Dst: dst, Src: image.NewUniform(ink), Face: basicfont.Face7x13, Dot: fixed.P(x, y+letterAscent)}
	d.DrawString(text)
}

// WritePNG writes a picture to path, whole or not at all.
func WritePNG(path string, im image.Image) error {
	return atomicfile.Write(path, func(w io.Writer) error { return png.Encode(w, im) })
}
