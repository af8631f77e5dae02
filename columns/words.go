package columns

import "fmt"

// Count returns "1 trial" or "2 trials".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Duration prints seconds for people: "41s", "2m05s", "3h10m".
func Duration(seconds float64) string {
	const century = 100 * 365 * 86400
	if !(seconds >= 0 && seconds < century) {
		return "centuries"
	}
	s := int(seconds + .5)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 100*3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%d days", s/86400)
}
