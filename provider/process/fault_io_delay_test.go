package process

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
)

func TestIODelayLetsTheMeantCallsWait(t *testing.T) {
	target, worker := hired(t)
	folders(t, worker)
	injector := laboratory(t)
	record := strike(t, injector, target, "io_delay", map[string]any{"path": "data", "calls": []string{"fsync"}, "delay": "300ms"})
	began := time.Now()
	if got := worker.ask("write data/log"); got != "ok" || time.Since(began) < 300*time.Millisecond {
		t.Errorf("%s after %s", got, time.Since(began))
	}
	if got := worker.ask("write other/log"); got != "ok" {
		t.Error(got)
	}
	bitten(t, injector, record, true)
	if counted := tallied(t, injector, record); counted.Hit != 1 || counted.Waited.Std() != 300*time.Millisecond {
		t.Errorf("%+v, want one call that waited, on the one file", counted)
	}
}

// TestL21IODelayEndsWithTheTracer: a call that waits for an hour is made at once when the tracer dies, and when the fault
// is undone.
func TestL21IODelayEndsWithTheTracer(t *testing.T) {
	for _, kill := range []bool{true, false} {
		target, worker := hired(t)
		folders(t, worker)
		injector := laboratory(t)
		record := strike(t, injector, target, "io_delay", map[string]any{"path": "data", "calls": []string{"write"}, "delay": "1h"})
		wrote := make(chan string)
		go func() { wrote <- worker.ask("write data/log") }()
		bitten(t, injector, record, true)
		if got := worker.ask("write other/log"); got != "ok" {
			t.Errorf("another thread meanwhile: %s", got)
		}
		if kill {
			unix.Kill(injector.Holders.Held(record.ID).Pid, unix.SIGKILL)
		} else {
			undo(t, injector, record)
		}
		if got := <-wrote; got != "ok" {
			t.Errorf("the call that waited gave %s", got)
		}
		await.True(t, "nobody traces it", worker.free)
	}
}

// TestIODelayDoesNotKeepATargetAlive: a thread that waits can be killed.
func TestIODelayDoesNotKeepATargetAlive(t *testing.T) {
	target, worker := hired(t)
	folders(t, worker)
	injector := laboratory(t)
	record := strike(t, injector, target, "io_delay", map[string]any{"path": "data", "calls": []string{"write"}, "delay": "1h"})
	worker.ask("hammer data/log")
	bitten(t, injector, record, true)
	endPid(t, worker.Pid)
	begin(t, target)
}

func TestIODelayRefuses(t *testing.T) {
	target, _ := hired(t)
	for want, params := range map[string]map[string]any{
		"delay is missing":            {"path": "data"},
		"neither path nor descriptor": {"delay": "1s"},
		`did you mean "fsync"?`:       {"delay": "1s", "path": "data", "calls": []string{"fsnc"}},
		`"1" is not a duration`:       {"delay": "1", "path": "data"},
		`unknown key "errno"`:         {"delay": "1s", "path": "data", "errno": "EIO"},
		`unknown key "interposed"`:    {"delay": "1s", "path": "data", "interposed": 1},
	} {
		_, _, err := laboratory(t).Build("io_delay", target.Kind, written(params))
		wantError(t, err, want)
	}
}

func TestIODelayConforms(t *testing.T) {
	faulttest.Run(t, ioWorld("io_delay", map[string]any{"delay": "1ms"}))
}

func TestIODelayKilled(t *testing.T) {
	faulttest.Killed(t, ioWorld("io_delay", map[string]any{"delay": "1ms"}))
}
