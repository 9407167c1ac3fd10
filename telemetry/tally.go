package telemetry

import (
	"time"

	"github.com/jenner-heal/jenner"
)

// tally turns single answers into a status. It knows no clock: times come with the answers.
//
//   - failing: Fails of the last Of answers failed.
//   - slow: it is not failing, and Fails of the last Of answers were right but later than the probe's Slow.
//   - passing again: `again` right answers in a row after failing, or as many that were not slow after slow. What
//     happened before them is forgotten then; else an old failure still in the window would count a second time.
//   - unknown: nobody has answered for `silence`. The next right answer passes, and the window starts empty.
//
// An answer that says Unknown breaks the row but is not in the window: it says nothing about the service.
type tally struct {
	fails, of, again int
	silence          time.Duration

	window []mark // the last answers, the newest last; at most of
	status jenner.ProbeStatus
	since  time.Time
	known  time.Time // of the last right or failed answer; before the first, the start
}

// mark is one answer as the tally counts it.
type mark int

const (
	fast mark = iota
	late
	failed
)

func newTally(fails, of, again int, silence time.Duration, start time.Time) *tally {
	return &tally{
		fails: fails, of: of, again: again, silence: silence,
		status: jenner.ProbeUnknown, since: start, known: start,
	}
}

// answer counts one right or failed answer.
func (t *tally) answer(m mark, at time.Time) {
	t.known = at
	t.window = append(t.window, m)
	if extra := len(t.window) - max(t.of, t.again); extra > 0 {
		t.window = t.window[extra:]
	}
	t.become(t.verdict(), at)
}

// nothing counts that no answer, or none that says anything, has come by now. It reports whether the status changed.
func (t *tally) nothing(now time.Time) bool {
	if t.status == jenner.ProbeUnknown || now.Sub(t.known) < t.silence {
		return false
	}
	t.window = nil
	t.become(jenner.ProbeUnknown, now)
	return true
}

// interrupted forgets the row of right answers that leads out of failing, because something unknown came between.
func (t *tally) interrupted() {
	if t.status == jenner.ProbeFailing || t.status == jenner.ProbeSlow {
		t.window = append(t.window[:0], t.window[:len(t.window)-t.row(late)]...)
	}
}

func (t *tally) verdict() jenner.ProbeStatus {
	failures, slow := t.count(failed), t.count(late)
	switch {
	case t.status == jenner.ProbeFailing && t.row(late) < t.again:
		return jenner.ProbeFailing
	case t.status == jenner.ProbeFailing:
		t.window = t.window[len(t.window)-t.row(late):]
		failures, slow = 0, t.count(late)
	case t.status == jenner.ProbeSlow && t.row(fast) >= t.again:
		t.window = t.window[len(t.window)-t.row(fast):]
		failures, slow = 0, 0
	}
	switch {
	case failures >= t.fails:
		return jenner.ProbeFailing
	case slow >= t.fails, t.status == jenner.ProbeSlow && t.row(fast) < t.again:
		return jenner.ProbeSlow
	case t.status == jenner.ProbeUnknown && t.row(late) == 0:
		return jenner.ProbeUnknown // a first failure is not yet enough for either
	default:
		return jenner.ProbePassing
	}
}

func (t *tally) become(status jenner.ProbeStatus, at time.Time) {
	if status != t.status {
		t.status, t.since = status, at
	}
}

// count is how many of the last Of answers are m.
func (t *tally) count(m mark) int {
	n := 0
	for _, one := range t.window[max(0, len(t.window)-t.of):] {
		if one == m {
			n++
		}
	}
	return n
}

// row is how many of the last answers in a row were m or better.
func (t *tally) row(m mark) int {
	n := 0
	for n < len(t.window) && t.window[len(t.window)-1-n] <= m {
		n++
	}
	return n
}
