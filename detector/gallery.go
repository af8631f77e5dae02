package detector

import (
	"fmt"
	"image"
	"path/filepath"
	"strings"

	"focalgrid/dataset"
)

// SheetPixels is the longest side of a picture on a contact sheet.
const SheetPixels = 384

const (
	sheetViews = 48  // on a contact sheet
	smallSide  = 256 // pictures below this are enlarged
)

// Gallery counts what views show. With a folder it also writes a picture for each view, and a contact
// sheet of the first views.
type Gallery struct {
	Views, Found, Truth, Right, Wrong, Missed int

	dir    string // empty: none
	names  map[string]bool
	panels []dataset.Panel
	pair   int // panels a view
}

// NewGallery returns an empty gallery in an existing folder, or without one.
func NewGallery(dir string) *Gallery { return &Gallery{dir: dir, names: map[string]bool{}} }

// Add counts a view and writes its picture.
func (g *Gallery) Add(v View) error {
	right, wrong, missed := v.counts()
	g.Views++
	g.Found += len(v.Found)
	g.Right += right
	g.Wrong += wrong
	g.Missed += missed
	for _, t := range v.Truth {
		if !t.Crowd {
			g.Truth++
		}
	}
	if g.dir == "" {
		return nil
	}
	panels, err := v.panels(0)
	if err != nil {
		return err
	}
	g.pair = len(panels)
	zoom := max(1, smallSide/max(1, v.Pixels.Width, v.Pixels.Height))
	if err := dataset.WritePNG(filepath.Join(g.dir, g.name(v.Name)), dataset.Sheet(panels, len(panels), zoom)); err != nil {
		return err
	}
	if g.Views > sheetViews {
		return nil
	}
	small, err := v.panels(SheetPixels)
	g.panels = append(g.panels, small...)
	return err
}

// name returns the file for a picture, numbered where two pictures share a name.
func (g *Gallery) name(file string) string {
	stem := strings.TrimSuffix(file, filepath.Ext(file))
	name := stem + ".png"
	for n := 2; g.names[name] || name == sheetName; n++ {
		name = fmt.Sprintf("%s-%d.png", stem, n)
	}
	g.names[name] = true
	return name
}

// sheetName is the contact sheet's file in the folder of pictures.
const sheetName = "sheet.png"

// Sheet writes the contact sheet and returns its file.
func (g *Gallery) Sheet() (string, error) {
	path := filepath.Join(g.dir, sheetName)
	columns := 4
	if g.pair == 1 {
		columns = 6
	}
	return path, dataset.WritePNG(path, ContactSheet(g.panels, columns))
}

// ContactSheet lays panels out in columns, and enlarges small pictures until a label has room.
func ContactSheet(panels []dataset.Panel, columns int) *image.RGBA {
	side := 1
	for _, p := range panels {
		side = max(side, p.Pixels.Rect.Dx(), p.Pixels.Rect.Dy())
	}
	return dataset.Sheet(panels, columns, max(1, smallSide/side))
}
