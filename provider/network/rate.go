package network

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Rate is how much goes over a line, in bits per second. It is written with its unit: `800kbit`, `10mbit`, `1.5gbit`, each
// a thousand of the one before.
type Rate uint64

var rateForm = regexp.MustCompile(`^(\d+(?:\.\d+)?)(bit|kbit|mbit|gbit)$`)

var rateUnit = map[string]float64{"bit": 1, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9}

// UnmarshalText reads a rate. A bare number is refused, for nobody can tell bits from bytes.
func (r *Rate) UnmarshalText(text []byte) error {
	parts := rateForm.FindStringSubmatch(strings.TrimSpace(string(text)))
	if parts == nil {
		return fmt.Errorf("%q is not a rate; write bits per second, such as 800kbit, 10mbit or 1gbit", text)
	}
	number, err := strconv.ParseFloat(parts[1], 64)
	if err != nil {
		return fmt.Errorf("%q is not a rate: %w", text, err)
	}
	bits := math.Round(number * rateUnit[parts[2]])
	if bits > maxRate {
		return fmt.Errorf("%q is more than 100gbit", text)
	}
	*r = Rate(bits)
	return nil
}

// Below minRate a single packet takes seconds.
const (
	minRate = 8e3
	maxRate = 1e11
)

// MarshalText writes the form that UnmarshalText reads.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String is the rate in the largest unit that leaves it whole.
func (r Rate) String() string {
	for _, unit := range []string{"gbit", "mbit", "kbit"} {
		if size := Rate(rateUnit[unit]); r >= size && r%size == 0 {
			return strconv.FormatUint(uint64(r/size), 10) + unit
		}
	}
	return strconv.FormatUint(uint64(r), 10) + "bit"
}

// bytes is the rate in bytes per second.
func (r Rate) bytes() uint64 { return uint64(r) / 8 }
