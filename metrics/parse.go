package metrics

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ParseIoUThresholds reads thresholds as people write them: ".5:.95:.05" (from, to, step) or
// ".5,.75". COCO's range has the bits of DefaultOptions' thresholds.
func ParseIoUThresholds(s string) ([]float64, error) {
	parts := strings.Split(s, ":")
	if len(parts) == 1 {
		parts = strings.Split(s, ",")
	} else if len(parts) != 3 {
		return nil, fmt.Errorf("%w: IoU thresholds %q: expected from:to:step, such as .5:.95:.05, or a list, such as .5,.75", ErrOptions, s)
	}
	v := make([]float64, len(parts))
	for i, p := range parts {
		x, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || !(x >= 0 && x <= 1) {
			return nil, fmt.Errorf("%w: IoU thresholds %q: expected numbers in [0,1], found %q", ErrOptions, s, p)
		}
		v[i] = x
	}
	if !strings.Contains(s, ":") {
		return v, nil
	}
	from, to, step := v[0], v[1], v[2]
	n := math.Round((to-from)/step) + 1
	if !(n >= 2 && n <= 64) {
		return nil, fmt.Errorf("%w: IoU thresholds %q: expected 2 to 64 of them", ErrOptions, s)
	}
	return linspace(from, to, int(n)), nil
}

// SetAreas changes ranges of o.AreaRanges as people write them: "name:min:max" in square
// pixels, joined by commas, such as "small:0:1024,medium:1024:9216". A range that is not
// named stays as it is.
func (o *Options) SetAreas(s string) error {
	for area := range strings.SplitSeq(s, ",") {
		parts := strings.Split(area, ":")
		if len(parts) != 3 {
			return fmt.Errorf("%w: area %q: expected name:min:max, such as small:0:1024", ErrOptions, area)
		}
		i := slices.IndexFunc(o.AreaRanges[:], func(a AreaRange) bool { return a.Name == parts[0] })
		if i < 0 {
			var known []string
			for _, a := range o.AreaRanges {
				known = append(known, a.Name)
			}
			return fmt.Errorf("%w: area %q: no range %q; there are %s", ErrOptions, area, parts[0], strings.Join(known, ", "))
		}
		for j, bound := range []*float64{&o.AreaRanges[i].Min, &o.AreaRanges[i].Max} {
			x, err := strconv.ParseFloat(parts[j+1], 64)
			if err != nil || math.IsNaN(x) {
				return fmt.Errorf("%w: area %q: expected square pixels, found %q", ErrOptions, area, parts[j+1])
			}
			*bound = x
		}
	}
	return nil
}
