package host

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes as people write it: `64MB`, `1.5GB`, `512KB`, `100B`, `0`. The units are powers of 1024;
// KiB, MiB, GiB and TiB mean the same. A bare number other than 0 is refused, for nobody can tell its unit.
type Size int64

const (
	kilobyte Size = 1 << (10 * (iota + 1))
	megabyte
	gigabyte
	terabyte
)

// sizeUnits stand in the order in which they are tried: B ends all others too.
var sizeUnits = []struct {
	name string
	unit Size
}{{"TiB", terabyte}, {"GiB", gigabyte}, {"MiB", megabyte}, {"KiB", kilobyte}, {"TB", terabyte}, {"GB", gigabyte}, {"MB", megabyte}, {"KB", kilobyte}, {"B", 1}}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	word := strings.TrimSpace(string(text))
	if word == "0" {
		*s = 0
		return nil
	}
	for _, one := range sizeUnits {
		digits, is := strings.CutSuffix(word, one.name)
		if !is {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		bytes := value * float64(one.unit)
		if err != nil || !(bytes >= 0) || bytes >= math.MaxInt64 {
			break
		}
		*s = Size(math.Round(bytes))
		return nil
	}
	return fmt.Errorf("%q is not a size; write a number and a unit, such as 512KB, 64MB or 1.5GB", text)
}

// MarshalText writes a form that UnmarshalText reads, with the largest unit that needs no fraction.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.exact()), nil }

func (s Size) exact() string {
	for _, one := range sizeUnits[4:] {
		if s != 0 && s%one.unit == 0 {
			return strconv.FormatInt(int64(s/one.unit), 10) + one.name
		}
	}
	return "0"
}

// String is the size for people, rounded to a tenth.
func (s Size) String() string {
	for _, one := range sizeUnits[4:] {
		if s >= one.unit && one.unit > 1 {
			return strings.TrimSuffix(strconv.FormatFloat(float64(s)/float64(one.unit), 'f', 1, 64), ".0") + one.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}
