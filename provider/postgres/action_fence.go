package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("fence", "Keep a lost primary from coming back beside a promoted standby", func() act.Action { return &Fence{} })
}

// Fence ends the cluster's server, as a crash would, and makes every later start refuse, whoever tries it: PG_VERSION is
// renamed to PG_VERSION.fenced-by-jenner, and a standby.signal is put beside it. No data are touched. It needs the data
// directory on this machine. A server that does not end at SIGQUIT is killed, with all its processes.
//
// Its undo brings back exactly what was there, and starts the server again where it ran; but not while another cluster of
// the service takes the writes.
type Fence struct{ onServer }

// obeyPatience is how long a server may take to end by itself before it is killed.
const obeyPatience = 5 * time.Second

// Check refuses a cluster whose server cannot be reached from here: it could come back at any time.
func (*Fence) Check(_ context.Context, call act.Call) error {
	s, err := serverOf(call.Target)
	if err == nil {
		_, err = s.state()
	}
	return err
}

// Do puts the fence up first, so that nothing starts the server between its end and the fence, and then ends it.
func (*Fence) Do(ctx context.Context, call act.Call) (act.Result, error) {
	s, err := serverOf(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	before, err := s.state()
	if err != nil {
		return act.Result{}, err
	}
	if err := context.Cause(ctx); err != nil {
		return act.Result{}, err
	}
	if err := s.raise(); err != nil {
		return act.Result{}, jenner.Retryable(fmt.Errorf("%s cannot be fenced: %w", s.ref, err), "")
	}
	if before.runs() {
		if err := s.end(ctx); err != nil {
			return act.Result{}, err
		}
	}
	switch {
	case before.runs():
		return act.Result{Summary: fmt.Sprintf("fenced, and ended pid %d", before.Pid), Changed: true, Output: pids{Before: before.Pid}}, nil
	case before.Fenced:
		return act.Result{Summary: "it is fenced already"}, nil
	}
	return act.Result{Summary: "fenced; it did not run", Changed: true}, nil
}

// end ends the server at once, as pg_ctl's immediate mode does, whether it obeys or not. pg_ctl itself takes a fenced
// folder for no cluster.
func (s *server) end(ctx context.Context) error {
	seen, err := s.look()
	if err != nil || !seen.runs() {
		return err
	}
	if err := s.quit(ctx, seen); err != nil {
		return err
	}
	return s.slay(ctx)
}

// Happened is done where the cluster is fenced and does not run.
func (*Fence) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	_, _, is, err := compared(call.Target, call.Checkpoint)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case is.Fenced && !is.runs():
		return act.HappenedDone, nil
	}
	return act.HappenedNot, nil
}

// Undo takes the fence away and starts the server where it ran before. While another cluster of the service takes the
// writes, the fence stays, and a human is told.
func (*Fence) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	s, was, is, err := compared(call.Target, call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	if was.Fenced || !is.Fenced && (is.runs() || !was.runs()) {
		return act.Result{Summary: "nothing to take back; now: " + is.String()}, nil
	}
	if !was.Signal {
		primary, err := otherPrimary(ctx, call.Service, s.ref)
		if err != nil {
			return act.Result{}, jenner.Retryable(err, "")
		}
		if primary != "" {
			return act.Result{}, jenner.ForHuman(fmt.Errorf("%s stays fenced: %s takes the writes now", s.ref, primary),
				"make a standby of it, or move its PG_VERSION.fenced-by-jenner back by hand once the other one is down")
		}
	}
	if _, err := s.lower(!was.Signal); err != nil {
		return act.Result{}, jenner.Retryable(fmt.Errorf("the fence of %s cannot be taken away: %w", s.ref, err), "")
	}
	if !was.runs() {
		return act.Result{Summary: "not fenced any more", Changed: true}, nil
	}
	if err := s.start(ctx); err != nil {
		return act.Result{}, err
	}
	return act.Result{Summary: "not fenced any more, and started", Changed: true}, nil
}
