package figure

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"image/color"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"focalgrid/atomicfile"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Width is the usual width of a picture in pixels.
const Width = 600

// SVG returns the figure as an element of HTML, that many pixels wide. Its title and its description are read aloud
// to those who do not see it.
func (f *Figure) SVG(pixels int) (string, error) {
	l, err := f.layout()
	if err != nil {
		return "", err
	}
	c := vgsvg.New(width, l.height)
	l.draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", err
	}
	text := b.String()
	text = text[strings.Index(text, "<svg"):] // after the XML header
	body := text[strings.Index(text, ">")+1:]
	// The font is the same as Arial in all widths, so a page without it looks the same.
	body = strings.ReplaceAll(body, "font-family:Liberation Sans;", "font-family:Liberation Sans,Arimo,Arial,Helvetica,sans-serif;")
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" viewBox="0 0 %g %g" role="img" aria-label="%s">
<title>%[5]s</title>
<desc>%[6]s</desc>%[7]s`,
		pixels, float64(l.height)/float64(width)*float64(pixels), float64(width), float64(l.height),
		escape(f.Title), escape(cmp.Or(f.Description, f.Caption)), body), nil
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}

func (f *Figure) writeSVG(w io.Writer, pixels int) error {
	text, err := f.SVG(pixels)
	if err == nil {
		_, err = io.WriteString(w, "<?xml version=\"1.0\"?>\n"+text)
	}
	return err
}

func (f *Figure) writePNG(w io.Writer, pixels int) error {
	l, err := f.layout()
	if err != nil {
		return err
	}
	dpi := int(float64(pixels)/width.Points()*vg.Inch.Points() + .5)
	c := vgimg.NewWith(vgimg.UseWH(width, l.height), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(color.White))
	l.draw(draw.New(c))
	_, err = vgimg.PngCanvas{Canvas: c}.WriteTo(w)
	return err
}

// forms are the forms of a file, by how its name ends. To add one, add a line.
var forms = map[string]func(f *Figure, w io.Writer, pixels int) error{".png": (*Figure).writePNG, ".svg": (*Figure).writeSVG}

// CheckName returns an error if a figure cannot be written to a file of that name.
func CheckName(path string) error {
	if forms[filepath.Ext(path)] == nil {
		return fmt.Errorf("%s: a plot is drawn as %s", path, strings.Join(slices.Sorted(maps.Keys(forms)), " or "))
	}
	return nil
}

// Write draws the figure to a file, in the form that its name ends with, that many pixels wide.
func (f *Figure) Write(path string, pixels int) error {
	if err := CheckName(path); err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error { return forms[filepath.Ext(path)](f, w, pixels) })
}

// PNG returns the figure as the content of a PNG file, that many pixels wide.
func (f *Figure) PNG(pixels int) ([]byte, error) {
	var b bytes.Buffer
	err := f.writePNG(&b, pixels)
	return b.Bytes(), err
}
