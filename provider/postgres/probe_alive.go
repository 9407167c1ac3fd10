package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("alive", "Does the cluster's server answer?", func() telemetry.Probe { return &ProbeAlive{} })
}

// ProbeAlive asks whether a server answers at the target's address. One that says that it has no connection left, or that
// Jenner may not get in, lives. One that is starting up or shutting down does not yet, or not any more. Where nobody answers
// in time, nobody can tell: a server that hangs is not gone, and a written probe, such as sql, finds it. A fenced cluster is
// meant to be down: it is well while it is, and fails where it answers.
type ProbeAlive struct{}

// Probe connects once.
func (*ProbeAlive) Probe(ctx context.Context, call telemetry.ProbeCall) telemetry.Result {
	t, err := decode(call.Target)
	if err != nil {
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	}
	err = t.with(ctx, func(conn *pgx.Conn) error { return conn.Ping(ctx) })
	lives := err == nil || serverSaid(err) && !goneCode(err)
	switch fenced := t.isFenced(); {
	case lives && fenced:
		return telemetry.Result{Outcome: telemetry.Failed, Message: "it is fenced, and yet it answers"}
	case lives, fenced && nobodyThere(err):
		return telemetry.Result{Outcome: telemetry.OK}
	case goneCode(err), nobodyThere(err):
		return telemetry.Result{Outcome: telemetry.Failed, Message: err.Error()}
	}
	return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
}

// isFenced tells whether the cluster is known to be fenced.
func (t *Target) isFenced() bool {
	s, err := t.server()
	if err != nil {
		return false // nothing of it can be seen from here
	}
	fenced, err := s.fenced()
	return err == nil && fenced
}

// serverSaid tells that the error is an answer of the server.
func serverSaid(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said)
}

// goneCode tells that the server said that it comes or goes: class 57P of its codes.
func goneCode(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said) && strings.HasPrefix(said.Code, "57P")
}
