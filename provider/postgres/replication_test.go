package postgres

import (
	"strconv"
	"syscall"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/lab"
)

// pair is a primary with a standby of the test's own, as one service.
func pair(t *testing.T) (main, copy *lab.Postgres, service jenner.Service) {
	t.Helper()
	main = cluster(t, lab.PostgresOptions{Name: "a"})
	copy = cluster(t, lab.PostgresOptions{Name: "b", StandbyOf: main})
	return main, copy, jenner.Service{Name: "orders", Targets: []jenner.Target{written(main, "a"), written(copy, "b")}}
}

// positionOf is how much of the log a cluster has written.
func positionOf(t *testing.T, p *lab.Postgres) float64 {
	t.Helper()
	bytes, err := strconv.ParseFloat(ask(t, p, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::text"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func received(t *testing.T, p *lab.Postgres) float64 {
	t.Helper()
	bytes, err := strconv.ParseFloat(ask(t, p, "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::text"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func caughtUp(t *testing.T, main, copy *lab.Postgres) {
	t.Helper()
	await.True(t, "the standby to have all", func() bool { return received(t, copy) >= positionOf(t, main) })
}

// known answers how far the primary was when it was last heard of.
func known(position float64) act.Host {
	return act.Host{Telemetry: gaugeOf(func() float64 { return position })}
}

func TestPromoteConforms(t *testing.T) {
	whole := t
	var copy *lab.Postgres // of which a new one is made once it is promoted
	var call act.Call
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		if copy == nil || ask(t, copy, "SELECT pg_is_in_recovery()::text") == "false" {
			main, follower, service := pair(whole)
			caughtUp(t, main, follower)
			copy, call = follower, act.Call{Service: service, Target: service.Targets[1], Host: known(positionOf(t, main))}
			if err := main.Stop(within(t), syscall.SIGQUIT); err != nil {
				t.Fatal(err)
			}
		}
		return actiontest.World{Action: func() act.Action { return &Promote{} }, Call: call}
	})
}

// TestConfirmedRowsSurviveTheLossOfThePrimary is the loss of a primary from its crash to the promotion: every row that was
// confirmed to the client is there, the old primary cannot come back, and the new one takes writes.
func TestConfirmedRowsSurviveTheLossOfThePrimary(t *testing.T) {
	main, copy, service := pair(t)
	for _, setting := range []string{"synchronous_standby_names = b", "synchronous_commit = remote_apply"} {
		run(t, main, "ALTER SYSTEM SET "+setting)
	}
	run(t, main, "SELECT pg_reload_conf()")
	await.True(t, "the standby to be synchronous", func() bool { return ask(t, main, "SELECT sync_state FROM pg_stat_replication") == "sync" })
	run(t, main, "CREATE TABLE confirmed (id int PRIMARY KEY)")
	writer := client(t, main, "writer")
	confirmed := 0
	run(t, main, "GRANT INSERT ON confirmed TO app")
	for ; confirmed < 50; confirmed++ {
		if _, err := writer.Exec(within(t), "INSERT INTO confirmed VALUES ($1)", confirmed); err != nil {
			t.Fatal(err)
		}
	}
	host := known(positionOf(t, main))
	promote := &Promote{}
	call := act.Call{Service: service, Target: service.Targets[1], Host: host}
	says(t, promote.Check(within(t), call), "two primaries", "fence it first")

	if err := main.Stop(within(t), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	fence, fencing := &Fence{}, act.Call{Service: service, Target: service.Targets[0], Host: host}
	var err error
	if fencing.Checkpoint, err = fence.Checkpoint(within(t), fencing); err != nil {
		t.Fatal(err)
	}
	if _, err := fence.Do(within(t), fencing); err != nil {
		t.Fatal(err)
	}
	if err := promote.Check(within(t), call); err != nil {
		t.Fatal(err)
	}
	if call.Checkpoint, err = promote.Checkpoint(within(t), call); err != nil {
		t.Fatal(err)
	}
	if _, err := promote.Do(within(t), call); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, copy, "SELECT count(*)::text FROM confirmed"); got != strconv.Itoa(confirmed) {
		t.Errorf("%s of %d confirmed rows are there", got, confirmed)
	}
	run(t, copy, "ALTER SYSTEM SET synchronous_standby_names = ''")
	run(t, copy, "SELECT pg_reload_conf()")
	run(t, copy, "INSERT INTO confirmed VALUES (1000)")

	// The old one stays down, whoever wants it back.
	if err := main.Start(within(t)); err == nil {
		t.Error("the old primary started beside the new one")
	}
	_, err = fence.Undo(within(t), fencing)
	says(t, err, "stays fenced", "postgres/a")
	if jenner.NextAfter(err) != jenner.TellHuman {
		t.Errorf("after %v comes %q", err, jenner.NextAfter(err))
	}
	says(t, promote.Check(within(t), call), "no standby")
}

// TestAPrimaryIsNotStartedBesideAPromotedOne: one that nobody fenced, by the actions that start.
func TestAPrimaryIsNotStartedBesideAPromotedOne(t *testing.T) {
	main, copy, service := pair(t)
	if err := main.Stop(within(t), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	run(t, copy, "SELECT pg_promote()")
	call := act.Call{Service: service, Target: service.Targets[0]}
	for _, action := range []act.Action{&Start{}, &Restart{Mode: modeFast}} {
		says(t, action.(act.Checker).Check(within(t), call), "second primary", "b")
		_, err := action.Do(within(t), call)
		says(t, err, "second primary")
	}
	// While nobody can tell what the other one is, it is not started either.
	pid, _ := copy.Pid()
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		if err := syscall.Kill(pid, signal); err != nil {
			t.Fatal(err)
		}
		if signal == syscall.SIGSTOP {
			says(t, (&Start{}).Check(within(t), call), "nobody can tell")
		}
	}
	if _, runs := main.Pid(); runs {
		t.Error("it runs")
	}
}

func TestAStandbyIsPromotedOnlyWhereItHasEnough(t *testing.T) {
	main, copy, service := pair(t)
	caughtUp(t, main, copy)
	at := positionOf(t, main)
	call := act.Call{Service: service, Target: service.Targets[1]}
	if err := main.Stop(within(t), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		promote Promote
		host    act.Host
		words   []string
	}{
		{"it has all", Promote{}, known(at), nil},
		{"it lacks some", Promote{}, known(received(t, copy) + 1), []string{"lacks 1 bytes", "max_lag is 0"}},
		{"it lacks what may be lost", Promote{MaxLag: 1}, known(received(t, copy) + 1), nil},
		{"it lacks more", Promote{MaxLag: 4096}, known(received(t, copy) + 4097), []string{"lacks 4097 bytes", "max_lag is 4096"}},
		{"nobody knows", Promote{}, act.Host{}, []string{"nobody knows how far"}},
		{"another primary than there is", Promote{Primary: "c"}, known(at), []string{`no other target "c"`}},
		{"itself", Promote{Primary: "b"}, known(at), []string{`no other target "b"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			call.Host = c.host
			err := c.promote.Check(within(t), call)
			if c.words == nil && err != nil {
				t.Error(err)
			}
			if c.words != nil {
				says(t, err, c.words...)
			}
		})
	}
	if got := ask(t, copy, "SELECT pg_is_in_recovery()::text"); got != "true" {
		t.Error("a check promoted it")
	}
}

// TestAPrimaryThatDoesNotAnswerMayStillServe has a primary elsewhere, of which there is no data directory here.
func TestAPrimaryThatDoesNotAnswerMayStillServe(t *testing.T) {
	main, copy, service := pair(t)
	caughtUp(t, main, copy)
	host := known(positionOf(t, main))
	for _, name := range []string{"data", "bin", "run_as"} {
		delete(service.Targets[0].Params, name)
	}
	pid, _ := main.Pid()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGCONT)
	call := act.Call{Service: service, Target: service.Targets[1], Host: host}
	says(t, (&Promote{}).Check(within(t), call), "nobody can tell whether postgres/a still serves", "if_unreachable")
	if err := (&Promote{IfUnreachable: true}).Check(within(t), call); err != nil {
		t.Error(err)
	}
}

func TestResumeReplayConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		shared(t, primary)
		p := shared(t, standby)
		target := written(p, "db")
		pause := func(paused bool) {
			if _, err := setReplay(within(t), target, paused); err != nil {
				t.Error(err)
			}
		}
		pause(true)
		t.Cleanup(func() { pause(false) })
		return actiontest.World{Action: func() act.Action { return &ResumeReplay{} }, Call: act.Call{Target: target},
			Meddle: func(*testing.T) { pause(true) }}
	})
}

func TestOnlyAStandbyReplays(t *testing.T) {
	p := shared(t, primary)
	says(t, (&ResumeReplay{}).Check(within(t), act.Call{Target: written(p, "db")}), "no standby")
}
