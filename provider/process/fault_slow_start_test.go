package process

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
)

func slowStartWorld(t *testing.T) faulttest.World {
	target, _ := running(t)
	params := jenner.Params{"delay": jenner.Raw("30s"), "restart": jenner.Raw(true)}
	return faulttest.World{
		Fault:  func() chaos.Fault { return &FaultSlowStart{Delay: jenner.Duration(30 * time.Second), Restart: true} },
		Record: jenner.FaultRecord{Fault: "process.slow_start", Params: params, Target: target},
		Absent: server(t),
		Stir:   func(t *testing.T) { begin(t, target) },
	}
}

func TestSlowStartConforms(t *testing.T) { faulttest.Run(t, slowStartWorld) }

func TestL21SlowStartEndsWhoeverIsKilled(t *testing.T) { faulttest.Killed(t, slowStartWorld) }

// TestSlowStartLetsTheProcessGoOnAfterTheDelay: the one that runs already is not touched, and each new one is stopped
// once.
func TestSlowStartLetsTheProcessGoOnAfterTheDelay(t *testing.T) {
	target, first := running(t)
	injector, record := inject(t, "slow_start", target, jenner.Params{"delay": jenner.Raw("1500ms")})
	if seen := looked(t, target); seen.Pid != first.Pid || seen.Stopped {
		t.Errorf("the process that runs already is now %s", seen)
	}
	endNow(t, target)
	began := time.Now()
	second := begin(t, target)
	if !second.Stopped {
		t.Errorf("the new process is not stopped: %s", second)
	}
	await.True(t, "it is let go on", func() bool { return !looked(t, target).Stopped })
	if took := time.Since(began); took < 1500*time.Millisecond {
		t.Errorf("it was let go on after %s", took)
	}
	await.True(t, "the report says so", func() bool {
		witness, err := injector.Bite(t.Context(), record)
		return err == nil && witness.Bit && witness.Saw == "1 new processes were stopped, 0 of them are now"
	})
	if err := injector.Undo(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if seen := looked(t, target); seen.Pid != second.Pid || seen.Stopped {
		t.Errorf("after the undo: %s", seen)
	}
}

// TestSlowStartOfADaemon: the command is the same program, and leaves another process behind; that is one start.
func TestSlowStartOfADaemon(t *testing.T) {
	target := program(t, "daemon", "pidfile=run/shop.pid")
	begin(t, target)
	injector, record := inject(t, "slow_start", target, jenner.Params{"delay": jenner.Raw("100ms"), "restart": jenner.Raw(true)})
	if seen := looked(t, target); seen.Alive {
		t.Errorf("it was not ended: %s", seen)
	}
	begin(t, target)
	await.True(t, "the daemon runs", func() bool { seen := looked(t, target); return seen.Alive && !seen.Stopped })
	again := time.Now().Add(10 * lookEvery)
	await.True(t, "it was looked at", func() bool { return time.Now().After(again) })
	await.True(t, "one start is counted", func() bool {
		witness, err := injector.Bite(t.Context(), record)
		if err == nil && strings.HasPrefix(witness.Saw, "2") {
			t.Fatalf("one start was slowed twice: %s", witness.Saw)
		}
		return err == nil && strings.HasPrefix(witness.Saw, "1 new")
	})
	if err := injector.Undo(t.Context(), record); err != nil {
		t.Fatal(err)
	}
}

// TestL21TheShellThatStandsByIsEnough: holder and reaper are dead, and nobody undoes.
func TestL21TheShellThatStandsByIsEnough(t *testing.T) {
	target, _ := running(t)
	injector, record := inject(t, "slow_start", target, jenner.Params{"delay": jenner.Raw("1m"), "restart": jenner.Raw(true)})
	second := begin(t, target)
	if !second.Stopped {
		t.Fatalf("the new process is not stopped: %s", second)
	}
	if err := syscall.Kill(injector.Holders.Held(record.ID).Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await.True(t, "the process goes on", func() bool { return !looked(t, target).Stopped })
}

// TestTheShellWakesOnlyWhatItWasTold: not a process that has the number and another start time, and not what was taken
// from the list.
func TestTheShellWakesOnlyWhatItWasTold(t *testing.T) {
	var ids []identity
	for range 3 {
		id, err := identityOf(stranger(t))
		if err == nil {
			err = deliver(t.Context(), id, unix.SIGSTOP)
		}
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	told, taken, other := ids[0], ids[1], ids[2]
	waker, err := startWaker()
	if err != nil {
		t.Fatal(err)
	}
	waker.names([]identity{told, taken})
	other.Start++
	waker.names([]identity{told, other})
	if err := waker.end(); err != nil {
		t.Error(err)
	}
	for i, want := range []bool{false, true, true} {
		if is, err := isStopped(ids[i]); err != nil || is != want {
			t.Errorf("process %d of the three is stopped: %v, %v, want %v", i, is, err, want)
		}
	}
}
