package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("lock", "Lock a table, as a migration does that never ends", func() chaos.Fault {
		return &FaultLock{Login: Login{Application: "migration"}}
	})
}

// FaultLock holds a table in ACCESS EXCLUSIVE mode, in a transaction that stays idle: nobody can read or write it. The lock
// ends with the process that holds it.
type FaultLock struct {
	sessionsHeld
	Login
	// Table is the table's name, with its schema where the search path does not tell it. The user must own it.
	Table string `json:"table"`
}

// Validate checks the parameters.
func (f *FaultLock) Validate() error {
	if f.Table == "" {
		return errors.New("table is missing")
	}
	return f.validate()
}

// locked is the checkpoint: the table as the server calls it.
type locked struct {
	Table string `json:"table"`
	OID   uint32 `json:"oid"`
}

// Checkpoint refuses a table that is not there.
func (f *FaultLock) Checkpoint(ctx context.Context, call chaos.Call) (raw json.RawMessage, err error) {
	err = use(ctx, call.Record.Target, func(t *Target, conn *pgx.Conn) error {
		if err := checkLogin(ctx, conn, f.User); err != nil {
			return err
		}
		var kept locked
		err := conn.QueryRow(ctx, `SELECT oid::regclass::text, oid::int8 FROM pg_class WHERE oid = to_regclass($1)`, f.Table).
			Scan(&kept.Table, &kept.OID)
		if errors.Is(err, pgx.ErrNoRows) {
			return jenner.Permanent(fmt.Errorf("%s has no table %q", t.ref, f.Table), "")
		}
		raw = jenner.Raw(kept)
		return err
	})
	return raw, err
}

// Hold takes the lock. It gives up where others hold the table for more than ten seconds, and lets nobody wait behind it
// for longer than that.
func (f *FaultLock) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	kept, err := lockedOf(call)
	if err != nil {
		return err
	}
	return f.holding(ctx, call, 1, "hold "+kept.Table, tell, func(ctx context.Context, one *opened) error {
		_, err := one.conn.Exec(ctx, "BEGIN; SET LOCAL lock_timeout = '10s'; LOCK TABLE "+kept.Table+" IN ACCESS EXCLUSIVE MODE",
			pgx.QueryExecModeSimpleProtocol)
		return err
	})
}

func lockedOf(call chaos.Call) (kept locked, err error) {
	if err := json.Unmarshal(call.Record.Checkpoint, &kept); err != nil {
		return kept, fmt.Errorf("the checkpoint cannot be read: %w", err)
	}
	return kept, nil
}

// Bite looks whether the server says that the fault's session has the lock, and counts who waits for it.
func (f *FaultLock) Bite(ctx context.Context, call chaos.Call) (witness chaos.Witness, err error) {
	kept, err := lockedOf(call)
	if err != nil {
		return witness, err
	}
	still, _, err := stillThere(ctx, call)
	if err != nil || len(still) == 0 {
		return chaos.Witness{Saw: "nobody holds " + kept.Table + " for the fault"}, err
	}
	err = use(ctx, call.Record.Target, func(_ *Target, conn *pgx.Conn) error {
		var waiting int
		err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND relation = $2 AND granted
			AND mode = 'AccessExclusiveLock'), (SELECT count(*) FROM pg_locks WHERE relation = $2 AND NOT granted)`,
			still[0].Pid, kept.OID).Scan(&witness.Bit, &waiting)
		witness.Saw = fmt.Sprintf("pid %d holds %s, and %d others wait for it", still[0].Pid, kept.Table, waiting)
		return err
	})
	return witness, err
}
