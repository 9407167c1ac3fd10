package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/telemetry"
)

// numbers are one answer of the source, by name and, where there are labels beside target, those.
func numbers(t *testing.T, p *lab.Postgres) map[string]float64 {
	t.Helper()
	source := &SourcePostgres{Target: "db"}
	defer source.Close()
	return collected(t, source, p)
}

func collected(t *testing.T, source *SourcePostgres, p *lab.Postgres) map[string]float64 {
	t.Helper()
	samples, err := source.Collect(within(t), telemetry.SourceCall{Service: jenner.Service{Name: "shop", Targets: []jenner.Target{written(p, "db")}}})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, sample := range samples {
		if sample.Labels["target"] != "db" {
			t.Errorf("%+v does not say its target", sample)
		}
		delete(sample.Labels, "target")
		key := sample.Name
		if len(sample.Labels) > 0 {
			key += strings.TrimPrefix(fmt.Sprint(sample.Labels), "map")
		}
		if _, twice := found[key]; twice {
			t.Errorf("%s stands there twice", key)
		}
		found[key] = sample.Value
	}
	return found
}

// TestThePoolsThreeTroublesAreToldApart makes each of them and looks at the numbers that a signature would look at.
func TestThePoolsThreeTroublesAreToldApart(t *testing.T) {
	const many = 25
	type evidence struct{ Full, Idle, OldIdle, Active, OldActive bool }
	seen := func(n map[string]float64) evidence {
		const old = 2
		return evidence{
			Full:      n["pg_connections_used_ratio"] > 0.9,
			Idle:      n["pg_connections_state[state:idle]"]+n["pg_connections_state[state:idle_in_transaction]"] > many/2,
			OldIdle:   n["pg_state_age_seconds_median[state:idle]"] > old || n["pg_state_age_seconds_median[state:idle_in_transaction]"] > old,
			Active:    n["pg_connections_state[state:active]"] > many/2,
			OldActive: n["pg_state_age_seconds_median[state:active]"] > old,
		}
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T, p *lab.Postgres)
		want evidence
	}{
		{"leaked connections", func(t *testing.T, p *lab.Postgres) {
			clientsOf(t, p, "leak", many)
		}, evidence{Full: true, Idle: true, OldIdle: true}},
		{"leaked transactions", func(t *testing.T, p *lab.Postgres) {
			for _, conn := range clientsOf(t, p, "leak", many) {
				if _, err := conn.Exec(within(t), "BEGIN"); err != nil {
					t.Fatal(err)
				}
			}
		}, evidence{Full: true, Idle: true, OldIdle: true}},
		{"long queries", func(t *testing.T, p *lab.Postgres) {
			for range many {
				busy(t, p, "report")
			}
		}, evidence{Full: true, Active: true, OldActive: true}},
		{"a peak", func(t *testing.T, p *lab.Postgres) {
			for range many {
				working(t, client(t, p, "peak"))
			}
		}, evidence{Full: true, Active: true}},
		{"nothing", func(t *testing.T, p *lab.Postgres) { clientsOf(t, p, "app", 3) }, evidence{OldIdle: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := shared(t, primary)
			c.make(t, p)
			last := map[string]float64{}
			defer func() {
				if t.Failed() {
					t.Logf("%+v", last)
				}
			}()
			began := time.Now()
			await.True(t, "the numbers to tell it", func() bool {
				last = numbers(t, p)
				return seen(last) == c.want && time.Since(began) > 3*time.Second // also a peak has lasted by then
			})
		})
	}
}

// working lets a connection run short queries one after the other until the test ends.
func working(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	stop, stopped := make(chan struct{}), make(chan struct{})
	ctx := within(t)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := conn.Exec(ctx, "SELECT pg_sleep(0.2)"); err != nil {
					return
				}
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}

func TestTheSourceTellsAllThatItsCommentNames(t *testing.T) {
	p := shared(t, primary)
	follower, err := standby()
	if err != nil {
		t.Fatal(err)
	}
	await.True(t, "the standby to have all", func() bool {
		n := numbers(t, p)
		lag, known := n["pg_replication_lag_bytes[standby:follower]"]
		return known && lag == 0
	})
	client(t, p, "front")
	blocking := client(t, p, "blocker")
	if _, err := blocking.Exec(within(t), "BEGIN; LOCK TABLE orders; SELECT pg_sleep(0.1)", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	waiting := client(t, p, "waiter")
	asking(t, waiting, "SELECT count(*) FROM orders")
	await.True(t, "somebody to wait for the lock", func() bool { return numbers(t, p)["pg_locks_waiting"] == 1 })
	n := numbers(t, p)
	for _, name := range []string{"pg_connections[application:front state:idle user:app]", "pg_connections_state[state:idle]",
		"pg_connections_used", "pg_connections_max", "pg_connections_used_ratio", "pg_state_age_seconds_median[state:idle]",
		"pg_state_age_seconds_max[state:idle_in_transaction]", "pg_oldest_transaction_seconds", "pg_oldest_idle_in_transaction_seconds",
		"pg_longest_active_query_seconds", "pg_longest_lock_wait_seconds", "pg_start_time_seconds", "pg_wal_position_bytes",
		"pg_commits_total[database:shop]", "pg_standbys"} {
		if n[name] <= 0 {
			t.Errorf("%s is %v, want more than 0", name, n[name])
		}
	}
	for name, want := range map[string]float64{"pg_is_in_recovery": 0, "pg_connections_used": 3, "pg_connections_max": 27,
		"pg_rollbacks_total[database:shop]": n["pg_rollbacks_total[database:shop]"], "pg_deadlocks_total[database:shop]": 0,
		"pg_replication_lag_bytes[standby:follower]": 0, "pg_replication_flush_lag_bytes[standby:follower]": 0,
		"pg_replication_lag_seconds[standby:follower]": 0, "pg_replication_sync[standby:follower]": 0} {
		if got, known := n[name]; !known || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, known, want)
		}
	}
	n = numbers(t, follower)
	for name, want := range map[string]float64{"pg_is_in_recovery": 1, "pg_replay_lag_bytes": 0, "pg_replay_lag_seconds": 0,
		"pg_replay_paused": 0, "pg_wal_receivers": 1, "pg_standbys": 0} {
		if got, known := n[name]; !known || got != want {
			t.Errorf("of the standby %s is %v (%v), want %v", name, got, known, want)
		}
	}
	if n["pg_wal_position_bytes"] <= 0 {
		t.Error("the standby does not say how far it is")
	}
}

// TestTheSourceKeepsItsConnection: it goes on when all others are taken, and comes back after a restart.
func TestTheSourceKeepsItsConnection(t *testing.T) {
	p := cluster(t, lab.PostgresOptions{Careless: true})
	source := &SourcePostgres{}
	t.Cleanup(source.Close)
	service := jenner.Service{Name: "shop", Targets: []jenner.Target{{Kind: "process", Name: "app"}, written(p, "db")}}
	if instance, err := source.Instance(telemetry.SourceCall{Service: service}); err != nil || instance != fmt.Sprintf("127.0.0.1:%d", p.Port) {
		t.Errorf("instance %q, %v", instance, err)
	}
	first := collected(t, source, p)
	pid := source.conn.PgConn().PID()
	collected(t, source, p)
	if now := source.conn.PgConn().PID(); now != pid {
		t.Errorf("it connected anew: %d, then %d", pid, now)
	}
	prepared(t, p, false)
	if _, err := source.Collect(within(t), telemetry.SourceCall{Service: service}); err == nil {
		t.Error("numbers of a server that is down")
	}
	prepared(t, p, true)
	if again := collected(t, source, p); again["pg_start_time_seconds"] <= first["pg_start_time_seconds"] {
		t.Errorf("it started at %v and at %v", first["pg_start_time_seconds"], again["pg_start_time_seconds"])
	}
	_, err := (&SourcePostgres{Target: "bd"}).Collect(within(t), telemetry.SourceCall{Service: service})
	says(t, err, "bd")
}
