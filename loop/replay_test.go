package loop_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/learn"
	"github.com/jenner-heal/jenner/loop"
)

// keptIncident is an incident as the store has it.
type keptIncident struct {
	jenner.Incident
	phase    jenner.Phase
	timeline []jenner.Entry
	scene    jenner.Scene
	recorded bool
}

// kept are the incidents about a service, the oldest first.
func (m *machine) kept(service string) []keptIncident {
	m.t.Helper()
	records, err := m.program.records(m.t.Context(), loop.IncidentLine, time.Time{})
	if err != nil {
		m.t.Fatal(err)
	}
	slices.SortFunc(records, func(x, y jenner.Record) int { return x.Created.Compare(y.Created) })
	var all []keptIncident
	for _, record := range records {
		if record.Subject != service {
			continue
		}
		one := keptIncident{Incident: decode[jenner.Incident](m.t, record), phase: record.Phase}
		if one.timeline, err = m.program.store.Timeline(m.t.Context(), loop.IncidentLine, record.ID); err != nil {
			m.t.Fatal(err)
		}
		if one.scene, one.recorded, err = loop.SceneOf(one.Incident, one.timeline); err != nil {
			m.t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// replay is one with the documents, on what the machine has kept.
func (m *machine) replay(docs *jenner.Documents) loop.Replay {
	stepper := m.program.loop.Stepper
	return loop.Replay{Docs: docs, Memory: m.program.store, Stepper: &act.Stepper{Executor: stepper.Executor, Action: stepper.Action,
		Host: stepper.Host, Docs: func() *jenner.Documents { return docs }}}
}

func (one keptIncident) replayed(t *testing.T, with loop.Replay) loop.Replayed {
	t.Helper()
	now, err := with.Run(t.Context(), one.ID, one.Service, one.scene)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// changed is a copy of the documents of which one policy and the rest may be changed.
func changed(docs *jenner.Documents, change func(docs *jenner.Documents, policy *jenner.Policy)) *jenner.Documents {
	other := *docs
	other.Policies, other.Signatures, other.Runbooks = slices.Clone(docs.Policies), slices.Clone(docs.Signatures), slices.Clone(docs.Runbooks)
	i := slices.IndexFunc(other.Policies, func(p jenner.Policy) bool { return p.IncidentType == "crashed" })
	change(&other, &other.Policies[i])
	return &other
}

// TestReplay: the same files decide what was decided, others decide otherwise, and nothing is done or written by it.
func TestReplay(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	synctest.Test(t, func(t *testing.T) {
		m := scene(t, common, jenner.Documents{})
		m.boot()
		defer func() { m.program.shut() }()
		time.Sleep(time.Second)
		m.world.Kill("checkout")
		time.Sleep(time.Minute)
		kept := m.kept("checkout")
		if len(kept) != 1 || kept[0].phase != jenner.PhaseResolved || !kept[0].recorded {
			t.Fatalf("no recorded incident that was healed:\n%s", m.told())
		}
		one, before, told := kept[0], m.world.Effects(), m.told()
		for name, c := range replays {
			now := one.replayed(t, m.replay(changed(m.docs, c.change)))
			if again := one.replayed(t, m.replay(changed(m.docs, c.change))); !cmp.Equal(now, again) {
				t.Errorf("%s: the second time it says something else:\n%s", name, cmp.Diff(now, again))
			}
			got := now.Nothing
			if got == "" {
				got = string(now.Decision.Outcome) + " " + now.Decision.Runbook + " " + now.Decision.Stopper().Guard
			}
			if got != c.want {
				t.Errorf("%s: %q, not %q\n%+v", name, got, c.want, now.Decision)
			}
		}
		if then, now := one.Decisions[0], one.replayed(t, m.replay(m.docs)).Decision; then.Outcome != now.Outcome || then.Target != now.Target ||
			then.Policy != now.Policy || !then.At.Equal(now.At) {
			t.Errorf("it was decided %+v, and the replay says %+v", then, now)
		}
		time.Sleep(time.Minute)
		if after := m.world.Effects(); !cmp.Equal(before, after) {
			t.Errorf("a replay did something: %s", cmp.Diff(before, after))
		}
		if after := m.told(); after != told {
			t.Errorf("a replay wrote something down: %s", cmp.Diff(told, after))
		}
	})
}

var replays = map[string]struct {
	change func(docs *jenner.Documents, policy *jenner.Policy)
	want   string
}{
	"the same files": {func(*jenner.Documents, *jenner.Policy) {}, "act restart "},
	"a higher threshold": {func(_ *jenner.Documents, policy *jenner.Policy) { policy.ConfidenceThreshold = 1 },
		"wait restart confidence"},
	"a shyer mode": {func(_ *jenner.Documents, policy *jenner.Policy) { policy.Mode = jenner.ModeApprove }, "ask restart mode"},
	"the shyest":   {func(_ *jenner.Documents, policy *jenner.Policy) { policy.Mode = jenner.ModeShadow }, "refuse restart mode"},
	"another runbook": {func(docs *jenner.Documents, policy *jenner.Policy) {
		docs.Runbooks = append(docs.Runbooks, jenner.Runbook{Name: "revive", Steps: []jenner.Step{step("again", "restart", nil)}})
		policy.Runbooks = []string{"revive", "restart"}
	}, "act revive "},
	"nobody is asked for the cause": {func(docs *jenner.Documents, policy *jenner.Policy) { policy.IncidentType = "another" },
		"no policy says what to do about crashed on checkout"},
	"no signature": {func(docs *jenner.Documents, _ *jenner.Policy) { docs.Signatures = nil },
		"the cause is unknown: no signature fits what was seen"},
	"an error budget that nobody kept": {func(docs *jenner.Documents, policy *jenner.Policy) {
		docs.Services = slices.Clone(docs.Services)
		docs.Services[0].SLOs = []jenner.SLO{{Name: "answers"}}
		policy.ErrorBudget = &jenner.BudgetRule{SLO: "answers", AskBelow: 0.5}
	}, "ask restart budget"},
}

// TestReplayOfWhatWasNotAsked: evidence that today's files want and nobody looked at then is missing, and is said to be.
func TestReplayOfWhatWasNotAsked(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	synctest.Test(t, func(t *testing.T) {
		m := scene(t, common, jenner.Documents{})
		m.boot()
		defer func() { m.program.shut() }()
		time.Sleep(time.Second)
		m.world.Kill("checkout")
		time.Sleep(time.Minute)
		one := m.kept("checkout")[0]
		more := changed(m.docs, func(docs *jenner.Documents, _ *jenner.Policy) {
			for i, signature := range docs.Signatures {
				if signature.Name == "crashed" {
					docs.Signatures[i].Evidence = append(slices.Clone(signature.Evidence),
						jenner.EvidencePattern{PromQL: "queue_length > 3", Weight: 10})
				}
			}
		})
		now := one.replayed(t, m.replay(more))
		cause, _ := now.Incident.Diagnosis.Best()
		was, _ := one.Diagnosis.Best()
		if now.Decision.Stopper().Guard != "confidence" || cause.Confidence >= was.Confidence {
			t.Errorf("with evidence missing it is as sure as before: %v, then %v, %+v", cause.Confidence, was.Confidence, now.Decision)
		}
		missing := slices.ContainsFunc(cause.Evidence, func(e jenner.Evidence) bool {
			return e.Finding == jenner.Missing && strings.Contains(e.What, "queue_length") && strings.Contains(e.Saw, "nobody asked for")
		})
		if !missing {
			t.Errorf("it is not said what is missing: %+v", cause.Evidence)
		}
		alone := one
		alone.scene, alone.recorded, _ = loop.SceneOf(one.Incident, nil)
		if now = alone.replayed(t, m.replay(m.docs)); alone.recorded || now.Decision.Outcome == jenner.DecideAct {
			t.Errorf("with nothing but the alerts it decides %+v", now.Decision)
		}
	})
}

// TestReplayOfASymptom: what was seen of a symptom leads to the service that it comes from: nothing is decided where an
// incident about that one was open, and otherwise it is decided about.
func TestReplayOfASymptom(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	synctest.Test(t, func(t *testing.T) {
		m := (&story{world: "ledger\npayments needs ledger\ncheckout needs payments", docs: &jenner.Documents{}}).machine(t, common)
		m.boot()
		defer func() { m.program.shut() }()
		if err := m.world.Set("ledger", "start_takes", "20s"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		m.world.Kill("ledger")
		time.Sleep(2 * time.Second)
		seen := jenner.Scene{At: time.Now()}
		for _, service := range []string{"ledger", "payments", "checkout"} {
			seen.Firing = append(seen.Firing, m.program.loop.Board.Firing(service)...)
			seen.Probes = append(seen.Probes, m.program.telemetry.Probes(service)...)
		}
		time.Sleep(time.Minute)
		root, one := m.kept("ledger")[0], keptIncident{Incident: jenner.Incident{ID: "i-0", Service: "checkout"}, scene: seen}
		with, asked := m.replay(m.docs), time.Time{}
		with.Explains = func(service string, at time.Time) (string, bool) {
			asked = at
			return root.ID, service == "ledger"
		}
		now := one.replayed(t, with)
		if now.Nothing != "a symptom of ledger, which "+root.ID+" explains" || now.Incident.SymptomOf != root.ID || !asked.Equal(seen.At) {
			t.Errorf("asked for %s, it is no symptom of %s: %q, %+v", asked, root.ID, now.Nothing, now.Decision)
		}
		with.Explains = func(string, time.Time) (string, bool) { return "", false }
		if now = one.replayed(t, with); now.Decision.Service != "ledger" {
			t.Errorf("where no other incident was open, it does not decide about ledger: %q, %+v", now.Nothing, now.Decision)
		}
	})
}

// recollection is a loop.Memory of which everything is said.
type recollection struct {
	ledger     []jenner.LedgerEntry
	judgements []jenner.Judgement
	proofs     []jenner.Proof
	asked      []int // the limits that were asked for
}

func (m *recollection) LedgerOf(context.Context, string, time.Time, time.Time) ([]jenner.LedgerEntry, error) {
	return m.ledger, nil
}
func (m *recollection) LedgerOfRunbook(_ context.Context, _ string, limit int) ([]jenner.LedgerEntry, error) {
	m.asked = append(m.asked, limit)
	return m.ledger[max(0, len(m.ledger)-limit):], nil
}
func (m *recollection) LedgerOfPolicy(context.Context, string, time.Time) ([]jenner.LedgerEntry, error) {
	return m.ledger, nil
}
func (m *recollection) Judgements(context.Context, string, time.Time) ([]jenner.Judgement, error) {
	return m.judgements, nil
}
func (m *recollection) Proofs(context.Context) ([]jenner.Proof, error) { return m.proofs, nil }

// TestReplayKnowsNothingOfLater: what was done, proved and judged counts up to the incident, and nothing of later does.
func TestReplayKnowsNothingOfLater(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	synctest.Test(t, func(t *testing.T) {
		m := scene(t, common, jenner.Documents{})
		m.boot()
		defer func() { m.program.shut() }()
		time.Sleep(time.Second)
		m.world.Kill("checkout")
		time.Sleep(time.Minute)
		one := m.kept("checkout")[0]
		at := one.scene.At
		runs := func(first time.Time, result string, many int) []jenner.LedgerEntry {
			var all []jenner.LedgerEntry
			for i := range many {
				begin := first.Add(time.Duration(i) * time.Second)
				all = append(all, jenner.LedgerEntry{ID: begin.String(), Kind: jenner.LedgerAction, At: begin, Until: begin.Add(time.Second),
					Service: "checkout", Target: one.Alerts[0].Target, Policy: "crashed", Runbook: "restart", Cause: "crashed", Result: result})
			}
			return all
		}
		earned := changed(m.docs, func(_ *jenner.Documents, policy *jenner.Policy) {
			policy.Promotion = &jenner.Promotion{Start: jenner.ModeRecommend, Decisions: 1, Success: 0.1}
		})
		book, _ := m.docs.Runbook("restart")
		judged := func(when time.Time) []jenner.Judgement {
			return []jenner.Judgement{{At: when, Incident: "i-0", Policy: "crashed", Service: "checkout", Runbook: "restart",
				Version: jenner.Hash(book), Mode: jenner.ModeRecommend, Outcome: jenner.DecideRecommend, Right: jenner.RightDecision}}
		}
		proved := func(when time.Time) []jenner.Proof {
			return []jenner.Proof{{Service: "checkout", Runbook: "restart", Verdict: jenner.VerdictProven, At: when, Drill: "d-0",
				Versions: learn.VersionsNow(m.docs, m.docs.Services[0], book, "crashed")}}
		}
		proof := changed(m.docs, func(_ *jenner.Documents, policy *jenner.Policy) { policy.RequiresProof = jenner.Duration(time.Hour) })
		for name, c := range map[string]struct {
			docs   *jenner.Documents
			memory recollection
			want   string
		}{
			"failed runs before":           {m.docs, recollection{ledger: runs(at.Add(-time.Minute), "failed", 9)}, "refuse attempts"},
			"failed runs after":            {m.docs, recollection{ledger: runs(at.Add(time.Second), "failed", 9)}, "act "},
			"many after, and some before":  {m.docs, recollection{ledger: append(runs(at.Add(-time.Minute), "failed", 4), runs(at, "passed", 500)...)}, "refuse attempts"},
			"judged right before":          {earned, recollection{judgements: judged(at.Add(-time.Second))}, "ask mode"},
			"judged right after":           {earned, recollection{judgements: judged(at.Add(time.Second))}, "recommend mode"},
			"proved before":                {proof, recollection{proofs: proved(at.Add(-time.Minute))}, "act "},
			"proved after":                 {proof, recollection{proofs: proved(at.Add(time.Minute))}, "ask proof"},
			"proved at that very instant":  {proof, recollection{proofs: proved(at)}, "ask proof"},
			"nothing was ever done before": {m.docs, recollection{}, "act "},
		} {
			with := m.replay(c.docs)
			with.Memory = &c.memory
			now := one.replayed(t, with)
			if got := string(now.Decision.Outcome) + " " + now.Decision.Stopper().Guard; got != c.want {
				t.Errorf("%s: %q, not %q: %s", name, got, c.want, now.Decision.Stopper().Reason)
			}
			breaker := now.Decision.Guards[slices.IndexFunc(now.Decision.Guards, func(g jenner.GuardResult) bool { return g.Guard == "breaker" })]
			if strings.HasPrefix(name, "many after") && breaker.Outcome == jenner.DecideAct {
				t.Errorf("%s: the runs before were not found behind those after (asked for %v): %s", name, c.memory.asked, breaker.Reason)
			}
		}
	})
}

// TestReplayOfARunThatWentOn: what another run came to was not known while it went on.
func TestReplayOfARunThatWentOn(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	synctest.Test(t, func(t *testing.T) {
		m := scene(t, common, jenner.Documents{})
		m.boot()
		defer func() { m.program.shut() }()
		time.Sleep(time.Second)
		m.world.Kill("checkout")
		time.Sleep(time.Minute)
		one := m.kept("checkout")[0]
		other := jenner.LedgerEntry{ID: "i-1/1", Kind: jenner.LedgerAction, At: one.scene.At.Add(-time.Second), Until: one.scene.At.Add(time.Second),
			By: "i-1", Service: "checkout", Target: one.Alerts[0].Target, Policy: "crashed", Runbook: "restart", Cause: "crashed", Result: "passed"}
		with := m.replay(m.docs)
		with.Memory = &recollection{ledger: []jenner.LedgerEntry{other}}
		now := one.replayed(t, with)
		stops := func(guard string) bool {
			return slices.ContainsFunc(now.Decision.Guards, func(g jenner.GuardResult) bool {
				return g.Guard == guard && g.Outcome != jenner.DecideAct
			})
		}
		if now.Decision.Outcome == jenner.DecideAct || !stops("concurrency") {
			t.Errorf("the run that held the target then is not seen: %+v", now.Decision)
		}
		for _, guard := range now.Decision.Guards {
			if guard.Guard == "recurrence" && guard.Numbers["healed"] != "0" {
				t.Errorf("it was known then how the run would end: %+v", guard)
			}
		}
	})
}

// TestSceneOf: the last one before anything was done; alerts of that time are in it whoever looked at them; a broken one
// is an error and not taken for none.
func TestSceneOf(t *testing.T) {
	at := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	shown := func(seconds int) jenner.Entry {
		return jenner.Entry{Kind: jenner.EntryScene, Data: jenner.Raw(jenner.Scene{At: at.Add(time.Duration(seconds) * time.Second)})}
	}
	incident := jenner.Incident{ID: "i-1", Service: "a", OpenedAt: at, Alerts: []jenner.Alert{
		{Fingerprint: "on", Service: "a", StartsAt: at, SeenAt: at.Add(time.Hour), EndsAt: at.Add(time.Hour), Status: jenner.Resolved},
		{Fingerprint: "over", Service: "a", StartsAt: at, EndsAt: at.Add(time.Second), Status: jenner.Resolved},
		{Fingerprint: "later", Service: "a", StartsAt: at.Add(time.Minute), Status: jenner.Firing},
	}}
	scene, recorded, err := loop.SceneOf(incident, []jenner.Entry{shown(1), shown(5), {Kind: "run"}, shown(9)})
	if err != nil || !recorded || !scene.At.Equal(at.Add(5*time.Second)) {
		t.Errorf("the scene is of %s, %v, %v", scene.At, recorded, err)
	}
	if len(scene.Firing) != 1 || scene.Firing[0].Fingerprint != "on" || scene.Firing[0].Status != jenner.Firing || scene.Firing[0].SeenAt.After(scene.At) {
		t.Errorf("the alerts are %+v", scene.Firing)
	}
	if scene, recorded, err = loop.SceneOf(incident, nil); err != nil || recorded || len(scene.Firing) != 3 || !scene.At.Equal(at) {
		t.Errorf("without one: %+v, %v, %v", scene, recorded, err)
	}
	_, _, err = loop.SceneOf(incident, []jenner.Entry{{Kind: jenner.EntryScene, Data: json.RawMessage(`{"at": 3}`)}})
	if err == nil || !strings.Contains(err.Error(), "i-1") {
		t.Errorf("a broken scene: %v", err)
	}
}

// TestReplayOnABrokenMemory: a memory that cannot be read is an error, and never taken for one with nothing in it.
func TestReplayOnABrokenMemory(t *testing.T) {
	common := documents(t, "testdata/common.yaml")
	synctest.Test(t, func(t *testing.T) {
		m := scene(t, common, jenner.Documents{})
		m.boot()
		defer func() { m.program.shut() }()
		time.Sleep(time.Second)
		m.world.Kill("checkout")
		time.Sleep(time.Minute)
		one := m.kept("checkout")[0]
		with := m.replay(m.docs)
		with.Memory = broken{&recollection{}}
		if _, err := with.Run(t.Context(), one.ID, one.Service, one.scene); !errors.Is(err, errTorn) {
			t.Errorf("a broken memory: %v", err)
		}
	})
}

var errTorn = errors.New("torn")

type broken struct{ *recollection }

func (broken) LedgerOfRunbook(context.Context, string, int) ([]jenner.LedgerEntry, error) {
	return nil, errTorn
}
