package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Action("terminate_connections", "End connections of clients that have been in one state for long", func() act.Action {
		return &TerminateConnections{State: stateIdle, OlderThan: jenner.Duration(5 * time.Minute), Passes: 10,
			Pause: jenner.Duration(time.Second)}
	})
}

// TerminateConnections ends connections in passes, those first that have been in their state for longest. The unit of its
// blast radius is connections, and it limits each pass: `blast_radius: {max_connections: 15%}` ends at most 15 % of the
// clients' connections, looks whether they are gone and whether that is enough, pauses, and chooses anew. Without a blast
// radius there is one pass.
//
// Connections of Jenner, of superusers, and those that replicate are never ended and do not count. Each one is looked at
// once more in the moment in which it is ended, and left alone where it has become busy. There is no undo.
type TerminateConnections struct {
	// State is idle, idle_in_transaction or active.
	State string `json:"state,omitempty"`
	// OlderThan is how long a connection must have been in that state; active: how long its query has run.
	OlderThan   jenner.Duration `json:"older_than,omitempty"`
	Application string          `json:"application,omitempty"` // only those of this application_name
	User        string          `json:"user,omitempty"`        // only those of this user
	// Passes is how many passes there are at most.
	Passes int `json:"passes,omitempty"`
	// Pause is the time between two passes, in which the numbers can show what the last one did.
	Pause jenner.Duration `json:"pause,omitempty"`
	// Metric is PromQL that is asked after each pass; without it passes go on while connections are left that are meant.
	Metric string `json:"metric,omitempty"`
	// Below ends the passes, as soon as every series of Metric is below it.
	Below *jenner.Number `json:"below,omitempty"`
}

func (t *TerminateConnections) pick() pick {
	return pick{State: t.State, Age: t.OlderThan, Application: t.Application, User: t.User}
}

// Validate checks the parameters.
func (t *TerminateConnections) Validate() error {
	switch {
	case t.Passes < 1:
		return fmt.Errorf("passes is %d; write 1 or more", t.Passes)
	case (t.Metric == "") != (t.Below == nil):
		return errors.New("metric and below belong together; write both or none")
	}
	if t.Metric != "" {
		if err := telemetry.ParseCheck(t.Metric); err != nil {
			return err
		}
	}
	return checkState(t.State)
}

// Check looks whether Jenner gets in and may act.
func (t *TerminateConnections) Check(ctx context.Context, call act.Call) error {
	return use(ctx, call.Target, func(t *Target, conn *pgx.Conn) error { return t.maySignal(ctx, conn) })
}

// maySignal refuses where the server would refuse later, when half of the work is done.
func (t *Target) maySignal(ctx context.Context, conn *pgx.Conn) error {
	var may bool
	err := conn.QueryRow(ctx, `SELECT rolsuper OR pg_has_role('pg_signal_backend', 'USAGE')
		FROM pg_roles WHERE rolname = current_user`).Scan(&may)
	if err == nil && !may {
		return jenner.Permanent(fmt.Errorf("%s: user %s may not end what others do", t.ref, t.User), "grant it the role pg_signal_backend")
	}
	return err
}

// Size counts the connections that are meant, of all that clients have.
func (t *TerminateConnections) Size(ctx context.Context, call act.Call) (size act.Size, err error) {
	size = act.Size{Unit: "connections", Bounded: true}
	err = use(ctx, call.Target, func(_ *Target, conn *pgx.Conn) error {
		size.Want, size.Total, err = t.pick().count(ctx, conn)
		return err
	})
	return size, err
}

// Checkpoint chooses the connections of the first pass.
func (t *TerminateConnections) Checkpoint(ctx context.Context, call act.Call) (raw json.RawMessage, err error) {
	err = use(ctx, call.Target, func(_ *Target, conn *pgx.Conn) error {
		sessions, err := t.pick().choose(ctx, conn, most(call, "connections"))
		raw = jenner.Raw(chosen{sessions})
		return err
	})
	return raw, err
}

// chosen is the checkpoint of the actions on sessions.
type chosen struct {
	Sessions []session `json:"sessions"`
}

func chosenOf(call act.Call) ([]session, error) {
	var kept chosen
	if err := json.Unmarshal(call.Checkpoint, &kept); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("the checkpoint cannot be read: %w", err), "")
	}
	return kept.Sessions, nil
}

// most is how many may be touched at once, or -1 where nothing limits it.
func most(call act.Call, unit string) int {
	if call.Allowed == nil {
		return -1
	}
	return call.Allowed[unit]
}

// terminated is the output of the action.
type terminated struct {
	Passes []int `json:"passes"` // how many connections each pass ended
	Ended  int   `json:"ended"`
	Left   int   `json:"left"` // still meant after the last pass
}

// Do ends exactly the connections that the checkpoint chose, and goes on with further passes.
func (t *TerminateConnections) Do(ctx context.Context, call act.Call) (result act.Result, err error) {
	sessions, err := chosenOf(call)
	if err != nil {
		return result, err
	}
	var did terminated
	err = use(ctx, call.Target, func(_ *Target, conn *pgx.Conn) error {
		for {
			ended, err := t.pass(ctx, conn, sessions)
			if err != nil {
				return err
			}
			did.Passes, did.Ended = append(did.Passes, ended), did.Ended+ended
			if did.Left, _, err = t.pick().count(ctx, conn); err != nil {
				return err
			}
			if call.Allowed == nil || did.Left == 0 || len(did.Passes) >= t.Passes || most(call, "connections") == 0 {
				return nil
			}
			if call.Host.Progress != nil {
				call.Host.Progress(fmt.Sprintf("pass %d ended %d connections, %d are left", len(did.Passes), ended, did.Left))
			}
			if enough, err := t.enough(ctx, call); err != nil || enough {
				return err
			}
			if sessions, err = t.pick().choose(ctx, conn, most(call, "connections")); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return result, err
	}
	return act.Result{Summary: fmt.Sprintf("ended %d connections (%s for %s) in %d passes, %d are left", did.Ended, t.State, t.OlderThan,
		len(did.Passes), did.Left), Changed: did.Ended > 0, Output: did}, nil
}

// pass ends connections and waits until they are gone.
func (t *TerminateConnections) pass(ctx context.Context, conn *pgx.Conn, sessions []session) (ended int, err error) {
	var gone []session
	for _, s := range sessions {
		did, err := t.pick().signal(ctx, conn, "pg_terminate_backend", s, false)
		if err != nil {
			return len(gone), err
		}
		if did {
			gone = append(gone, s)
		}
	}
	return len(gone), until(ctx, conn, gone, alive)
}

// enough pauses, and tells whether the number that the runbook looks at is fine by now.
func (t *TerminateConnections) enough(ctx context.Context, call act.Call) (bool, error) {
	pause := time.NewTimer(t.Pause.Or(time.Second))
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-pause.C:
	}
	if t.Metric == "" {
		return false, nil
	}
	if call.Host.Telemetry == nil {
		return false, jenner.Permanent(errors.New("nobody can be asked about metric"), "")
	}
	answer, err := call.Host.Telemetry.Query(ctx, t.Metric)
	if err != nil {
		return false, jenner.Retryable(fmt.Errorf("metric: %w", err), "")
	}
	for _, sample := range answer.Samples {
		if !(sample.Value < float64(*t.Below)) { // written so that NaN is not below
			return false, nil
		}
	}
	return !answer.NoData(), nil
}

// Happened is done where all are gone that the checkpoint chose, and not done where some are left: doing it again touches
// only those.
func (t *TerminateConnections) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	return gone(ctx, call, alive)
}

// gone tells whether all that was chosen is gone, by the measure of left.
func gone(ctx context.Context, call act.Call, left func(context.Context, *pgx.Conn, []session) ([]session, error)) (act.Happened, error) {
	sessions, err := chosenOf(call)
	if err != nil {
		return act.HappenedUnknown, err
	}
	happened := act.HappenedUnknown
	err = use(ctx, call.Target, func(_ *Target, conn *pgx.Conn) error {
		still, err := left(ctx, conn, sessions)
		if err != nil {
			return err
		}
		if happened = act.HappenedDone; len(still) > 0 {
			happened = act.HappenedNot
		}
		return nil
	})
	return happened, err
}
