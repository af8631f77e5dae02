package columns

import (
	"math"
	"testing"
)

func TestDuration(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0s", .49: "0s", .5: "1s", 59.4: "59s", 59.5: "1m00s", 61: "1m01s", 3599: "59m59s", 3600: "1h00m",
		90 * 60: "1h30m", 100*3600 - 1: "99h59m", 100 * 3600: "4 days",
		1e18: "centuries", math.Inf(1): "centuries", math.NaN(): "centuries",
	} {
		if got := Duration(seconds); got != want {
			t.Errorf("Duration(%g) is %q, want %q", seconds, got, want)
		}
	}
}
