// Package faulttest is the suite that every fault passes, real ones and fakes alike.
//
// It is for tests of providers: hand Run a world with a target that can be broken. It is not for drills; what a fault
// does to a service is theirs to show.
package faulttest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

// patience is how long a condition may take to come true before the suite gives up on it. It is no measure of speed.
const patience = 30 * time.Second

// lease is how long the faults of the suite last, where they end by themselves and the test waits for it.
const lease = 300 * time.Millisecond

// World is one fresh world for one test of one fault. Each test of the suite builds its own.
type World struct {
	// Fault gives a fresh value that holds the parameters.
	Fault func() chaos.Fault
	// Record names the target; the suite fills in times, checkpoint and fingerprint, and an ID where there is none.
	Record jenner.FaultRecord
	// Absent is a target that is not there: the fault must refuse it.
	Absent jenner.Target
	// Stir makes something happen that the fault can bite, such as one request. Nil where the fault bites by itself.
	Stir func(t *testing.T)
	// LeaseHeld means that the fault ends by itself at the record's Until.
	LeaseHeld bool
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
	call := injected(t, world, time.Minute)
	stir(t, world)
	bites(t, world, call)
	if !armed(t, world, call) {
		t.Error("the fault bit and is not armed")
	}
	undo(t, world, call)
	if armed(t, world, call) {
		t.Error("the fault is still armed after its undo")
	}
	sameAsBefore(t, world, call)
}

func harmlessBefore(t *testing.T, world World) {
	call := prepared(t, world, time.Minute)
	stir(t, world)
	witness, err := world.Fault().Bite(limited(t), call)
	if err == nil && witness.Bit {
		t.Errorf("a fault that was not injected bit: %s", witness.Saw)
	}
	if armed(t, world, call) {
		t.Error("a fault that was not injected is armed")
	}
}

func undoTwice(t *testing.T, world World) {
	call := injected(t, world, time.Minute)
	undo(t, world, call)
	undo(t, world, call)
	if armed(t, world, call) {
		t.Error("the fault is armed after two undos")
	}
	sameAsBefore(t, world, call)
}

func undoOfNothing(t *testing.T, world World) {
	call := prepared(t, world, time.Minute)
	undo(t, world, call)
	sameAsBefore(t, world, call)
}

func leaseEnds(t *testing.T, world World) {
	if !world.LeaseHeld {
		return
	}
	call := injected(t, world, lease)
	eventually(t, "the fault ends with its lease", func() bool { return !armed(t, world, call) })
	sameAsBefore(t, world, call)
	undo(t, world, call)
	sameAsBefore(t, world, call)
}

func leaseRenewed(t *testing.T, world World) {
	if !world.LeaseHeld {
		return
	}
	call := injected(t, world, lease)
	first := call.Record.Until
	call.Record.Until = time.Now().Add(time.Minute)
	renewer, ok := world.Fault().(chaos.Renewer)
	if !ok {
		t.Fatal("a fault that a lease holds has no Renew")
	}
	if err := renewer.Renew(limited(t), call); err != nil {
		t.Fatalf("Renew: %v", err)
	}
	eventually(t, "the first lease is over", func() bool { return time.Now().After(first.Add(lease)) })
	if !armed(t, world, call) {
		t.Error("the fault ended with its first lease although it was renewed")
	}
	undo(t, world, call)
	sameAsBefore(t, world, call)
}

func refusesAbsent(t *testing.T, world World) {
	call := chaos.Call{Record: world.Record}
	call.Record.Target = world.Absent
	if checkpointer, ok := world.Fault().(chaos.Checkpointer); ok {
		if _, err := checkpointer.Checkpoint(limited(t), call); err == nil {
			t.Error("Checkpoint accepts a target that is not there")
		}
	}
	call.Record.Until = time.Now().Add(time.Minute)
	if err := world.Fault().Inject(limited(t), call); err == nil {
		t.Error("Inject accepts a target that is not there")
	}
}

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// prepared is the call as the injector writes it down before the injection: it went through JSON, as it does on its way
// to the process that undoes it.
func prepared(t *testing.T, world World, lasts time.Duration) chaos.Call {
	t.Helper()
	call := chaos.Call{Record: world.Record}
	if validator, ok := world.Fault().(chaos.Validator); ok {
		if err := validator.Validate(); err != nil {
			t.Fatalf("Validate refuses the world's parameters: %v", err)
		}
	}
	if checkpointer, ok := world.Fault().(chaos.Checkpointer); ok {
		checkpoint, err := checkpointer.Checkpoint(limited(t), call)
		if err != nil {
			t.Fatalf("Checkpoint: %v", err)
		}
		call.Record.Checkpoint = checkpoint
	}
	call.Record.Fingerprint = fingerprint(t, world, call)
	call.Record.InjectedAt = time.Now()
	call.Record.Until = call.Record.InjectedAt.Add(lasts)
	return stored(t, call)
}

func injected(t *testing.T, world World, lasts time.Duration) chaos.Call {
	t.Helper()
	call := prepared(t, world, lasts)
	if err := world.Fault().Inject(limited(t), call); err != nil {
		t.Fatalf("Inject: %v", err)
	}
	t.Cleanup(func() { world.Fault().Undo(context.WithoutCancel(t.Context()), call) })
	return call
}

func stored(t *testing.T, call chaos.Call) chaos.Call {
	t.Helper()
	var read jenner.FaultRecord
	if err := json.Unmarshal(jenner.Raw(call.Record), &read); err != nil {
		t.Fatalf("the record does not come back from JSON: %v", err)
	}
	return chaos.Call{Record: read}
}

func stir(t *testing.T, world World) {
	t.Helper()
	if world.Stir != nil {
		world.Stir(t)
	}
}

func bites(t *testing.T, world World, call chaos.Call) {
	t.Helper()
	eventually(t, "the fault bites", func() bool {
		witness, err := world.Fault().Bite(limited(t), call)
		if err != nil {
			t.Fatalf("Bite: %v", err)
		}
		if witness.Bit && witness.Saw == "" {
			t.Error("the witness does not say what it saw")
		}
		return witness.Bit
	})
}

func armed(t *testing.T, world World, call chaos.Call) bool {
	t.Helper()
	is, err := world.Fault().Armed(limited(t), call)
	if err != nil {
		t.Fatalf("Armed: %v", err)
	}
	return is
}

func undo(t *testing.T, world World, call chaos.Call) {
	t.Helper()
	if err := world.Fault().Undo(limited(t), call); err != nil {
		t.Fatalf("Undo: %v", err)
	}
}

func fingerprint(t *testing.T, world World, call chaos.Call) string {
	t.Helper()
	fingerprinter, ok := world.Fault().(chaos.Fingerprinter)
	if !ok {
		return ""
	}
	print, err := fingerprinter.Fingerprint(limited(t), call)
	if err != nil {
		t.Fatalf("Fingerprint: %v", err)
	}
	return print
}

func sameAsBefore(t *testing.T, world World, call chaos.Call) {
	t.Helper()
	if now := fingerprint(t, world, call); now != call.Record.Fingerprint {
		t.Errorf("something is left behind: the fingerprint is %q and was %q", now, call.Record.Fingerprint)
	}
}

// eventually polls a condition until it holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s, and still not: %s", patience, what)
		}
		<-tick.C
	}
}
