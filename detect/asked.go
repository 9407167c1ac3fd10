package detect

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// Heard is what an Alertmanager that was asked says of one alert that fires.
type Heard struct {
	Labels  map[string]string
	Updated time.Time // when it was last told that the alert fires
	Until   time.Time // by its clock: until when it counts as firing, though nobody says so again
}

// Answer is what an Alertmanager said when it was asked.
type Answer struct {
	Firing  []Heard
	Now     time.Time // by its own clock
	Started time.Time // by its own clock: what it was told before, it does not know
}

// askedTrust is for how many of its periods an answer is believed, askedLeast for how long at least.
const (
	askedTrust = 3
	askedLeast = 15 * time.Second
)

// AskedBelieved is for how long the answer of a receiver's Alertmanager counts as a look.
func AskedBelieved(receiver jenner.Receiver) time.Duration {
	if receiver.Alertmanager == nil {
		return 0
	}
	return max(askedLeast, askedTrust*receiver.Alertmanager.Every.Or(jenner.DefaultAskEvery))
}

// Asked takes what a receiver's Alertmanager said of alerts that came from it.
//
// One that it has fires. One that it has no more is resolved where it had it before, is still the same process, and would
// have had it for longer had nobody ended it. Else it may have been forgotten or have run out, because whoever looks fell
// silent: then nobody vouches for it, which is neither resolved nor a reason to act.
func (t *Taker) Asked(receiver jenner.Receiver, asked []jenner.Alert, answer Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	firing := map[string]Heard{}
	for _, one := range answer.Firing {
		firing[labelsKey(one.Labels)] = one
	}
	for _, alert := range asked {
		current, onBoard := t.board.Get(alert.Fingerprint)
		known := t.spellOf(alert.Fingerprint)
		if !onBoard || known == nil || current.Status != jenner.Firing || current.From != receiver.Name {
			continue
		}
		heard, there := firing[labelsKey(current.Labels)]
		switch {
		case there:
			known.until, known.asked = heard.Until, answer.Now
			if seen := earliest(heard.Updated, now); seen.After(current.SeenAt) {
				current.SeenAt, known.heard = seen, seen
			}
			current.ValidUntil = now.Add(AskedBelieved(receiver))
			t.board.Put(current)
		case known.endedEarly(answer):
			known.over = answer.Now
			t.board.Put(ended(current, now))
		default:
			t.doubt(receiver.Name, alert.Fingerprint)
		}
	}
}

// endedEarly tells whether an alert that is there no more was ended by whoever looks, and did not just run out.
func (s *spell) endedEarly(answer Answer) bool {
	return !s.asked.IsZero() && !answer.Now.IsZero() && !answer.Started.After(s.asked) && answer.Now.Before(s.until)
}

// labelsKey is the same for the same labels.
func labelsKey(labels map[string]string) string {
	var key strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		key.WriteString(strconv.Quote(name) + strconv.Quote(labels[name]))
	}
	return key.String()
}
