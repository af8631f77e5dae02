package detector

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"focalgrid/columns"
	"focalgrid/dataset"
)

// WriteStats prints what a set holds, and what its anchors learn.
func WriteStats(w io.Writer, set *dataset.Set, an AnchorStats) {
	st := set.Stats()
	fmt.Fprintf(w, "%s in %s\n", set.Split, set.Dir)
	rows := [][]string{
		{"  images", strconv.Itoa(st.Images), fmt.Sprintf("%d without objects (%s)", st.Empty, share(st.Empty, st.Images))},
		{"  objects", strconv.Itoa(st.Objects), fmt.Sprintf("%s an image", ratio(st.Objects, st.Images))},
	}
	if st.Crowds > 0 {
		rows = append(rows, []string{"  crowds", strconv.Itoa(st.Crowds), "neither learned nor scored"})
	}
	columns.Text(w, "", rows, columns.AllLeft)
	for _, note := range set.Notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}

	var per []string
	for n, images := range st.PerImage {
		if images > 0 {
			per = append(per, fmt.Sprintf("%d×%d", n, images))
		}
	}
	fmt.Fprintf(w, "  objects×images: %s\n\n", strings.Join(per, " "))

	table := [][]string{{"  class", "objects", "small", "medium", "large"}}
	for _, c := range st.Classes {
		table = append(table, sizes("  "+c.Name, c.Objects, c.Sizes))
	}
	table = append(table, sizes("  all", st.Objects, st.Sizes))
	columns.Text(w, "", table, columns.AllLeft)

	fmt.Fprintf(w, "\n  anchors of %s: %s an image, %s of them positive\n", columns.Count(an.Images, "image"), ratio(an.Anchors, an.Images), ratio(an.Positive, an.Images))
	fmt.Fprintf(w, "  foreground : background  1 : %s\n", ratio(an.Background, an.Positive))
	fmt.Fprintf(w, "  ignored                  %s of anchors\n", share(an.Ignored, an.Anchors))
	fmt.Fprintf(w, "  objects with no anchor   %d of %d\n", an.Unmatched, an.Objects)
}

func sizes(name string, objects int, s dataset.SizeCounts) []string {
	return []string{name, strconv.Itoa(objects), share(s.Small, objects), share(s.Medium, objects), share(s.Large, objects)}
}

// share returns a part in per cent, "–" if the whole is 0.
func share(part, whole int) string {
	if whole == 0 {
		return columns.Gap
	}
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(whole))
}

// ratio returns a/b with three digits, "–" where b is 0.
func ratio(a, b int) string {
	if b == 0 {
		return columns.Gap
	}
	v := float64(a) / float64(b)
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
