package postgres

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	probetest "github.com/jenner-heal/jenner/conformance/probe"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/telemetry"
)

// about is a question about a service with that one cluster.
func about(target jenner.Target) telemetry.ProbeCall {
	return telemetry.ProbeCall{Target: target, Service: jenner.Service{Name: "shop", Targets: []jenner.Target{target}}}
}

// silent is a target whose server takes connections and says nothing.
func silent(t *testing.T) jenner.Target {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return jenner.Target{Kind: "postgres", Name: "db", Params: jenner.Params{"port": jenner.Raw(listener.Addr().(*net.TCPAddr).Port)}}
}

func suiteOf(ok, failing telemetry.Probe, which func() (*lab.Postgres, error), down bool) probetest.Suite {
	return probetest.Suite{
		OK: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return ok, about(written(shared(t, which), "db"))
		},
		Failing: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			if down {
				return failing, about(absent(t))
			}
			return failing, about(written(shared(t, which), "db"))
		},
		Hanging: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) { return ok, about(silent(t)) },
	}
}

func TestProbesConform(t *testing.T) {
	yes, no := "1", "2"
	t.Run("sql", func(t *testing.T) {
		suite := suiteOf(&ProbeSQL{Query: "SELECT 1", Answer: &yes}, &ProbeSQL{Query: "SELECT 1", Answer: &no}, primary, false)
		suite.Wrong = map[string]telemetry.Probe{"no query": &ProbeSQL{}}
		probetest.Run(t, suite)
	})
	t.Run("alive", func(t *testing.T) {
		suite := suiteOf(&ProbeAlive{}, &ProbeAlive{}, primary, true)
		suite.Hanging = nil // what hangs is not gone; see below
		probetest.Run(t, suite)
	})
	t.Run("replication", func(t *testing.T) {
		suite := suiteOf(&ProbeReplication{MaxBytes: 1 << 20}, &ProbeReplication{MaxBytes: 1 << 20}, standby, true)
		suite.Wrong = map[string]telemetry.Probe{"negative": &ProbeReplication{MaxBytes: -1}}
		probetest.Run(t, suite)
	})
}

func TestProbeSQL(t *testing.T) {
	p := shared(t, primary)
	want := func(text string) *string { return &text }
	for _, c := range []struct {
		name  string
		probe ProbeSQL
		call  func(*jenner.Target)
		want  telemetry.Outcome
	}{
		{"an answer", ProbeSQL{Query: "SELECT state, 7 FROM orders WHERE id = 1", Answer: want("paid")}, nil, telemetry.OK},
		{"any answer", ProbeSQL{Query: "SELECT count(*) FROM orders"}, nil, telemetry.OK},
		{"a number", ProbeSQL{Query: "SELECT count(*) FROM orders", Answer: want("2")}, nil, telemetry.OK},
		{"null", ProbeSQL{Query: "SELECT NULL", Answer: want("")}, nil, telemetry.Failed},
		{"no row", ProbeSQL{Query: "SELECT 1 WHERE false", Answer: want("1")}, nil, telemetry.Failed},
		{"an error", ProbeSQL{Query: "SELECT 1 FROM nowhere"}, nil, telemetry.Failed},
		{"a change", ProbeSQL{Query: "DELETE FROM orders"}, nil, telemetry.Failed},
		{"another target", ProbeSQL{Query: "SELECT 1", Target: "bd"}, nil, telemetry.Unknown},
		{"no password", ProbeSQL{Query: "SELECT 1"}, func(target *jenner.Target) {
			target.Params["password_env"] = jenner.Raw("JENNER_TEST_NO_SUCH_VARIABLE")
		}, telemetry.Unknown},
		{"no such user", ProbeSQL{Query: "SELECT 1"}, func(target *jenner.Target) { target.Params["user"] = jenner.Raw("x") }, telemetry.Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := written(p, "db")
			if c.call != nil {
				c.call(&target)
			}
			if got := c.probe.Probe(within(t), about(target)); got.Outcome != c.want {
				t.Errorf("%+v, want %s", got, c.want)
			}
		})
	}
	if got := ask(t, p, "SELECT count(*)::text FROM orders"); got != "2" {
		t.Errorf("a probe changed the table: %s rows", got)
	}
}

// TestAServerThatHasNoRoomLives: it answers, if only that it cannot.
func TestAServerThatHasNoRoomLives(t *testing.T) {
	p := shared(t, primary)
	clientsOf(t, p, "peak", 27)
	target := written(p, "db")
	target.Params["user"] = jenner.Raw("app")
	if got := (&ProbeAlive{}).Probe(within(t), about(target)); got.Outcome != telemetry.OK {
		t.Errorf("%+v", got)
	}
	if got := (&ProbeSQL{Query: "SELECT 1"}).Probe(within(t), about(target)); got.Outcome != telemetry.Failed {
		t.Errorf("%+v", got)
	}
}

// TestAServerThatDoesNotAnswerIsNotGone: a slow answer must not look like a crash.
func TestAServerThatDoesNotAnswerIsNotGone(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := (&ProbeAlive{}).Probe(ctx, about(silent(t))); got.Outcome != telemetry.Unknown || got.Message == "" {
		t.Errorf("%+v", got)
	}
}

func TestProbeReplication(t *testing.T) {
	p := shared(t, primary)
	follower := shared(t, standby)
	await.True(t, "the standby to follow", func() bool {
		return (&ProbeReplication{Standby: "follower", MaxBytes: 1 << 20}).Probe(within(t), about(written(p, "db"))).Outcome == telemetry.OK
	})
	if got := (&ProbeReplication{Standby: "another", MaxBytes: 1 << 20}).Probe(within(t), about(written(p, "db"))); got.Outcome != telemetry.Failed {
		t.Errorf("a standby that is not connected: %+v", got)
	}
	if _, err := setReplay(within(t), written(follower, "db"), true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := setReplay(within(t), written(follower, "db"), false); err != nil {
			t.Error(err)
		}
	})
	run(t, p, "CREATE TABLE filler AS SELECT generate_series(1, 100000); DROP TABLE filler")
	for name, target := range map[string]jenner.Target{"the primary": written(p, "db"), "the standby": written(follower, "db")} {
		await.True(t, "the lag to show at "+name, func() bool {
			return (&ProbeReplication{MaxBytes: 1 << 20}).Probe(within(t), about(target)).Outcome == telemetry.Failed
		})
		if got := (&ProbeReplication{MaxBytes: 1 << 30}).Probe(within(t), about(target)); got.Outcome != telemetry.OK {
			t.Errorf("%s with a wider bound: %+v", name, got)
		}
		await.True(t, "the delay to show at "+name, func() bool {
			return (&ProbeReplication{MaxBytes: 1 << 30, MaxDelay: 1}).Probe(within(t), about(target)).Outcome == telemetry.Failed
		})
	}
	alone := cluster(t, lab.PostgresOptions{Careless: true})
	if got := (&ProbeReplication{MaxBytes: 1 << 20}).Probe(within(t), about(written(alone, "db"))); got.Outcome != telemetry.Failed {
		t.Errorf("a primary without standbys: %+v", got)
	}
}
