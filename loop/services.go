package loop

import (
	"sync"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/diagnose"
)

// graph is what the files say of the services, by name, with who needs whom. It is made once for each reading of the
// files: an incident asks for it several times, and a storm has thousands of incidents.
type graph struct {
	docs     *jenner.Documents
	services map[string]jenner.Service
	runbooks map[string]jenner.Runbook
	triggers []jenner.Runbook // those with a trigger

	mu     sync.Mutex
	below  map[string][]string // the dependencies of a service, direct and indirect
	above  map[string][]string // its dependants
	hashes map[string]string   // of runbooks
}

func newGraph(docs *jenner.Documents) *graph {
	g := &graph{docs: docs, services: map[string]jenner.Service{}, runbooks: map[string]jenner.Runbook{}, below: map[string][]string{},
		above: map[string][]string{}, hashes: map[string]string{}}
	for _, service := range docs.Services {
		g.services[service.Name] = service
	}
	for _, book := range docs.Runbooks {
		g.runbooks[book.Name] = book
		if book.Trigger != nil {
			g.triggers = append(g.triggers, book)
		}
	}
	return g
}

// graph is that of the files as they are now.
func (w *World) graph() *graph {
	docs := w.Docs()
	if known := w.known.Load(); known != nil && known.docs == docs {
		return known
	}
	fresh := newGraph(docs)
	w.known.Store(fresh)
	return fresh
}

// once keeps what is worth keeping.
func once[V any](g *graph, kept map[string]V, name string, make func() V) V {
	g.mu.Lock()
	defer g.mu.Unlock()
	value, known := kept[name]
	if !known {
		value = make()
		kept[name] = value
	}
	return value
}

// dependenciesOf are all services that one needs, directly or through others.
func (w *World) dependenciesOf(service string) []string {
	g := w.graph()
	return once(g, g.below, service, func() []string { return diagnose.Dependencies(g.services, service) })
}

// dependantsOf are all services that need one, directly or through others.
func (w *World) dependantsOf(service string) []string {
	g := w.graph()
	return once(g, g.above, service, func() []string { return diagnose.Dependants(g.services, service) })
}

// version is the hash of a runbook as it stands in the files.
func (w *World) version(book jenner.Runbook) string {
	g := w.graph()
	return once(g, g.hashes, book.Name, func() string { return jenner.Hash(book) })
}
