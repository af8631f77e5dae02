package figures

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"focalgrid/figure"
	"focalgrid/model"
	"focalgrid/setting"
)

// network returns the layout of the paper's network, with settings changed.
func network(t *testing.T, change func(c *model.Config)) *model.Layout {
	t.Helper()
	c := model.Config{
		Depth: 50, Width: 1, Norm: "frozen", FPN: 256, P6: "c5", GroupChannels: 8, Classes: 80, Head: "retinanet",
		Settings: setting.Values{"head_norm": "none", "head_init": "gaussian", "prior": .01},
		Anchors:  model.AnchorConfig{Base: 4, Scales: 3, Ratios: []float64{.5, 1, 2}, Round: "none"},
	}
	change(&c)
	l, err := model.LayOut(c, 608, 800)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestArchitecture: every map and layer is in the figure with its size, every join is an arrow, nothing lies on
// something else or outside, and another network gives another figure.
func TestArchitecture(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(c *model.Config)
		want   []string
	}{
		{"paper", func(*model.Config) {}, []string{
			"image", "3×608×800", "stem: 7×7/2, pool/2", "C5: 3 blocks", "2048×19×25", "M3", "P3: 68,400 anchors", "256×76×100", "P7: 315 anchors",
			"ReLU, 3×3/2", "3×3 to 256, ReLU", "3×3 to 720 = 9·80", "3×3 to 36 = 9·4", "91,260 anchors × 80 values", "class subnet, shared by P3–P7",
		}},
		{"one anchor, P6 from P5", func(c *model.Config) {
			c.P6, c.Anchors.Scales, c.Anchors.Ratios, c.Classes, c.Depth, c.Width = "p5", 1, []float64{1}, 3, 18, .25
			c.Settings["head_norm"] = "group"
		}, []string{"C4: 2 blocks", "64×38×50", "3×3 to 256, group norm, ReLU", "3×3 to 3 = 1·3", "10,140 anchors × 3 values", "P6: 130 anchors"}},
	} {
		l := network(t, tt.change)
		f, err := architecture(&Input{Network: l, Profile: "any"})
		if err != nil {
			t.Fatal(err)
		}
		check(t, tt.name, f)
		p := f.Panels[0]
		texts := map[string]bool{}
		for _, label := range p.Labels {
			texts[label.Text] = true
			if label.X < 0 || label.X > panelWide || label.Y < 0 || label.Y > panelHigh {
				t.Errorf("%s: %q is at (%g, %g), outside", tt.name, label.Text, label.X, label.Y)
			}
		}
		for _, text := range tt.want {
			if !texts[text] {
				t.Errorf("%s: no label %q", tt.name, text)
			}
		}
		joins, arrows := len(l.Subnets), 0
		for _, m := range l.Maps {
			joins += len(m.From)
		}
		var boxes []figure.Shape
		for _, s := range p.Shapes {
			if s.Arrow {
				arrows++
			}
			if s.Open {
				continue
			}
			for _, b := range boxes {
				if s.X[0] < b.X[1] && b.X[0] < s.X[1] && s.Y[0] < b.Y[2] && b.Y[0] < s.Y[2] {
					t.Errorf("%s: a box at (%g, %g) lies on one at (%g, %g)", tt.name, s.X[0], s.Y[0], b.X[0], b.Y[0])
				}
			}
			boxes = append(boxes, s)
		}
		if arrows != joins {
			t.Errorf("%s: %d arrows for %d joins", tt.name, arrows, joins)
		}
		if want := len(l.Maps) + 10; len(boxes) != want {
			t.Errorf("%s: %d boxes for %d maps and 10 layers", tt.name, len(boxes), len(l.Maps))
		}
		for _, m := range l.Maps {
			if told := fmt.Sprintf("%s, %d×%d×%d", m.Name, m.Channels, m.H, m.W); !strings.Contains(f.Description, told) {
				t.Errorf("%s: the description does not say %q", tt.name, told)
			}
		}
		for line := range strings.Lines(f.Plain) {
			if utf8.RuneCountInString(line) > 80 {
				t.Errorf("%s: as text a line has more than 80 columns: %s", tt.name, line)
			}
		}
	}
}
