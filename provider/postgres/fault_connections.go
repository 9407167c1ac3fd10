package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("connections", "Take connections and keep them, as an application does that leaks them", func() chaos.Fault {
		return &FaultConnections{State: stateIdle, Login: Login{Application: "leak"}}
	})
}

// FaultConnections opens connections and leaves them idle, or in a transaction that never ends. Each is its own: one that
// is ended by a remedy is not opened again. They end with the process that holds them.
type FaultConnections struct {
	sessionsHeld
	Login
	// Count is how many connections are taken.
	Count int `json:"count,omitempty"`
	// Share is how much is taken of the connections that are free when the fault begins; one of count and share is needed.
	Share jenner.Share `json:"share,omitempty"`
	// State is idle or idle_in_transaction.
	State string `json:"state,omitempty"`
}

// Validate checks the parameters.
func (f *FaultConnections) Validate() error {
	switch {
	case f.Count < 0:
		return fmt.Errorf("count is %d; write 1 or more", f.Count)
	case (f.Count == 0) == (f.Share == 0):
		return errors.New("write one of count and share")
	case f.State == stateActive:
		return errors.New("state active is the fault long_query")
	}
	return errors.Join(f.validate(), checkState(f.State))
}

// taken is the checkpoint: how many connections are to be taken.
type taken struct {
	Count int `json:"count"`
	Free  int `json:"free"`
}

// Checkpoint counts what is free, and refuses to take more than that.
func (f *FaultConnections) Checkpoint(ctx context.Context, call chaos.Call) (raw json.RawMessage, err error) {
	err = use(ctx, call.Record.Target, func(t *Target, conn *pgx.Conn) error {
		if err := checkLogin(ctx, conn, f.User); err != nil {
			return err
		}
		kept := taken{Count: f.Count}
		if kept.Free, err = free(ctx, conn); err != nil {
			return err
		}
		if f.Share > 0 {
			kept.Count = int(math.Ceil(float64(f.Share)*float64(kept.Free) - 1e-9))
		}
		if kept.Count > kept.Free || kept.Count == 0 {
			return jenner.Permanent(fmt.Errorf("%s: %d connections are to be taken, and %d are free", t.ref, kept.Count, kept.Free), "")
		}
		raw = jenner.Raw(kept)
		return nil
	})
	return raw, err
}

// free is how many connections applications can still open.
func free(ctx context.Context, conn *pgx.Conn) (free int, err error) {
	err = conn.QueryRow(ctx, `SELECT greatest(0, current_setting('max_connections')::int
		- current_setting('superuser_reserved_connections')::int - count(*))
		FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`).Scan(&free)
	return free, err
}

// Hold takes the connections.
func (f *FaultConnections) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	var kept taken
	if err := json.Unmarshal(call.Record.Checkpoint, &kept); err != nil {
		return fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	return f.holding(ctx, call, kept.Count, "are "+f.State, tell, func(ctx context.Context, one *opened) error {
		if f.State == stateIdle {
			return nil
		}
		_, err := one.conn.Exec(ctx, "BEGIN")
		return err
	})
}
