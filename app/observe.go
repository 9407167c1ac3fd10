package app

import (
	"slices"
	"time"

	"github.com/jenner-heal/jenner/detect"
	"github.com/jenner-heal/jenner/telemetry"
)

// observe makes what hears from systems what happens to their targets. Nothing is observed before the documents are set.
func (a *App) observe() {
	a.changes = detect.NewChanges(time.Now)
	var entries []telemetry.ObserverEntry
	var kinds []string
	for _, entry := range a.Catalog.Observers() {
		entries = append(entries, telemetry.ObserverEntry{Name: entry.Name, Kinds: entry.Kinds, New: entry.New})
		kinds = append(kinds, entry.Kinds...)
	}
	a.observers = telemetry.NewObservers(entries, func(observer string) telemetry.Sink {
		return heardSink{a.engine.Observed(observer, a.changes.Record), func() { a.heard.note(observer) }}
	}, a.Logger)
	a.World.Changes = a.changes.Of
	a.World.Observed = func(kind string) bool { return slices.Contains(kinds, kind) }
}
