package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("cancel_queries", "Cancel queries of clients that have run for long", func() act.Action {
		return &CancelQueries{LongerThan: jenner.Duration(time.Minute)}
	})
}

// CancelQueries cancels queries, the longest first. The connections stay, and the applications get an error. The unit of its
// blast radius is queries. Those of Jenner and of superusers are left alone, and a connection that has gone on to another
// query meanwhile too. There is no undo.
type CancelQueries struct {
	// LongerThan is how long a query must have run.
	LongerThan  jenner.Duration `json:"longer_than,omitempty"`
	Application string          `json:"application,omitempty"` // only those of this application_name
	User        string          `json:"user,omitempty"`        // only those of this user
}

func (c *CancelQueries) pick() pick {
	return pick{State: stateActive, Age: c.LongerThan, Application: c.Application, User: c.User}
}

// Check looks whether Jenner gets in and may act.
func (c *CancelQueries) Check(ctx context.Context, call act.Call) error {
	return use(ctx, call.Target, func(t *Target, conn *pgx.Conn) error { return t.maySignal(ctx, conn) })
}

// Size counts the queries that are meant, of all that clients run.
func (c *CancelQueries) Size(ctx context.Context, call act.Call) (size act.Size, err error) {
	size = act.Size{Unit: "queries", Bounded: true}
	err = use(ctx, call.Target, func(_ *Target, conn *pgx.Conn) error {
		if size.Want, _, err = c.pick().count(ctx, conn); err == nil {
			size.Total, _, err = pick{State: stateActive}.count(ctx, conn)
		}
		return err
	})
	return size, err
}

// Checkpoint chooses the queries.
func (c *CancelQueries) Checkpoint(ctx context.Context, call act.Call) (raw json.RawMessage, err error) {
	err = use(ctx, call.Target, func(_ *Target, conn *pgx.Conn) error {
		sessions, err := c.pick().choose(ctx, conn, most(call, "queries"))
		raw = jenner.Raw(chosen{sessions})
		return err
	})
	return raw, err
}

// Do cancels exactly the queries that the checkpoint chose, and returns when they have ended.
func (c *CancelQueries) Do(ctx context.Context, call act.Call) (result act.Result, err error) {
	sessions, err := chosenOf(call)
	if err != nil {
		return result, err
	}
	var ended []session
	err = use(ctx, call.Target, func(_ *Target, conn *pgx.Conn) error {
		for _, s := range sessions {
			did, err := c.pick().signal(ctx, conn, "pg_cancel_backend", s, true)
			if err != nil {
				return err
			}
			if did {
				ended = append(ended, s)
			}
		}
		return until(ctx, conn, ended, running)
	})
	if err != nil {
		return result, err
	}
	return act.Result{Summary: fmt.Sprintf("cancelled %d queries that had run for %s", len(ended), c.LongerThan),
		Changed: len(ended) > 0, Output: map[string]int{"cancelled": len(ended)}}, nil
}

// Happened is done where none of the chosen queries runs any more, and not done where some do.
func (c *CancelQueries) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	return gone(ctx, call, running)
}
