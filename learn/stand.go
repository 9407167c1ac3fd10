package learn

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
)

// What a promotion asks for where it does not say so.
const (
	usualDecisions = 20
	usualSuccess   = 0.8
	usualProven    = 3
	usualProofAge  = 30 * 24 * time.Hour
)

// Evidence is what a standing is made of. Judgements and Proofs may come in any order and be about anything: what is not
// about this policy, this service and this runbook, as it stands now, is passed over.
type Evidence struct {
	Policy     jenner.Policy
	Service    jenner.Service
	Runbook    jenner.Runbook
	Judgements []jenner.Judgement
	Proofs     []jenner.Proof
	Now        time.Time
}

// Stand is where the policy stands on the ladder for the service, by all that is known at e.Now. It is a pure function of
// the evidence, whose order does not matter, and may be called concurrently.
//
// Without a promotion it stands where the files put it. With one it begins at Start and goes through the evidence in the
// order of time:
//
//   - A decision counts on the rung that it was made on, since that rung was entered: one in shadow says nothing about how
//     approvals go. Once there are enough of them and the lower bound of the right ones is high enough, the next right one,
//     or this one, is the one that lifts it by a rung. The last rung, auto, needs PROVEN drills besides, of which the newest
//     is fresh; those count by drill, whenever they were.
//   - A failed verification takes it one rung below the one it was acted on; a HARMFUL drill takes it to Start; neither
//     goes below Start, where only the right decisions are lost and the wrong ones stay.
//   - Where the newest PROVEN drill has become too old, auto is shown as approve until there is a fresh one. What was earned
//     above the ceiling is shown as the ceiling, and is there again when the files allow more.
//
// Evidence from after e.Now, as a clock that was set back leaves it, counts only where it speaks against the policy.
// Judgements of a mode that nobody knows are passed over.
func Stand(e Evidence) jenner.Standing {
	standing := jenner.Standing{Policy: e.Policy.Name, Service: e.Service.Name, Runbook: e.Runbook.Name,
		Ceiling: e.Policy.ModeFor(e.Service.Environment)}
	if e.Policy.Promotion == nil {
		standing.Level = standing.Ceiling
		return standing
	}
	events, others := history(e)
	l := newLadder(*e.Policy.Promotion)
	for _, event := range events {
		l.take(event)
	}
	level := min(l.at, standing.Ceiling.Boldness())
	stale := level == top && l.outdated(e.Now)
	if stale {
		level--
	}
	here := l.rungs[level]
	standing.Level, standing.Since, standing.LastChange = jenner.Modes[level], here.since, here.why
	standing.Right, standing.Wrong, standing.Unknown = here.right, here.wrong, here.unknown
	standing.Bound, standing.FromHistory = here.bound(), true
	standing.Proven, standing.LastProven = l.proven(), l.lastProven
	switch {
	case stale:
		standing.Since = l.lastProven.Add(l.terms.ProofAge.Std())
		standing.LastChange = change("fell", top, level, l.age(e.Now))
	case here.why == "" && others > 0:
		standing.LastChange = fmt.Sprintf("begins anew on %s, for the runbook has changed (evidence about other versions: %d)",
			standing.Level, others)
	}
	if level < standing.Ceiling.Boldness() {
		standing.Next, standing.Missing = jenner.Modes[level+1], l.missing(e.Now)
	}
	return standing
}

// news is what an event tells.
type news int

// The news, from the best to the worst: of what happened at the same moment the good is taken first, so that the bad has
// the last word.
const (
	newsProven news = iota
	newsRight
	newsUnknown
	newsWrong
	newsFailed
	newsHarmful
)

// event is one judgement or one proof, with all that the ladder asks of it: two events that are equal may change places.
type event struct {
	at    time.Time
	news  news
	rung  int    // of a judgement: the one that it was decided on
	about string // the incident or the drill
}

// history is what concerns the evidence's policy, service and runbook, in the order of time, and the number of judgements
// and proofs that would, were they not about another version of the runbook.
func history(e Evidence) (events []event, others int) {
	version := jenner.Hash(e.Runbook)
	take := func(happened event, of string) {
		switch {
		case of != version && of != "":
			others++
		case of == version && (happened.news > newsUnknown || !happened.at.After(e.Now)):
			happened.at = happened.at.Round(0).UTC() // one form for one moment, so that order cannot show in Since
			events = append(events, happened)
		}
	}
	for _, one := range e.Judgements {
		known := slices.Contains(jenner.Modes, one.Mode)
		if known && one.Policy == e.Policy.Name && one.Service == e.Service.Name && one.Runbook == e.Runbook.Name {
			take(event{one.At, newsOf(one), one.Mode.Boldness(), one.Incident}, one.Version)
		}
	}
	for _, one := range e.Proofs {
		tells, does := map[jenner.Verdict]news{jenner.VerdictProven: newsProven, jenner.VerdictHarmful: newsHarmful}[one.Verdict]
		if does && one.Service == e.Service.Name && one.Runbook == e.Runbook.Name {
			take(event{at: one.At, news: tells, about: one.Drill}, one.Versions[jenner.VersionRunbook])
		}
	}
	slices.SortFunc(events, func(a, b event) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.news, b.news), cmp.Compare(a.rung, b.rung), cmp.Compare(a.about, b.about))
	})
	return events, others
}

func newsOf(judgement jenner.Judgement) news {
	switch {
	case judgement.Failed:
		return newsFailed
	case judgement.Right == jenner.RightDecision:
		return newsRight
	case judgement.Right == jenner.WrongDecision:
		return newsWrong
	}
	return newsUnknown
}
