package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Source("postgres", "The numbers of a PostgreSQL cluster: connections, queries, locks, replication", func() telemetry.Source {
		return &SourcePostgres{}
	})
}

// SourcePostgres keeps one connection open, for when all others are taken is when its numbers are needed most. The
// connections of Jenner itself do not count, and neither do those that replicate. Ages are in seconds, and 0 where there is
// nothing that could have one; `state` is active, idle or idle_in_transaction. Every series has the label target.
//
// Of every cluster: pg_connections{state,application,user}, pg_connections_state{state}, pg_connections_used,
// pg_connections_max (without those kept for superusers), pg_connections_used_ratio, pg_state_age_seconds_median{state},
// pg_state_age_seconds_max{state}, pg_oldest_transaction_seconds, pg_oldest_idle_in_transaction_seconds,
// pg_longest_active_query_seconds, pg_locks_waiting, pg_longest_lock_wait_seconds, pg_start_time_seconds,
// pg_is_in_recovery, pg_wal_position_bytes (written, or received by a standby), and by database pg_commits_total,
// pg_rollbacks_total and pg_deadlocks_total.
//
// Of one that others follow, by standby: pg_replication_lag_bytes and pg_replication_lag_seconds (until replayed there),
// pg_replication_flush_lag_bytes (until safe there), pg_replication_sync; and pg_standbys, how many there are. Of a standby:
// pg_replay_lag_bytes and pg_replay_lag_seconds (behind what it received), pg_replay_paused and pg_wal_receivers.
type SourcePostgres struct {
	// Target is the name of a target of the service; its first one of kind postgres where not said.
	Target string `json:"target,omitempty"`

	conn *pgx.Conn
}

// Instance is HOST:PORT.
func (s *SourcePostgres) Instance(call telemetry.SourceCall) (string, error) {
	t, err := clusterOf(call.Service, s.Target)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(t.Host, strconv.Itoa(t.Port)), nil
}

// clusterOf finds a target of a service by name, or its first cluster.
func clusterOf(service jenner.Service, name string) (*Target, error) {
	written, known := service.TargetNamed(name)
	if name == "" {
		for _, target := range service.Targets {
			if written, known = target, target.Kind == "postgres"; known {
				break
			}
		}
	}
	if !known {
		return nil, jenner.Permanent(fmt.Errorf("service %s has no target %q of kind postgres", service.Name, name), "")
	}
	return decode(written)
}

// Collect asks for all numbers. After an error the next call connects anew.
func (s *SourcePostgres) Collect(ctx context.Context, call telemetry.SourceCall) (samples []telemetry.Sample, err error) {
	t, err := clusterOf(call.Service, s.Target)
	if err != nil {
		return nil, err
	}
	if s.conn == nil {
		if s.conn, err = t.connect(ctx); err != nil {
			return nil, err
		}
	}
	for _, query := range []string{askConnections, askAges, askServer, askReplication} {
		if samples, err = appendAnswer(ctx, s.conn, samples, query, t.ref.Name); err != nil {
			s.Close()
			return nil, t.explain(err)
		}
	}
	return samples, nil
}

// Close closes the connection.
func (s *SourcePostgres) Close() {
	if s.conn != nil {
		_ = s.conn.Close(context.Background())
		s.conn = nil
	}
}

// appendAnswer adds the rows of a query: a name, labels as JSON, and a value, which is left out where it is null.
func appendAnswer(ctx context.Context, conn *pgx.Conn, samples []telemetry.Sample, query, target string) ([]telemetry.Sample, error) {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	var name, labels string
	var value *float64
	_, err = pgx.ForEachRow(rows, []any{&name, &labels, &value}, func() error {
		if value == nil {
			return nil
		}
		sample := telemetry.Sample{Name: name, Value: *value}
		if err := json.Unmarshal([]byte(labels), &sample.Labels); err != nil {
			return err
		}
		sample.Labels["target"] = target
		samples = append(samples, sample)
		return nil
	})
	return samples, err
}

// watched are the connections that count.
const watched = `watched AS MATERIALIZED (
  SELECT CASE WHEN state LIKE 'idle in transaction%' THEN 'idle_in_transaction' ELSE coalesce(state, 'unknown') END AS state,
    coalesce(application_name, '') AS application, coalesce(usename, '') AS username,
    greatest(0, extract(epoch FROM clock_timestamp() - xact_start)) AS xact_age,
    greatest(0, extract(epoch FROM clock_timestamp() - CASE WHEN state = 'active' THEN query_start ELSE state_change END)) AS age
  FROM pg_stat_activity
  WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND coalesce(application_name, '') <> '` + ourName + `')`

const askConnections = `WITH ` + watched + `, room AS (
  SELECT (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int)::float8 AS most)
SELECT 'pg_connections', json_build_object('state', state, 'application', application, 'user', username)::text, count(*)::float8
  FROM watched GROUP BY state, application, username
UNION ALL SELECT 'pg_connections_used', '{}', count(*) FROM watched
UNION ALL SELECT 'pg_connections_max', '{}', most FROM room
UNION ALL SELECT 'pg_connections_used_ratio', '{}', (SELECT count(*) FROM watched) / most FROM room`

const askAges = `WITH ` + watched + `, states (state) AS (VALUES ('active'), ('idle'), ('idle_in_transaction')),
ages AS (
  SELECT states.state, count(age)::float8 AS number, coalesce(max(age), 0)::float8 AS longest,
    coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY age), 0)::float8 AS median
  FROM states LEFT JOIN watched USING (state) GROUP BY states.state)
SELECT 'pg_connections_state', json_build_object('state', state)::text, number FROM ages
UNION ALL SELECT 'pg_state_age_seconds_median', json_build_object('state', state)::text, median FROM ages
UNION ALL SELECT 'pg_state_age_seconds_max', json_build_object('state', state)::text, longest FROM ages
UNION ALL SELECT 'pg_longest_active_query_seconds', '{}', longest FROM ages WHERE state = 'active'
UNION ALL SELECT 'pg_oldest_idle_in_transaction_seconds', '{}', longest FROM ages WHERE state = 'idle_in_transaction'
UNION ALL SELECT 'pg_oldest_transaction_seconds', '{}', coalesce(max(xact_age), 0)::float8 FROM watched`

const askServer = `SELECT 'pg_locks_waiting', '{}', count(*)::float8 FROM pg_locks WHERE NOT granted
UNION ALL SELECT 'pg_longest_lock_wait_seconds', '{}',
  coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0)::float8 FROM pg_locks WHERE NOT granted
UNION ALL SELECT 'pg_start_time_seconds', '{}', extract(epoch FROM pg_postmaster_start_time())::float8
UNION ALL SELECT name, json_build_object('database', datname)::text, value::float8
  FROM pg_stat_database, LATERAL (VALUES ('pg_commits_total', xact_commit), ('pg_rollbacks_total', xact_rollback),
    ('pg_deadlocks_total', deadlocks)) AS each (name, value) WHERE datname IS NOT NULL AND datname NOT LIKE 'template%'`

// position is how far the log is written, or received.
const position = `CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_lsn() END`

const askReplication = `WITH here AS MATERIALIZED (SELECT ` + position + ` AS lsn, pg_is_in_recovery() AS follows),
standbys AS MATERIALIZED (
  SELECT coalesce(application_name, '') AS standby, pg_wal_lsn_diff(lsn, replay_lsn)::float8 AS behind,
    greatest(0, pg_wal_lsn_diff(lsn, flush_lsn))::float8 AS unsafe, extract(epoch FROM replay_lag)::float8 AS delay,
    sync_state IN ('sync', 'quorum') AS sync FROM pg_stat_replication, here)
SELECT 'pg_is_in_recovery', '{}', follows::int::float8 FROM here
UNION ALL SELECT 'pg_wal_position_bytes', '{}', pg_wal_lsn_diff(lsn, '0/0')::float8 FROM here
UNION ALL SELECT 'pg_standbys', '{}', count(*)::float8 FROM standbys
UNION ALL SELECT name, json_build_object('standby', standby)::text, value FROM standbys, LATERAL (VALUES
  ('pg_replication_lag_bytes', greatest(0, behind)), ('pg_replication_flush_lag_bytes', unsafe),
  ('pg_replication_lag_seconds', CASE WHEN behind <= 0 THEN 0 ELSE delay END), ('pg_replication_sync', sync::int::float8)) AS each (name, value)
UNION ALL SELECT name, '{}', value FROM here, LATERAL (VALUES
  ('pg_replay_lag_bytes', greatest(0, pg_wal_lsn_diff(lsn, pg_last_wal_replay_lsn()))::float8),
  ('pg_replay_lag_seconds', CASE WHEN lsn <= pg_last_wal_replay_lsn() THEN 0
    ELSE extract(epoch FROM clock_timestamp() - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) END::float8),
  ('pg_replay_paused', CASE WHEN follows THEN pg_is_wal_replay_paused()::int END::float8),
  ('pg_wal_receivers', (SELECT count(*) FROM pg_stat_wal_receiver)::float8)) AS each (name, value) WHERE follows`
