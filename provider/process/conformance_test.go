package process

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
)

// mood is what an undo brings back: that the process runs, not which one it is.
func mood(target jenner.Target) func(t *testing.T) string {
	return func(t *testing.T) string {
		mood, err := victim{}.Fingerprint(t.Context(), chaos.Call{Record: jenner.FaultRecord{Target: target}})
		if err != nil {
			t.Fatal(err)
		}
		return mood
	}
}

// replaced is somebody else's restart.
func replaced(target jenner.Target) func(t *testing.T) {
	return func(t *testing.T) {
		endNow(t, target)
		begin(t, target)
	}
}

// deafen puts a process in the target's place that SIGTERM does not end. SIGTERM is on its way when a file tells so.
func deafen(target jenner.Target) func(t *testing.T) func() bool {
	return func(t *testing.T) func() bool {
		endNow(t, target)
		termed := filepath.Join(t.TempDir(), "termed")
		begin(t, with(target, "start", command("pidfile=run/shop.pid", "deaf", "termed="+termed)))
		return func() bool {
			_, err := os.Stat(termed)
			return err == nil
		}
	}
}

func TestStartConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		target := server(t)
		return actiontest.World{
			Action: func() act.Action { return &Start{} },
			Call:   act.Call{Target: target},
			Meddle: replaced(target),
		}
	})
}

func TestStartOfARunningProcessConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		target, _ := running(t)
		return actiontest.World{
			Action:  func() act.Action { return &Start{} },
			Call:    act.Call{Target: target},
			Meddle:  replaced(target),
			Already: true,
		}
	})
}

func TestStopConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		target, _ := running(t)
		return actiontest.World{
			Action: func() act.Action { return &Stop{} },
			Call:   act.Call{Target: target},
			Meddle: replaced(target),
			Block:  deafen(target),
			State:  mood(target),
		}
	})
}

func TestRestartConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		target, _ := running(t)
		return actiontest.World{
			Action: func() act.Action { return &Restart{} },
			Call:   act.Call{Target: target},
			Meddle: replaced(target),
			Block:  deafen(target),
		}
	})
}

func TestSignalConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		target, seen := running(t)
		return actiontest.World{
			Action: func() act.Action { return &Signal{Signal: "SIGSTOP"} },
			Call:   act.Call{Target: target},
			Meddle: func(t *testing.T) {
				if err := deliver(t.Context(), seen.identity, unix.SIGCONT); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

func TestKillConforms(t *testing.T) {
	faulttest.Run(t, func(t *testing.T) faulttest.World {
		target, _ := running(t)
		return faulttest.World{
			Fault:  func() chaos.Fault { return &FaultKill{} },
			Record: jenner.FaultRecord{Target: target},
			Absent: server(t),
		}
	})
}

func TestHangConforms(t *testing.T) {
	faulttest.Run(t, func(t *testing.T) faulttest.World {
		target, _ := running(t)
		return faulttest.World{
			Fault:  func() chaos.Fault { return &FaultHang{} },
			Record: jenner.FaultRecord{Target: target},
			Absent: server(t),
		}
	})
}

func TestKillEndsWhoeverIsKilled(t *testing.T) {
	faulttest.Killed(t, func(t *testing.T) faulttest.World {
		target, _ := running(t)
		return faulttest.World{Fault: func() chaos.Fault { return &FaultKill{} },
			Record: jenner.FaultRecord{Fault: "process.kill", Target: target}}
	})
}

func TestHangEndsWhoeverIsKilled(t *testing.T) {
	faulttest.Killed(t, func(t *testing.T) faulttest.World {
		target, _ := running(t)
		return faulttest.World{Fault: func() chaos.Fault { return &FaultHang{} },
			Record: jenner.FaultRecord{Fault: "process.hang", Target: target}}
	})
}
