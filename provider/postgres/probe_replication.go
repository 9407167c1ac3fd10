package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("replication", "Is the lag of replication below a bound?", func() telemetry.Probe {
		return &ProbeReplication{MaxBytes: 16 << 20}
	})
}

// ProbeReplication looks at a primary's standbys, or at one standby. Of a primary it passes where the standby that is named,
// or where none is named each one and at least one, is connected and within the bounds. Of a standby it passes where that
// receives, and has replayed what it received, but for the bounds.
type ProbeReplication struct {
	// Target is the name of a target of the service; its first one of kind postgres where not said.
	Target string `json:"target,omitempty"`
	// Standby is the application_name, mostly the cluster_name, of a standby of a primary.
	Standby string `json:"standby,omitempty"`
	// MaxBytes is how much of the log may be not replayed yet.
	MaxBytes int64 `json:"max_bytes,omitempty"`
	// MaxDelay is how late the replay may be; any where not said.
	MaxDelay jenner.Duration `json:"max_delay,omitempty"`
}

// Validate refuses a negative bound.
func (p *ProbeReplication) Validate() error {
	if p.MaxBytes < 0 {
		return fmt.Errorf("max_bytes is %d; write 0 or more", p.MaxBytes)
	}
	return nil
}

// Probe asks once.
func (p *ProbeReplication) Probe(ctx context.Context, call telemetry.ProbeCall) telemetry.Result {
	t, err := clusterOf(call.Service, p.Target)
	if err != nil {
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	}
	return answered(ctx, t.with(ctx, func(conn *pgx.Conn) error { return p.ask(ctx, conn) }))
}

// lag is how far one standby is behind.
type lag struct {
	Standby string
	Bytes   int64
	Seconds float64
}

func (p *ProbeReplication) ask(ctx context.Context, conn *pgx.Conn) error {
	var follows bool
	if err := conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&follows); err != nil {
		return err
	}
	query := `SELECT coalesce(application_name, ''), greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, '0/0')))::int8,
		coalesce(extract(epoch FROM replay_lag), 0)::float8 FROM pg_stat_replication`
	none := "no standby is connected"
	if follows {
		query = `SELECT 'the standby', greatest(0, pg_wal_lsn_diff(` + position + `, pg_last_wal_replay_lsn()))::int8,
			coalesce(extract(epoch FROM clock_timestamp() - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())), 0)::float8 FROM pg_stat_wal_receiver`
		none = "it receives from nobody"
	}
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return err
	}
	lags, err := pgx.CollectRows(rows, pgx.RowToStructByPos[lag])
	if err != nil {
		return err
	}
	seen := false
	for _, one := range lags {
		if !follows && p.Standby != "" && one.Standby != p.Standby {
			continue
		}
		seen = true
		if one.Bytes > p.MaxBytes {
			return fmt.Errorf("%s is %d bytes behind, more than %d", one.Standby, one.Bytes, p.MaxBytes)
		}
		// What has replayed all is not late, however long ago the last transaction was.
		if late := time.Duration(one.Seconds * float64(time.Second)); p.MaxDelay > 0 && one.Bytes > 0 && late > p.MaxDelay.Std() {
			return fmt.Errorf("%s is %s late, more than %s", one.Standby, late.Round(time.Millisecond), p.MaxDelay)
		}
	}
	if !seen && p.Standby != "" && !follows {
		return fmt.Errorf("standby %s is not connected", p.Standby)
	}
	if !seen {
		return errors.New(none)
	}
	return nil
}
