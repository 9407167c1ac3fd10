package haproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("set_server", "Set a server's state or address", func() act.Action { return &SetServer{} })
}

// SetServer sets the state of one server of the backend, its address, or both. The last server that serves is not taken
// out of the traffic, unless allow_last says so. Sessions that a server has are not cut.
type SetServer struct {
	// Server is the name of the server.
	Server string `json:"server"`
	// State is ready, drain (no new sessions) or maint (no sessions and no checks); as it is where not said.
	State string `json:"state,omitempty"`
	// Address is an IP address; as it is where not said.
	Address string `json:"address,omitempty"`
	// Port is 1 to 65535; as it is where not said.
	Port int `json:"port,omitempty"`
	// AllowLast lets the last server that serves be taken out of the traffic.
	AllowLast bool `json:"allow_last,omitempty"`
}

// Validate checks the parameters.
func (s *SetServer) Validate() error {
	switch {
	case !isWord(s.Server):
		return fmt.Errorf("server %q is no name of a server", s.Server)
	case s.State == "" && s.Address == "" && s.Port == 0:
		return errors.New("nothing is to be set; write state, address or port")
	case s.State != "" && !slices.Contains(states, s.State):
		return fmt.Errorf("state is %q; write ready, drain or maint", s.State)
	case s.Address != "" && net.ParseIP(s.Address) == nil:
		return fmt.Errorf("address %q is no IP address", s.Address)
	case s.Port < 0 || s.Port > 65535:
		return fmt.Errorf("port is %d; write 1 to 65535", s.Port)
	}
	return nil
}

// want is the server as it is to be.
func (s *SetServer) want(is server) server {
	want := is
	if s.State != "" {
		want.State = s.State
	}
	if s.Address != "" {
		want.Address = s.Address
	}
	if s.Port != 0 {
		want.Port = s.Port
	}
	return want
}

func (s *SetServer) look(ctx context.Context, call act.Call) (*Target, server, []server, error) {
	t, err := decode(call.Target)
	if err != nil {
		return nil, server{}, nil, err
	}
	found, all, err := t.look(ctx, s.Server)
	if err != nil {
		return t, server{}, nil, err
	}
	return t, found[0], all, nil
}

// Check refuses a server that there is not, and to take out the last one that serves.
func (s *SetServer) Check(ctx context.Context, call act.Call) error {
	t, is, all, err := s.look(ctx, call)
	if err != nil || s.AllowLast {
		return err
	}
	return t.leavesOne(all, is, s.want(is))
}

// leavesOne refuses a change after which nobody would serve any more.
func (t *Target) leavesOne(all []server, is, want server) error {
	others := slices.ContainsFunc(all, func(one server) bool { return one.Name != is.Name && one.serves() })
	if is.serves() && want.State != stateReady && !others {
		return jenner.Permanent(fmt.Errorf("%s is the last server of backend %s that serves", is.Name, t.Backend),
			"put another one in the traffic first, or say allow_last: true")
	}
	return nil
}

// Checkpoint keeps the server as it is.
func (s *SetServer) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	_, is, _, err := s.look(ctx, call)
	if err != nil {
		return nil, err
	}
	return jenner.Raw(is), nil
}

// Fingerprint is the server's state and address.
func (s *SetServer) Fingerprint(ctx context.Context, call act.Call) (string, error) {
	_, is, _, err := s.look(ctx, call)
	return is.setting(), err
}

// Size is one server of those of the backend.
func (s *SetServer) Size(ctx context.Context, call act.Call) (act.Size, error) {
	_, _, all, err := s.look(ctx, call)
	return act.Size{Unit: "servers", Want: 1, Total: len(all)}, err
}

// Happened compares the server with what it is to become.
func (s *SetServer) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	_, is, _, err := s.look(ctx, call)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case is.setting() == s.want(is).setting():
		return act.HappenedDone, nil
	}
	return act.HappenedNot, nil
}

// Do sets it.
func (s *SetServer) Do(ctx context.Context, call act.Call) (act.Result, error) {
	if err := s.Check(ctx, call); err != nil {
		return act.Result{}, err
	}
	t, is, _, err := s.look(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	return t.change(ctx, is, s.want(is))
}

// change sets a server and says so.
func (t *Target) change(ctx context.Context, is, want server) (act.Result, error) {
	if is.setting() == want.setting() {
		return act.Result{Summary: "server " + is.setting() + " already", Output: want}, nil
	}
	if err := t.set(ctx, is, want); err != nil {
		return act.Result{}, err
	}
	return act.Result{Summary: "server " + is.setting() + " → " + strings.TrimPrefix(want.setting(), is.Name+" "), Changed: true, Output: want}, nil
}

// Undo sets the server back as it was, where it is as the effect left it.
func (s *SetServer) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := checkpointed[server](call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	t, is, _, err := s.look(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	if is.setting() != was.setting() && is.setting() != s.want(was).setting() {
		return act.Result{Summary: "left alone: somebody else set server " + is.setting() + " since"}, nil
	}
	return t.change(ctx, is, was)
}

// checkpointed reads a checkpoint.
func checkpointed[T any](raw json.RawMessage) (kept T, err error) {
	if len(raw) == 0 {
		return kept, errors.New("the checkpoint is missing; what was before cannot be told")
	}
	if err := json.Unmarshal(raw, &kept); err != nil {
		return kept, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	return kept, nil
}
