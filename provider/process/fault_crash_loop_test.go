package process

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// injecting is an injector whose holders are real processes.
func injecting(tb testing.TB) *chaos.Injector {
	tb.Helper()
	return faulttest.Injector(tb, catalog.Merge(Provider).MakeFault)
}

// inject injects a fault, which is undone at the end of the test at the latest.
func inject(t *testing.T, fault string, target jenner.Target, params jenner.Params) (*chaos.Injector, jenner.FaultRecord) {
	t.Helper()
	injector := injecting(t)
	record, err := injector.Inject(t.Context(), jenner.FaultRecord{ID: "f", Fault: fault, Target: target, Params: params}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { injector.Undo(context.Background(), record) }) // the test's own context has ended by then
	return injector, record
}

func crashLoopWorld(t *testing.T) faulttest.World {
	target, _ := running(t)
	return faulttest.World{
		Fault:  func() chaos.Fault { return &FaultCrashLoop{} },
		Record: jenner.FaultRecord{Fault: "process.crash_loop", Params: jenner.Params{"after": jenner.Raw("0")}, Target: target},
		Absent: server(t),
	}
}

func TestCrashLoopConforms(t *testing.T) { faulttest.Run(t, crashLoopWorld) }

func TestL21CrashLoopEndsWhoeverIsKilled(t *testing.T) { faulttest.Killed(t, crashLoopWorld) }

// startKilled starts the target under a crash loop. The process may be killed before its start comes to its end, which
// is then said to have failed.
func startKilled(t *testing.T, target jenner.Target) {
	t.Helper()
	if _, err := ensureRunning(t.Context(), target); err != nil && !strings.Contains(err.Error(), "killed") {
		t.Fatal(err)
	}
}

// kills waits until so many processes were killed.
func kills(t *testing.T, injector *chaos.Injector, record jenner.FaultRecord, want int) {
	t.Helper()
	saw := fmt.Sprintf("%d processes were killed", want)
	await.True(t, saw, func() bool {
		witness, err := injector.Bite(t.Context(), record)
		if err != nil {
			t.Fatal(err)
		}
		return witness.Bit && strings.HasPrefix(witness.Saw, saw)
	})
}

// TestCrashLoopKillsEachStart: and stops with the undo, which leaves a process that lives.
func TestCrashLoopKillsEachStart(t *testing.T) {
	target, first := running(t)
	injector, record := inject(t, "crash_loop", target, jenner.Params{"after": jenner.Raw("50ms")})
	for starts := range 3 {
		kills(t, injector, record, starts+1)
		if starts == 0 && alive(t, first.Pid) {
			t.Error("the first process is counted, and lives")
		}
		startKilled(t, target)
	}
	if err := injector.Undo(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if seen := looked(t, target); !seen.Alive {
		t.Error("after the undo nothing lives")
	}
}

// TestCrashLoopEndsAfterItsTimes: the last process is left alone, and with it the fault is over.
func TestCrashLoopEndsAfterItsTimes(t *testing.T) {
	target, first := running(t)
	injector, record := inject(t, "crash_loop", target, jenner.Params{"after": jenner.Raw("0"), "times": jenner.Raw(2)})
	kills(t, injector, record, 1)
	startKilled(t, target)
	kills(t, injector, record, 2)
	if alive(t, first.Pid) || looked(t, target).Alive {
		t.Error("two processes are counted, and one of them lives")
	}
	armed := func() bool {
		is, err := injector.Armed(t.Context(), record)
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	if !armed() {
		t.Error("the target is down by the fault, and the fault is not armed")
	}
	third := begin(t, target)
	looks := time.Now().Add(5 * crashLook)
	await.True(t, "the loop has looked at it", func() bool { return time.Now().After(looks) })
	if armed() {
		t.Error("the fault has killed as many as asked, a process lives, and it is still armed")
	}
	if err := injector.Undo(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if !alive(t, third.Pid) {
		t.Error("the third process was killed, or ended by the undo")
	}
}

// TestCrashLoopLeavesStrangersAlone: the pidfile names somebody else's process for a while.
func TestCrashLoopLeavesStrangersAlone(t *testing.T) {
	target, first := running(t)
	injector, record := inject(t, "crash_loop", target, jenner.Params{"after": jenner.Raw("0")})
	await.True(t, "the first is killed", func() bool { return !alive(t, first.Pid) })
	theirs := stranger(t)
	writePid(t, target, theirs)
	looks := time.Now().Add(5 * crashLook)
	await.True(t, "the loop has looked at it", func() bool { return time.Now().After(looks) })
	if !alive(t, theirs) {
		t.Error("it killed a process of somebody else")
	}
	if err := os.Remove(pidfile(target)); err != nil {
		t.Fatal(err)
	}
	startKilled(t, target)
	kills(t, injector, record, 2)
}
