package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/internal/await"
)

// slowStarter is a target whose command counts its starts and waits for the file `go` before it becomes the process.
func slowStarter(t *testing.T) jenner.Target {
	t.Helper()
	target := server(t)
	script := `echo started >> starts; while [ ! -e go ]; do sleep 0.02; done; exec "` + os.Args[0] + `" pidfile=run/shop.pid`
	target = with(target, "start", "sh -c '"+script+"'")
	return with(target, "program", filepath.Base(os.Args[0]))
}

func starts(t *testing.T, target jenner.Target) int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(target.Dir, "starts"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(raw), "started")
}

// The one who starts dies when the command runs and has written no pidfile yet. The next one waits for that very start
// and begins no second one.
func TestAStartIsTakenOver(t *testing.T) {
	target := slowStarter(t)
	before := looked(t, target)
	starter := startAs(t, "starter", target)
	await.True(t, "the command runs", func() bool { return starts(t, target) == 1 })
	endPid(t, starter)
	call := act.Call{Target: target, Checkpoint: jenner.Raw(before)}
	for _, action := range []act.Resolver{&Restart{}, &Start{}} {
		if got, err := action.Happened(t.Context(), call); jenner.NextAfter(err) != jenner.TryAgain {
			t.Errorf("%T, while the start goes on: %q, %v; want 'not to be told yet'", action, got, err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := (&Restart{}).Do(t.Context(), call)
		done <- err
	}()
	if err := os.WriteFile(filepath.Join(target.Dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := starts(t, target); n != 1 {
		t.Errorf("it was started %d times", n)
	}
	if got, err := (&Restart{}).Happened(t.Context(), call); err != nil || got != act.HappenedDone {
		t.Errorf("after it: %q, %v; want done", got, err)
	}
}

// A start that came to nothing does not keep a new one from beginning, whoever began it, and neither does one whose
// time is over: that one is ended first.
func TestAStartThatCameToNothing(t *testing.T) {
	for name, pass := range map[string]func(t *testing.T, target jenner.Target) jenner.Target{
		"its command ended": func(t *testing.T, target jenner.Target) jenner.Target {
			decoded, err := decode(target)
			if err != nil {
				t.Fatal(err)
			}
			_, command, _, err := decoded.underWay()
			if err != nil || command.Pid == 0 {
				t.Fatalf("the command is not known: %+v, %v", command, err)
			}
			endPid(t, command.Pid)
			return target
		},
		"its time is over": func(t *testing.T, target jenner.Target) jenner.Target {
			return with(target, "start_timeout", "1ms")
		},
	} {
		t.Run(name, func(t *testing.T) {
			target := slowStarter(t)
			starter := startAs(t, "starter", target)
			await.True(t, "the command runs", func() bool { return starts(t, target) == 1 })
			await.True(t, "it is noted which process it is", func() bool {
				decoded, err := decode(target)
				if err != nil {
					t.Fatal(err)
				}
				_, command, _, err := decoded.underWay()
				return err == nil && command.Pid != 0
			})
			endPid(t, starter)
			passed := pass(t, target)
			decoded, err := decode(passed)
			if err != nil {
				t.Fatal(err)
			}
			if seen, over, err := decoded.takeOver(t.Context()); over || err != nil {
				t.Fatalf("there is nothing to take over: %+v, %v", seen, err)
			}
			if err := os.WriteFile(filepath.Join(target.Dir, "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			begin(t, target)
			if n := starts(t, target); n != 2 {
				t.Errorf("it was started %d times, not again once", n)
			}
		})
	}
}
