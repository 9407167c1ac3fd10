package app

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/api"
	"github.com/jenner-heal/jenner/telemetry"
)

// Handler serves Jenner's HTTP interface, with more metrics than its own.
func (a *App) Handler(more ...prometheus.Gatherer) http.Handler {
	return api.Handler(a.Metrics.Handler(more...), a.Ready, a.receive())
}

// readyKey is where a question for readiness writes to.
const readyKey = "ready"

const (
	// storeTrusted is for how long a write that went well is believed to go well again: anybody may ask, and each write costs.
	storeTrusted = 5 * time.Second
	storePatient = 2 * time.Second
	// observerSilent is the silence after which what an observer told is stale.
	observerSilent = 30 * time.Second
)

// Ready says what must be so for Jenner to do its work: documents that are in force, a store that can be written, telemetry
// that is fresh.
func (a *App) Ready(ctx context.Context) []api.Check {
	docs := a.Docs()
	checks := []api.Check{{Name: "documents", OK: true, Saw: fmt.Sprintf("%d services, %d policies", len(docs.Services), len(docs.Policies))}}
	return append(checks, a.storeReady(ctx), a.telemetryReady(time.Now()))
}

func (a *App) storeReady(ctx context.Context) api.Check {
	a.wrote.Lock()
	defer a.wrote.Unlock()
	check := api.Check{Name: "store", OK: true, Saw: "it can be written"}
	if time.Since(a.wrote.at) < storeTrusted {
		return check
	}
	ctx, cancel := context.WithTimeout(ctx, storePatient)
	defer cancel()
	if err := a.Store.PutValue(ctx, readyKey, jenner.Raw(time.Now())); err != nil {
		return api.Check{Name: "store", Saw: err.Error()}
	}
	a.wrote.at = time.Now()
	return check
}

func (a *App) telemetryReady(now time.Time) api.Check {
	check := api.Check{Name: "telemetry"}
	asked := 0
	for _, service := range a.Docs().Services {
		for _, probe := range a.World.Telemetry.Probes(service.Name) {
			if asked++; !probe.Fresh(now) {
				check.Saw = fmt.Sprintf("probe %s of %s was not asked lately", probe.Name, service.Name)
				return check
			}
		}
	}
	heard := 0
	for _, entry := range a.Catalog.Observers() {
		if !slices.ContainsFunc(a.Docs().Services, func(s jenner.Service) bool { return slices.ContainsFunc(entry.Kinds, s.HasTarget) }) {
			continue
		}
		if heard++; now.Sub(a.heard.at(entry.Name)) > observerSilent {
			check.Saw = "the observer " + entry.Name + " was not in touch with its system lately"
			return check
		}
	}
	check.OK, check.Saw = true, fmt.Sprintf("%d probes and %d observers are fresh", asked, heard)
	return check
}

// lastWrite is when the store was last written to for readiness.
type lastWrite struct {
	sync.Mutex
	at time.Time
}

// hearing is when each observer was last in touch with its system.
type hearing struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (h *hearing) note(observer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last == nil {
		h.last = map[string]time.Time{}
	}
	h.last[observer] = time.Now()
}

func (h *hearing) at(observer string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last[observer]
}

// heardSink notes when its observer was in touch with its system.
type heardSink struct {
	telemetry.Sink
	note func()
}

// Synced is part of telemetry.Sink.
func (s heardSink) Synced(subjects ...jenner.Subject) { s.note(); s.Sink.Synced(subjects...) }

// Seen is part of telemetry.Sink.
func (s heardSink) Seen(subjects ...jenner.Subject) { s.note(); s.Sink.Seen(subjects...) }
