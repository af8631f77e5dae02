package model

import (
	"fmt"
	"strings"

	"focalgrid/columns"
	"focalgrid/engine"
)

// Describe draws the network of cfg for an image of h×w pixels as text: what is
// joined to what, and the size of every map as channels×height×width.
func Describe(cfg Config, h, w int) (string, error) {
	_, out, err := evaluation(cfg, h, w)
	if err != nil {
		return "", err
	}
	head := heads[cfg.Head]
	priors := head.Priors(cfg)
	var rows [][]string
	line := func(name, what, size string, notes ...string) {
		rows = append(rows, []string{name, what, size, strings.Join(notes, ", ")})
	}
	frozen := func(part int) []string {
		if part <= cfg.FreezeStages {
			return []string{"not trained"}
		}
		return nil
	}
	widths, n := widths(cfg.Width), blocks[cfg.Depth]
	kind := "basic"
	if cfg.bottleneck() {
		kind = "bottleneck"
	}
	line("image", "", fmt.Sprintf("3×%d×%d", h, w))
	// The stem halves twice, and layer1 keeps what it gets.
	line("stem", fmt.Sprintf("7×7/2 convolution, %s norm, 3×3/2 max-pool", cfg.Norm),
		fmt.Sprintf("%d×%d×%d", widths[0], out.Body[0].Shape[2], out.Body[0].Shape[3]), frozen(1)...)
	for i, c := range out.Body {
		line(fmt.Sprintf("C%d", i+2), fmt.Sprintf("%d %s blocks of %d", n[i], kind, widths[i]), size(c), frozen(i+2)...)
	}
	p6 := strings.ToUpper(cfg.P6)
	joined := []string{
		"3×3 of (1×1 of C3 + upsampled sum of P4)",
		"3×3 of (1×1 of C4 + upsampled sum of P5)",
		"3×3 of 1×1 of C5",
		"3×3/2 of " + p6,
		"3×3/2 of ReLU(P6)",
	}
	for i, p := range out.Features {
		l := priors.Levels(h, w)[i]
		line(p.Name, joined[i], size(p), fmt.Sprintf("%s anchors, smallest side %g", thousands(int64(l.Anchors)), priors.Base*float64(l.Stride)))
	}
	for _, p := range out.Predictions {
		line(p.Name, p.Form, fmt.Sprintf("%s×%d", thousands(int64(p.Node.Shape[1])), p.Size), p.Notes...)
	}

	var b strings.Builder
	fmt.Fprintf(&b, "%s, ResNet-%d", head.Title, cfg.Depth)
	if cfg.Width != 1 {
		fmt.Fprintf(&b, " of width %g", cfg.Width)
	}
	fmt.Fprintf(&b, ", FPN of %d channels\n", cfg.FPN)
	columns.Text(&b, "  ", rows, columns.AllLeft)
	return b.String(), nil
}

func size(n *engine.Node) string {
	return fmt.Sprintf("%d×%d×%d", n.Shape[1], n.Shape[2], n.Shape[3])
}
