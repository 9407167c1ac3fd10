package http

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// The kinds of faults that the proxy knows.
const (
	kindLatency   = "latency"
	kindError     = "error"
	kindAbort     = "abort"
	kindBody      = "body"
	kindBandwidth = "bandwidth"
)

// proxyFault is a fault as the control endpoint takes and gives it.
type proxyFault struct {
	ID     string          `json:"id"`
	Kind   string          `json:"kind"`
	Delay  jenner.Duration `json:"delay,omitempty"`  // latency: how long a request waits …
	Jitter jenner.Duration `json:"jitter,omitempty"` // … give or take this, evenly spread, and never less than nothing
	Status int             `json:"status,omitempty"` // error: the answer's status, 400 to 599
	After  int64           `json:"after,omitempty"`  // abort: how many bytes of the answer's body still get through
	Body   *bodyChange     `json:"body,omitempty"`   // body: what is changed in the answer's body
	Rate   int64           `json:"rate,omitempty"`   // bandwidth: bytes a second, all requests together, each way
	Share  jenner.Share    `json:"share"`            // how many of the requests are affected
	Until  time.Time       `json:"until"`            // the lease
}

func (f proxyFault) validate() error {
	switch {
	case f.ID == "":
		return errors.New("id is missing")
	case path.Clean("/"+f.ID) != "/"+f.ID:
		return fmt.Errorf("id %q cannot be named in a path, so nobody could take the fault away", f.ID)
	case f.Share <= 0 || f.Share > 1:
		return fmt.Errorf("a share of %g affects nothing or more than all; write one above 0%% and up to 100%%", float64(f.Share))
	case f.Until.IsZero():
		return errors.New("until is missing; a fault without a lease would never end by itself")
	}
	return f.validateKind()
}

// validateKind checks what belongs to the kind, and that nothing of the others is there.
func (f proxyFault) validateKind() error {
	has := map[string]bool{kindLatency: f.Delay != 0 || f.Jitter != 0, kindError: f.Status != 0, kindAbort: f.After != 0,
		kindBody: f.Body != nil, kindBandwidth: f.Rate != 0}
	if _, known := has[f.Kind]; !known {
		return fmt.Errorf("unknown kind %q; known: latency, error, abort, body, bandwidth", f.Kind)
	}
	for _, other := range slices.Sorted(maps.Keys(has)) {
		if has[other] && other != f.Kind {
			return fmt.Errorf("%s has no setting of %s; put two faults beside each other", f.Kind, other)
		}
	}
	switch {
	case f.Kind == kindLatency && f.Delay <= 0:
		return errors.New("delay is missing; write how long a request waits, such as 400ms")
	case f.Kind == kindError && (f.Status < 400 || f.Status > 599):
		return fmt.Errorf("status %d is no error; write 400 to 599", f.Status)
	case f.Kind == kindAbort && f.After < 0:
		return fmt.Errorf("after %d is less than nothing", f.After)
	case f.Kind == kindBandwidth && f.Rate <= 0:
		return errors.New("rate is missing; write how many bytes a second get through")
	case f.Kind == kindBody && f.Body == nil:
		return errors.New("it is not said what is changed; write truncate, match, field or garble")
	case f.Kind == kindBody:
		return f.Body.validate()
	}
	return nil
}

// faultStats are the counters of one fault since it was first put.
type faultStats struct {
	ID       string          `json:"id"`
	Seen     int64           `json:"seen"`     // requests that came while it held
	Affected int64           `json:"affected"` // of those, the ones it was applied to
	Changed  int64           `json:"changed"`  // answers that it cut off, or whose body it changed
	Delayed  jenner.Duration `json:"delayed"`  // the sum of the delays it added
}

// placed is a fault in the list. Counters stay after the lease has ended, so that they can still be asked for.
type placed struct {
	proxyFault
	stats   faultStats
	changed chan struct{} // closed when the fault is put again or taken away
	busy    [2]time.Time  // bandwidth: until when what was let through takes, each way
}

// maxPlaced bounds the list; faults whose lease has ended go first.
const maxPlaced = 1000

// faultList is the proxy's faults. It is safe for concurrent use.
type faultList struct {
	now func() time.Time

	mu     sync.Mutex
	placed map[string]*placed
}

func newFaultList(now func() time.Time) *faultList {
	return &faultList{now: now, placed: map[string]*placed{}}
}

// put adds a fault, or renews and changes the one of the same id and keeps its counters.
func (l *faultList) put(fault proxyFault) error {
	if err := fault.validate(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.now().Before(fault.Until) {
		return fmt.Errorf("the lease of fault %s ended at %s", fault.ID, fault.Until.Format(time.RFC3339Nano))
	}
	fresh := &placed{proxyFault: fault, stats: faultStats{ID: fault.ID}, changed: make(chan struct{})}
	if old, there := l.placed[fault.ID]; there {
		fresh.stats, fresh.busy = old.stats, old.busy
		close(old.changed)
	} else if len(l.placed) >= maxPlaced && !l.forget() {
		return fmt.Errorf("there are %d faults already; take some away", maxPlaced)
	}
	l.placed[fault.ID] = fresh
	return nil
}

// forget drops the faults whose lease has ended.
func (l *faultList) forget() (some bool) {
	for id, fault := range l.placed {
		if !l.now().Before(fault.Until) {
			close(fault.changed)
			delete(l.placed, id)
			some = true
		}
	}
	return some
}

// remove takes a fault away and tells whether there was one that held.
func (l *faultList) remove(id string) (held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fault, there := l.placed[id]
	if !there {
		return false
	}
	close(fault.changed)
	delete(l.placed, id)
	return l.now().Before(fault.Until)
}

// holding are the faults whose lease has not ended, by id.
func (l *faultList) holding() []proxyFault {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := []proxyFault{}
	for _, fault := range l.placed {
		if l.now().Before(fault.Until) {
			list = append(list, fault.proxyFault)
		}
	}
	slices.SortFunc(list, func(a, b proxyFault) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// stats are the counters of all faults, by id.
func (l *faultList) stats() []faultStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := []faultStats{}
	for _, fault := range l.placed {
		list = append(list, fault.stats)
	}
	slices.SortFunc(list, func(a, b faultStats) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// hit counts one request and gives the faults that it is affected by, in the order of their ids.
func (l *faultList) hit(chance func() float64) []proxyFault {
	l.mu.Lock()
	defer l.mu.Unlock()
	var hits []proxyFault
	for _, fault := range l.placed {
		if !l.now().Before(fault.Until) {
			continue
		}
		fault.stats.Seen++
		if chance() < float64(fault.Share) {
			fault.stats.Affected++
			hits = append(hits, fault.proxyFault)
		}
	}
	slices.SortFunc(hits, func(a, b proxyFault) int { return strings.Compare(a.ID, b.ID) })
	return hits
}

// delay lets a request wait for what the fault says, as long as the fault holds: it goes on as soon as the lease has
// ended or somebody took the fault away. It tells whether the caller is still there.
func (l *faultList) delay(ctx context.Context, fault proxyFault) bool {
	return l.waitUntil(ctx, fault.ID, l.now().Add(jittered(fault.Delay.Std(), fault.Jitter.Std(), rand.Float64())))
}

// waitUntil waits until then or until the fault is over. It tells whether the caller is still there.
func (l *faultList) waitUntil(ctx context.Context, id string, end time.Time) bool {
	began := l.now()
	for {
		now := l.now()
		until, changed := l.lease(id)
		wait := min(end.Sub(now), until.Sub(now))
		if wait <= 0 {
			l.count(id, func(stats *faultStats) { stats.Delayed += jenner.Duration(now.Sub(began)) })
			return ctx.Err() == nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			l.count(id, func(stats *faultStats) { stats.Delayed += jenner.Duration(l.now().Sub(began)) })
			return false
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// jittered is delay ± jitter for a chance in [0,1), and not less than nothing.
func jittered(delay, jitter time.Duration, chance float64) time.Duration {
	most := max(0, math.MaxInt64-delay) // else the sum of two centuries would be less than nothing
	return max(0, delay+min(most, time.Duration((2*chance-1)*float64(jitter))))
}

// lease is when a fault ends, and a channel that is closed when that changes; the zero time where it is gone.
func (l *faultList) lease(id string) (until time.Time, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fault, there := l.placed[id]; there {
		return fault.Until, fault.changed
	}
	return time.Time{}, nil
}

// count changes the counters of a fault, where it is still known.
func (l *faultList) count(id string, how func(*faultStats)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fault, there := l.placed[id]; there {
		how(&fault.stats)
	}
}

// holds tells whether the fault's lease has not ended.
func (l *faultList) holds(id string) bool {
	until, _ := l.lease(id)
	return l.now().Before(until)
}

// The ways in which bytes go.
const (
	upwards   = iota // to the service
	downwards        // to the caller
)

// reserve gives when so many bytes are through at the fault's rate, behind all that was let through before.
func (l *faultList) reserve(id string, way int, bytes int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	fault, there := l.placed[id]
	if !there {
		return l.now()
	}
	if now := l.now(); fault.busy[way].Before(now) {
		fault.busy[way] = now
	}
	fault.busy[way] = fault.busy[way].Add(time.Duration(float64(bytes) / float64(fault.Rate) * float64(time.Second)))
	return fault.busy[way]
}
