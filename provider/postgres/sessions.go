package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

// session is one client's connection. A pid alone is used again; pid and start are not.
type session struct {
	Pid   int       `json:"pid"`
	Start time.Time `json:"start"` // backend_start
	// Query is when what it does now began: of another query than the chosen one nobody says that it may be cancelled.
	Query time.Time `json:"query,omitzero"`
	// Told are the facts for which it was chosen.
	Application string  `json:"application,omitempty"`
	User        string  `json:"user,omitempty"`
	State       string  `json:"state,omitempty"`
	Age         float64 `json:"age,omitempty"` // seconds in this state
}

// The states of a session as people write them.
const (
	stateIdle              = "idle"
	stateIdleInTransaction = "idle_in_transaction"
	stateActive            = "active"
)

func checkState(state string) error {
	if states := []string{stateIdle, stateIdleInTransaction, stateActive}; !slices.Contains(states, state) {
		return fmt.Errorf("unknown state %q%s", state, strict.Hint(state, states))
	}
	return nil
}

// clients is what may be ended at all: connections of clients, but none of Jenner's own, of superusers, or of others for
// whom connections are kept free. What replicates is no client's connection.
const clients = `FROM (
  SELECT a.pid, a.backend_start, a.query_start, coalesce(a.application_name, '') AS application, r.rolname AS username,
    CASE WHEN a.state LIKE 'idle in transaction%' THEN 'idle_in_transaction' ELSE a.state END AS state,
    extract(epoch FROM clock_timestamp() - CASE WHEN a.state = 'active' THEN a.query_start ELSE a.state_change END)::float8 AS age
  FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
  WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND coalesce(a.application_name, '') <> '` + ourName + `'
    AND NOT r.rolsuper AND NOT coalesce(pg_has_role(a.usesysid, to_regrole('pg_use_reserved_connections'), 'MEMBER'), false)
) clients`

// picked is which of the clients are meant.
const picked = ` WHERE state = @state AND age >= @age AND (@application = '' OR application = @application) AND (@user = '' OR username = @user)`

// pick says which sessions are meant. Empty fields mean all.
type pick struct {
	State             string
	Age               jenner.Duration // in this state, at least
	Application, User string
}

func (p pick) args(more pgx.NamedArgs) pgx.NamedArgs {
	all := pgx.NamedArgs{"state": p.State, "age": p.Age.Std().Seconds(), "application": p.Application, "user": p.User}
	for name, value := range more {
		all[name] = value
	}
	return all
}

// count tells how many sessions are meant, and how many clients there are of which they could be.
func (p pick) count(ctx context.Context, conn *pgx.Conn) (want, total int, err error) {
	err = conn.QueryRow(ctx, `SELECT count(*) FILTER (`+picked[1:]+`), count(*) `+clients, p.args(nil)).Scan(&want, &total)
	return want, total, err
}

// choose gives those that are meant, the longest in their state first, and no more than so many; all where most is
// below 0.
func (p pick) choose(ctx context.Context, conn *pgx.Conn, most int) ([]session, error) {
	limit := any(most)
	if most < 0 {
		limit = nil
	}
	rows, err := conn.Query(ctx, `SELECT pid, backend_start, query_start, application, username, state, age `+clients+picked+
		` ORDER BY age DESC, pid LIMIT @most`, p.args(pgx.NamedArgs{"most": limit}))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s session, err error) {
		var query *time.Time
		err = row.Scan(&s.Pid, &s.Start, &query, &s.Application, &s.User, &s.State, &s.Age)
		if query != nil {
			s.Query = *query
		}
		return s, err
	})
}

// signal ends, or cancels, exactly that session, where it still is one of those meant: the server looks and acts in one
// statement. It tells whether it did.
func (p pick) signal(ctx context.Context, conn *pgx.Conn, function string, s session, sameQuery bool) (bool, error) {
	var did bool
	err := conn.QueryRow(ctx, `SELECT `+function+`(pid) `+clients+picked+
		` AND pid = @pid AND backend_start = @start AND (NOT @same OR query_start = @query)`,
		p.args(pgx.NamedArgs{"pid": s.Pid, "start": s.Start, "same": sameQuery, "query": s.Query})).Scan(&did)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return did, err
}

// alive gives those of the sessions that are still there.
func alive(ctx context.Context, conn *pgx.Conn, sessions []session) ([]session, error) {
	rows, err := conn.Query(ctx, `SELECT pid, backend_start FROM pg_stat_activity WHERE backend_type = 'client backend'`)
	if err != nil {
		return nil, err
	}
	type identity struct {
		pid   int
		start int64
	}
	there := map[identity]bool{}
	var pid int
	var start time.Time
	if _, err := pgx.ForEachRow(rows, []any{&pid, &start}, func() error {
		there[identity{pid, start.UnixMicro()}] = true
		return nil
	}); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(sessions), func(s session) bool {
		return !there[identity{s.Pid, s.Start.UnixMicro()}]
	}), nil
}

// running gives those of the sessions that still do what they did when they were chosen.
func running(ctx context.Context, conn *pgx.Conn, sessions []session) ([]session, error) {
	var still []session
	for _, s := range sessions {
		var same bool
		err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2
			AND state = 'active' AND query_start = $3)`, s.Pid, s.Start, s.Query).Scan(&same)
		if err != nil {
			return nil, err
		}
		if same {
			still = append(still, s)
		}
	}
	return still, nil
}

// until asks again and again until none of the sessions is left, by the measure of left.
func until(ctx context.Context, conn *pgx.Conn, sessions []session,
	left func(context.Context, *pgx.Conn, []session) ([]session, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		still, err := left(ctx, conn, sessions)
		if err != nil || len(still) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return jenner.Retryable(fmt.Errorf("%d of %d connections are still there: %w", len(still), len(sessions), context.Cause(ctx)), "")
		case <-tick.C:
		}
	}
}
