package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/jenner-heal/jenner"
)

// ObserverEntry is one observer that can be run.
type ObserverEntry struct {
	Name  string   // PROVIDER.NAME
	Kinds []string // the kinds of targets that it is about
	New   func() Observer
}

// Observers runs each observer over the services that it is about, and begins it anew when it breaks off or when those
// services change. Set may be called concurrently; Close ends all of them and waits.
type Observers struct {
	entries []ObserverEntry
	sink    func(observer string) Sink
	log     *slog.Logger

	mu      sync.Mutex
	running map[string]*observing
}

type observing struct {
	name     string
	door     *door
	services []jenner.Service
	stop     context.CancelFunc
	ended    chan struct{}
}

// NewObservers makes a runner with nothing to observe yet. sink gives each observer its own sink.
func NewObservers(entries []ObserverEntry, sink func(observer string) Sink, logger *slog.Logger) *Observers {
	return &Observers{entries: entries, sink: sink, log: logger, running: map[string]*observing{}}
}

// Set makes the observers watch the targets of these services from now on. One whose services stay the same goes on
// undisturbed.
func (o *Observers) Set(services []jenner.Service) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, entry := range o.entries {
		mine := about(services, entry.Kinds)
		now := o.running[entry.Name]
		if now != nil && reflect.DeepEqual(now.services, mine) || now == nil && len(mine) == 0 {
			continue
		}
		if now != nil {
			now.end(o.log)
			delete(o.running, entry.Name)
		}
		if len(mine) == 0 {
			o.sink(entry.Name).Synced() // nothing is known any more
			continue
		}
		o.running[entry.Name] = o.begin(entry, mine)
	}
}

// Close ends all observers and returns when they have ended, or after a second those that do not heed their context.
func (o *Observers) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, one := range o.running {
		one.end(o.log)
		delete(o.running, name)
	}
}

// end stops an observer and waits for it, but not for one that does not heed its context: it is left behind, and what it
// tells from then on is not heard.
func (o *observing) end(log *slog.Logger) {
	o.stop()
	select {
	case <-o.ended:
	case <-time.After(lastPatience):
		log.Warn("an observer does not heed its context and was left behind", "observer", o.name)
	}
	o.door.shut()
}

func about(services []jenner.Service, kinds []string) []jenner.Service {
	var mine []jenner.Service
	for _, service := range services {
		for _, kind := range kinds {
			if service.HasTarget(kind) {
				mine = append(mine, service)
				break
			}
		}
	}
	return mine
}

// A broken watch is begun anew after a moment, and after half a minute at most: until then what it told is stale.
const (
	observeAgainFirst = 500 * time.Millisecond
	observeAgainMost  = 15 * time.Second
)

func (o *Observers) begin(entry ObserverEntry, services []jenner.Service) *observing {
	ctx, stop := context.WithCancel(context.Background())
	one := &observing{name: entry.Name, services: services, stop: stop, ended: make(chan struct{}), door: &door{}}
	go func() {
		defer close(one.ended)
		pause := backoff.NewExponentialBackOff()
		pause.InitialInterval, pause.MaxInterval = observeAgainFirst, observeAgainMost
		for ctx.Err() == nil {
			began := time.Now()
			err := observe(ctx, entry, services, &heard{one.door, o.sink(entry.Name)})
			if ctx.Err() != nil {
				return
			}
			if time.Since(began) > observeAgainMost {
				pause.Reset()
			}
			wait := pause.NextBackOff()
			o.log.Warn("an observer broke off and is begun anew", "observer", entry.Name, "in", wait, "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
	}()
	return one
}

// observe turns a panic into an error: one broken observer must not end the program that heals all services.
func observe(ctx context.Context, entry ObserverEntry, services []jenner.Service, sink Sink) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("the observer panicked: %v\n%s", reason, debug.Stack())
		}
	}()
	return entry.New().Observe(ctx, services, sink)
}

// door is open while an observer runs.
type door struct {
	mu     sync.RWMutex
	closed bool
}

// shut returns when nobody is inside any more.
func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
}

func (d *door) pass(through func()) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if !d.closed {
		through()
	}
}

// heard is a sink behind a door.
type heard struct {
	door *door
	sink Sink
}

func (h *heard) Condition(c jenner.Condition) { h.door.pass(func() { h.sink.Condition(c) }) }
func (h *heard) Changed(e jenner.ChangeEvent) { h.door.pass(func() { h.sink.Changed(e) }) }
func (h *heard) Synced(of ...jenner.Subject)  { h.door.pass(func() { h.sink.Synced(of...) }) }
func (h *heard) Seen(of ...jenner.Subject)    { h.door.pass(func() { h.sink.Seen(of...) }) }
func (h *heard) Blind(what string, why error) { h.door.pass(func() { h.sink.Blind(what, why) }) }
