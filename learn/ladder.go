package learn

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/jenner-heal/jenner"
)

// top is the highest rung: auto.
var top = jenner.ModeAuto.Boldness()

// ladder is how far a policy has come. A rung is the index of its mode in jenner.Modes.
type ladder struct {
	terms      jenner.Promotion // with everything said
	start, at  int
	rungs      []rung
	drills     map[string]bool // the PROVEN ones; a drill with several faults is one
	lastProven time.Time
}

// rung is what was seen on a rung since it was entered.
type rung struct {
	since                 time.Time // zero: since the beginning
	why                   string    // it was entered
	right, wrong, unknown int
}

func (r rung) scored() int    { return r.right + r.wrong }
func (r rung) bound() float64 { return Wilson(r.right, r.scored()) }

func newLadder(terms jenner.Promotion) *ladder {
	if terms.Decisions <= 0 {
		terms.Decisions = usualDecisions
	}
	if !(terms.Success > 0) {
		terms.Success = usualSuccess
	}
	if terms.Proven <= 0 {
		terms.Proven = usualProven
	}
	if terms.ProofAge <= 0 {
		terms.ProofAge = jenner.Duration(usualProofAge)
	}
	start := terms.Start.Boldness()
	return &ladder{terms: terms, start: start, at: start, rungs: make([]rung, len(jenner.Modes)), drills: map[string]bool{}}
}

// take lets one event change where the policy stands.
func (l *ladder) take(e event) {
	switch e.news {
	case newsProven:
		l.prove(e)
	case newsHarmful:
		l.fall(e.at, l.at, l.start, named("a drill was HARMFUL", e.about))
	default:
		l.count(e)
	}
}

// count takes a judgement. It counts on the rung that it is of: where that is a lower one, which the ceiling or a stale
// proof held the policy on, it lifts nothing; where it is a higher one, which was lost meanwhile, it is forgotten, for a
// rung that is entered begins with nothing.
func (l *ladder) count(e event) {
	here := &l.rungs[e.rung]
	switch e.news {
	case newsRight:
		here.right++
	case newsWrong, newsFailed:
		here.wrong++
	default:
		here.unknown++
	}
	switch {
	case e.news == newsRight && e.rung == l.at: // a wrong one may make up the number, but never lifts
		l.rise(e.at)
	case e.news == newsFailed:
		stood := min(l.at, e.rung)
		to := max(stood-1, l.start)
		l.fall(e.at, max(stood, to+1), to, named("a verification failed", e.about))
	}
}

func (l *ladder) prove(e event) {
	if l.at == top && l.outdated(e.at) {
		l.rungs[top].since = e.at
		l.rungs[top].why = change("rose", top-1, top, fmt.Sprintf("PROVEN again, %s after the last time", inWords(e.at.Sub(l.lastProven))))
	}
	drill := cmp.Or(e.about, fmt.Sprintf("unnamed %d", len(l.drills)))
	l.drills[drill] = true
	l.lastProven = e.at
	if l.at == top-1 {
		l.rise(e.at)
	}
}

func (l *ladder) proven() int { return len(l.drills) }

// outdated tells that the newest PROVEN drill is too old at that time; where there was none, nothing can be.
func (l *ladder) outdated(at time.Time) bool {
	return l.proven() > 0 && at.Sub(l.lastProven) > l.terms.ProofAge.Std()
}

// rise goes to the next rung where nothing is missing for it.
func (l *ladder) rise(at time.Time) {
	if l.at == top || len(l.lacks(at)) > 0 {
		return
	}
	here := l.rungs[l.at]
	why := fmt.Sprintf("%s, lower bound %.2f", counted(here.scored(), "decision"), here.bound())
	if l.at+1 == top {
		why += ", " + counted(l.proven(), "PROVEN drill")
	}
	l.rungs[l.at+1] = rung{since: at, why: change("rose", l.at, l.at+1, why)}
	l.at++
}

// fall goes down to a rung, where the counts begin anew. Where there is none below to fall to, the right decisions are lost
// and the wrong ones stay: otherwise a policy with many wrong ones would gain by failing.
func (l *ladder) fall(at time.Time, from, to int, why string) {
	if to == l.at {
		l.rungs[to].right = 0
		return
	}
	l.rungs[to] = rung{since: at, why: change("fell", from, to, why)}
	l.at = to
}

// lacks is what the next rung still needs at that time, in words with numbers.
func (l *ladder) lacks(at time.Time) []string {
	var missing []string
	here := l.rungs[l.at]
	if here.scored() < l.terms.Decisions {
		missing = append(missing, fmt.Sprintf("%d of %d scored decisions", here.scored(), l.terms.Decisions))
	}
	if success := float64(l.terms.Success); here.bound() < success {
		missing = append(missing, "lower bound "+apart(here.bound(), success))
	}
	if l.at+1 == top && l.proven() < l.terms.Proven {
		missing = append(missing, fmt.Sprintf("%d of %d PROVEN drills", l.proven(), l.terms.Proven))
	}
	if l.at+1 == top && l.outdated(at) {
		missing = append(missing, l.age(at))
	}
	return missing
}

// missing is what a person is told about the next rung.
func (l *ladder) missing(now time.Time) []string {
	if l.at == top { // it was reached, and is not shown
		return []string{l.age(now)}
	}
	if missing := l.lacks(now); len(missing) > 0 {
		return missing
	}
	return []string{"one more right decision, for the newest one was wrong"}
}

func (l *ladder) age(at time.Time) string {
	return fmt.Sprintf("the newest proof is %s old, %s is the most", inWords(at.Sub(l.lastProven)), l.terms.ProofAge)
}

func change(how string, from, to int, why string) string {
	return fmt.Sprintf("%s from %s to %s: %s", how, jenner.Modes[from], jenner.Modes[to], why)
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// named adds the incident or the drill where it is known.
func named(what, id string) string {
	if id == "" {
		return what
	}
	return what + " (" + id + ")"
}

// apart writes two numbers with as many digits as it takes to tell one from the other, two at least: 0.799 of 0.80 is not
// 0.80 of 0.80.
func apart(have, need float64) string {
	for digits := 2; ; digits++ {
		has, needs := fmt.Sprintf("%.*f", digits, have), fmt.Sprintf("%.*f", digits, need)
		if has != needs || digits == 17 {
			return has + " of " + needs
		}
	}
}

// inWords rounds up, to days, minutes or seconds, so that what is too old never reads as just old enough.
func inWords(d time.Duration) jenner.Duration {
	unit := time.Second
	switch {
	case d > 48*time.Hour:
		unit = 24 * time.Hour
	case d > 2*time.Minute:
		unit = time.Minute
	}
	whole := d.Truncate(unit)
	if whole < d && whole <= math.MaxInt64-unit {
		whole += unit
	}
	return jenner.Duration(whole)
}
