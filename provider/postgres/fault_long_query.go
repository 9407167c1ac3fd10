package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("long_query", "Run queries that do not end", func() chaos.Fault {
		return &FaultLongQuery{Sessions: 1, Login: Login{Application: "report"}}
	})
}

// FaultLongQuery opens sessions and lets each run one query. A query that a remedy cancels is not run again, and its session
// ends as that of a report does which failed. They end with
// the process that holds them; where that is killed, the server notices within a second.
type FaultLongQuery struct {
	sessionsHeld
	Login
	// Sessions is how many run a query at the same time.
	Sessions int `json:"sessions,omitempty"`
	// Query is what they run; where not said, they sleep, which takes a connection and no processor.
	Query string `json:"query,omitempty"`
}

// Validate checks the parameters.
func (f *FaultLongQuery) Validate() error {
	if f.Sessions < 1 {
		return fmt.Errorf("sessions is %d; write 1 or more", f.Sessions)
	}
	return f.validate()
}

// Checkpoint refuses where there is no room.
func (f *FaultLongQuery) Checkpoint(ctx context.Context, call chaos.Call) (raw json.RawMessage, err error) {
	return (&FaultConnections{Login: f.Login, Count: f.Sessions}).Checkpoint(ctx, call)
}

// Hold runs the queries.
func (f *FaultLongQuery) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	query := f.Query
	if query == "" {
		query = "SELECT pg_sleep(86400)"
	}
	return f.holding(ctx, call, f.Sessions, "run "+query, tell, func(ctx context.Context, one *opened) error {
		one.busy = make(chan struct{})
		go func() {
			defer close(one.busy)
			if _, err := one.conn.Exec(ctx, query); err != nil && ctx.Err() == nil {
				_ = one.conn.Close(ctx) // a remedy cancelled it; the report fails and goes
			}
		}()
		return nil
	})
}

// Armed tells whether some of the queries still run: a remedy may have cancelled them and left the connections.
func (f *FaultLongQuery) Armed(ctx context.Context, call chaos.Call) (bool, error) {
	busy, err := f.busy(ctx, call)
	return busy > 0, err
}

// Bite counts the queries that run.
func (f *FaultLongQuery) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	report, _ := reportOf(call)
	busy, err := f.busy(ctx, call)
	return chaos.Witness{Bit: busy > 0, Saw: fmt.Sprintf("%d of %d sessions %s", busy, len(report.Sessions), report.Text)}, err
}

func (f *FaultLongQuery) busy(ctx context.Context, call chaos.Call) (busy int, err error) {
	still, _, err := stillThere(ctx, call)
	if err != nil || len(still) == 0 {
		return 0, err
	}
	err = use(ctx, call.Record.Target, func(_ *Target, conn *pgx.Conn) error {
		for _, s := range still {
			var active bool
			if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2
				AND state = 'active')`, s.Pid, s.Start).Scan(&active); err != nil {
				return err
			}
			if active {
				busy++
			}
		}
		return nil
	})
	return busy, err
}
