package postgres

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/telemetry"
)

// inFront is a proxy that leads every connection to the first of the clusters that listens. It gives its port.
func inFront(t *testing.T, clusters ...*lab.Postgres) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			lead(from, clusters)
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func lead(from net.Conn, clusters []*lab.Postgres) {
	for _, p := range clusters {
		to, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port)))
		if err == nil {
			go func() { _, _ = io.Copy(to, from); to.Close() }()
			go func() { _, _ = io.Copy(from, to); from.Close() }()
			return
		}
	}
	from.Close()
}

// TestTheRunbookOfTheExampleReplacesALostPrimary is the whole line: the primary crashes, its loss is noticed at the address
// that applications use, it is fenced, the standby is promoted, and that is verified.
func TestTheRunbookOfTheExampleReplacesALostPrimary(t *testing.T) {
	main, copy, _ := pair(t)
	front := inFront(t, main, copy)
	caughtUp(t, main, copy)
	a := healing(t, fmt.Sprintf(`kind: service
name: ledger-db
targets:
- %s
- %s
metrics:
- {postgres: {target: a}, every: 500ms}
- {postgres: {target: b}, every: 500ms}
probes:
- {name: writes, sql: {target: a, port: %d, query: SELECT pg_is_in_recovery(), answer: f}, every: 500ms}
---
kind: limits
max_targets_of_service: 2
---
%s
---
%s
---
%s`, targetDocument(main, "a"), targetDocument(copy, "b"), front,
		exampleOf(t, "failover.yaml", "signature", "primary-lost"),
		exampleOf(t, "failover.yaml", "runbook", "promote-the-standby"),
		exampleOf(t, "failover.yaml", "policy", "primary-lost", "mode: approve", "mode: auto", "escalation_channel: pager\n", "stable_for: 500ms\n")))
	await.True(t, "the numbers of both clusters to be known", func() bool {
		answer, err := a.World.Telemetry.Query(t.Context(), `pg_wal_position_bytes{target="a"} == ignoring(instance, target) pg_wal_position_bytes{target="b"}`)
		return err == nil && len(answer.Samples) == 1
	})
	if err := main.Stop(within(t), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	incident, phase := ended(t, a)
	if phase != jenner.PhaseResolved || len(incident.Runs) != 1 || incident.Runs[0].State != jenner.RunCompleted {
		t.Fatalf("%s: %s", phase, jenner.Raw(incident))
	}
	run(t, copy, "INSERT INTO orders VALUES (3, 'new', 1)")
	if err := main.Start(within(t)); err == nil {
		t.Error("the old primary came back")
	}
	conn, err := pgx.Connect(within(t), fmt.Sprintf("host=127.0.0.1 port=%d user=app dbname=shop sslmode=disable", front))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(within(t))
	var rows int
	if err := conn.QueryRow(within(t), "SELECT count(*) FROM orders").Scan(&rows); err != nil || rows != 3 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

// TestAFencedClusterIsMeantToBeDown: its alive check is well while it is, and fails where it answers.
func TestAFencedClusterIsMeantToBeDown(t *testing.T) {
	p := cluster(t, lab.PostgresOptions{Careless: true})
	target := prepared(t, p, true)
	s, err := serverOf(target)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(what string, want telemetry.Outcome) {
		t.Helper()
		if got := (&ProbeAlive{}).Probe(within(t), about(target)); got.Outcome != want {
			t.Errorf("%s: %+v, want %s", what, got, want)
		}
	}
	expect("it runs", telemetry.OK)
	if err := s.raise(); err != nil {
		t.Fatal(err)
	}
	expect("it runs in spite of its fence", telemetry.Failed)
	if err := s.end(within(t)); err != nil {
		t.Fatal(err)
	}
	expect("it is fenced and down", telemetry.OK)
	if _, err := s.lower(true); err != nil {
		t.Fatal(err)
	}
	expect("it is down", telemetry.Failed)
}
