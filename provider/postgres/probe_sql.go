package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("sql", "Does a query get its answer, as a client would ask it?", func() telemetry.Probe { return &ProbeSQL{Query: "SELECT 1"} })
}

// ProbeSQL connects anew each time, as a client does, asks one query, and passes where that is answered, with Answer where
// one is expected. The query is asked again and again and must change nothing: it runs in a read-only transaction.
type ProbeSQL struct {
	// Target is the name of a target of the service; its first one of kind postgres where not said.
	Target string `json:"target,omitempty"`
	// Host and Port are where it is asked in place of the target's own address, such as at a proxy that leads to the cluster
	// which takes the writes; all else is as the target says.
	Host string `json:"host,omitempty"`
	Port int    `json:"port,omitempty"` // see host
	// Query is asked.
	Query string `json:"query,omitempty"`
	// Answer is what the first column of the first row must be, as text.
	Answer *string `json:"answer,omitempty"`
}

// Validate refuses an empty query.
func (p *ProbeSQL) Validate() error {
	if p.Query == "" {
		return errors.New("query is empty; write SQL")
	}
	if p.Port < 0 || p.Port > 65535 {
		return fmt.Errorf("port %d is none; write 1 to 65535", p.Port)
	}
	return nil
}

// Probe asks once.
func (p *ProbeSQL) Probe(ctx context.Context, call telemetry.ProbeCall) telemetry.Result {
	t, err := clusterOf(call.Service, p.Target)
	if err != nil {
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	}
	if p.Host != "" {
		t.Host = p.Host
	}
	if p.Port != 0 {
		t.Port = p.Port
	}
	return answered(ctx, t.with(ctx, func(conn *pgx.Conn) error { return p.ask(ctx, conn) }))
}

func (p *ProbeSQL) ask(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "SET default_transaction_read_only = on"); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, p.Query, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return err
	}
	defer rows.Close()
	var got *string
	seen := false
	for rows.Next() {
		if seen {
			continue
		}
		seen = true
		if raw := rows.RawValues(); len(raw) > 0 && raw[0] != nil {
			text := string(raw[0])
			got = &text
		}
	}
	switch err := rows.Err(); {
	case err != nil:
		return err
	case p.Answer == nil:
		return nil
	case !seen:
		return fmt.Errorf("no row, want %q", *p.Answer)
	case got == nil:
		return fmt.Errorf("the answer is null, want %q", *p.Answer)
	case *got != *p.Answer:
		return fmt.Errorf("the answer is %q, want %q", *got, *p.Answer)
	}
	return nil
}

// answered is what an error means for a probe. A password that is not there, or a question that was taken back, says
// nothing about the service.
func answered(ctx context.Context, err error) telemetry.Result {
	var told *jenner.Error
	switch {
	case err == nil:
		return telemetry.Result{Outcome: telemetry.OK}
	case errors.Is(ctx.Err(), context.Canceled):
		return telemetry.Result{Outcome: telemetry.Unknown, Message: "nobody waits for the answer any more"}
	case errors.As(err, &told) && told.Next == jenner.NeverMind && !serverSaid(err):
		return telemetry.Result{Outcome: telemetry.Unknown, Message: err.Error()}
	}
	return telemetry.Result{Outcome: telemetry.Failed, Message: err.Error()}
}
