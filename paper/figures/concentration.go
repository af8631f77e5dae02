package figures

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"focalgrid/figure"
	"focalgrid/loss"
	"focalgrid/setting"
)

// Gammas are the focusing parameters of Figure 4.
var Gammas = []float64{0, .5, 1, 2}

// Logits are what a trained detector says of the anchors of some images: of foreground, the logit of the true class of
// each anchor that has an object, and of background, logits of (anchor, class) pairs, or a uniform sample of them.
type Logits struct {
	Foreground, Background []float32
	Pairs                  int    // of background, of which Background is the sample
	Source                 string // where they come from: "trial 2ee02418b05f (loss.type=focal loss.gamma=2 seed=0) on 300 images of val"
	Setting                string // what was trained: "synthetic val (4 classes), ResNet-18-FPN × 0.25 width, 128 px"
}

// Concentrations are the focal losses of a detector's logits at each of Gammas, and how they are spread.
type Concentrations struct {
	Logits                 *Logits
	Foreground, Background []Concentration // one a gamma
}

// Concentrate computes what Figure 4 shows. The error names a logit that is not finite.
func Concentrate(l *Logits) (*Concentrations, error) {
	out := &Concentrations{Logits: l}
	for _, side := range []struct {
		name       string
		logits     []float32
		foreground bool
		to         *[]Concentration
	}{{"foreground", l.Foreground, true, &out.Foreground}, {"background", l.Background, false, &out.Background}} {
		for i, x := range side.logits {
			if v := float64(x); math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("logit %d of the %s is %g: a loss has no value there", i+1, side.name, v)
			}
		}
		logits := slices.Sorted(slices.Values(side.logits)) // of background, the easiest first
		if side.foreground {
			slices.Reverse(logits)
		}
		for _, gamma := range Gammas {
			*side.to = append(*side.to, focalConcentration(logits, side.foreground, gamma))
		}
	}
	return out, nil
}

// Table lists which share of the loss the hardest examples hold at each gamma, with a header: the readings of section
// 5.1 of the paper.
func (c *Concentrations) Table() [][]string {
	rows := [][]string{{"share of the loss"}}
	for _, gamma := range Gammas {
		rows[0] = append(rows[0], "γ "+setting.Spell(gamma))
	}
	for _, of := range []struct {
		name  string
		from  []Concentration
		share float64
	}{{"foreground", c.Foreground, .2}, {"background", c.Background, .01}, {"background", c.Background, .001}} {
		row := []string{fmt.Sprintf("hardest %s%% of %s", setting.Spell(100*of.share), of.name)}
		for _, at := range of.from {
			row = append(row, percent(at.Hardest(of.share)))
		}
		rows = append(rows, row)
	}
	return rows
}

// percent writes a share; "–" where there is none.
func percent(share float64) string {
	if math.IsNaN(share) {
		return "–"
	}
	return fmt.Sprintf("%.1f%%", 100*share)
}

// concentratedLoss draws Figure 4: the cumulative loss of one detector's foreground and background at each gamma.
func concentratedLoss(in *Input) (*figure.Figure, error) {
	c := in.Losses
	f := &figure.Figure{
		Title:   "Figure 4. Cumulative loss of foreground and of background, one model at four γ",
		Columns: 2,
	}
	for _, side := range []struct {
		title string
		of    []Concentration
		all   int
	}{{"foreground", c.Foreground, len(c.Logits.Foreground)}, {"background", c.Background, len(c.Logits.Background)}} {
		p := &figure.Panel{
			Title: fmt.Sprintf("%s, n = %s", side.title, thousands(side.all)),
			X:     figure.Axis{Label: "share of " + side.title + ", easiest first", Max: 1},
			Y:     figure.Axis{Label: "share of its loss", Max: 1},
		}
		for i, gamma := range Gammas {
			line := figure.Line{Name: "γ = " + setting.Spell(gamma), Style: figure.Distinct(i)}
			line.X, line.Y = side.of[i].curve(1. / 250)
			p.Lines = append(p.Lines, line)
		}
		f.Panels = append(f.Panels, p)
	}
	sample := "all"
	if n := len(c.Logits.Background); n < c.Logits.Pairs {
		sample = fmt.Sprintf("%s of %s, drawn uniformly by the trial's seed", thousands(n), thousands(c.Logits.Pairs))
	}
	f.Caption = fmt.Sprintf("FL at four γ of the same logits, of %s; nothing was trained again. Foreground: the true class of each "+
		"anchor with an object. Background: all classes of the anchors without (%s). α cancels. Setting: %s.", c.Logits.Source, sample, c.Logits.Setting)
	f.Description = "Two panels of curves that rise from 0 to 1, one curve a γ. Shares of the loss: " + c.readings()
	return f, nil
}

// readings says the table in a sentence.
func (c *Concentrations) readings() string {
	var out []string
	rows := c.Table()
	for _, row := range rows[1:] {
		var at []string
		for i, v := range row[1:] {
			at = append(at, v+" at "+rows[0][i+1])
		}
		out = append(out, fmt.Sprintf("The %s hold %s.", row[0], strings.Join(at, ", ")))
	}
	return strings.Join(out, " ")
}

// Concentration tells how a loss is spread over examples: entry i of n+1 is the share of the whole loss that the i
// examples with the smallest losses hold, from 0 to 1. It is nil where nothing has a loss.
type Concentration []float64

// focalConcentration computes the focal loss of each logit (eq. 4 of the paper; alpha would cancel) as an example of
// its class or of background, and how it is spread. Logits must be finite; from easy to hard takes the least time.
func focalConcentration(logits []float32, foreground bool, gamma float64) Concentration {
	losses := make([]float64, len(logits))
	for i, x := range logits {
		losses[i], _ = loss.Focal(float64(x), foreground, gamma, 1)
	}
	return concentration(losses)
}

// concentration sorts losses, which must be 0 or more, and sums them up.
func concentration(losses []float64) Concentration {
	slices.Sort(losses)
	c := make(Concentration, len(losses)+1)
	sum := 0.0
	for i, v := range losses {
		sum += v
		c[i+1] = sum
	}
	if !(sum > 0) {
		return nil
	}
	for i := range c {
		c[i] /= sum
	}
	return c
}

// Hardest returns the share of the loss that the hardest examples hold, which are this share of all. Between two
// entries the curve is straight. It is NaN where nothing has a loss.
func (c Concentration) Hardest(share float64) float64 {
	if c == nil {
		return math.NaN()
	}
	at := (1 - share) * float64(len(c)-1)
	i := min(int(at), len(c)-2)
	return 1 - (c[i] + (c[i+1]-c[i])*(at-float64(i)))
}

// curve returns the points of the cumulative loss over the share of examples, of all those that a picture can show:
// no point is left out that is farther than step from the last one in either direction.
func (c Concentration) curve(step float64) (x, y []float64) {
	last := len(c) - 1
	for i, v := range c {
		at := float64(i) / float64(last)
		if i == 0 || i == last || at-x[len(x)-1] >= step || v-y[len(y)-1] >= step {
			x, y = append(x, at), append(y, v)
		}
	}
	return x, y
}
