package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// scale puts numbers of a domain on a stretch of pixels.
type scale struct {
	min, max float64 // of the domain
	from, to float64 // in pixels; from may be the larger one
}

func (s scale) at(value float64) float64 {
	if s.max == s.min {
		return (s.from + s.to) / 2
	}
	return s.from + (value-s.min)/(s.max-s.min)*(s.to-s.from)
}

// ticks are about so many round numbers within the domain.
func (s scale) ticks(about int) []float64 {
	step := niceStep((s.max - s.min) / float64(about))
	if step == 0 {
		return []float64{s.min}
	}
	var found []float64
	for n := math.Ceil(s.min/step - 1e-9); n*step <= s.max+step*1e-9; n++ {
		found = append(found, n*step)
	}
	return found
}

// niceStep is the smallest of 1, 2, 5, 10, … that is not below the step.
func niceStep(step float64) float64 {
	if !(step > 0) || math.IsInf(step, 0) {
		return 0
	}
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if factor*power >= step*(1-1e-9) {
			return factor * power
		}
	}
	return 10 * power
}

// widened goes out to round numbers, so that the highest point does not touch the border.
func widened(low, high float64) (float64, float64) {
	if low >= 0 && low <= high/2 {
		low = 0
	}
	if low == high {
		if low == 0 {
			return 0, 1
		}
		low, high = math.Min(low, 0), math.Max(high, 0)
	}
	step := niceStep((high - low) / 4)
	return math.Floor(low/step+1e-9) * step, math.Ceil(high/step-1e-9) * step
}

// number writes a number with as many digits as tell it from its neighbour on the axis.
func number(value, step float64) string {
	for _, big := range []struct {
		from float64
		sign string
	}{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if math.Abs(value) >= big.from {
			unit := big.from
			if big.sign == "k" {
				unit = 1e3
			}
			return trimmed(value/unit, 3) + big.sign
		}
	}
	digits := 0
	if step > 0 && step < 1 {
		digits = min(9, int(math.Ceil(-math.Log10(step)-1e-9)))
	}
	return strconv.FormatFloat(value+0, 'f', digits, 64)
}

func trimmed(value float64, digits int) string {
	text := strconv.FormatFloat(value, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// offset writes a time after the fault: `+0.25 s`, `−3.00 s`, `+2m05s`.
func offset(d time.Duration) string {
	sign := "+"
	if d < 0 {
		sign, d = "−", -d
	}
	return sign + lasting(d)
}

// lasting writes a length of time for people.
func lasting(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
	case d < 2*time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
