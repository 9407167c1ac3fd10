package loop_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/provider/sim"
)

// lateKill is a kill that its witness sees only after a while, as a control plane notices a node that is gone.
type lateKill struct {
	*sim.FaultKill
	after time.Duration
}

func (l lateKill) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	if time.Since(call.Record.InjectedAt) < l.after {
		return chaos.Witness{Saw: "nobody has noticed yet"}, nil
	}
	return l.FaultKill.Bite(ctx, call)
}

// slowKill says so.
type slowKill struct{ lateKill }

func (slowKill) BitesWithin() time.Duration { return 20 * time.Second }

// TestASlowFaultIsWaitedFor: a fault that says that it bites only after a while is no fault without effect before, and one
// that does not say so is.
func TestASlowFaultIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault func() chaos.Fault
		bites bool
	}{
		"it says so":         {func() chaos.Fault { return slowKill{lateKill{&sim.FaultKill{}, 12 * time.Second}} }, true},
		"it does not say so": {func() chaos.Fault { return lateKill{&sim.FaultKill{}, 12 * time.Second} }, false},
		"it never bites":     {func() chaos.Fault { return slowKill{lateKill{&sim.FaultKill{}, time.Hour}} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := laboratory(t, 1, jenner.Experiment{Name: "late", Service: "fleet", Timeout: seconds(30),
					Faults: []jenner.FaultSpec{{Fault: "kill", Target: "fleet/replica-00"}}})
				defer func() { m.program.shut() }()
				m.program.lab.Injector.Build = func(string, string, jenner.Params) (string, chaos.Fault, error) { return "sim.kill", c.fault(), nil }
				drill := m.drilled("late", 3*time.Minute)
				if bit := !drill.BitAt.IsZero(); bit != c.bites || (drill.Result.Verdict == jenner.VerdictNoEffect) == c.bites {
					t.Errorf("it bit: %v, and the verdict is %s: %v", bit, drill.Result.Verdict, drill.Result.Reasons)
				}
			})
		})
	}
}

// blink fails for a moment when it is injected, and breaks what it is to break only later, as a release does whose pods change
// places first.
type blink struct{ *sim.FaultHang }

func (blink) BitesWithin() time.Duration { return 20 * time.Second }

func (b blink) Inject(ctx context.Context, call chaos.Call) error {
	if err := b.FaultHang.Inject(ctx, call); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	time.AfterFunc(time.Second, func() { _ = b.FaultHang.Undo(ctx, call) })
	time.AfterFunc(8*time.Second, func() { _ = b.FaultHang.Inject(ctx, call) })
	return nil
}

func (b blink) Bite(ctx context.Context, call chaos.Call) (chaos.Witness, error) {
	if time.Since(call.Record.InjectedAt) < 12*time.Second {
		return chaos.Witness{}, nil
	}
	return b.FaultHang.Bite(ctx, call)
}

// TestWhatFailsBeforeTheFaultBites and is well again is no recovery: the control arm waits for what the fault does.
func TestWhatFailsBeforeTheFaultBites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := laboratory(t, 1, jenner.Experiment{Name: "blink", Service: "fleet", Timeout: seconds(30), Control: true,
			Faults: []jenner.FaultSpec{{Fault: "hang", Target: "fleet/replica-00"}}})
		defer func() { m.program.shut() }()
		m.program.lab.Injector.Build = func(string, string, jenner.Params) (string, chaos.Fault, error) {
			return "sim.hang", blink{&sim.FaultHang{}}, nil
		}
		drill := m.drilled("blink", 3*time.Minute)
		if drill.Control == nil || !drill.Control.StayedBroken || drill.Control.RecoveredAlone {
			t.Errorf("the control arm is %+v, and the verdict is %s: %v", drill.Control, drill.Result.Verdict, drill.Result.Reasons)
		}
	})
}
