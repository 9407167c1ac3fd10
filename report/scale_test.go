package report

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestTicksAreRound(t *testing.T) {
	for _, c := range []struct {
		min, max float64
		about    int
		want     []float64
	}{
		{0, 10, 5, []float64{0, 2, 4, 6, 8, 10}},
		{-2.3, 3.1, 5, []float64{-2, 0, 2}},
		{0, 0.05, 5, []float64{0, 0.01, 0.02, 0.03, 0.04, 0.05}},
		{0, 1e6, 4, []float64{0, 500000, 1e6}},
		{7, 7, 4, []float64{7}},
	} {
		got := scale{min: c.min, max: c.max}.ticks(c.about)
		if !slices.EqualFunc(got, c.want, func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }) {
			t.Errorf("the ticks of %g to %g are %v, not %v", c.min, c.max, got, c.want)
		}
	}
}

func TestNumbersOnAnAxisDiffer(t *testing.T) {
	for _, c := range []struct{ low, high float64 }{{0, 1}, {0, 0.003}, {999, 1003}, {1e5, 1.4e5}, {1e6, 9e6}, {1e9, 2e10}, {-5, 5}, {0.1, 0.7}} {
		low, high := widened(c.low, c.high)
		if low > c.low || high < c.high {
			t.Errorf("%g to %g is widened to %g to %g", c.low, c.high, low, high)
		}
		ticks := scale{min: low, max: high}.ticks(3)
		seen := map[string]bool{}
		for _, tick := range ticks {
			text := number(tick, ticks[1]-ticks[0])
			if seen[text] {
				t.Errorf("two ticks between %g and %g read %s", low, high, text)
			}
			seen[text] = true
		}
		if len(ticks) < 2 || len(ticks) > 6 {
			t.Errorf("%g to %g has %d ticks", low, high, len(ticks))
		}
	}
}

func TestLengthsForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0.00 s", 234 * time.Millisecond: "0.23 s", 12 * time.Second: "12.0 s", 125 * time.Second: "2m05s",
		3*time.Hour + 5*time.Minute: "3h05m"} {
		if got := lasting(d); got != want {
			t.Errorf("%s is written %s, not %s", d, got, want)
		}
	}
	if got := fmt.Sprint(offset(-1500*time.Millisecond), " ", offset(time.Second)); got != "−1.50 s +1.00 s" {
		t.Errorf("offsets are written %s", got)
	}
}
