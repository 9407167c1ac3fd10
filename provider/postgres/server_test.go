package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	"github.com/jenner-heal/jenner/internal/lab"
)

// mood is what an undo brings back: whether it runs, not as which process.
func mood(target jenner.Target) func(t *testing.T) string {
	return func(t *testing.T) string {
		s, err := serverOf(target)
		if err != nil {
			t.Fatal(err)
		}
		state, err := s.state()
		if err != nil {
			t.Fatal(err)
		}
		state.life = life{Pid: min(1, state.Pid)}
		return string(jenner.Raw(state))
	}
}

// prepared brings a cluster into the state that a test begins with.
func prepared(t *testing.T, p *lab.Postgres, runs bool) jenner.Target {
	t.Helper()
	target := written(p, "db")
	s, err := serverOf(target)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.lower(true); err != nil {
		t.Fatal(err)
	}
	if runs {
		err = p.Start(within(t))
	} else {
		err = p.Stop(within(t), syscall.SIGINT)
	}
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// replaced is somebody else's restart.
func replaced(p *lab.Postgres) func(t *testing.T) {
	return func(t *testing.T) {
		prepared(t, p, false)
		prepared(t, p, true)
	}
}

func TestServerActionsConform(t *testing.T) {
	p := cluster(t, lab.PostgresOptions{Careless: true})
	for _, c := range []struct {
		name    string
		action  func() act.Action
		runs    bool
		already bool
	}{
		{"start", func() act.Action { return &Start{} }, false, false},
		{"start of a running one", func() act.Action { return &Start{} }, true, true},
		{"stop", func() act.Action { return &Stop{Mode: modeFast} }, true, false},
		{"restart", func() act.Action { return &Restart{Mode: modeImmediate} }, true, false},
		{"fence", func() act.Action { return &Fence{} }, true, false},
		{"fence of one that is down", func() act.Action { return &Fence{} }, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			actiontest.Run(t, func(t *testing.T) actiontest.World {
				target := prepared(t, p, c.runs)
				return actiontest.World{Action: c.action, Call: act.Call{Target: target}, Meddle: replaced(p), State: mood(target), Already: c.already}
			})
		})
	}
}

func TestAServerThatPgCtlStartedIsFoundAndOutlivesIt(t *testing.T) {
	p := cluster(t, lab.PostgresOptions{Careless: true})
	target := prepared(t, p, false)
	call := act.Call{Target: target}
	if _, err := (&Start{}).Do(within(t), call); err != nil {
		t.Fatal(err)
	}
	s, err := serverOf(target)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := s.look()
	if err != nil || !seen.runs() {
		t.Fatalf("%+v, %v", seen, err)
	}
	if got := ask(t, p, "SELECT 1"); got != "1" {
		t.Errorf("it answers %q", got)
	}
	if log, err := os.ReadFile(filepath.Join(p.Data, "pg_ctl.log")); err != nil || !strings.Contains(string(log), "starting PostgreSQL") {
		t.Errorf("its log: %v\n%s", err, log)
	}
}

// TestAFencedClusterDoesNotStart tries every way that somebody could start it in.
func TestAFencedClusterDoesNotStart(t *testing.T) {
	p := cluster(t, lab.PostgresOptions{Careless: true})
	target := prepared(t, p, true)
	call := act.Call{Target: target}
	checkpoint, err := (&Fence{}).Checkpoint(within(t), call)
	if err != nil {
		t.Fatal(err)
	}
	call.Checkpoint = checkpoint
	if _, err := (&Fence{}).Do(within(t), call); err != nil {
		t.Fatal(err)
	}
	if pid, runs := p.Pid(); runs {
		t.Fatalf("pid %d still runs", pid)
	}
	if err := p.Start(within(t)); err == nil {
		t.Error("postgres started a fenced cluster")
	}
	s, err := serverOf(target)
	if err != nil {
		t.Fatal(err)
	}
	says(t, s.start(within(t)), "pg_ctl start")
	says(t, (&Start{}).Check(within(t), call), "fenced")
	_, err = (&Restart{Mode: modeFast}).Do(within(t), call)
	says(t, err, "fenced")

	// Somebody gives it its PG_VERSION back by hand: it still does not take writes.
	if err := os.Rename(filepath.Join(p.Data, fencedName), filepath.Join(p.Data, versionName)); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, p, "SELECT pg_is_in_recovery()::text"); got != "true" {
		t.Errorf("pg_is_in_recovery() is %s", got)
	}
}

// TestAServerThatDoesNotObeyIsFenced stops all its processes, so that no signal but SIGKILL reaches them.
func TestAServerThatDoesNotObeyIsFenced(t *testing.T) {
	p := cluster(t, lab.PostgresOptions{Careless: true})
	target := prepared(t, p, true)
	pid, _ := p.Pid()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Fence{}).Do(within(t), act.Call{Target: target}); err != nil {
		t.Fatal(err)
	}
	if _, runs := p.Pid(); runs {
		t.Error("it still runs")
	}
}

func TestWhatPgCtlNeedsIsAskedFor(t *testing.T) {
	p := shared(t, primary)
	for _, c := range []struct {
		without string
		words   []string
	}{{"data", []string{"data directory"}}, {"run_as", []string{"root", "run_as"}}} {
		target := written(p, "db")
		for _, name := range []string{"bin", "run_as"} {
			if c.without == "data" {
				delete(target.Params, name)
			}
		}
		delete(target.Params, c.without)
		_, err := (&Stop{Mode: modeFast}).Do(within(t), act.Call{Target: target})
		if os.Geteuid() == 0 || c.without == "data" {
			says(t, err, c.words...)
		}
	}
	if got := ask(t, p, "SELECT 1"); got != "1" {
		t.Error("the cluster is gone")
	}
}
