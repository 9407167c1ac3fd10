package process

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Action("signal", "Send the process a signal", func() act.Action { return &Signal{} })
}

// Signal sends one signal to the process. Only SIGSTOP can be taken back, by SIGCONT.
type Signal struct {
	target
	// Signal is the signal's name, with or without SIG: SIGHUP, USR1. Numbers are refused: they differ between machines.
	Signal string `json:"signal"`
}

// Validate refuses a name that is no signal.
func (s *Signal) Validate() error {
	_, err := signalNamed(s.Signal)
	return err
}

// Check refuses a target that does not live.
func (*Signal) Check(_ context.Context, call act.Call) error {
	_, seen, err := see(call.Target)
	if err == nil && !seen.Alive {
		return jenner.Permanent(fmt.Errorf("%s cannot be sent a signal: %s", call.Target.Ref(), seen.Why), "")
	}
	return err
}

// Do sends the signal. For the signals that show in the process's state (SIGSTOP, SIGCONT, SIGKILL) it returns when they
// have.
func (s *Signal) Do(ctx context.Context, call act.Call) (act.Result, error) {
	signal, err := signalNamed(s.Signal)
	if err != nil {
		return act.Result{}, jenner.Permanent(err, "")
	}
	if err := s.Check(ctx, call); err != nil {
		return act.Result{}, err
	}
	_, seen, err := see(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	if signal == unix.SIGSTOP && seen.Stopped || signal == unix.SIGCONT && !seen.Stopped {
		return act.Result{Summary: fmt.Sprintf("%s would change nothing for pid %d", unix.SignalName(signal), seen.Pid)}, nil
	}
	if err := deliver(ctx, seen.identity, signal); err != nil {
		return act.Result{}, jenner.Permanent(fmt.Errorf("%s: %w", call.Target.Ref(), err), "")
	}
	return act.Result{Summary: fmt.Sprintf("sent %s to pid %d", unix.SignalName(signal), seen.Pid), Changed: true}, nil
}

// Happened tells it for the signals that leave a trace. Whether a process got any other one, nobody can tell.
func (s *Signal) Happened(_ context.Context, call act.Call) (act.Happened, error) {
	signal, err := signalNamed(s.Signal)
	if err != nil {
		return act.HappenedUnknown, err
	}
	was, is, err := compared(call)
	if err != nil {
		return act.HappenedUnknown, err
	}
	same := is.Alive && is.identity == was.identity
	deadly := signal == unix.SIGKILL || signal == unix.SIGTERM || signal == unix.SIGINT || signal == unix.SIGQUIT
	switch {
	case same && signal == unix.SIGSTOP && is.Stopped, same && signal == unix.SIGCONT && !is.Stopped, !same && deadly:
		return act.HappenedDone, nil
	case same && (signal == unix.SIGSTOP || signal == unix.SIGCONT || signal == unix.SIGKILL):
		return act.HappenedNot, nil
	}
	return act.HappenedUnknown, nil
}

// Undo sends SIGCONT after a SIGSTOP, to exactly the process that ran before. Of other signals there is nothing to take
// back.
func (s *Signal) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	was, is, err := compared(call)
	if err != nil {
		return act.Result{}, err
	}
	signal, err := signalNamed(s.Signal)
	if err != nil {
		return act.Result{}, jenner.Permanent(err, "")
	}
	if signal != unix.SIGSTOP {
		return act.Result{Summary: unix.SignalName(signal) + " leaves nothing that could be taken back"}, nil
	}
	if was.Stopped || !is.Alive || is.identity != was.identity || !is.Stopped {
		return act.Result{Summary: "nothing to take back; now: " + is.String()}, nil
	}
	if err := deliver(ctx, was.identity, unix.SIGCONT); err != nil {
		return act.Result{}, jenner.Retryable(fmt.Errorf("%s: %w", call.Target.Ref(), err), "")
	}
	return act.Result{Summary: fmt.Sprintf("sent SIGCONT to pid %d", was.Pid), Changed: true}, nil
}

// deliver sends a signal to exactly that process and waits until its state shows it, for those signals that show.
func deliver(ctx context.Context, id identity, signal unix.Signal) error {
	process, err := hold(id)
	if err != nil {
		return fmt.Errorf("pid %d: %w", id.Pid, err)
	}
	defer process.close()
	if err := process.signal(signal); err != nil {
		return fmt.Errorf("pid %d: %w", id.Pid, err)
	}
	switch signal {
	case unix.SIGKILL:
		return process.wait(ctx)
	case unix.SIGSTOP, unix.SIGCONT:
		return process.settle(ctx, signal == unix.SIGSTOP)
	}
	return nil
}

// settle waits until the process is stopped, or is not any more: the kernel stops it a moment after the signal.
func (h *handle) settle(ctx context.Context, want bool) error {
	for {
		stopped, err := h.stopped()
		if err != nil {
			return err
		}
		if stopped == want {
			return nil
		}
		if !pause(ctx, time.Millisecond) {
			return fmt.Errorf("pid %d has not changed its state yet: %w", h.Pid, context.Cause(ctx))
		}
	}
}

// signalNamed finds a signal by name, in capitals, with or without SIG.
func signalNamed(name string) (unix.Signal, error) {
	if name == "" {
		return 0, errors.New("signal is missing; write its name, such as SIGHUP")
	}
	full := "SIG" + strings.TrimPrefix(name, "SIG")
	if number := unix.SignalNum(full); number != 0 {
		return number, nil
	}
	var known []string
	for number := unix.Signal(1); number < 65; number++ {
		if real := unix.SignalName(number); real != "" {
			known = append(known, real)
		}
	}
	return 0, fmt.Errorf("unknown signal %q%s", name, strict.Hint(full, known))
}
