package model

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"testing"
)

// paperAnchors are the anchors of section 4.
func paperAnchors() AnchorConfig { return paper().Anchors }

// Cells and counts at nine anchors a place, worked out by ceil-halving the
// sides by hand for the sizes in common use.
func TestAnchorCounts(t *testing.T) {
	tests := []struct {
		h, w  int
		cells [5][2]int
		want  int
	}{
		{600, 1000, [5][2]int{{75, 125}, {38, 63}, {19, 32}, {10, 16}, {5, 8}}, 113_193},
		{600, 600, [5][2]int{{75, 75}, {38, 38}, {19, 19}, {10, 10}, {5, 5}}, 67_995},
		{600, 800, [5][2]int{{75, 100}, {38, 50}, {19, 25}, {10, 13}, {5, 7}}, 90_360},
		{608, 1024, [5][2]int{{76, 128}, {38, 64}, {19, 32}, {10, 16}, {5, 8}}, 116_712},
		{640, 1024, [5][2]int{{80, 128}, {40, 64}, {20, 32}, {10, 16}, {5, 8}}, 122_760},
		{640, 640, [5][2]int{{80, 80}, {40, 40}, {20, 20}, {10, 10}, {5, 5}}, 76_725},
		{512, 512, [5][2]int{{64, 64}, {32, 32}, {16, 16}, {8, 8}, {4, 4}}, 49_104},
		{800, 1333, [5][2]int{{100, 167}, {50, 84}, {25, 42}, {13, 21}, {7, 11}}, 200_700},
		{800, 1344, [5][2]int{{100, 168}, {50, 84}, {25, 42}, {13, 21}, {7, 11}}, 201_600},
		{1024, 1024, [5][2]int{{128, 128}, {64, 64}, {32, 32}, {16, 16}, {8, 8}}, 196_416},
		{300, 300, [5][2]int{{38, 38}, {19, 19}, {10, 10}, {5, 5}, {3, 3}}, 17_451},
		{256, 256, [5][2]int{{32, 32}, {16, 16}, {8, 8}, {4, 4}, {2, 2}}, 12_276},
		{128, 128, [5][2]int{{16, 16}, {8, 8}, {4, 4}, {2, 2}, {1, 1}}, 3_069},
		{1, 1, [5][2]int{{1, 1}, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, 45},
	}
	c := paperAnchors()
	for _, tt := range tests {
		if got := c.count(tt.h, tt.w); got != tt.want {
			t.Errorf("%d×%d: %d anchors, want %d", tt.h, tt.w, got, tt.want)
		}
		for i, l := range c.Levels(tt.h, tt.w) {
			if l.H != tt.cells[i][0] || l.W != tt.cells[i][1] || l.Anchors != 9*l.H*l.W {
				t.Errorf("%d×%d: %+v, want cells %v", tt.h, tt.w, l, tt.cells[i])
			}
		}
	}
	if got := len(c.Generate(600, 1000)); got != 113_193 {
		t.Errorf("600×1000: %d boxes generated, want 113193", got)
	}
}

// The column #anchors of Table 1c.
func TestPerCell(t *testing.T) {
	for _, tt := range []struct{ scales, ratios, want int }{
		{1, 1, 1}, {2, 1, 2}, {3, 1, 3}, {1, 3, 3}, {2, 3, 6}, {3, 3, 9}, {4, 3, 12},
	} {
		c := AnchorConfig{Base: 4, Scales: tt.scales, Ratios: []float64{1, .5, 2}[:tt.ratios], Round: "none"}
		if got := c.PerCell(); got != tt.want || len(c.Cell(8)) != tt.want {
			t.Errorf("%d scales, %d ratios: %d anchors, %d boxes, want %d", tt.scales, tt.ratios, got, len(c.Cell(8)), tt.want)
		}
	}
}

type array struct {
	Shape []int     `json:"shape"`
	Data  []float64 `json:"data"`
}

// references holds torchvision 0.14.1's anchors.
type references struct {
	Rounded map[string]array `json:"cell_anchors"`
	Exact   map[string]array `json:"cell_anchors_unrounded_f64"`
	Images  []struct {
		H       int `json:"padded_height"`
		W       int `json:"padded_width"`
		Total   int `json:"total"`
		Nominal struct {
			Index []int `json:"index"`
			Boxes array `json:"boxes"`
		} `json:"nominal"`
	} `json:"images"`
}

func loadReferences(t *testing.T) references {
	t.Helper()
	f, err := os.Open("testdata/anchors.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var r references
	if err := json.NewDecoder(z).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

// Rounded anchors are whole numbers and so exact; the others may differ in the
// order of a product and a square root: two units in the last place.
func TestCellAnchorsAgainstTorchvision(t *testing.T) {
	r := loadReferences(t)
	for round, want := range map[string]map[string]array{"torchvision": r.Rounded, "none": r.Exact} {
		c := paperAnchors()
		c.Round = round
		for i, l := range c.Levels(128, 128) {
			data := want[l.Name].Data
			if len(data) != 36 {
				t.Fatalf("%s %s: %d reference values, want 36", round, l.Name, len(data))
			}
			for j, a := range c.Cell(strides[i]) {
				for k, got := range a {
					w := data[4*j+k]
					tol := 0.
					if round == "none" {
						tol = 5e-16 * math.Abs(w)
					}
					if math.Abs(got-w) > tol {
						t.Errorf("%s %s anchor %d: %v, want %v", round, l.Name, j, a, data[4*j:4*j+4])
						break
					}
				}
			}
		}
	}
}

func TestGenerateAgainstTorchvision(t *testing.T) {
	c := paperAnchors()
	c.Round = "torchvision"
	for _, im := range loadReferences(t).Images {
		got := c.Generate(im.H, im.W)
		if len(got) != im.Total {
			t.Errorf("%d×%d: %d anchors, want %d", im.H, im.W, len(got), im.Total)
			continue
		}
		if len(im.Nominal.Index) < 100 || len(im.Nominal.Boxes.Data) != 4*len(im.Nominal.Index) {
			t.Fatalf("%d×%d: %d reference indices, %d values", im.H, im.W, len(im.Nominal.Index), len(im.Nominal.Boxes.Data))
		}
		for j, i := range im.Nominal.Index {
			for k := range 4 {
				if float64(got[i][k]) != im.Nominal.Boxes.Data[4*j+k] {
					t.Errorf("%d×%d anchor %d: %v, want %v", im.H, im.W, i, got[i], im.Nominal.Boxes.Data[4*j:4*j+4])
					break
				}
			}
		}
	}
}

// Section 4: areas do not depend on the ratio, sides reach from 32 to 813 pixels.
func TestAnchorShapes(t *testing.T) {
	c := paperAnchors()
	for i, s := range strides {
		for j, a := range c.Cell(s) {
			w, h := a[2]-a[0], a[3]-a[1]
			side := 4 * float64(s) * math.Pow(2, float64(j%3)/3)
			if math.Abs(w*h/(side*side)-1) > 1e-14 || math.Abs(h/w/c.Ratios[j/3]-1) > 1e-14 {
				t.Errorf("P%d anchor %d is %v×%v, want area %v², height over width %v", i+3, j, w, h, side, c.Ratios[j/3])
			}
		}
	}
	if a := c.Cell(8)[0]; math.Abs(a[2]-a[0]-45.2548) > 1e-4 || math.Abs(a[3]-a[1]-22.6274) > 1e-4 {
		t.Errorf("P3, ratio 1:2: %v, want 45.25 × 22.63", a)
	}
	if a := c.Cell(128)[5]; math.Abs(a[2]-a[0]-812.7493) > 1e-4 {
		t.Errorf("largest square: %v, want a side of 812.75", a)
	}
}

func TestAnchorOffset(t *testing.T) {
	c := AnchorConfig{Base: 2, Scales: 1, Ratios: []float64{1}, Offset: .5, Round: "none"}
	got := c.Generate(16, 32)
	want := [][4]float32{
		{-4, -4, 12, 12}, {4, -4, 20, 12}, {12, -4, 28, 12}, {20, -4, 36, 12},
		{-4, 4, 12, 20}, {4, 4, 20, 20}, {12, 4, 28, 20}, {20, 4, 36, 20},
		{-8, -8, 24, 24}, {8, -8, 40, 24},
		{-16, -16, 48, 48}, {-32, -32, 96, 96}, {-64, -64, 192, 192},
	}
	if len(got) != len(want) {
		t.Fatalf("%d anchors, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("anchor %d: %v, want %v", i, got[i], want[i])
		}
	}
	c.Offset = 0
	if got := c.Generate(16, 32)[5]; got != [4]float32{0, 0, 16, 16} {
		t.Errorf("offset 0, cell (1,1) of P3: %v, want one centred on (8, 8)", got)
	}
}
