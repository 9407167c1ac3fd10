package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

// serverState is what the actions on a server keep of the state before.
type serverState struct {
	life
	Fenced bool `json:"fenced,omitempty"`
	Signal bool `json:"signal,omitempty"` // it has a standby.signal
}

func (s serverState) String() string {
	switch {
	case s.Fenced && s.runs():
		return fmt.Sprintf("fenced, pid %d since %d still runs", s.Pid, s.Start)
	case s.Fenced:
		return "fenced"
	case s.runs():
		return fmt.Sprintf("pid %d since %d", s.Pid, s.Start)
	}
	return "stopped"
}

func (s *server) state() (state serverState, err error) {
	if state.life, err = s.look(); err != nil {
		return state, err
	}
	if state.Fenced, err = s.fenced(); err != nil {
		return state, err
	}
	state.Signal, err = s.has(signalName)
	return state, err
}

// onServer is what the actions share that start and stop a server.
type onServer struct{}

// Checkpoint keeps how the server was.
func (onServer) Checkpoint(_ context.Context, call act.Call) (json.RawMessage, error) {
	s, err := serverOf(call.Target)
	if err != nil {
		return nil, err
	}
	state, err := s.state()
	return jenner.Raw(state), err
}

// Fingerprint names the server that runs now, or says that it is stopped or fenced.
func (onServer) Fingerprint(_ context.Context, call act.Call) (string, error) {
	s, err := serverOf(call.Target)
	if err != nil {
		return "", err
	}
	state, err := s.state()
	return state.String(), err
}

// compared gives how the server was at the checkpoint and how it is.
func compared(target jenner.Target, checkpoint json.RawMessage) (s *server, was, is serverState, err error) {
	if len(checkpoint) == 0 {
		return nil, was, is, errors.New("the checkpoint is missing; what was before cannot be told")
	}
	if err := json.Unmarshal(checkpoint, &was); err != nil {
		return nil, was, is, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	if s, err = serverOf(target); err != nil {
		return nil, was, is, err
	}
	is, err = s.state()
	return s, was, is, err
}

// ensureRunning starts the server where it does not run and may.
func ensureRunning(ctx context.Context, s *server, service jenner.Service) (act.Result, error) {
	seen, err := s.look()
	if err != nil {
		return act.Result{}, err
	}
	if seen.runs() {
		return act.Result{Summary: fmt.Sprintf("already runs as pid %d", seen.Pid), Output: pids{Now: seen.Pid}}, nil
	}
	if err := s.mayStart(ctx, service); err != nil {
		return act.Result{}, err
	}
	if err := s.start(ctx); err != nil {
		return act.Result{}, err
	}
	now, err := s.look()
	return act.Result{Summary: fmt.Sprintf("started, pid %d", now.Pid), Changed: true, Output: pids{Now: now.Pid}}, err
}

// pids is the output of the actions that start and end servers.
type pids struct {
	Before int `json:"before,omitempty"`
	Now    int `json:"now,omitempty"`
}
