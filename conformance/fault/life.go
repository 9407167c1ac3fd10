package faulttest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/await"
)

// life is one fault from its checkpoint to its end.
type life struct {
	world   World
	record  jenner.FaultRecord
	journal *chaos.Journal
	holders *chaos.Holders
}

// prepared is the fault as the injector writes it down before the injection: it went through JSON, as it does on its way
// to the process that undoes it.
func prepared(t *testing.T, world World, lasts time.Duration) *life {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "faults")
	journal, err := chaos.OpenJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	life := &life{world: world, record: world.Record, journal: journal,
		holders: &chaos.Holders{Command: self(t, wordHold, dir), Journal: journal}}
	if validator, ok := world.Fault().(chaos.Validator); ok {
		if err := validator.Validate(); err != nil {
			t.Fatalf("Validate refuses the world's parameters: %v", err)
		}
	}
	if checkpointer, ok := world.Fault().(chaos.Checkpointer); ok {
		checkpoint, err := checkpointer.Checkpoint(limited(t), life.call())
		if err != nil {
			t.Fatalf("Checkpoint: %v", err)
		}
		life.record.Checkpoint = checkpoint
	}
	life.record.Fingerprint = life.fingerprint(t)
	life.record.InjectedAt = time.Now()
	life.record.Until = life.record.InjectedAt.Add(lasts)
	if err := journal.Put(life.record, true); err != nil {
		t.Fatal(err)
	}
	if life.record, err = journal.Get(life.record.ID); err != nil {
		t.Fatalf("the record does not come back from JSON: %v", err)
	}
	return life
}

func injected(t *testing.T, world World, lasts time.Duration) *life {
	t.Helper()
	life := prepared(t, world, lasts)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		life.holders.End(ctx, life.record.ID)
		world.Fault().Undo(ctx, life.call())
	})
	if world.holder() {
		if err := life.holders.Start(limited(t), life.record.ID); err != nil {
			t.Fatalf("Hold: %v", err)
		}
	}
	if err := world.Fault().Inject(limited(t), life.call()); err != nil {
		t.Fatalf("Inject: %v", err)
	}
	return life
}

// call is what the fault is told, as the injector would.
func (l *life) call() chaos.Call {
	return chaos.Call{Record: l.record, Held: l.holders.Held(l.record.ID)}
}

func (l *life) renew(t *testing.T, lasts time.Duration) {
	t.Helper()
	l.record.Until = time.Now().Add(lasts)
	if err := l.journal.Put(l.record, false); err != nil {
		t.Fatal(err)
	}
	renewer, ok := l.world.Fault().(chaos.Renewer)
	if !ok && !l.world.holder() {
		t.Fatal("a fault that a lease holds has no Renew")
	}
	if !ok {
		return
	}
	if err := renewer.Renew(limited(t), l.call()); err != nil {
		t.Fatalf("Renew: %v", err)
	}
}

func (l *life) bites(t *testing.T) {
	t.Helper()
	await.True(t, "the fault bites", func() bool {
		witness, err := l.world.Fault().Bite(limited(t), l.call())
		if err != nil {
			t.Fatalf("Bite: %v", err)
		}
		if witness.Bit && witness.Saw == "" {
			t.Error("the witness does not say what it saw")
		}
		return witness.Bit
	})
}

func (l *life) armed(t *testing.T) bool {
	t.Helper()
	is, err := l.world.Fault().Armed(limited(t), l.call())
	if err != nil {
		t.Fatalf("Armed: %v", err)
	}
	return is
}

func (l *life) undo(t *testing.T) {
	t.Helper()
	if err := l.holders.End(limited(t), l.record.ID); err != nil {
		t.Fatalf("cannot end what holds the fault: %v", err)
	}
	if err := l.world.Fault().Undo(limited(t), l.call()); err != nil {
		t.Fatalf("Undo: %v", err)
	}
}

func (l *life) fingerprint(t *testing.T) string {
	t.Helper()
	fingerprinter, ok := l.world.Fault().(chaos.Fingerprinter)
	if !ok {
		return ""
	}
	print, err := fingerprinter.Fingerprint(limited(t), l.call())
	if err != nil {
		t.Fatalf("Fingerprint: %v", err)
	}
	return print
}

func (l *life) sameAsBefore(t *testing.T) {
	t.Helper()
	if now := l.fingerprint(t); now != l.record.Fingerprint {
		t.Errorf("something is left behind: the fingerprint is %q and was %q", now, l.record.Fingerprint)
	}
}

func stir(t *testing.T, world World) {
	t.Helper()
	if world.Stir != nil {
		world.Stir(t)
	}
}

func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	t.Cleanup(cancel)
	return ctx
}

// self is the command line of this very test program as another one of the suite's programs.
func self(t *testing.T, args ...string) []string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{path}, args...)
}
