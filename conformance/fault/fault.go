// Package faulttest is the suite that every fault passes, real ones and fakes alike.
//
// It is for tests of providers: hand Run a world with a target that can be broken. It is not for drills; what a fault
// does to a service is theirs to show.
package faulttest

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/await"
)

// long is how long faults last that a test undoes before they end by themselves.
const long = 2 * await.Patience

// lease is how long the faults of the suite last, where they end by themselves and the test waits for it.
const lease = 500 * time.Millisecond

// World is one fresh world for one test of one fault. Each test of the suite builds its own.
type World struct {
	// Fault gives a fresh value that holds the parameters.
	Fault func() chaos.Fault
	// Record names the target; the suite fills in times, checkpoint and fingerprint, and an ID where there is none. For
	// a chaos.Holder, and for Killed, it also holds the fault's full name and the parameters, for another process.
	Record jenner.FaultRecord
	// Absent is a target that is not there: the fault must refuse it.
	Absent jenner.Target
	// Stir makes something happen that the fault can bite, such as one request. Nil where the fault bites by itself.
	Stir func(t *testing.T)
	// LeaseHeld means that the fault ends by itself at the record's Until. A chaos.Holder always does.
	LeaseHeld bool
}

func (w World) holder() bool {
	_, is := w.Fault().(chaos.Holder)
	return is
}

// Run runs the suite. build is called once for each test and ends what it starts through t.Cleanup.
func Run(t *testing.T, build func(t *testing.T) World) {
	tests := []struct {
		name string
		test func(t *testing.T, world World)
	}{
		{"it bites, is armed, and its undo leaves nothing", wholeLife},
		{"it does not bite before it is injected", harmlessBefore},
		{"undoing twice is as undoing once", undoTwice},
		{"undoing what was not injected changes nothing", undoOfNothing},
		{"it ends with its lease", leaseEnds},
		{"a renewed lease lasts", leaseRenewed},
		{"it refuses a target that is not there", refusesAbsent},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			world := build(t)
			if world.Record.ID == "" {
				world.Record.ID = "conformance-" + jenner.Fingerprint(t.Name())
			}
			test.test(t, world)
		})
	}
}

func wholeLife(t *testing.T, world World) {
	life := injected(t, world, long)
	stir(t, world)
	life.bites(t)
	if !life.armed(t) {
		t.Error("the fault bit and is not armed")
	}
	life.undo(t)
	if life.armed(t) {
		t.Error("the fault is still armed after its undo")
	}
	life.sameAsBefore(t)
}

func harmlessBefore(t *testing.T, world World) {
	life := prepared(t, world, long)
	stir(t, world)
	witness, err := world.Fault().Bite(limited(t), life.call())
	if err == nil && witness.Bit {
		t.Errorf("a fault that was not injected bit: %s", witness.Saw)
	}
	if life.armed(t) {
		t.Error("a fault that was not injected is armed")
	}
}

func undoTwice(t *testing.T, world World) {
	life := injected(t, world, long)
	life.undo(t)
	life.undo(t)
	if life.armed(t) {
		t.Error("the fault is armed after two undos")
	}
	life.sameAsBefore(t)
}

func undoOfNothing(t *testing.T, world World) {
	life := prepared(t, world, long)
	life.undo(t)
	life.sameAsBefore(t)
}

// leaseEnds looks for the end only. What a fault that ended by itself may leave, such as an empty table, is for its undo.
func leaseEnds(t *testing.T, world World) {
	if !world.LeaseHeld && !world.holder() {
		return
	}
	life := leased(t, world)
	await.True(t, "the fault ends with its lease", func() bool { return !life.armed(t) })
	life.undo(t)
	life.sameAsBefore(t)
}

func leaseRenewed(t *testing.T, world World) {
	if !world.LeaseHeld && !world.holder() {
		return
	}
	life := leased(t, world)
	first := life.record.Until
	life.renew(t, long)
	await.True(t, "the first lease is over", func() bool { return time.Now().After(first.Add(lease)) })
	if !life.armed(t) {
		t.Error("the fault ended with its first lease although it was renewed")
	}
	life.undo(t)
	life.sameAsBefore(t)
}

// leased injects the fault for a short lease. A process that is to hold a fault may take longer than that to start, so that
// its lease is made short only once the fault holds.
func leased(t *testing.T, world World) *life {
	t.Helper()
	if !world.holder() {
		return injected(t, world, lease)
	}
	life := injected(t, world, long)
	life.renew(t, 4*lease)
	return life
}

func refusesAbsent(t *testing.T, world World) {
	call := chaos.Call{Record: world.Record}
	call.Record.Target = world.Absent
	if checkpointer, ok := world.Fault().(chaos.Checkpointer); ok {
		if _, err := checkpointer.Checkpoint(limited(t), call); err == nil {
			t.Error("Checkpoint accepts a target that is not there")
		}
	} else if world.holder() {
		t.Error("a fault that a process holds has no Checkpoint, so that nothing refuses a target that is not there")
	}
	call.Record.Until = time.Now().Add(time.Minute)
	if err := world.Fault().Inject(limited(t), call); err == nil {
		t.Error("Inject accepts a target that is not there")
	}
}
