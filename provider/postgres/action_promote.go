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
)

func init() {
	Provider.Action("promote", "Make a standby the primary", func() act.Action { return &Promote{MaxAge: jenner.Duration(time.Minute)} })
}

// Promote ends the recovery of a standby, which takes writes from then on. It refuses a cluster that is no standby, a
// standby whose primary still serves or may serve, and one that lacks more of what the primary wrote than MaxLag, or of
// which nobody knows how much it lacks. What the primary wrote is known from its own numbers, which the source `postgres`
// of its service collects (pg_wal_position_bytes); what it wrote after the last of them, nobody knows. There is no undo: a
// promoted cluster cannot become the standby that it was.
type Promote struct {
	// MaxLag is how many bytes of the log the standby may lack. They are lost.
	MaxLag int64 `json:"max_lag,omitempty"`
	// MaxAge is how old the last number of the primary may be.
	MaxAge jenner.Duration `json:"max_age,omitempty"`
	// Primary is the target of the same service that is replaced; where not said, its one other target of kind postgres.
	Primary string `json:"primary,omitempty"`
	// IfUnreachable also promotes where the primary does not answer and yet nothing shows that it is down or fenced: it may
	// still serve those who reach it.
	IfUnreachable bool `json:"if_unreachable,omitempty"`
}

// Validate refuses a negative lag.
func (p *Promote) Validate() error {
	if p.MaxLag < 0 {
		return fmt.Errorf("max_lag is %d; write 0 or more bytes", p.MaxLag)
	}
	return nil
}

// standbyState is how the standby stood before.
type standbyState struct {
	Follows  bool  `json:"follows"`
	Position int64 `json:"position"` // received, in bytes of the log
	Lacks    int64 `json:"lacks"`    // of what the primary is known to have written
}

// Check looks at both clusters.
func (p *Promote) Check(ctx context.Context, call act.Call) error {
	_, err := p.look(ctx, call)
	return err
}

// Checkpoint keeps how far the standby was.
func (p *Promote) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	state, err := p.look(ctx, call)
	return jenner.Raw(state), err
}

// look refuses what must not be promoted.
func (p *Promote) look(ctx context.Context, call act.Call) (state standbyState, err error) {
	err = use(ctx, call.Target, func(_ *Target, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `SELECT pg_is_in_recovery(), pg_wal_lsn_diff(`+position+`, '0/0')::int8`).Scan(&state.Follows, &state.Position)
	})
	if err != nil {
		return state, err
	}
	if !state.Follows {
		return state, jenner.Permanent(fmt.Errorf("%s is no standby: it takes writes already", call.Target.Ref()), "")
	}
	primary, err := p.primary(call)
	if err != nil {
		return state, err
	}
	if err := p.down(ctx, primary); err != nil {
		return state, err
	}
	written, err := p.written(ctx, call, primary)
	if err != nil {
		return state, err
	}
	if state.Lacks = max(0, written-state.Position); state.Lacks > p.MaxLag {
		return state, jenner.Permanent(fmt.Errorf("%s lacks %d bytes of what %s wrote, and max_lag is %d: they would be lost",
			call.Target.Ref(), state.Lacks, primary.ref, p.MaxLag), "bring the primary back, or decide that the loss is borne and raise max_lag")
	}
	return state, nil
}

// primary is the cluster that is replaced.
func (p *Promote) primary(call act.Call) (*Target, error) {
	if p.Primary != "" {
		written, known := call.Service.TargetNamed(p.Primary)
		if !known || written.Ref() == call.Target.Ref() {
			return nil, jenner.Permanent(fmt.Errorf("service %s has no other target %q that could be the primary", call.Service.Name, p.Primary), "")
		}
		return decode(written)
	}
	candidates := others(call.Service, call.Target.Ref())
	if len(candidates) != 1 {
		return nil, jenner.Permanent(fmt.Errorf("service %s has %d other targets of kind postgres, and nobody knows which of them is replaced",
			call.Service.Name, len(candidates)), "name it as primary")
	}
	return decode(candidates[0])
}

// down refuses where the primary serves, or may serve.
func (p *Promote) down(ctx context.Context, primary *Target) error {
	if s, err := primary.server(); err == nil {
		if is, err := s.fenced(); err == nil && is {
			if seen, err := s.look(); err == nil && !seen.runs() {
				return nil
			}
		}
		if seen, err := s.look(); err == nil && seen.runs() {
			return jenner.Permanent(fmt.Errorf("%s still runs as pid %d: there would be two primaries", primary.ref, seen.Pid), "fence it first")
		}
	}
	recovers, err := primary.recovers(ctx)
	switch {
	case err == nil && !recovers:
		return jenner.Permanent(fmt.Errorf("%s still takes writes: there would be two primaries", primary.ref), "fence it first")
	case err == nil, nobodyThere(err), p.IfUnreachable:
		return nil
	}
	return jenner.Permanent(fmt.Errorf("nobody can tell whether %s still serves: %w", primary.ref, err),
		"fence it first, or write if_unreachable: true where its end is known from elsewhere")
}

// written is how much of the log the primary is known to have written.
func (p *Promote) written(ctx context.Context, call act.Call, primary *Target) (int64, error) {
	if call.Host.Telemetry == nil {
		return 0, jenner.Permanent(errors.New("nobody knows how far the primary was: there are no metrics"), "")
	}
	question := fmt.Sprintf("max(last_over_time(pg_wal_position_bytes{service=%q,target=%q}[%dms]))", call.Service.Name, primary.ref.Name,
		p.MaxAge.Or(time.Minute).Milliseconds())
	answer, err := call.Host.Telemetry.Query(jenner.Asking(ctx, jenner.Question{Own: true}), question) // a source of ours measures it
	if err != nil {
		return 0, jenner.Retryable(fmt.Errorf("how far %s was: %w", primary.ref, err), "")
	}
	if answer.NoData() {
		return 0, jenner.Permanent(fmt.Errorf("nobody knows how far %s was: no number of it is younger than %s", primary.ref, p.MaxAge),
			fmt.Sprintf("service %s needs the metrics source {postgres: {target: %s}}", call.Service.Name, primary.ref.Name))
	}
	return int64(answer.Samples[0].Value), nil
}

// Do promotes and returns when the cluster takes writes.
func (p *Promote) Do(ctx context.Context, call act.Call) (result act.Result, err error) {
	var before standbyState
	if err := json.Unmarshal(call.Checkpoint, &before); err != nil {
		return result, jenner.Permanent(fmt.Errorf("the checkpoint cannot be read: %w", err), "")
	}
	began := time.Now()
	err = use(ctx, call.Target, func(t *Target, conn *pgx.Conn) error {
		var follows, promoted bool
		if err := conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&follows); err != nil || !follows {
			return err
		}
		wait := defaultPatience
		if deadline, has := ctx.Deadline(); has {
			wait = time.Until(deadline)
		}
		if err := conn.QueryRow(ctx, "SELECT pg_promote(true, $1::int)", int(wait.Seconds())+1).Scan(&promoted); err != nil {
			return err
		}
		if !promoted {
			return jenner.Retryable(fmt.Errorf("%s has not ended its recovery in time", t.ref), "")
		}
		return nil
	})
	if err != nil {
		return result, err
	}
	return act.Result{Summary: fmt.Sprintf("promoted in %s; it lacked %d bytes of what is known to have been written",
		time.Since(began).Round(time.Millisecond), before.Lacks), Changed: true, Output: before}, nil
}

// Happened is done where the cluster follows nobody any more.
func (*Promote) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	t, err := decode(call.Target)
	if err != nil {
		return act.HappenedUnknown, err
	}
	recovers, err := t.recovers(ctx)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case recovers:
		return act.HappenedNot, nil
	}
	return act.HappenedDone, nil
}
