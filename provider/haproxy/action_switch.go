package haproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("switch", "Move the traffic of a backend from one server to another", func() act.Action {
		return &Switch{UpWithin: jenner.Duration(10 * time.Second), UpFor: jenner.Duration(time.Second)}
	})
}

// Switch puts one server in the traffic, waits until HAProxy's own health check finds it well, and takes another one out
// into maintenance. Where the new one does not come up, both are set back as they were and the step fails. The undo sets
// both back.
type Switch struct {
	// From is the server that is taken out.
	From string `json:"from"`
	// To is the server that is put in.
	To string `json:"to"`
	// Exclusive takes the old one out before the new one is put in, so that never both serve; in between, nobody does.
	Exclusive bool `json:"exclusive,omitempty"`
	// CloseSessions also cuts the sessions that the old one has. No undo brings them back.
	CloseSessions bool `json:"close_sessions,omitempty"`
	// UpWithin is how long the new one may take to be well; 10s where not said.
	UpWithin jenner.Duration `json:"up_within,omitempty"`
	// UpFor is for how long it must be well; 1s where not said. HAProxy takes a server that comes out of maintenance for
	// well until the first check. A server without a check is not waited for.
	UpFor jenner.Duration `json:"up_for,omitempty"`
}

// pair is the checkpoint, and what the fingerprint is made of.
type pair struct {
	From server `json:"from"`
	To   server `json:"to"`
}

func (p pair) setting() string { return p.From.setting() + ", " + p.To.setting() }

// switched is the pair as the effect leaves it.
func (p pair) switched() pair {
	p.From.State, p.To.State = stateMaint, stateReady
	return p
}

// Validate checks the parameters.
func (s *Switch) Validate() error {
	switch {
	case !isWord(s.From) || !isWord(s.To):
		return fmt.Errorf("from %q and to %q must both be names of servers", s.From, s.To)
	case s.From == s.To:
		return errors.New("from and to are the same server")
	case s.UpFor > s.UpWithin:
		return fmt.Errorf("up_for is %s and up_within %s; it cannot be well for longer than it is waited for", s.UpFor, s.UpWithin)
	}
	return nil
}

func (s *Switch) look(ctx context.Context, call act.Call) (*Target, pair, []server, error) {
	t, err := decode(call.Target)
	if err != nil {
		return nil, pair{}, nil, err
	}
	found, all, err := t.look(ctx, s.From, s.To)
	if err != nil {
		return t, pair{}, nil, err
	}
	return t, pair{found[0], found[1]}, all, nil
}

// Check refuses servers that there are not.
func (s *Switch) Check(ctx context.Context, call act.Call) error {
	_, is, _, err := s.look(ctx, call)
	if err == nil && is.To.Follows != "" {
		err = jenner.Permanent(fmt.Errorf("server %s is in %s by what it tracks or for want of an address, and cannot be put in the traffic",
			is.To.Name, is.To.Follows), "")
	}
	return err
}

// Checkpoint keeps both servers as they are.
func (s *Switch) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	_, is, _, err := s.look(ctx, call)
	if err != nil {
		return nil, err
	}
	return jenner.Raw(is), nil
}

// Fingerprint is the state and the address of both servers.
func (s *Switch) Fingerprint(ctx context.Context, call act.Call) (string, error) {
	_, is, _, err := s.look(ctx, call)
	return is.setting(), err
}

// Size is the one server that is taken out, of those of the backend.
func (s *Switch) Size(ctx context.Context, call act.Call) (act.Size, error) {
	_, _, all, err := s.look(ctx, call)
	return act.Size{Unit: "servers", Want: 1, Total: len(all)}, err
}

// Happened is done where the traffic has moved. Half of it is 'not done': doing it again does the rest.
func (s *Switch) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	_, is, _, err := s.look(ctx, call)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case is == is.switched():
		return act.HappenedDone, nil
	}
	return act.HappenedNot, nil
}

// Do moves the traffic.
func (s *Switch) Do(ctx context.Context, call act.Call) (act.Result, error) {
	if err := s.Check(ctx, call); err != nil {
		return act.Result{}, err
	}
	t, is, _, err := s.look(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	want := is.switched()
	if is == want {
		return act.Result{Summary: fmt.Sprintf("the traffic of %s goes to %s already", t.Backend, s.To), Output: want}, nil
	}
	if err := s.move(ctx, t, is); err != nil {
		return act.Result{}, errors.Join(err, t.back(context.WithoutCancel(ctx), is))
	}
	summary := fmt.Sprintf("the traffic of %s goes to %s, and %s is in maint", t.Backend, s.To, s.From)
	if s.CloseSessions {
		if err := t.tell(ctx, fmt.Sprintf("shutdown sessions server %s/%s", t.Backend, s.From)); err != nil {
			return act.Result{}, fmt.Errorf("%s, but its sessions were not cut: %w", summary, err)
		}
		summary += ", its sessions cut"
	}
	return act.Result{Summary: summary, Changed: true, Output: want}, nil
}

func (s *Switch) move(ctx context.Context, t *Target, is pair) error {
	want := is.switched()
	if s.Exclusive {
		if err := t.set(ctx, is.From, want.From); err != nil {
			return err
		}
	}
	if err := t.set(ctx, is.To, want.To); err != nil {
		return err
	}
	if err := s.up(ctx, t); err != nil {
		return jenner.Permanent(err, "both servers were set back as they were")
	}
	if s.Exclusive {
		return nil
	}
	return t.set(ctx, is.From, want.From)
}

// upEvery is how often HAProxy is asked whether the new server is well.
const upEvery = 50 * time.Millisecond

// up waits until the new server is well, and has been for a while.
func (s *Switch) up(ctx context.Context, t *Target) error {
	patience, cancel := context.WithTimeout(ctx, s.UpWithin.Or(10*time.Second))
	defer cancel()
	tick := time.NewTicker(upEvery)
	defer tick.Stop()
	var since time.Time
	for {
		found, _, err := t.look(patience, s.To)
		well := err == nil && found[0].serves() && (found[0].Passed || !found[0].Checked)
		switch {
		case well && !found[0].Checked:
			return nil
		case !well:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= s.UpFor.Or(time.Second):
			return nil
		}
		select {
		case <-patience.Done():
			return errors.Join(fmt.Errorf("server %s was not well within %s", s.To, s.UpWithin), err, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// backPatience is how long setting both back may take.
const backPatience = 5 * time.Second

// back sets both servers as they were, the one that had the traffic first.
func (t *Target) back(ctx context.Context, was pair) error {
	ctx, cancel := context.WithTimeout(ctx, backPatience)
	defer cancel()
	_, err := t.restore(ctx, was)
	return err
}

// restore sets back what is as the effect leaves it, and tells what it changed. A server that somebody else has set since
// is left alone.
func (t *Target) restore(ctx context.Context, was pair) (changed []string, err error) {
	left := was.switched()
	for _, one := range []struct{ was, left server }{{was.From, left.From}, {was.To, left.To}} {
		found, _, lookErr := t.look(ctx, one.was.Name)
		if lookErr != nil {
			err = errors.Join(err, lookErr)
			continue
		}
		is := found[0]
		if is.setting() == one.was.setting() || is.setting() != one.left.setting() {
			continue
		}
		if setErr := t.set(ctx, is, one.was); setErr != nil {
			err = errors.Join(err, setErr)
			continue
		}
		changed = append(changed, one.was.setting())
	}
	return changed, err
}

// Undo sets both servers back as they were.
func (s *Switch) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	was, err := checkpointed[pair](call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	t, err := decode(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	changed, err := t.restore(ctx, was)
	switch {
	case err != nil:
		return act.Result{}, err
	case len(changed) == 0:
		return act.Result{Summary: "nothing to set back"}, nil
	}
	return act.Result{Summary: fmt.Sprintf("set back: %s", changed), Changed: true}, nil
}
