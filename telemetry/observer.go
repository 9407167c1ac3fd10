package telemetry

import (
	"context"

	"github.com/jenner-heal/jenner"
)

// Observer hears from a system what happens to the targets of services, as it happens. It watches; it does not ask again
// and again.
type Observer interface {
	// Observe tells sink what holds at present, says Synced, and from then on tells whatever changes, until ctx ends. The
	// services are those that have a target of one of the provider's kinds, with all of their targets. An error means that
	// it could not begin, or broke off: it is begun anew after a while, and what it told is not fresh meanwhile.
	Observe(ctx context.Context, services []jenner.Service, sink Sink) error
}

// Reasoner is the optional half of an observer that knows beforehand what it may tell of. Of some reasons, in the system's
// own words, it may not know.
type Reasoner interface {
	// Reasons are the names of the conditions.
	Reasons() []string
}

// Sink takes what an observer hears. Its methods return at once and may be called concurrently.
type Sink interface {
	// Condition takes that a condition holds, or that it is over. The same service, target, reason and object are the same
	// condition.
	Condition(condition jenner.Condition)
	// Changed takes a change that somebody made. One told twice (the same service, kind, object and time) counts once.
	Changed(event jenner.ChangeEvent)
	// Synced says that everything that holds now of these subjects was told: whatever else was known of them from this
	// observer is over. No subject means all of them.
	Synced(subjects ...jenner.Subject)
	// Seen says that the observer was in touch with its system at this moment: all conditions of these subjects that hold,
	// still do. It is called every few seconds; conditions of which nothing is seen for half a minute are stale, and
	// nothing is done about them. No subject means all of them.
	Seen(subjects ...jenner.Subject)
	// Blind says that something cannot be seen, and why; a nil error says that it can be seen again. What is told of
	// several times in the same words is written down once.
	Blind(what string, why error)
}
