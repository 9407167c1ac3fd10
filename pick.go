package jenner

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Pick is how many of several targets a fault hits; which ones, chance says. It is written as `one`, a count such as `3`,
// or a share such as `25%`. The zero Pick picks nothing by chance.
type Pick struct {
	Count int   // of targets; 0 where Share is set
	Share Share // of the targets there are; 0 where Count is set
}

// DefaultMaxTargets is how many targets one fault hits at most where the experiment does not say.
const DefaultMaxTargets = 10

// UnmarshalText reads `one`, a count from 1 on, or a share above 0%: what would pick nothing is a mistake.
func (p *Pick) UnmarshalText(text []byte) error {
	word := strings.TrimSpace(string(text))
	var read Pick
	switch {
	case word == "one":
		read.Count = 1
	case strings.HasSuffix(word, "%"):
		if err := read.Share.UnmarshalText([]byte(word)); err != nil {
			return err
		}
	default:
		read.Count, _ = strconv.Atoi(word)
	}
	if read.Count < 1 && read.Share <= 0 {
		return fmt.Errorf("%q picks nothing; write one, a count such as 3, or a share such as 25%%", word)
	}
	*p = read
	return nil
}

// MarshalText writes the form that UnmarshalText reads.
func (p Pick) MarshalText() ([]byte, error) {
	if p.Share > 0 {
		return p.Share.MarshalText()
	}
	return []byte(strconv.Itoa(p.Count)), nil
}

// IsZero tells that nothing is picked by chance.
func (p Pick) IsZero() bool { return p == Pick{} }

// Of is how many of total targets are hit, and never more than most. A share rounds down, but not below one. Of no
// targets none can be hit, which whoever asks must refuse: empty is not everything.
func (p Pick) Of(total, most int) int {
	if total <= 0 || most <= 0 || p.IsZero() {
		return 0
	}
	count := p.Count
	if p.Share > 0 {
		// The small addend undoes binary rounding, as in Limit.Of.
		count = max(1, int(math.Floor(float64(p.Share)*float64(total)+1e-9)))
	}
	return min(count, total, most)
}

// Draw gives the places of count of total things, in order, by chance: the same seed and salt give the same ones, and a
// smaller count gives some of those that a larger one gives.
func Draw(total, count int, seed, salt uint64) []int {
	order := rand.New(rand.NewPCG(seed, salt)).Perm(max(total, 0))
	drawn := order[:min(max(count, 0), len(order))]
	slices.Sort(drawn)
	return drawn
}
