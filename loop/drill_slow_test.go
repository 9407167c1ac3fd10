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
