package setting

// Nearest returns the known name with the fewest letters to change, or "" if none is known.
func Nearest(name string, known []string) string {
	const longest = 64 // a key is shorter; a pasted page would cost time
	a := []rune(name)
	if len(a) > longest {
		a = a[:longest]
	}
	best, least := "", -1
	for _, k := range known {
		if d := distance(a, []rune(k)); least < 0 || d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's: insertions, deletions and changes from a to b.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diag := row[0]
		row[0] = i + 1
		for j := range b {
			d := diag
			if a[i] != b[j] {
				d = 1 + min(diag, row[j], row[j+1])
			}
			diag, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
