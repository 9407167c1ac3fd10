// Package telemetry observes: it scrapes, probes, stores what it saw as series and answers PromQL.
//
// It is for facts with a time: samples, probe results, and the honest answer that there is no data. It is not for
// judging them; what is wrong is said by package detect.
package telemetry

import (
	"context"

	"github.com/jenner-heal/jenner"
)

// Probe asks a service one question. The type that fulfils Probe holds its parameters in exported fields with `json`
// tags. The same value is asked again and again, one call at a time.
type Probe interface {
	// Probe asks once. ctx ends at the probe's timeout, and an answer that did not come in time is Failed.
	Probe(ctx context.Context, call ProbeCall) Result
}

// The optional halves of a probe.
type (
	// Validator checks parameters beyond their types, without asking anything.
	Validator interface{ Validate() error }

	// Watcher knows the moment at which asking again is worth it, without polling. Watch blocks until then, or until
	// ctx ends; an error means that it cannot watch at present.
	Watcher interface {
		Watch(ctx context.Context, call ProbeCall) error
	}
)

// ProbeCall is what a probe is told.
type ProbeCall struct {
	Service jenner.Service
	Target  jenner.Target // for alive checks
}

// Result is one answer of a probe.
type Result struct {
	Outcome Outcome
	Message string // why, where it is not OK
	// Answer is what the question was answered with, for those who want more than whether it is OK: a count of rows, a
	// checksum. Empty where the probe gives none. It is not stored with the probe's state.
	Answer string
}

// Outcome is what one answer means.
type Outcome string

// The outcomes. Unknown means that the question could not be asked, which says nothing about the service.
const (
	OK      Outcome = "ok"
	Failed  Outcome = "failed"
	Unknown Outcome = "unknown"
)
