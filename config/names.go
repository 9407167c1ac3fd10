package config

import (
	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// Names knows what the providers can do. An error says that there is no such thing, with the nearest right spelling;
// the problems are those of the parameters, with paths relative to them. Implementations touch nothing and are safe for
// concurrent use.
type Names interface {
	// Action finds an action by its verb and the kind of the target, "" for no target and "*" for any, or by its full name.
	Action(name, kind string, params jenner.Params) (full string, problems []strict.Problem, err error)
	// Fault finds a fault likewise.
	Fault(name, kind string, params jenner.Params) (full string, problems []strict.Problem, err error)
	// Probe finds a probe by the key that people write.
	Probe(kind string, params jenner.Params) (problems []strict.Problem, err error)
	// Source finds a metrics source by the key that people write.
	Source(kind string, params jenner.Params) (problems []strict.Problem, err error)
	// Target finds a kind of target.
	Target(kind string, params jenner.Params) (problems []strict.Problem, err error)
	// Alive tells whether targets of a kind have the probe alive without writing it.
	Alive(kind string) bool
	// Reasons are the names of the conditions that systems tell of by themselves, as far as they are known beforehand.
	Reasons() []string
	// Notifier finds a notifier by the key that people write.
	Notifier(kind string, params jenner.Params) (problems []strict.Problem, err error)
}
