package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/provider/sim"
)

// lab is a fake world of one service, shop, and the journal of the faults in it.
type lab struct {
	world   *sim.World
	dir     string
	journal *chaos.Journal
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{world: sim.NewWorld(t.Name(), time.Now), dir: filepath.Join(t.TempDir(), "faults")}
	t.Cleanup(l.world.Close)
	l.world.Add("shop")
	var err error
	if l.journal, err = chaos.OpenJournal(l.dir); err != nil {
		t.Fatal(err)
	}
	return l
}

// injector is one process.
func (l *lab) injector() *chaos.Injector {
	names := catalog.Merge(sim.Provider)
	return &chaos.Injector{Journal: l.journal, Now: time.Now, Held: func() (jenner.Hold, bool) { return jenner.Hold{}, false },
		Build: func(name, kind string, params jenner.Params) (string, chaos.Fault, error) {
			entry, err := names.Fault(name, kind)
			if err != nil {
				return "", nil, err
			}
			fault := entry.New()
			for _, problem := range strict.Params(params, fault) {
				err = errors.Join(err, errors.New(problem.Message))
			}
			return entry.Name, fault, err
		}}
}

func (l *lab) record(fault string) jenner.FaultRecord {
	record := jenner.FaultRecord{ID: "d-" + fault, Drill: "d", Fault: fault, Target: l.world.Target("shop"), Service: jenner.Service{Name: "shop"}}
	if fault == "slow" {
		record.Params = jenner.Params{"latency": jenner.Raw("400ms")}
	}
	return record
}

func (l *lab) inject(t *testing.T, fault string, lease time.Duration) jenner.FaultRecord {
	t.Helper()
	record, err := l.injector().Inject(t.Context(), l.record(fault), lease)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func (l *lab) open(t *testing.T) []jenner.FaultRecord {
	t.Helper()
	open, err := l.journal.Open()
	if err != nil {
		t.Fatal(err)
	}
	return open
}

func (l *lab) effects() string {
	var list []string
	for _, effect := range l.world.Effects() {
		list = append(list, effect.What)
	}
	return strings.Join(list, ", ")
}

func all(jenner.FaultRecord) bool { return true }

// TestL21TheJournalIsWrittenBeforeTheFault: an injector that dies in the middle leaves all that is needed to undo it.
func TestL21TheJournalIsWrittenBeforeTheFault(t *testing.T) {
	l := newLab(t)
	injector, guarded := l.injector(), 0
	injector.Guard = func() error {
		if len(l.open(t)) > 0 || l.effects() != "" {
			t.Error("somebody who undoes the fault is started only after it began")
		}
		guarded++
		return nil
	}
	build := injector.Build
	injector.Build = func(name, kind string, params jenner.Params) (string, chaos.Fault, error) {
		full, fault, err := build(name, kind, params)
		return full, watched{fault, func() {
			open := l.open(t)
			if len(open) != 1 || open[0].Fault != "sim.kill" || len(open[0].Checkpoint) == 0 || open[0].Until.Sub(open[0].InjectedAt) != time.Minute {
				t.Errorf("at the moment of the fault the journal holds %+v", open)
			}
		}}, err
	}
	record, err := injector.Inject(t.Context(), l.record("kill"), time.Minute)
	if err != nil || guarded != 1 || l.world.State("shop") != "gone" {
		t.Fatalf("%v, guarded %d times, shop is %s", err, guarded, l.world.State("shop"))
	}
	witness, err := l.injector().Bite(t.Context(), record)
	if armed, _ := l.injector().Armed(t.Context(), record); err != nil || !witness.Bit || !armed {
		t.Errorf("%+v, %v, armed %v", witness, err, armed)
	}
}

// watched looks at the moment of the injection.
type watched struct {
	chaos.Fault
	look func()
}

func (w watched) Inject(ctx context.Context, call chaos.Call) error {
	w.look()
	return w.Fault.Inject(ctx, call)
}

func (w watched) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	return w.Fault.(chaos.Checkpointer).Checkpoint(ctx, call)
}

func TestAFaultIsNotBegun(t *testing.T) {
	for name, spoil := range map[string]func(*lab, *chaos.Injector, *jenner.FaultRecord){
		"under the kill switch": func(_ *lab, i *chaos.Injector, _ *jenner.FaultRecord) {
			i.Held = func() (jenner.Hold, bool) { return jenner.Hold{Scope: jenner.HoldAll, By: "ann"}, true }
		},
		"without somebody to undo it": func(_ *lab, i *chaos.Injector, _ *jenner.FaultRecord) {
			i.Guard = func() error { return errors.New("no reaper") }
		},
		"on what is broken already": func(l *lab, _ *chaos.Injector, _ *jenner.FaultRecord) { l.world.Hang("shop") },
		"on what is not there":      func(l *lab, _ *chaos.Injector, r *jenner.FaultRecord) { r.Target = l.world.Target("nowhere") },
		"that nobody knows":         func(_ *lab, _ *chaos.Injector, r *jenner.FaultRecord) { r.Fault = "melt" },
		"without a journal":         func(l *lab, _ *chaos.Injector, _ *jenner.FaultRecord) { os.RemoveAll(l.dir) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			injector, record := l.injector(), l.record("kill")
			spoil(l, injector, &record)
			if _, err := injector.Inject(t.Context(), record, time.Minute); err == nil {
				t.Error("it was injected")
			}
			if open := l.open(t); l.effects() != "" || len(open) > 0 {
				t.Errorf("effects %s, journal %v", l.effects(), open)
			}
		})
	}
}

func TestUndoIsProved(t *testing.T) {
	for _, fault := range []string{"kill", "hang", "slow"} {
		t.Run(fault, func(t *testing.T) {
			l := newLab(t)
			record := l.inject(t, fault, time.Minute)
			for range 2 { // undoing twice is as undoing once
				if err := l.injector().Undo(t.Context(), record); err != nil {
					t.Fatal(err)
				}
				if late, err := l.world.Ask("shop"); err != nil || late > 0 || len(l.open(t)) > 0 {
					t.Errorf("shop answers after %s, %v; journal %v", late, err, l.open(t))
				}
			}
			if want := "fault " + fault + ", undo fault " + fault; !strings.HasPrefix(l.effects(), want) || strings.Count(l.effects(), "undo") != 1 {
				t.Errorf("effects: %s", l.effects())
			}
		})
	}
}

// TestResidueIsFound: what does not come back as it was stays in the journal, and is told by name.
func TestResidueIsFound(t *testing.T) {
	l := newLab(t)
	record := l.inject(t, "hang", time.Minute)
	if err := l.world.Set("shop", sim.KnobLatency, "1s"); err != nil {
		t.Fatal(err)
	}
	err := l.injector().Undo(t.Context(), record)
	if !errors.Is(err, chaos.ErrResidue) || !strings.Contains(err.Error(), "sim/shop") {
		t.Errorf("%v", err)
	}
	if len(l.open(t)) != 1 {
		t.Error("the journal forgot a fault of which something is left")
	}
	if err := l.world.Set("shop", sim.KnobLatency, ""); err != nil {
		t.Fatal(err)
	}
	if undone, err := l.injector().UndoAll(t.Context(), all); undone != 1 || err != nil || len(l.open(t)) > 0 {
		t.Errorf("%d undone, %v", undone, err)
	}
}

// TestL21AnotherInjectorUndoesWhatIsLeft: the first one died, and its faults are in the journal only.
func TestL21AnotherInjectorUndoesWhatIsLeft(t *testing.T) {
	l := newLab(t)
	l.world.Add("bakery")
	l.inject(t, "slow", time.Hour)
	other := l.record("kill")
	other.Target = l.world.Target("bakery")
	if _, err := l.injector().Inject(t.Context(), other, time.Hour); err != nil {
		t.Fatal(err)
	}
	undone, err := l.injector().UndoAll(t.Context(), all)
	if late, asked := l.world.Ask("shop"); undone != 2 || err != nil || late > 0 || asked != nil || l.world.State("bakery") != "running" {
		t.Errorf("%d undone, %v; shop after %s, %v; bakery %s", undone, err, late, asked, l.world.State("bakery"))
	}
}

func TestALeaseIsRenewedInTheJournalAndInTheFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		record := l.inject(t, "slow", 5*time.Second)
		time.Sleep(4 * time.Second)
		record, err := l.injector().Renew(t.Context(), record, 5*time.Second)
		if err != nil || !l.open(t)[0].Until.Equal(time.Now().Add(5*time.Second)) {
			t.Errorf("%v, the journal says until %s", err, l.open(t)[0].Until)
		}
		time.Sleep(4 * time.Second)
		if armed, err := l.injector().Armed(t.Context(), record); !armed || err != nil {
			t.Errorf("8 s after the injection: armed %v, %v", armed, err)
		}
		time.Sleep(2 * time.Second)
		if armed, _ := l.injector().Armed(t.Context(), record); armed {
			t.Error("a lease that nobody renewed holds on")
		}
	})
}

// reap runs a reaper until it returns.
func (l *lab) reap(t *testing.T, parent io.Reader, patience time.Duration) func() error {
	t.Helper()
	var result error
	var done sync.WaitGroup
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	done.Go(func() { result = chaos.Reap(t.Context(), l.injector(), parent, patience, logger) })
	return func() error { done.Wait(); return result }
}

func TestL21TheReaperUndoesEverythingWhenItsParentEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		parent, pipe := io.Pipe()
		wait := l.reap(t, parent, time.Minute)
		l.inject(t, "hang", time.Hour)
		time.Sleep(10 * time.Minute)
		if l.world.State("shop") != "hung" {
			t.Error("it undid a fault whose lease goes on and whose parent lives")
		}
		pipe.Close()
		if err := wait(); err != nil || l.world.State("shop") != "running" || len(l.open(t)) > 0 {
			t.Errorf("%v, shop is %s", err, l.world.State("shop"))
		}
	})
}

func TestL21TheReaperUndoesWhatNobodyRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		parent, pipe := io.Pipe()
		wait := l.reap(t, parent, time.Minute)
		l.inject(t, "hang", 5*time.Second)
		time.Sleep(5500 * time.Millisecond)
		if l.world.State("shop") != "hung" {
			t.Error("it did not wait for the injector to undo its own fault")
		}
		time.Sleep(time.Second)
		if l.world.State("shop") != "running" {
			t.Error("a fault that nobody renewed goes on although the injector lives")
		}
		pipe.Close()
		if err := wait(); err != nil {
			t.Error(err)
		}
	})
}

func TestTheReaperGivesUpOnWhatItCannotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		if err := os.WriteFile(filepath.Join(l.dir, "d-torn.json"), []byte(`{"id": "d-to`), 0o600); err != nil {
			t.Fatal(err)
		}
		l.inject(t, "kill", time.Hour)
		parent, pipe := io.Pipe()
		wait := l.reap(t, parent, 10*time.Second)
		began := time.Now()
		pipe.Close()
		err := wait()
		if err == nil || !strings.Contains(err.Error(), "d-torn.json") || !strings.Contains(err.Error(), "gave up after 10s") {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("it gave up after %s", took)
		}
		if l.world.State("shop") != "running" {
			t.Error("what it could read was not undone")
		}
	})
}

// TestMain is the reaper process too: it waits for the end of its input. And it holds faults.
func TestMain(m *testing.M) {
	if faulttest.Programs(makeFault) {
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "as-reaper" {
		fmt.Println("reaping")
		_, _ = io.Copy(io.Discard, os.Stdin)
		if len(os.Args) > 2 {
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func newReaper(t *testing.T, args ...string) *chaos.Reaper {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	reaper := &chaos.Reaper{Command: append([]string{self, "as-reaper"}, args...), Log: filepath.Join(t.TempDir(), "reaper.log")}
	t.Cleanup(func() { _ = reaper.Stop() })
	return reaper
}

func TestTheReaperProcessIsStartedOnceAndStopped(t *testing.T) {
	reaper := newReaper(t)
	for range 3 {
		if err := reaper.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := reaper.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if said, _ := os.ReadFile(reaper.Log); string(said) != "reaping\n" {
		t.Errorf("the log holds %q", said)
	}
}

// TestL21ADeadReaperIsReplaced: without one that lives no fault may begin.
func TestL21ADeadReaperIsReplaced(t *testing.T) {
	reaper := newReaper(t)
	reaper.Command = []string{"/bin/true"} // ends at once
	begun := func() int {
		if err := reaper.Start(); err != nil {
			t.Fatal(err)
		}
		said, _ := os.ReadFile(reaper.Log)
		return strings.Count(string(said), "reaping")
	}
	begun()
	reaper.Command = newReaper(t).Command
	await.True(t, "another reaper is started where one is dead", func() bool { return begun() > 0 })
}

func TestAReaperThatFailedIsTold(t *testing.T) {
	reaper := newReaper(t, "badly")
	if err := reaper.Start(); err != nil {
		t.Fatal(err)
	}
	if err := reaper.Stop(); err == nil || !strings.Contains(err.Error(), "could not undo everything; see "+reaper.Log) {
		t.Errorf("%v", err)
	}
}
