package catalog

import (
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/telemetry"
)

// Names answers what the written files ask of a catalog: is there such a thing, and are its parameters right? It is
// what package config wants to know of the providers. It touches nothing and is safe for concurrent use.
type Names struct{ Catalog *Catalog }

// Action finds an action and reads its parameters. full is PROVIDER.VERB. The problems' paths are relative to params.
func (n Names) Action(name, kind string, params jenner.Params) (full string, problems []strict.Problem, err error) {
	entry, err := n.Catalog.Action(name, kind)
	if err != nil {
		return "", nil, err
	}
	return entry.Name, examine(entry.New(), params), nil
}

// Fault finds a fault likewise.
func (n Names) Fault(name, kind string, params jenner.Params) (full string, problems []strict.Problem, err error) {
	entry, err := n.Catalog.Fault(name, kind)
	if err != nil {
		return "", nil, err
	}
	return entry.Name, examine(entry.New(), params), nil
}

// Probe finds a probe by the key that people write.
func (n Names) Probe(kind string, params jenner.Params) ([]strict.Problem, error) {
	entry, err := n.Catalog.Probe(kind, "")
	if err != nil {
		return nil, err
	}
	return examine(entry.New(), params), nil
}

// Source finds a metrics source by the key that people write.
func (n Names) Source(kind string, params jenner.Params) ([]strict.Problem, error) {
	entry, err := n.Catalog.Source(kind)
	if err != nil {
		return nil, err
	}
	return examine(entry.New(), params), nil
}

// Target finds a kind of target.
func (n Names) Target(kind string, params jenner.Params) ([]strict.Problem, error) {
	entry, err := n.Catalog.TargetKind(kind)
	if err != nil {
		return nil, err
	}
	return examine(entry.New(), params), nil
}

// Notifier finds a notifier by the key that people write.
func (n Names) Notifier(kind string, params jenner.Params) ([]strict.Problem, error) {
	entry, err := n.Catalog.Notifier(kind)
	if err != nil {
		return nil, err
	}
	return examine(entry.New(), params), nil
}

// Alive tells whether targets of a kind have the probe alive without writing it.
func (n Names) Alive(kind string) bool {
	if kind == "" {
		return false
	}
	_, err := n.Catalog.Probe(jenner.AliveProbe, kind)
	return err == nil
}

// Reasons are the names of the conditions that observers may tell of, as far as they know them beforehand.
func (n Names) Reasons() []string {
	var reasons []string
	for _, entry := range n.Catalog.Observers() {
		if one, knows := entry.New().(telemetry.Reasoner); knows {
			reasons = append(reasons, one.Reasons()...)
		}
	}
	slices.Sort(reasons)
	return slices.Compact(reasons)
}

// TargetParams are fresh parameter structs by kind of target, from which schemas are derived.
func (n Names) TargetParams() map[string]any {
	return structs(n.Catalog.TargetKinds())
}

// ProbeParams are fresh parameter structs by the key of the probe that people write.
func (n Names) ProbeParams() map[string]any { return structs(n.Catalog.Probes()) }

// SourceParams are fresh parameter structs by the key of the metrics source that people write.
func (n Names) SourceParams() map[string]any { return structs(n.Catalog.Sources()) }

// NotifierParams are fresh parameter structs by the key of the notifier that people write.
func (n Names) NotifierParams() map[string]any { return structs(n.Catalog.Notifiers()) }

func structs[T any](entries []Entry[T]) map[string]any {
	all := map[string]any{}
	for _, entry := range entries {
		all[entry.Name[strings.LastIndexByte(entry.Name, '.')+1:]] = entry.New()
	}
	return all
}

// examine reads the parameters into a fresh value that holds the defaults. Only what could be read is validated.
func examine(fresh any, params jenner.Params) []strict.Problem {
	if problems := strict.Params(params, fresh); len(problems) > 0 {
		return problems
	}
	if validator, ok := fresh.(interface{ Validate() error }); ok {
		if err := validator.Validate(); err != nil {
			return []strict.Problem{{Message: err.Error()}}
		}
	}
	return nil
}
