package loop_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/loop"
)

// scene is a world of checkout alone, with the common documents and some more runbooks and experiments.
func scene(t *testing.T, common *jenner.Documents, more jenner.Documents) *machine {
	return (&story{world: "checkout", docs: &more}).machine(t, common)
}

func step(name, action string, params jenner.Params) jenner.Step {
	return jenner.Step{Name: name, Action: action, Params: params}
}

func flag(name, value string) jenner.Params {
	return jenner.Params{"knob": jenner.Raw("flag:" + name), "value": jenner.Raw(value)}
}

// live plays until a time, and starts Jenner again, a moment later, whenever it has died.
func (m *machine) live(until time.Duration) (deaths int) {
	for end := time.Now().Add(until); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if m.program.disk.isDead() {
			deaths++
			m.program.shut()
			time.Sleep(100 * time.Millisecond)
			m.boot()
		}
	}
	return deaths
}

// onceAt lets the program die at one use of the disk, and never again.
func onceAt(use int, how death, seen func(what string)) func(int, string, *jenner.Change) death {
	return func(at int, what string, _ *jenner.Change) death {
		if at != use {
			return lives
		}
		seen(what)
		return how
	}
}

// everyUse calls a test for a death before and after each use of the disk, until there are no more uses. The test tells
// whether its program died.
func everyUse(t *testing.T, test func(t *testing.T, use int, how death) (died bool, at string)) []string {
	t.Helper()
	var places []string
	for use := 1; ; use++ {
		died := false
		for _, how := range []death{diesBefore, diesAfter} {
			synctest.Test(t, func(t *testing.T) {
				at := ""
				if died, at = test(t, use, how); died && !slices.Contains(places, at) {
					places = append(places, at)
				}
			})
			if t.Failed() {
				return places
			}
		}
		if !died {
			return places
		}
	}
}

// TestL10KilledAtEveryStepBoundary: kill -9 before and after each use of the disk while an incident is healed. The next
// start finishes it, each effect happens once, and the incident ends once.
func TestL10KilledAtEveryStepBoundary(t *testing.T) {
	t.Parallel()
	common := documents(t, "testdata/common.yaml")
	book := jenner.Runbook{Name: "restart", Steps: []jenner.Step{step("shed", "set", flag("shed", "on")),
		step("again", "restart", nil), step("full", "set", flag("shed", "off"))}}
	places := everyUse(t, func(t *testing.T, use int, how death) (died bool, at string) {
		m := scene(t, common, jenner.Documents{Runbooks: []jenner.Runbook{book}})
		m.dies = onceAt(use, how, func(what string) { at = what })
		m.boot()
		time.Sleep(time.Second)
		m.world.Kill("checkout")
		died = m.live(15*time.Second) > 0
		m.program.shut()
		want := "incident checkout resolved: restart healed it; verified\neffect set flag:shed checkout\neffect restart checkout\n" +
			"effect set flag:shed checkout\n"
		if got := m.ended(); got != want {
			t.Errorf("died %v at use %d (%s): it ended as\n%s\n%s", how, use, at, got, m.told())
		}
		return died, at
	})
	for _, place := range []string{"commit detected", "commit acting", "commit verifying", "commit resolved"} {
		if !slices.Contains(places, place) {
			t.Errorf("nothing died at %q, only at %v", place, places)
		}
	}
}

// TestL10KilledAtEveryStepBoundaryOfAnUndo: the same while what did not help is taken back.
func TestL10KilledAtEveryStepBoundaryOfAnUndo(t *testing.T) {
	t.Parallel()
	common := documents(t, "testdata/common.yaml")
	more := jenner.Documents{
		Runbooks: []jenner.Runbook{{Name: "shed", Steps: []jenner.Step{step("one", "set", flag("one", "on")), step("two", "set", flag("two", "on"))}}},
		Policies: []jenner.Policy{{Name: "hung", IncidentType: "hung", Runbooks: []string{"shed"}, Mode: jenner.ModeAuto,
			VerificationWindow: jenner.Duration(500 * time.Millisecond), RollbackIfFailed: true}},
	}
	places := everyUse(t, func(t *testing.T, use int, how death) (died bool, at string) {
		m := scene(t, common, more)
		m.dies = onceAt(use, how, func(what string) { at = what })
		m.boot()
		time.Sleep(4 * time.Second)
		m.world.Hang("checkout")
		died = m.live(15*time.Second) > 0
		m.program.shut()
		want := []string{"effect set flag:one checkout", "effect set flag:two checkout", "effect undo set flag:two checkout",
			"effect undo set flag:one checkout"}
		ended := strings.Split(strings.TrimSpace(m.ended()), "\n")
		// A death right after the page may tell a human twice; that is better than not at all.
		if len(ended) < 6 || len(ended) > 7 || !slices.Equal(ended[1:5], want) || !strings.HasPrefix(ended[0], "incident checkout escalated: shed did not help") {
			t.Errorf("died %v at use %d (%s): it ended as\n%s\n%s", how, use, at, strings.Join(ended, "\n"), m.told())
		}
		return died, at
	})
	for _, place := range []string{"commit undoing", "commit escalated", "begin", "finish"} {
		if !slices.Contains(places, place) {
			t.Errorf("nothing died at %q, only at %v", place, places)
		}
	}
}

// TestL21KilledAtEveryStepBoundaryOfADrill: whatever dies, no fault and no open drill is left, and the verdict is one
// that the facts allow.
func TestL21KilledAtEveryStepBoundaryOfADrill(t *testing.T) {
	t.Parallel()
	common := documents(t, "testdata/common.yaml")
	experiment := jenner.Experiment{Name: "crash", Hypothesis: "it comes back", Service: "checkout", Control: true,
		ControlFor: jenner.Duration(200 * time.Millisecond), Faults: []jenner.FaultSpec{{Fault: "kill", Target: "checkout"}}}
	allowed := []jenner.Verdict{jenner.VerdictProven, jenner.VerdictAborted, jenner.VerdictInconclusive, jenner.VerdictNotRemediated}
	verdicts := map[jenner.Verdict]int{}
	const stride = 7 // a drill looks often, so that most of its uses of the disk are alike
	turn := 0
	everyUse(t, func(t *testing.T, use int, how death) (died bool, at string) {
		turn++
		m := scene(t, common, jenner.Documents{Experiments: []jenner.Experiment{experiment}})
		m.boot()
		time.Sleep(2 * time.Second)
		if err := m.program.drill("crash"); err != nil {
			t.Fatal(err)
		}
		m.mu.Lock()
		m.dies = onceAt(m.uses+stride*(use-1)+turn%stride+1, how, func(what string) { at = what })
		m.mu.Unlock()
		died = m.live(45*time.Second) > 0
		m.program.shut()
		m.boot()
		defer m.program.shut()
		drills, err := m.program.records(t.Context(), loop.DrillLine, time.Time{})
		if err != nil || len(drills) != 1 || !drills[0].Ended {
			t.Fatalf("died %v at use %d (%s): %v, drills %+v\n%s", how, use, at, err, drills, m.told())
		}
		results := decode[jenner.Drill](t, drills[0]).Results
		journal, err := chaos.OpenJournal(m.dir + "/faults")
		if err != nil {
			t.Fatal(err)
		}
		open, err := journal.Open()
		if err != nil || len(open) > 0 || len(results) != 1 || !slices.Contains(allowed, results[0].Verdict) || m.world.State("checkout") != "running" {
			t.Errorf("died %v at use %d (%s): %v, journal %v, results %+v, checkout %s\n%s", how, use, at, err, open, results,
				m.world.State("checkout"), m.told())
		}
		for _, result := range results {
			verdicts[result.Verdict]++
		}
		return died, at
	})
	if verdicts[jenner.VerdictProven] == 0 || verdicts[jenner.VerdictAborted] == 0 {
		t.Errorf("verdicts %v; a drill that is not hit proves, and one that is hit with the fault on is aborted", verdicts)
	}
}

// TestAProofEarnsAutonomy: a policy that requires a proof asks, until a drill proves its runbook; and asks again when the
// runbook is not the one that was proved.
func TestAProofEarnsAutonomy(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	synctest.Test(t, func(t *testing.T) {
		m := scene(t, common, jenner.Documents{})
		free := m.docs
		strict := *free
		strict.Policies = slices.Clone(free.Policies)
		for i := range strict.Policies {
			strict.Policies[i].RequiresProof = jenner.Duration(24 * time.Hour)
		}
		changed := strict
		changed.Runbooks = slices.Clone(free.Runbooks)
		changed.Runbooks[0].Steps = append(slices.Clone(changed.Runbooks[0].Steps), step("full", "set", flag("shed", "off")))
		during := func(docs *jenner.Documents, what func()) {
			m.docs = docs
			m.boot()
			time.Sleep(5 * time.Second)
			what()
			time.Sleep(time.Minute)
			m.program.shut()
			m.world.Start("checkout")
		}
		restarts := func() int {
			m.mu.Lock()
			defer m.mu.Unlock()
			return strings.Count(fmt.Sprint(m.world.Effects()), " restart ")
		}
		crash := func() { m.world.Kill("checkout") }
		during(&strict, crash)
		if restarts() != 0 || len(m.pages) != 1 || !strings.HasPrefix(m.pages[0], "ask: crashed on checkout") {
			t.Fatalf("without a proof: %d restarts, pages %q\n%s", restarts(), m.pages, m.told())
		}
		during(free, func() {
			if err := m.program.drill("crash"); err != nil {
				t.Fatal(err)
			}
		})
		if !strings.Contains(m.told(), "verdict: PROVEN:") {
			t.Fatal(m.told())
		}
		before := restarts()
		during(&strict, crash)
		if restarts() != before+1 {
			t.Errorf("with a proof: %d restarts\n%s", restarts()-before, m.told())
		}
		during(&changed, crash)
		if restarts() != before+1 {
			t.Errorf("with a proof of another runbook: %d restarts\n%s", restarts()-before, m.told())
		}
	})
}

// TestL1KilledBeforeTheEffectOfWhatHasPassed: Jenner dies when an intent is on disk and its effect is not begun; when it is
// back the trouble has passed, so that nothing is done any more, and nothing is left open.
func TestL1KilledBeforeTheEffectOfWhatHasPassed(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	book := jenner.Runbook{Name: "restart", Steps: []jenner.Step{step("shed", "set", flag("shed", "on")), step("again", "restart", nil)}}
	synctest.Test(t, func(t *testing.T) {
		m := scene(t, common, jenner.Documents{Runbooks: []jenner.Runbook{book}})
		died := false
		m.dies = func(_ int, _ string, change *jenner.Change) death {
			if !died && change != nil && len(change.Intents) > 0 {
				died = true
				return diesAfter
			}
			return lives
		}
		m.boot()
		time.Sleep(time.Second)
		m.world.Kill("checkout")
		for !m.program.disk.isDead() {
			time.Sleep(time.Millisecond)
		}
		m.program.shut()
		m.world.Start("checkout")
		time.Sleep(time.Second)
		m.boot()
		time.Sleep(30 * time.Second)
		open, err := m.program.store.OpenIntents(t.Context())
		if err != nil || len(open) > 0 {
			t.Errorf("open intents: %v, %v", open, err)
		}
		m.program.shut()
		if got := m.ended(); !strings.HasPrefix(got, "incident checkout resolved: the alerts cleared") || strings.Contains(got, "effect") {
			t.Errorf("it ended as\n%s\n%s", got, m.told())
		}
	})
}
