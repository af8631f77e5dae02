package synthetic

// point is a position in Q16: of an outline in units of half the object's
// size, or on the canvas in pixels, y downwards.
type point struct{ x, y int64 }

// shapeNames lists the kinds of shape. The first K are the classes of a set
// with K classes, the others its distractors; new ones go at the end.
var shapeNames = []string{"disc", "square", "triangle", "star", "cross", "ring", "diamond", "hexagon", "arrow", "heart", "moon", "bar"}

// unit is v hundredths in Q16.
func unit(v int64) int64 { return v * one / 100 }

// regular returns the n corners of a regular polygon of radius r, the first
// one turned by offset (of 65536) clockwise from the top.
func regular(n int, r, offset int64) []point {
	ps := make([]point, n)
	for i := range ps {
		a := int64(i)*one/int64(n) + offset
		ps[i] = point{mulQ(r, sin(a)), -mulQ(r, cos(a))}
	}
	return ps
}

// hundredths returns the outline with the given x, y, x, y, ...
func hundredths(xy ...int64) []point {
	ps := make([]point, len(xy)/2)
	for i := range ps {
		ps[i] = point{unit(xy[2*i]), unit(xy[2*i+1])}
	}
	return ps
}

// outlines returns the contours of a shape within [-1,1]²: filled where a point
// is within an odd number of them.
func outlines(name string) [][]point {
	switch name {
	case "square":
		return [][]point{hundredths(-100, -100, 100, -100, 100, 100, -100, 100)}
	case "triangle":
		return [][]point{regular(3, one, 0)}
	case "star":
		tips, notches := regular(5, one, 0), regular(5, unit(42), one/10)
		var ps []point
		for i := range tips {
			ps = append(ps, tips[i], notches[i])
		}
		return [][]point{ps}
	case "cross":
		return [][]point{hundredths(-35, -100, 35, -100, 35, -35, 100, -35, 100, 35, 35, 35, 35, 100, -35, 100, -35, 35, -100, 35, -100, -35, -35, -35)}
	case "ring":
		return [][]point{regular(24, one, 0), regular(24, unit(50), 0)}
	case "diamond":
		return [][]point{hundredths(0, -100, 60, 0, 0, 100, -60, 0)}
	case "hexagon":
		return [][]point{regular(6, one, 0)}
	case "arrow":
		return [][]point{hundredths(0, -100, 90, 0, 35, 0, 35, 100, -35, 100, -35, 0, -90, 0)}
	case "heart":
		ps := make([]point, 24)
		for i := range ps {
			a := int64(i) * one / 24
			s := sin(a)
			ps[i] = point{mulQ(unit(95), mulQ(s, mulQ(s, s))), -(13*cos(a) - 5*cos(2*a) - 2*cos(3*a) - cos(4*a)) / 17}
		}
		return [][]point{ps}
	case "moon":
		var ps []point
		for i := int64(0); i < 16; i++ { // the outer arc, from 45° to 315°
			a := one/8 + i*(one*3/4)/15
			ps = append(ps, point{cos(a), sin(a)})
		}
		for i := int64(0); i < 16; i++ { // back along the inner one, from 292° to 68°
			a := one*81/100 - i*(one*62/100)/15
			ps = append(ps, point{unit(35) + mulQ(unit(75), cos(a)), mulQ(unit(75), sin(a))})
		}
		return [][]point{ps}
	case "bar":
		return [][]point{hundredths(-100, -28, 100, -28, 100, 28, -100, 28)}
	default: // disc
		return [][]point{regular(24, one, 0)}
	}
}

// allOutlines returns the contours of every shape, in the order of shapeNames.
func allOutlines() [][][]point {
	shapes := make([][][]point, len(shapeNames))
	for i, name := range shapeNames {
		shapes[i] = outlines(name)
	}
	return shapes
}
