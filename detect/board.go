package detect

import (
	"container/list"
	"sort"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

const (
	// DefaultLimit is how many alerts a board holds, firing and resolved together.
	DefaultLimit = 10000
	// LimitOfService is how many firing alerts of one service a board holds, so that one service alone never fills it.
	LimitOfService = 1000
	// RememberResolved is how long a resolved alert can still be found.
	RememberResolved = 10 * time.Minute
)

// Drops says how many alerts a board lost, and why.
type Drops struct {
	Full       uint64 `json:"full"`       // new alerts, for the board was full of firing ones
	Crowded    uint64 `json:"crowded"`    // new alerts, for too many of the same service fire already
	Slow       uint64 `json:"slow"`       // status changes that a slow subscriber did not take in time
	Unreadable uint64 `json:"unreadable"` // alerts that were neither firing nor resolved
}

// Board holds the present alerts by fingerprint. It is bounded in every direction, so that a storm of alerts costs
// memory and time that are known beforehand; what does not fit is counted. It is safe for concurrent use.
type Board struct {
	now func() time.Time

	mu          sync.Mutex
	limit       int
	alerts      map[string]jenner.Alert
	firing      map[string]map[string]struct{} // service to the fingerprints that fire
	ended       *list.List                     // of ending: the resolved alerts, the longest resolved first
	endings     map[string]*list.Element       // the same by fingerprint
	subscribers map[*subscriber]struct{}
	drops       Drops
}

// ending remembers when the board saw an alert resolved.
type ending struct {
	fingerprint string
	at          time.Time
}

type subscriber struct{ changes chan jenner.Alert }

// NewBoard makes an empty board that holds DefaultLimit alerts.
func NewBoard(now func() time.Time) *Board {
	return &Board{
		now: now, limit: DefaultLimit,
		alerts: map[string]jenner.Alert{}, firing: map[string]map[string]struct{}{},
		ended: list.New(), endings: map[string]*list.Element{},
		subscribers: map[*subscriber]struct{}{},
	}
}

// SetLimit changes how many alerts the board holds; less than 1 means 1. What is on it already stays.
func (b *Board) SetLimit(alerts int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit = max(alerts, 1)
}

// Put brings what a detector saw onto the board: an alert that fires, or one that does so no more.
//
// A firing alert that is on the board as firing keeps its StartsAt; its SeenAt never goes back. A resolved alert keeps
// the StartsAt it fired with. Resolving what is not on the board as firing changes nothing. Times that are zero become
// now; a fingerprint that is empty is made of kind, service, name and target. Subscribers hear of changed statuses only.
func (b *Board) Put(alert jenner.Alert) { b.put(alert, true) }

// Restore puts alerts back that were known before a restart, without telling subscribers. They keep the SeenAt they
// had, so they are stale until a detector looks again, and a detector that finds them gone resolves them as always.
func (b *Board) Restore(alerts []jenner.Alert) {
	for _, alert := range alerts {
		b.put(alert, false)
	}
}

func (b *Board) put(alert jenner.Alert, tell bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.forgetEnded(now)
	if alert.Fingerprint == "" {
		alert.Fingerprint = jenner.Fingerprint(string(alert.Kind), alert.Service, alert.Name, alert.Target.String())
	}
	if alert.SeenAt.IsZero() {
		alert.SeenAt = now
	}
	before, known := b.alerts[alert.Fingerprint]
	switch alert.Status {
	case jenner.Firing:
		b.fire(alert, before, known, tell, now)
	case jenner.Resolved:
		if known && before.Status == jenner.Firing {
			b.resolve(alert, before, tell, now)
		}
	default:
		b.drops.Unreadable++
	}
}

func (b *Board) fire(alert, before jenner.Alert, known, tell bool, now time.Time) {
	alert.EndsAt = time.Time{}
	if known && before.Status == jenner.Firing {
		alert.StartsAt = before.StartsAt
		if before.SeenAt.After(alert.SeenAt) && !before.SeenAt.After(now) { // otherwise the clock was set back
			alert.SeenAt = before.SeenAt
		}
		b.alerts[alert.Fingerprint] = alert
		return
	}
	if len(b.firing[alert.Service]) >= LimitOfService {
		b.drops.Crowded++
		return
	}
	if !known && !b.room() {
		b.drops.Full++
		return
	}
	if alert.StartsAt.IsZero() {
		alert.StartsAt = now
	}
	b.notEnded(alert.Fingerprint)
	b.alerts[alert.Fingerprint] = alert
	ofService := b.firing[alert.Service]
	if ofService == nil {
		ofService = map[string]struct{}{}
		b.firing[alert.Service] = ofService
	}
	ofService[alert.Fingerprint] = struct{}{}
	b.changed(alert, tell)
}

func (b *Board) resolve(alert, before jenner.Alert, tell bool, now time.Time) {
	alert.StartsAt = before.StartsAt
	if alert.EndsAt.IsZero() {
		alert.EndsAt = now
	}
	b.alerts[alert.Fingerprint] = alert
	b.silence(before)
	// The order of this list is the order of resolving as the board saw it, whatever EndsAt says.
	b.endings[alert.Fingerprint] = b.ended.PushBack(ending{alert.Fingerprint, now})
	b.changed(alert, tell)
}

// silence takes an alert off the index of firing ones.
func (b *Board) silence(alert jenner.Alert) {
	delete(b.firing[alert.Service], alert.Fingerprint)
	if len(b.firing[alert.Service]) == 0 {
		delete(b.firing, alert.Service)
	}
}

func (b *Board) notEnded(fingerprint string) {
	if element, ended := b.endings[fingerprint]; ended {
		b.ended.Remove(element)
		delete(b.endings, fingerprint)
	}
}

// room makes room for one more alert at the cost of the longest resolved one. Firing alerts are never pushed out.
func (b *Board) room() bool {
	for len(b.alerts) >= b.limit {
		if b.ended.Len() == 0 {
			return false
		}
		b.forget(b.ended.Front().Value.(ending).fingerprint)
	}
	return true
}

func (b *Board) forgetEnded(now time.Time) {
	for first := b.ended.Front(); first != nil; first = b.ended.Front() {
		ended := first.Value.(ending)
		if now.Sub(ended.at) < RememberResolved {
			return
		}
		b.forget(ended.fingerprint)
	}
}

func (b *Board) forget(fingerprint string) {
	b.notEnded(fingerprint)
	delete(b.alerts, fingerprint)
}

func (b *Board) changed(alert jenner.Alert, tell bool) {
	if !tell {
		return
	}
	for subscriber := range b.subscribers {
		b.drops.Slow += subscriber.send(alert)
	}
}

// send never waits: where the buffer is full, the oldest change makes room. The board's lock makes it the only sender.
func (s *subscriber) send(alert jenner.Alert) (lost uint64) {
	for {
		select {
		case s.changes <- alert:
			return lost
		default:
		}
		select {
		case <-s.changes:
			lost++
		default: // the subscriber took one meanwhile
		}
	}
}

// Withdraw takes alerts off the board that nobody looks at any more, because their rule, probe or service is no longer
// written. That is neither firing nor resolved, so subscribers hear nothing.
func (b *Board) Withdraw(fingerprints ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fingerprint := range fingerprints {
		if alert, known := b.alerts[fingerprint]; known {
			b.silence(alert)
			b.forget(fingerprint)
		}
	}
}

// Get is the alert of that fingerprint, firing or resolved less than RememberResolved ago.
func (b *Board) Get(fingerprint string) (jenner.Alert, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgetEnded(b.now())
	alert, known := b.alerts[fingerprint]
	return alert, known
}

// Firing are the service's firing alerts, the longest firing first, equally long ones by fingerprint.
func (b *Board) Firing(service string) []jenner.Alert {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sorted(b.firing[service])
}

// AllFiring are the firing alerts of all services, in the order of Firing.
func (b *Board) AllFiring() []jenner.Alert {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]struct{}{}
	for _, ofService := range b.firing {
		for fingerprint := range ofService {
			all[fingerprint] = struct{}{}
		}
	}
	return b.sorted(all)
}

func (b *Board) sorted(fingerprints map[string]struct{}) []jenner.Alert {
	list := make([]jenner.Alert, 0, len(fingerprints))
	for fingerprint := range fingerprints {
		list = append(list, b.alerts[fingerprint])
	}
	sort.Slice(list, func(i, j int) bool {
		if !list[i].StartsAt.Equal(list[j].StartsAt) {
			return list[i].StartsAt.Before(list[j].StartsAt)
		}
		return list[i].Fingerprint < list[j].Fingerprint
	})
	return list
}

// Subscribe gives every change of status from now on: an alert that began to fire, or was resolved. The channel holds
// buffer changes, at least 1; a subscriber that is slower loses the oldest, which Drops counts, and must look at the
// board itself to be sure. The returned function ends the subscription and closes the channel; it may be called twice.
func (b *Board) Subscribe(buffer int) (<-chan jenner.Alert, func()) {
	one := &subscriber{changes: make(chan jenner.Alert, max(buffer, 1))}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subscribers[one] = struct{}{}
	return one.changes, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if _, subscribed := b.subscribers[one]; subscribed {
			delete(b.subscribers, one)
			close(one.changes)
		}
	}
}

// Dropped is how many alerts and changes were lost, whatever the reason.
func (b *Board) Dropped() uint64 {
	drops := b.Drops()
	return drops.Full + drops.Crowded + drops.Slow + drops.Unreadable
}

// Drops is how many alerts and changes were lost, by reason.
func (b *Board) Drops() Drops {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.drops
}
