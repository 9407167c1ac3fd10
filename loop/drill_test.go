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

// laboratory is a machine with a fleet of so many targets, the common documents and the given experiments.
func laboratory(t *testing.T, targets int, experiments ...jenner.Experiment) *machine {
	m := newMachine(t)
	common := documents(t, "testdata/common.yaml")
	var names []string
	for i := range targets {
		names = append(names, fmt.Sprintf("replica-%02d", i))
	}
	m.docs = &jenner.Documents{Signatures: common.Signatures, Runbooks: common.Runbooks, Policies: common.Policies,
		Services: []jenner.Service{m.fleet("fleet", names)}, Experiments: experiments,
		Limits: jenner.Limits{MaxTargetsAtOnce: 100, MaxTargetsOfService: 100}}
	for i := range m.docs.Policies {
		m.docs.Policies[i].MaxAttempts = 10
	}
	m.boot()
	return m
}

// drilled runs an experiment to its end and gives its record.
func (m *machine) drilled(name string, patience time.Duration) jenner.Drill {
	m.t.Helper()
	if err := m.program.drill(name); err != nil {
		m.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		drills, err := m.program.records(m.t.Context(), loop.DrillLine, time.Time{})
		if err != nil {
			m.t.Fatal(err)
		}
		for _, record := range drills {
			if drill := decode[jenner.Drill](m.t, record); record.Ended && drill.Experiment.Name == name {
				return drill
			}
		}
	}
	m.t.Fatalf("%s has not ended within %s:\n%s", name, patience, m.told())
	return jenner.Drill{}
}

func seconds(n float64) jenner.Duration { return jenner.Duration(n * float64(time.Second)) }

// TestBothArmsHitTheSame: the picked targets are in the record with their seed, both arms hit them and no others, and the
// ledger counts each of them.
func TestBothArmsHitTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := laboratory(t, 40, jenner.Experiment{Name: "share", Service: "fleet", Control: true, ControlFor: seconds(1), Timeout: seconds(3),
			Faults: []jenner.FaultSpec{{Fault: "kill", Of: "fleet", Pick: jenner.Pick{Share: 0.2}}}})
		defer func() { m.program.shut() }()
		drill := m.drilled("share", 3*time.Minute)
		var hits []string
		for _, hit := range drill.Hits {
			hits = append(hits, hit.Target.Name)
		}
		if len(hits) != 8 || drill.Seed == 0 {
			t.Fatalf("a fifth of 40 is %v, with seed %d", hits, drill.Seed)
		}
		var want []string
		for _, place := range jenner.Draw(40, 8, drill.Seed, 0) {
			want = append(want, fmt.Sprintf("replica-%02d", place))
		}
		if !slices.Equal(hits, want) {
			t.Errorf("drawn again with the recorded seed they are %v, and were %v", want, hits)
		}
		struck := map[string][]string{}
		for _, effect := range m.world.Effects() {
			if effect.What == "fault kill" {
				arm := strings.Split(strings.TrimPrefix(effect.Key, drill.ID+"-"), "-")[0]
				struck[arm] = append(struck[arm], effect.Service)
			}
		}
		for arm, services := range struck {
			if !slices.Equal(services, hits) {
				t.Errorf("the %s arm hit %v, and not %v", arm, services, hits)
			}
		}
		if len(struck) != 2 {
			t.Errorf("these arms hit something: %v", struck)
		}
		ledger, err := m.program.store.Ledger(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		places := map[string]bool{}
		for _, entry := range ledger {
			if entry.Kind == jenner.LedgerFault {
				places[entry.Place()] = true
			}
		}
		if len(places) != 8 {
			t.Errorf("the ledger counts %d targets, and 8 were hit", len(places))
		}
	})
}

// TestAPickIsWithinTheLimits: more targets than the files allow at once would never fit, so that the drill is refused, and
// nothing is hit.
func TestAPickIsWithinTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := laboratory(t, 5, jenner.Experiment{Name: "all", Service: "fleet", Timeout: seconds(3),
			Faults: []jenner.FaultSpec{{Fault: "kill", Of: "fleet", Pick: jenner.Pick{Count: 4}}}})
		defer func() { m.program.shut() }()
		m.docs.Limits.MaxTargetsOfService = 3
		drill := m.drilled("all", time.Minute)
		if effects := m.world.Effects(); len(effects) > 0 {
			t.Errorf("these were hit, and 3 are allowed at once: %v", effects)
		}
		if !strings.Contains(drill.Aborted, "4 targets of fleet would be hit, and max_targets_of_service is 3") {
			t.Errorf("aborted: %q", drill.Aborted)
		}
	})
}

// TestWhatDoesNotFitNowWaits: while others hold too much, the drill waits with that reason, and goes on when there is room.
func TestWhatDoesNotFitNowWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := laboratory(t, 3, jenner.Experiment{Name: "two", Service: "fleet", Timeout: seconds(1),
			Faults: []jenner.FaultSpec{{Fault: "kill", Of: "fleet", Pick: jenner.Pick{Count: 2}}}})
		defer func() { m.program.shut() }()
		m.docs.Limits.MaxTargetsOfService = 2
		held := jenner.LedgerEntry{ID: "elsewhere", Kind: jenner.LedgerAction, At: time.Now(), Until: time.Now().Add(time.Minute), By: "i-1",
			Service: "fleet", Target: jenner.TargetRef{Kind: "sim", Name: "another"}}
		if err := m.program.store.PutLedger(t.Context(), held); err != nil {
			t.Fatal(err)
		}
		if err := m.program.drill("two"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		if effects := m.world.Effects(); len(effects) > 0 || !strings.Contains(m.told(), "service fleet would have 3, and 2 are allowed at once") {
			t.Errorf("hit were %v, told was:\n%s", effects, m.told())
		}
		m.await(jenner.PhaseObserve)
	})
}

// TestAbortConditionsHoldInEveryPhase: wherever the drill stands, a condition that comes to hold ends it, and nothing of a
// fault is left.
func TestAbortConditionsHoldInEveryPhase(t *testing.T) {
	for _, phase := range []jenner.Phase{jenner.PhaseBaseline, jenner.PhaseControl, jenner.PhaseObserve, jenner.PhaseRecover, jenner.PhaseStay} {
		t.Run(string(phase), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := laboratory(t, 2, jenner.Experiment{Name: "crash", Service: "fleet", Control: phase == jenner.PhaseControl, ControlFor: seconds(20),
					Faults: []jenner.FaultSpec{{Fault: "kill", Target: "fleet"}}, Expect: jenner.Expectation{Cause: "crashed", Runbook: "restart"},
					Stages:  []jenner.Stage{{Name: "only", SteadyFor: seconds(20)}, {Name: "never"}},
					AbortIf: []string{`metric("danger") > 0`}})
				defer func() { m.program.shut() }()
				m.world.SetAnswer("danger", 0)
				if phase == jenner.PhaseObserve {
					if err := m.plan("freeze", "fleet", "1h"); err != nil {
						t.Fatal(err)
					}
				}
				if err := m.program.drill("crash"); err != nil {
					t.Fatal(err)
				}
				m.await(phase)
				m.world.SetAnswer("danger", 1)
				drill := m.ended1(t)
				if !strings.HasPrefix(drill.Aborted, "abort condition: metric") || len(drill.Results) != 1 || drill.Results[0].Verdict != jenner.VerdictAborted {
					t.Errorf("aborted %q, results %+v", drill.Aborted, drill.Results)
				}
				told := m.told()
				if _, after, _ := strings.Cut(told, "→ "+string(phase)); !strings.Contains(after, string(phase)+" → undo") || strings.Contains(after, "→ preflight") {
					t.Errorf("it went on:\n%s", told)
				}
				if open, err := m.program.lab.Injector.Journal.Open(); err != nil || len(open) > 0 {
					t.Errorf("left are %v (%v)", open, err)
				}
			})
		})
	}
}

// TestABlindAbortConditionRenewsNoLease: while the probe that an abort condition names gives no answers, nobody knows
// whether the fault may live on. It ends with its lease, and the drill with it.
func TestABlindAbortConditionRenewsNoLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := laboratory(t, 1, jenner.Experiment{Name: "slow", Service: "fleet", Lease: seconds(4),
			Faults:  []jenner.FaultSpec{{Fault: "slow", Target: "fleet/replica-00", Params: jenner.Params{"latency": jenner.Raw("5ms")}}},
			AbortIf: []string{`probe("ready").failing_for > duration("1m")`}})
		defer func() { m.program.shut() }()
		if err := m.program.drill("slow"); err != nil {
			t.Fatal(err)
		}
		m.await(jenner.PhaseObserve)
		time.Sleep(15 * time.Second)
		if strings.Contains(m.told(), "abort") {
			t.Fatalf("it was aborted although the condition could be seen:\n%s", m.told())
		}
		m.see(false)
		blind := time.Now()
		drill := m.ended1(t)
		if !strings.Contains(drill.Aborted, "probe ready of fleet gives no answers, so that the lease of sim.slow was not renewed") {
			t.Errorf("aborted: %q", drill.Aborted)
		}
		if lasted := drill.UndoneAt.Sub(blind); lasted > 4*time.Second+3*time.Second {
			t.Errorf("it lasted for %s after the last look, with a lease of 4s", lasted)
		}
	})
}

// ended1 waits for the end of the only drill; what is undone while nobody can see it waits for the sight to come back.
func (m *machine) ended1(t *testing.T) jenner.Drill {
	t.Helper()
	for range 2000 {
		time.Sleep(100 * time.Millisecond)
		drills, err := m.program.records(t.Context(), loop.DrillLine, time.Time{})
		if err != nil || len(drills) != 1 {
			t.Fatal(drills, err)
		}
		if drills[0].Ended {
			return decode[jenner.Drill](t, drills[0])
		}
	}
	t.Fatalf("it does not end:\n%s", m.told())
	return jenner.Drill{}
}

// TestRepeatedRounds: the rounds together are PROVEN only where each is, with the spread of their times; and what is proved
// is proved once, by all of them.
func TestRepeatedRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crash := jenner.Experiment{Name: "crash", Service: "fleet", Repeat: 4, Timeout: seconds(10),
			Faults: []jenner.FaultSpec{{Fault: "kill", Target: "fleet"}}, Expect: jenner.Expectation{Cause: "crashed", Runbook: "restart"}}
		m := laboratory(t, 1, crash)
		defer func() { m.program.shut() }()
		drill := m.drilled("crash", 5*time.Minute)
		overall := drill.Overall
		if overall.Verdict != jenner.VerdictProven || overall.Rounds != 4 || overall.Proven != 4 || overall.Recovered.Count != 4 ||
			overall.Recovered.Min <= 0 || overall.Recovered.P50 > overall.Recovered.P90 || overall.Recovered.P90 > overall.Recovered.Max {
			t.Errorf("overall %+v", overall)
		}
		proofs, err := m.program.store.Proofs(t.Context())
		if err != nil || len(proofs) != 1 || proofs[0].Verdict != jenner.VerdictProven {
			t.Errorf("proved is %+v (%v)", proofs, err)
		}
	})
}

// TestOneRoundThatFailsSpoilsTheProof: in the third of four rounds nobody helps, and so the runbook is not proved, although
// the last round went well again.
func TestOneRoundThatFailsSpoilsTheProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crash := jenner.Experiment{Name: "crash", Service: "fleet", Repeat: 3, Timeout: seconds(5),
			Faults: []jenner.FaultSpec{{Fault: "kill", Target: "fleet"}}, Expect: jenner.Expectation{Cause: "crashed", Runbook: "restart"}}
		m := laboratory(t, 1, crash)
		defer func() { m.program.shut() }()
		if err := m.program.drill("crash"); err != nil {
			t.Fatal(err)
		}
		m.awaitText("verdict: PROVEN")
		if err := m.plan("freeze", "fleet", "7s"); err != nil {
			t.Fatal(err)
		}
		drill := m.ended1(t)
		var verdicts []jenner.Verdict
		for _, result := range drill.Results {
			verdicts = append(verdicts, result.Verdict)
		}
		if !slices.Equal(verdicts, []jenner.Verdict{jenner.VerdictProven, jenner.VerdictNotRemediated, jenner.VerdictProven}) {
			t.Fatalf("the rounds came out as %v:\n%s", verdicts, m.told())
		}
		if drill.Overall.Verdict != jenner.VerdictNotRemediated || drill.Overall.Proven != 2 {
			t.Errorf("overall %+v", drill.Overall)
		}
		proofs, err := m.program.store.Proofs(t.Context())
		for _, proof := range proofs {
			if proof.Verdict == jenner.VerdictProven {
				t.Errorf("this is kept as a proof: %+v", proof)
			}
		}
		if err != nil || len(proofs) == 0 {
			t.Errorf("nothing is kept of the round that failed (%v)", err)
		}
	})
}

func (m *machine) awaitText(text string) {
	m.t.Helper()
	for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if strings.Contains(m.told(), text) {
			return
		}
	}
	m.t.Fatalf("%q does not come:\n%s", text, m.told())
}

// TestTwoDrillsNeverRunAtTheSameTime: of drills about the same service that begin in the same instant, in whatever order,
// one runs after the other, and none of them gives up.
func TestTwoDrillsNeverRunAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var experiments []jenner.Experiment
		for i := range 4 {
			experiments = append(experiments, jenner.Experiment{Name: fmt.Sprint("crash-", i), Service: "fleet", Control: true, ControlFor: seconds(20),
				Timeout: seconds(10), Faults: []jenner.FaultSpec{{Fault: "kill", Target: "fleet"}}, Expect: jenner.Expectation{Cause: "crashed"}})
		}
		m := laboratory(t, 1, experiments...)
		defer func() { m.program.shut() }()
		for _, experiment := range experiments {
			if err := m.program.drill(experiment.Name); err != nil {
				t.Fatal(err)
			}
		}
		struck := 0
		for deadline := time.Now().Add(10 * time.Minute); time.Now().Before(deadline) && struck < 8; time.Sleep(time.Second) {
			struck = 0
			for _, effect := range m.world.Effects() {
				if effect.What == "fault kill" {
					struck++
				}
			}
		}
		drills, err := m.program.records(t.Context(), loop.DrillLine, time.Time{})
		if err != nil || struck != 8 {
			t.Fatalf("%d faults were injected, and 8 should have been (%v):\n%s", struck, err, m.told())
		}
		var spans [][2]time.Time
		for _, record := range drills {
			drill := decode[jenner.Drill](t, record)
			if drill.Aborted != "" {
				t.Errorf("%s gave up: %s", record.ID, drill.Aborted)
			}
			spans = append(spans, [2]time.Time{drill.ReservedAt, record.Updated})
		}
		for i, one := range spans {
			for j, other := range spans {
				if i != j && one[0].Before(other[1]) && other[0].Before(one[1]) {
					t.Errorf("one went on from %v to %v, another from %v to %v", one[0], one[1], other[0], other[1])
				}
			}
		}
	})
}

// TestNoFaultIsLeftInTheJournal: a drill with faults that come and go at their own times leaves nothing in the journal.
func TestNoFaultIsLeftInTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := laboratory(t, 4, jenner.Experiment{Name: "mixed", Service: "fleet", Timeout: seconds(5), Faults: []jenner.FaultSpec{
			{Fault: "slow", Target: "fleet/replica-00", For: seconds(2), Params: jenner.Params{"latency": jenner.Raw("5ms")}},
			{Fault: "kill", Target: "fleet/replica-02", After: seconds(1)},
			{Fault: "slow", Target: "fleet/replica-01", After: seconds(1), Params: jenner.Params{"latency": jenner.Raw("5ms")}}}})
		defer func() { m.program.shut() }()
		m.drilled("mixed", 5*time.Minute)
		journal, err := chaos.OpenJournal(m.dir + "/faults")
		if err != nil {
			t.Fatal(err)
		}
		if open, err := journal.Open(); err != nil || len(open) > 0 {
			t.Errorf("left are %v (%v)", open, err)
		}
	})
}
