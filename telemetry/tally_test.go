package telemetry

import (
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// A story is a row of answers, one a second, and what the status is after each.
//
//	answers: o right, s right but slow, F failed, ? unknown, . a second without an answer
//	status:  u unknown, p passing, s slow, f failing
func TestTally(t *testing.T) {
	for _, tc := range []struct {
		name             string
		fails, of, again int
		answers, want    string
	}{
		{"a first right answer passes", 2, 3, 2, "o", "p"},
		{"a first failure is not enough", 2, 3, 2, "F", "u"},
		{"two failures of three", 2, 3, 2, "ooFoFo", "ppppff"},
		{"two failures too far apart", 2, 3, 2, "oFooFooF", "pppppppp"},
		{"failing from the start", 2, 3, 2, "FF", "uf"},
		{"one right answer after a failure", 2, 3, 2, "Fo", "up"},
		{"two right answers in a row pass again", 2, 3, 2, "FFoFoo", "uffffp"},
		{"what was before is forgotten then", 2, 10, 2, "FFooFoF", "uffpppf"},
		{"one of one", 1, 1, 1, "oFoF", "pfpf"},
		{"one of one, two to pass again", 1, 1, 2, "oFoo", "pffp"},
		{"three of five", 3, 5, 2, "oFoFoFoo", "pppppffp"},
		{"five of five", 5, 5, 2, "oFFFFF", "pppppf"},
		{"slow twice", 2, 3, 2, "osos", "ppps"},
		{"quick again", 2, 3, 2, "ssosoo", "pssssp"},
		{"quick twice", 2, 3, 2, "ssoo", "pssp"},
		{"slow is not failing", 2, 3, 2, "osF", "ppp"},
		{"failing beats slow", 2, 4, 2, "ssFF", "pssf"},
		{"slow after failing", 2, 3, 2, "FFss", "uffs"},
		{"half slow after failing", 2, 3, 2, "FFso", "uffp"},
		{"an unknown answer says nothing", 2, 3, 2, "oF?F", "pppf"},
		{"but it breaks the row", 2, 3, 2, "FFo?oo", "uffffp"},
		{"unknown for three periods", 2, 3, 2, "o???o", "pppup"},
		{"silence for three periods", 2, 3, 2, "FF...o", "ufffup"},
		{"a failure from before the silence does not count", 2, 3, 2, "oF...F", "ppppuu"},
		{"never anything but unknown", 2, 3, 2, "?????", "uuuuu"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tell(tc.fails, tc.of, tc.again, tc.answers); got != tc.want {
				t.Errorf("%d of %d, answers %s: status %s, want %s", tc.fails, tc.of, tc.answers, got, tc.want)
			}
		})
	}
}

func tell(fails, of, again int, answers string) string {
	now := time.Unix(0, 0)
	one := newTally(fails, of, again, 3*time.Second, now)
	var got strings.Builder
	for _, answer := range answers {
		now = now.Add(time.Second)
		before := one.status
		switch answer {
		case 'o':
			one.answer(fast, now)
		case 's':
			one.answer(late, now)
		case 'F':
			one.answer(failed, now)
		case '?':
			one.interrupted()
			one.nothing(now)
		case '.':
			one.nothing(now)
		}
		if before != one.status && one.since != now {
			return "the time of the change is wrong"
		}
		got.WriteByte(map[jenner.ProbeStatus]byte{
			jenner.ProbeUnknown: 'u', jenner.ProbePassing: 'p', jenner.ProbeSlow: 's', jenner.ProbeFailing: 'f',
		}[one.status])
	}
	return got.String()
}
