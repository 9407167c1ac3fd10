// Package act carries out actions: it is the only place in the program through which something is changed.
//
// It is for the Action interface, the executor that guards each effect (holds, dry run, intent before effect, one key
// one effect, undo only of what is still as it was left), and for running the steps of a runbook one at a time. It is
// not for deciding whether to act (package decide), nor for knowing how a technology is changed (the providers).
package act

import (
	"context"
	"encoding/json"

	"github.com/jenner-heal/jenner"
)

// Action changes one target, or looks at it. The type that fulfils Action holds the step's parameters in its exported
// fields, with `json` tags; New of its catalog entry gives it the defaults. A value serves one call.
type Action interface {
	// Do carries the effect out. ctx ends at the step's timeout, and with cause ErrHeld when somebody stops Jenner.
	// A nil error means that the effect is there. Errors are made with jenner.Retryable, Permanent or ForHuman.
	Do(ctx context.Context, call Call) (Result, error)
}

// The optional halves of an action. Each is one method; an action has those that make sense for it.
type (
	// Validator checks parameters beyond their types, without touching anything.
	Validator interface{ Validate() error }

	// Checker looks at the live target and says why the effect must not be tried.
	Checker interface {
		Check(ctx context.Context, call Call) error
	}

	// Checkpointer keeps the state before the effect, so that it can be taken back or recognised.
	Checkpointer interface {
		Checkpoint(ctx context.Context, call Call) (json.RawMessage, error)
	}

	// Resolver tells after a crash whether the effect happened. call.Checkpoint is the state before.
	Resolver interface {
		Happened(ctx context.Context, call Call) (Happened, error)
	}

	// Fingerprinter names the target's present state, as far as the action changes it. Where the fingerprint after an
	// effect is not the present one any more, somebody else changed it and undo keeps its hands off.
	Fingerprinter interface {
		Fingerprint(ctx context.Context, call Call) (string, error)
	}

	// Undoer takes the effect back. call.Checkpoint is the state before. Undoing twice is as undoing once.
	Undoer interface {
		Undo(ctx context.Context, call Call) (Result, error)
	}

	// Sizer says how much the effect would touch, in the action's unit. An action without it touches one target.
	Sizer interface {
		Size(ctx context.Context, call Call) (Size, error)
	}

	// Owner says which controller owns what the action would change, as the live target shows it: argocd, an operator.
	// Whatever else changes it is put back by that one. Empty: nobody.
	Owner interface {
		Owner(ctx context.Context, call Call) (string, error)
	}

	// DryRunner asks the target's own system what the effect would come to, without bringing it about. It is called in a
	// dry run, after Check and Checkpoint; an error says that the system would refuse.
	DryRunner interface {
		DryRun(ctx context.Context, call Call) (Result, error)
	}

	// Reader marks an action that changes nothing and needs no intent.
	Reader interface{ ReadOnly() }
)

// Call is what an action is told about its one call.
type Call struct {
	Key      string // the idempotency key
	Incident string
	Run      string
	Step     string
	Service  jenner.Service // the one the target belongs to
	Target   jenner.Target  // may be zero for actions that need none
	// Subject is the service the incident is about; waits and pages concern it.
	Subject jenner.Service
	// Allowed is how much may be touched at most, by unit, after the blast radius was applied.
	Allowed    map[string]int
	Checkpoint json.RawMessage // for Do, Happened and Undo
	Host       Host
}

// Host is what an action may use of the program around it.
type Host struct {
	Telemetry jenner.Telemetry
	// Page tells a human. It returns when the message was handed to a notifier.
	Page func(ctx context.Context, severity jenner.Severity, title, body string) error
	// Progress shows what is going on in a step that takes long.
	Progress func(text string)
}

// Result is what an effect gave.
type Result struct {
	Summary string // one line for the timeline: `restarted, pid 4711 → 4820`
	Changed bool   // false: it was already so
	Output  any    // becomes JSON; kept with the step and visible to later conditions
}

// Size is how much of a whole an effect would touch.
type Size struct {
	Unit  string // targets, connections, pods …
	Want  int
	Total int
	// Bounded means that the action keeps to call.Allowed by itself, however much it wants: it then touches no more than
	// the step's blast radius in one go.
	Bounded bool
}

// Happened is what an action knows about an effect that was intended before a crash.
type Happened string

// The answers of a Resolver.
const (
	HappenedDone    Happened = "done"
	HappenedNot     Happened = "not done"
	HappenedUnknown Happened = "unknown"
)
