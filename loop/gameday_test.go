package loop_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/provider/sim"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// practice is a game day over checkout alone: a hang in second 2, which nobody is told of.
func practice(change func(*jenner.Gameday)) jenner.Gameday {
	day := jenner.Gameday{Name: "practice", Lasts: jenner.Duration(30 * time.Second),
		Faults: []jenner.GamedayFault{{At: jenner.Duration(2 * time.Second), Fault: "hang", Target: "checkout", Secret: true}},
		Goals:  jenner.GamedayGoals{AcknowledgeWithin: jenner.Duration(5 * time.Second)}}
	if change != nil {
		change(&day)
	}
	return day
}

// practise runs a game day to its end, in the bubble of a test, while people do something.
func (m *machine) practise(ctx context.Context, day jenner.Gameday, people func(id string)) (jenner.GamedayRun, []string, error) {
	m.t.Helper()
	var told []string
	begun, left := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(left)
		if id, ok := <-begun; ok && people != nil {
			people(id)
		}
	}()
	run, err := m.program.lab.RunGameday(ctx, day, func(entry jenner.Entry) {
		told = append(told, entry.Kind+": "+entry.Text)
		if entry.Kind == "begin" {
			records, listErr := m.program.store.List(ctx, loop.GamedayLine, sqlite.ListFilter{OpenOnly: true})
			if listErr != nil || len(records) != 1 {
				m.t.Errorf("%d game days are on: %v", len(records), listErr)
				return
			}
			begun <- records[0].ID
		}
	})
	close(begun)
	<-left
	return run, told, err
}

func (m *machine) says(id string, kind jenner.WordKind, service, text string) {
	word := jenner.Word{At: time.Now(), Person: "ann", Kind: kind, Service: service, Text: text}
	if _, err := loop.Say(context.Background(), m.program.store, id, word); err != nil {
		m.t.Error(err)
	}
}

// quietly boots the scene, lets it become steady, and looks in the end, also of a test that gave up, that no fault is left,
// that the ledger holds nothing, and that Jenner may soon act again and had no reason to.
func (m *machine) quietly(test func()) {
	m.boot()
	defer func() { m.program.shut() }()
	time.Sleep(5 * time.Second)
	defer m.nothingLeft()
	test()
}

func (m *machine) nothingLeft() {
	m.t.Helper()
	open, err := m.program.lab.Injector.Journal.Open()
	if err != nil || len(open) > 0 {
		m.t.Errorf("%d faults are left: %v", len(open), err)
	}
	ledger, err := m.program.store.Ledger(context.Background(), time.Time{})
	for _, entry := range ledger {
		if entry.Kind == jenner.LedgerFault && entry.Holds(time.Now()) {
			m.t.Errorf("the ledger holds %s on", entry.Place())
		}
	}
	if err != nil {
		m.t.Error(err)
	}
	for _, hold := range m.program.allHolds() {
		if strings.HasPrefix(hold.By, "g-") && time.Until(hold.Until) > 5*time.Second {
			m.t.Errorf("the game day still holds %s until %s", hold.Scope, hold.Until)
		}
	}
}

// restarts is how often Jenner restarted something.
func (m *machine) restarts() int { return strings.Count(fmt.Sprint(m.world.Effects()), " restart ") }

// TestPeopleRemoveASecretFault: they acknowledge, remove and resolve it; Jenner watches and does nothing; nothing says what
// it was before the end.
func TestPeopleRemoveASecretFault(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	synctest.Test(t, func(t *testing.T) {
		m := scene(t, common, jenner.Documents{})
		m.quietly(func() {
			run, told, err := m.practise(t.Context(), practice(nil), func(id string) {
				time.Sleep(6 * time.Second)
				m.says(id, jenner.WordAck, "", "orders fail")
				time.Sleep(4 * time.Second)
				m.world.Start("checkout")
				time.Sleep(3 * time.Second)
				m.says(id, jenner.WordResolve, "checkout", "started it again")
			})
			if err != nil || run.Aborted != "" || len(run.Struck) != 1 || len(run.Words) != 2 {
				t.Fatalf("%v: %+v\n%s", err, run, strings.Join(told, "\n"))
			}
			strike := run.Struck[0]
			if strike.RemovedAt.IsZero() || strike.SickAt.IsZero() || strike.WellAt.IsZero() || strike.Error != "" {
				t.Errorf("the fault: %+v", strike)
			}
			if lasted := run.EndedAt.Sub(run.StartedAt); lasted > 20*time.Second {
				t.Errorf("all was resolved after 13 s, and the game day went on for %s", lasted)
			}
			for _, line := range told {
				if strings.Contains(line, "hang") || strings.Contains(line, "checkout") && !strings.HasPrefix(line, "resolve") {
					t.Errorf("it gives the secret away: %s", line)
				}
			}
			if restarts := m.restarts(); restarts != 0 {
				t.Errorf("Jenner restarted it %d times although people were to do it", restarts)
			}
			m.toldAfterwards(run)
		})
	})
}

// toldAfterwards looks at what the store keeps of a game day that is over.
func (m *machine) toldAfterwards(run jenner.GamedayRun) {
	m.t.Helper()
	timeline, err := m.program.store.Timeline(context.Background(), loop.GamedayLine, run.ID)
	var kinds []string
	for _, entry := range timeline {
		kinds = append(kinds, entry.Kind)
	}
	if want := []string{"begin", "ack", "resolve", "fault", "removed", "end"}; err != nil || !slices.Equal(kinds, want) {
		m.t.Errorf("the timeline has %q, not %q (%v)", kinds, want, err)
	}
	record, err := m.program.store.Load(context.Background(), loop.GamedayLine, run.ID)
	if err != nil || !record.Ended || record.Phase != loop.GamedayOver {
		m.t.Errorf("the record is in phase %s, ended %t: %v", record.Phase, record.Ended, err)
	}
	if _, err := loop.Say(context.Background(), m.program.store, run.ID, jenner.Word{Kind: jenner.WordAck}); !errors.Is(err, jenner.ErrConflict) {
		m.t.Errorf("a word after the end: %v", err)
	}
	taken, err := m.program.store.LedgerOf(context.Background(), "checkout", run.StartedAt, time.Now())
	faults := 0
	for _, entry := range taken {
		if entry.Kind == jenner.LedgerFault {
			faults++
		}
	}
	if err != nil || faults != 1 {
		m.t.Errorf("the ledger has %d faults: %v", faults, err)
	}
}

// TestAGameDayEnds: however it ends, the fault is taken back, the run says why it ended, and Jenner does not heal afterwards
// what is well by then.
func TestAGameDayEnds(t *testing.T) {
	t.Parallel()
	common := documents(t, "testdata/common.yaml")
	for name, c := range map[string]struct {
		day     func(*jenner.Gameday)
		during  func(m *machine, cancel context.CancelCauseFunc)
		aborted string
		lasts   time.Duration
	}{
		"by itself": {nil, func(m *machine, _ context.CancelCauseFunc) {
			time.Sleep(20 * time.Second)
			open, err := m.program.lab.Injector.Journal.Open()
			if err != nil || len(open) != 1 || !open[0].Until.After(time.Now()) || !open[0].Secret {
				m.t.Errorf("the lease is not renewed: %+v %v", open, err)
			}
		}, "", 30 * time.Second},
		"after its own time": {func(d *jenner.Gameday) { d.Faults[0].For = jenner.Duration(3 * time.Second) }, nil, "", 30 * time.Second},
		"by an interrupt": {nil, func(_ *machine, cancel context.CancelCauseFunc) { cancel(errors.New("interrupted")) },
			"interrupted", 5 * time.Second},
		"by the kill switch": {nil, func(m *machine, _ context.CancelCauseFunc) { m.stop("ann") }, "ann stopped Jenner", 5 * time.Second},
		"by an abort condition": {func(d *jenner.Gameday) { d.AbortIf = []string{`probe("checkout", "ready").failing`} }, nil,
			`abort condition: probe("checkout", "ready").failing`, 0},
		"by an abort condition about whatever is struck": {func(d *jenner.Gameday) { d.AbortIf = []string{`probe("ready").failing`} }, nil,
			`abort condition: probe("ready").failing`, 0},
		"by an abort condition that nobody can see": {func(d *jenner.Gameday) {
			d.AbortIf, d.Lease = []string{`probe("ready").failing_for > duration("1m")`}, jenner.Duration(4*time.Second)
		}, func(m *machine, _ context.CancelCauseFunc) { m.see(false) },
			`abort condition probe("ready").failing_for > duration("1m"): probe ready of checkout gives no answers, so that the lease of sim.hang was not renewed`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := scene(t, common, jenner.Documents{})
				m.quietly(func() {
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					run, told, err := m.practise(ctx, practice(c.day), func(string) {
						if c.during != nil {
							time.Sleep(5 * time.Second)
							c.during(m, cancel)
						}
					})
					if err != nil || run.Aborted != c.aborted {
						t.Fatalf("it was broken off by %q (%v), not by %q\n%s", run.Aborted, err, c.aborted, strings.Join(told, "\n"))
					}
					if lasted := run.EndedAt.Sub(run.StartedAt).Round(time.Second); c.lasts > 0 && lasted != c.lasts {
						t.Errorf("it went on for %s, not %s", lasted, c.lasts)
					}
					strike := run.Struck[0]
					if strike.InjectedAt.IsZero() || strike.UndoneAt.IsZero() || strike.Error != "" {
						t.Errorf("the fault: %+v", strike)
					}
					if own := c.day != nil && run.Gameday.Faults[0].For > 0; own && strike.UndoneAt.Sub(strike.InjectedAt).Round(time.Second) != 3*time.Second {
						t.Errorf("it held for %s", strike.UndoneAt.Sub(strike.InjectedAt))
					}
					m.see(true)
					time.Sleep(20 * time.Second)
					if restarts := m.restarts(); restarts != 0 {
						t.Errorf("Jenner restarted it %d times although it was well\n%s", restarts, m.told())
					}
				})
			})
		})
	}
}

// TestAnInterruptAtEveryCommitOfAGameDay: wherever it comes, it is why the game day ends, and nothing is left of it.
func TestAnInterruptAtEveryCommitOfAGameDay(t *testing.T) {
	t.Parallel()
	common := documents(t, "testdata/common.yaml")
	for at, past := 2, false; !past; at++ { // the first commit is its beginning
		synctest.Test(t, func(t *testing.T) {
			m := scene(t, common, jenner.Documents{})
			m.quietly(func() {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				commits := 0
				m.mu.Lock()
				m.dies = func(_ int, _ string, change *jenner.Change) death {
					if change != nil && change.Record.Line == loop.GamedayLine {
						if commits++; commits == at {
							cancel(errors.New("interrupted"))
						}
					}
					return lives
				}
				m.mu.Unlock()
				run, told, err := m.practise(ctx, practice(func(d *jenner.Gameday) { d.Faults[0].For = jenner.Duration(3 * time.Second) }), nil)
				past = commits < at
				want := ""
				if commits > at { // the last one is its end
					want = "interrupted"
				}
				if err != nil || run.Aborted != want {
					t.Errorf("at commit %d of %d: broken off by %q (%v)\n%s", at, commits, run.Aborted, err, strings.Join(told, "\n"))
				}
				if is := m.world.State("checkout"); is != "running" {
					t.Errorf("at commit %d of %d: checkout is %s", at, commits, is)
				}
			})
		})
	}
}

// halfHang hangs, says that it could not, and cannot be taken back at first.
type halfHang struct {
	*sim.FaultHang
	stubborn *int
}

func (h halfHang) Inject(ctx context.Context, call chaos.Call) error {
	return errors.Join(h.FaultHang.Inject(ctx, call), errors.New("the wire broke"))
}

func (h halfHang) Undo(ctx context.Context, call chaos.Call) error {
	if *h.stubborn--; *h.stubborn >= 0 {
		return errors.New("the wire is still broken")
	}
	return h.FaultHang.Undo(ctx, call)
}

// TestAFaultThatIsHalfThere: what a failed injection left behind is taken back as soon as that can be done, and at the end
// once more.
func TestAFaultThatIsHalfThere(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	for _, stubborn := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			m := scene(t, common, jenner.Documents{})
			m.quietly(func() {
				left := stubborn
				m.program.lab.Injector.Build = func(string, string, jenner.Params) (string, chaos.Fault, error) {
					return "sim.hang", halfHang{&sim.FaultHang{}, &left}, nil
				}
				run, told, err := m.practise(t.Context(), practice(func(d *jenner.Gameday) {
					d.Faults = append(d.Faults, jenner.GamedayFault{At: jenner.Duration(20 * time.Second), Fault: "hang", Target: "checkout"})
				}), nil)
				for _, strike := range run.Struck {
					if !strings.Contains(strike.Error, "it was not injected") || !strike.InjectedAt.IsZero() || !strike.UndoneAt.IsZero() {
						t.Errorf("%+v", strike)
					}
				}
				if is := m.world.State("checkout"); err != nil || is != "running" {
					t.Errorf("checkout is %s: %v\n%s", is, err, strings.Join(told, "\n"))
				}
			})
		})
	}
}

// TestJennerMayHealInAGameDay: with heal, the fault is gone without anybody, and the game day sees it.
func TestJennerMayHealInAGameDay(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	synctest.Test(t, func(t *testing.T) {
		m := scene(t, common, jenner.Documents{})
		m.quietly(func() {
			run, told, err := m.practise(t.Context(), practice(func(d *jenner.Gameday) { d.Heal = true }), nil)
			if err != nil || run.Struck[0].RemovedAt.IsZero() || run.Struck[0].WellAt.IsZero() {
				t.Errorf("%v: %+v\n%s", err, run.Struck, strings.Join(told, "\n"))
			}
		})
	})
}

// TestWhatAGameDayDoesNotBegin: with what is not well, with a target that is not there, and after a process that died.
func TestWhatAGameDayDoesNotBegin(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	synctest.Test(t, func(t *testing.T) {
		m := scene(t, common, jenner.Documents{})
		m.quietly(func() {
			if _, _, err := m.practise(t.Context(), practice(func(d *jenner.Gameday) { d.Faults[0].Target = "moon" }), nil); err == nil {
				t.Error("a fault on the moon")
			}
			old := jenner.GamedayRun{ID: "g-old", Gameday: practice(nil), StartedAt: time.Now()}
			err := m.program.store.Commit(t.Context(), jenner.Change{Record: jenner.Record{Line: loop.GamedayLine, ID: old.ID, Phase: loop.GamedayOn,
				State: jenner.Raw(old), Created: time.Now(), Updated: time.Now()}})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := m.practise(t.Context(), practice(func(d *jenner.Gameday) { d.Lasts = jenner.Duration(3 * time.Second) }), nil); err != nil {
				t.Error(err)
			}
			record, err := m.program.store.Load(t.Context(), loop.GamedayLine, old.ID)
			closed, readErr := loop.GamedayOf(record)
			if err != nil || readErr != nil || !record.Ended || closed.Aborted == "" {
				t.Errorf("the game day of the process that died: %+v %v %v", closed, err, readErr)
			}
			time.Sleep(time.Minute)
			m.world.Hang("checkout")
			m.stop("ann") // so that nobody heals it
			time.Sleep(10 * time.Second)
			_, _, err = m.practise(t.Context(), practice(nil), nil)
			if err == nil || !strings.Contains(err.Error(), "not steady before the game day") || strings.Contains(err.Error(), "checkout") {
				t.Errorf("a game day on what is not well: %v", err)
			}
			m.resume()
		})
	})
}
