package act

import (
	"context"
	"time"

	"github.com/jenner-heal/jenner"
)

// Prepare gives the intent of an effect that Do may be asked for once the intent is on disk: whoever asks for it writes it
// down together with what led to it. Nothing has happened yet, and this process knows so. false where there is no intent
// to write: the action only looks, it is not possible now, or nothing is to happen at all. Do says why.
func (e *Executor) Prepare(ctx context.Context, order Order) (jenner.Intent, bool) {
	if _, looks := order.Action.(Reader); looks || e.DryRun {
		return jenner.Intent{}, false
	}
	intent, err := e.prepare(ctx, order)
	if err != nil || ctx.Err() != nil {
		return jenner.Intent{}, false
	}
	e.touch(intent.Key, false)
	return intent, true
}

// Prepare gives the intent of the run's next step, so that it is written down together with what led to it. false where
// there is none, for whatever reason: then Next finds out, and writes the intent down itself.
func (s *Stepper) Prepare(ctx context.Context, incident *jenner.Incident) (jenner.Intent, bool) {
	run := incident.Run()
	if run.Next >= len(run.Runbook.Steps) || len(run.Steps) > run.Next {
		return jenner.Intent{}, false
	}
	step := run.Runbook.Steps[run.Next]
	if wanted, err := s.wanted(incident, step); err != nil || !wanted {
		return jenner.Intent{}, false
	}
	order, err := s.order(ctx, incident, step, pending(run, step, s.Executor.Now()))
	if err != nil {
		return jenner.Intent{}, false
	}
	during, cancel := context.WithTimeout(ctx, step.Timeout.Or(time.Minute))
	defer cancel()
	return s.Executor.Prepare(during, order)
}
