package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
)

// replayState is whether a standby applies what it receives.
type replayState struct {
	Follows bool `json:"follows"` // false: it is no standby, or not any more
	Paused  bool `json:"paused"`
}

func (r replayState) String() string {
	if r.Paused {
		return "paused"
	}
	return "not paused"
}

func replayOf(ctx context.Context, conn *pgx.Conn) (state replayState, err error) {
	err = conn.QueryRow(ctx, `SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery()
		THEN pg_get_wal_replay_pause_state() <> 'not paused' ELSE false END`).Scan(&state.Follows, &state.Paused)
	return state, err
}

func seeReplay(ctx context.Context, target jenner.Target) (state replayState, err error) {
	err = use(ctx, target, func(_ *Target, conn *pgx.Conn) error {
		state, err = replayOf(ctx, conn)
		return err
	})
	return state, err
}

// setReplay pauses or resumes the replay, and returns when it is so. It tells whether it had to.
func setReplay(ctx context.Context, target jenner.Target, paused bool) (changed bool, err error) {
	err = use(ctx, target, func(t *Target, conn *pgx.Conn) error {
		state, err := replayOf(ctx, conn)
		if err != nil || state.Paused == paused {
			return err
		}
		if !state.Follows {
			return jenner.Permanent(fmt.Errorf("%s is no standby; it replays nothing", t.ref), "")
		}
		function, reached := "pg_wal_replay_resume", "not paused"
		if paused {
			function, reached = "pg_wal_replay_pause", "paused"
		}
		if _, err := conn.Exec(ctx, "SELECT "+function+"()"); err != nil {
			return err
		}
		changed = true
		return awaitReplay(ctx, conn, reached)
	})
	return changed, err
}

func awaitReplay(ctx context.Context, conn *pgx.Conn, reached string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var state string
		if err := conn.QueryRow(ctx, "SELECT pg_get_wal_replay_pause_state()").Scan(&state); err != nil || state == reached {
			return err
		}
		select {
		case <-ctx.Done():
			return jenner.Retryable(fmt.Errorf("the replay is %s and not %s yet: %w", state, reached, context.Cause(ctx)), "")
		case <-tick.C:
		}
	}
}

func replayBefore(checkpoint json.RawMessage) (state replayState, err error) {
	if err := json.Unmarshal(checkpoint, &state); err != nil {
		return state, jenner.Permanent(fmt.Errorf("the checkpoint cannot be read: %w", err), "")
	}
	return state, nil
}

// standbyOnly refuses a cluster that is no standby.
func standbyOnly(ctx context.Context, target jenner.Target) error {
	state, err := seeReplay(ctx, target)
	if err == nil && !state.Follows {
		return jenner.Permanent(fmt.Errorf("%s is no standby; it replays nothing", target.Ref()), "")
	}
	return err
}
