// Package catalog holds the tables of what the providers can do: actions, faults, probes, metrics sources, notifiers and
// kinds of targets, each under one name.
//
// Each provider package has one Provider value, and each of its files adds itself to it; cmd/jenner merges them into a
// Catalog. It is for looking names up, with the nearest right spelling for a wrong one. It is not for running anything.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/telemetry"
)

// Entry is one capability. New gives a fresh value that holds the defaults; the value's exported fields are the
// parameters.
type Entry[T any] struct {
	Name string // PROVIDER.VERB
	Doc  string // one sentence
	New  func() T
	// Kinds are the kinds of targets that it works on; all of its provider's where empty.
	Kinds []string
}

// Provider is the table of one provider package.
type Provider struct {
	Name  string
	Doc   string
	Kinds []string // the kinds of targets it serves; none: it serves every target and no target at all
	// Sweeper finds faults that are written down on targets of these kinds; nil where the provider's faults write nothing there.
	Sweeper chaos.Sweeper

	targets   map[string]Entry[any]
	actions   map[string]Entry[act.Action]
	faults    map[string]Entry[chaos.Fault]
	probes    map[string]Entry[telemetry.Probe]
	sources   map[string]Entry[telemetry.Source]
	notifiers map[string]Entry[notify.Notifier]
	observers map[string]Entry[telemetry.Observer]
}

// Target adds a kind of target. New gives a pointer to the struct that its parameters are decoded into.
func (p *Provider) Target(kind, doc string, build func() any) {
	p.mustServe([]string{kind})
	add(&p.targets, kind, Entry[any]{kind, doc, build, nil})
}

// Action adds an action under a verb. Where it works on some of the provider's kinds only, these are kinds.
func (p *Provider) Action(verb, doc string, build func() act.Action, kinds ...string) {
	p.mustServe(kinds)
	add(&p.actions, p.Name+"."+verb, Entry[act.Action]{p.Name + "." + verb, doc, build, kinds})
}

// Fault adds a fault under a verb. Where it works on some of the provider's kinds only, these are kinds.
func (p *Provider) Fault(verb, doc string, build func() chaos.Fault, kinds ...string) {
	p.mustServe(kinds)
	add(&p.faults, p.Name+"."+verb, Entry[chaos.Fault]{p.Name + "." + verb, doc, build, kinds})
}

func (p *Provider) mustServe(kinds []string) {
	for _, kind := range kinds {
		if !slices.Contains(p.Kinds, kind) {
			panic(fmt.Sprintf("catalog: provider %s does not serve the kind %s", p.Name, kind))
		}
	}
}

// Probe adds a probe under the key that people write. Where it asks about some of the provider's kinds only, these are
// kinds.
func (p *Provider) Probe(key, doc string, build func() telemetry.Probe, kinds ...string) {
	p.mustServe(kinds)
	add(&p.probes, p.Name+"."+key, Entry[telemetry.Probe]{p.Name + "." + key, doc, build, kinds})
}

// Source adds a metrics source under the key that people write.
func (p *Provider) Source(key, doc string, build func() telemetry.Source) {
	add(&p.sources, p.Name+"."+key, Entry[telemetry.Source]{p.Name + "." + key, doc, build, nil})
}

// Notifier adds a notifier under the key that people write.
func (p *Provider) Notifier(key, doc string, build func() notify.Notifier) {
	add(&p.notifiers, p.Name+"."+key, Entry[notify.Notifier]{p.Name + "." + key, doc, build, nil})
}

// Observer adds an observer of the targets that the provider serves, or of some kinds of them.
func (p *Provider) Observer(name, doc string, build func() telemetry.Observer, kinds ...string) {
	p.mustServe(kinds)
	if len(kinds) == 0 {
		kinds = p.Kinds
	}
	add(&p.observers, p.Name+"."+name, Entry[telemetry.Observer]{p.Name + "." + name, doc, build, kinds})
}

func add[T any](table *map[string]Entry[T], name string, entry Entry[T]) {
	if *table == nil {
		*table = map[string]Entry[T]{}
	}
	if _, taken := (*table)[name]; taken {
		panic("catalog: two things are called " + name)
	}
	(*table)[name] = entry
}

// Catalog is all providers together. It does not change after Merge and is safe for concurrent use.
type Catalog struct {
	all      Provider
	kinds    map[string][]string // provider name to kinds
	sweepers []sweeping
}

// sweeping is a sweeper, and the kinds of targets that it knows.
type sweeping struct {
	kinds   []string
	sweeper chaos.Sweeper
}

// Merge makes one catalog of all tables. A name that stands twice panics: it is a mistake of the program.
func Merge(providers ...*Provider) *Catalog {
	merged := &Catalog{kinds: map[string][]string{}}
	for _, p := range providers {
		if _, taken := merged.kinds[p.Name]; taken {
			panic("catalog: two providers are called " + p.Name)
		}
		merged.kinds[p.Name] = p.Kinds
		if p.Sweeper != nil {
			merged.sweepers = append(merged.sweepers, sweeping{p.Kinds, p.Sweeper})
		}
		addAll(&merged.all.targets, p.targets)
		addAll(&merged.all.actions, p.actions)
		addAll(&merged.all.faults, p.faults)
		addAll(&merged.all.probes, p.probes)
		addAll(&merged.all.sources, p.sources)
		addAll(&merged.all.notifiers, p.notifiers)
		addAll(&merged.all.observers, p.observers)
	}
	return merged
}

func addAll[T any](into *map[string]Entry[T], from map[string]Entry[T]) {
	for name, entry := range from {
		add(into, name, entry)
	}
}

// Action finds an action by its full name, or by its verb and the kind of the target ("" for no target).
func (c *Catalog) Action(name, kind string) (Entry[act.Action], error) {
	return find(c, "action", c.all.actions, name, kind)
}

// Fault finds a fault by its full name, or by its verb and the kind of the target.
func (c *Catalog) Fault(name, kind string) (Entry[chaos.Fault], error) {
	return find(c, "fault", c.all.faults, name, kind)
}

// MakeFault finds a fault like Fault and decodes its parameters, strictly.
func (c *Catalog) MakeFault(name, kind string, params jenner.Params) (full string, fault chaos.Fault, err error) {
	entry, err := c.Fault(name, kind)
	if err != nil {
		return "", nil, err
	}
	fault = entry.New()
	if err := strict.Decode(params, fault); err != nil {
		return entry.Name, fault, fmt.Errorf("%s: %w", entry.Name, err)
	}
	return entry.Name, fault, nil
}

// Probe finds a probe by its full name, or by its key and the kind of the target ("" for no target).
func (c *Catalog) Probe(name, kind string) (Entry[telemetry.Probe], error) {
	if kind == "" {
		kind = anyKind
	}
	return find(c, "probe", c.all.probes, name, kind)
}

// Source finds a metrics source by its key.
func (c *Catalog) Source(name string) (Entry[telemetry.Source], error) {
	return find(c, "source", c.all.sources, name, anyKind)
}

// Notifier finds a notifier by its key.
func (c *Catalog) Notifier(name string) (Entry[notify.Notifier], error) {
	return find(c, "notifier", c.all.notifiers, name, anyKind)
}

// TargetKind finds a kind of target.
func (c *Catalog) TargetKind(kind string) (Entry[any], error) {
	if entry, ok := c.all.targets[kind]; ok {
		return entry, nil
	}
	return Entry[any]{}, Unknown("target kind", kind, names(c.all.targets))
}

// Actions are all actions by name; likewise the others.
func (c *Catalog) Actions() []Entry[act.Action] { return sorted(c.all.actions) }

// Faults are all faults by name.
func (c *Catalog) Faults() []Entry[chaos.Fault] { return sorted(c.all.faults) }

// Probes are all probes by name.
func (c *Catalog) Probes() []Entry[telemetry.Probe] { return sorted(c.all.probes) }

// Sources are all metrics sources by name.
func (c *Catalog) Sources() []Entry[telemetry.Source] { return sorted(c.all.sources) }

// Notifiers are all notifiers by name.
func (c *Catalog) Notifiers() []Entry[notify.Notifier] { return sorted(c.all.notifiers) }

// Observers are all observers by name.
func (c *Catalog) Observers() []Entry[telemetry.Observer] { return sorted(c.all.observers) }

// TargetKinds are all kinds of targets by name.
func (c *Catalog) TargetKinds() []Entry[any] { return sorted(c.all.targets) }

// Sweepable are those of the targets on which faults may be written down.
func (c *Catalog) Sweepable(targets []jenner.Target) []jenner.Target {
	var found []jenner.Target
	for _, one := range c.sweepers {
		found = append(found, one.of(targets)...)
	}
	return found
}

func (s sweeping) of(targets []jenner.Target) []jenner.Target {
	return slices.DeleteFunc(slices.Clone(targets), func(target jenner.Target) bool { return !slices.Contains(s.kinds, target.Kind) })
}

// Sweep takes back the faults that are written down where the targets are, and whose time is over. It goes on after an error.
func (c *Catalog) Sweep(ctx context.Context, targets []jenner.Target, now time.Time) (swept []chaos.Swept, err error) {
	for _, one := range c.sweepers {
		theirs := one.of(targets)
		if len(theirs) == 0 {
			continue
		}
		found, failed := one.sweeper.Sweep(ctx, theirs, now)
		swept, err = append(swept, found...), errors.Join(err, failed)
	}
	return swept, err
}

// anyKind finds what needs no target, whatever targets its provider serves.
const anyKind = "*"

func find[T any](c *Catalog, what string, table map[string]Entry[T], name, kind string) (Entry[T], error) {
	if entry, ok := table[name]; ok && (len(entry.Kinds) == 0 || kind == anyKind || slices.Contains(entry.Kinds, kind)) {
		return entry, nil // the full name says which
	}
	var elsewhere []string
	for _, full := range names(table) {
		provider, verb, _ := strings.Cut(full, ".")
		if verb != name && full != name {
			continue
		}
		kinds := c.kinds[provider]
		if own := table[full].Kinds; len(own) > 0 {
			kinds = own
		}
		if len(kinds) == 0 || kind == anyKind || slices.Contains(kinds, kind) {
			return table[full], nil
		}
		elsewhere = append(elsewhere, strings.Join(kinds, ", "))
	}
	if len(elsewhere) > 0 {
		on := "a target of kind " + kind
		if kind == "" {
			on = "no target"
		}
		return Entry[T]{}, fmt.Errorf("%s %q does not work on %s; it works on: %s",
			what, name, on, strings.Join(elsewhere, ", "))
	}
	return Entry[T]{}, Unknown(what, name, append(names(table), verbs(table)...))
}

func names[T any](table map[string]Entry[T]) []string {
	list := make([]string, 0, len(table))
	for name := range table {
		list = append(list, name)
	}
	sort.Strings(list)
	return list
}

func verbs[T any](table map[string]Entry[T]) []string {
	var list []string
	for _, name := range names(table) {
		_, verb, _ := strings.Cut(name, ".")
		list = append(list, verb)
	}
	return list
}

func sorted[T any](table map[string]Entry[T]) []Entry[T] {
	list := make([]Entry[T], 0, len(table))
	for _, name := range names(table) {
		list = append(list, table[name])
	}
	return list
}
