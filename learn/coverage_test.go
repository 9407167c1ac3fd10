package learn_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/learn"
)

// coveredDocs are a shop with a policy that acts and has an experiment, one that acts and has none, one that only
// recommends, and one for a cause that no machine handles.
func coveredDocs() *jenner.Documents {
	target := jenner.Target{Kind: "process", Name: "shop"}
	return &jenner.Documents{
		Services: []jenner.Service{{Name: "shop", Targets: []jenner.Target{target}}, {Name: "bank", External: true}},
		Signatures: []jenner.Signature{{Name: "gone", Cause: "crashed", Evidence: []jenner.EvidencePattern{{Process: "gone"}}},
			{Name: "still", Cause: "hung", Evidence: []jenner.EvidencePattern{{Process: "alive"}}}},
		Runbooks: []jenner.Runbook{{Name: "restart"}, {Name: "replace"}},
		Policies: []jenner.Policy{
			{Name: "crash", IncidentType: "crashed", Runbooks: []string{"restart", "replace"}, Mode: jenner.ModeAuto, RequiresProof: jenner.Duration(30 * 24 * time.Hour)},
			{Name: "hang", IncidentType: "hung", Runbooks: []string{"restart"}, Mode: jenner.ModeAuto},
			{Name: "slow", IncidentType: "slow", Runbooks: []string{"restart"}, Mode: jenner.ModeRecommend},
			{Name: "corrupt", IncidentType: "data-corruption", Runbooks: []string{"restart"}, Mode: jenner.ModeAuto},
		},
		Experiments: []jenner.Experiment{
			{Name: "killed", Service: "shop", Faults: []jenner.FaultSpec{{Fault: "kill", Target: "shop"}}, Expect: jenner.Expectation{Cause: "crashed", Runbook: "restart"}},
			{Name: "quiet", Service: "shop", Expect: jenner.Expectation{Cause: "hung"}},
			{Name: "harmless", Service: "shop", Faults: []jenner.FaultSpec{{Fault: "hang", Target: "shop"}}, Expect: jenner.Expectation{Cause: "hung"}, ExpectVerdict: jenner.VerdictNotNeeded},
		},
	}
}

func fullName(fault, kind string) string {
	if kind != "process" {
		return ""
	}
	return kind + "." + fault
}

// provenBy are the proofs that a drill of an experiment leaves, a round for each verdict.
func provenBy(docs *jenner.Documents, id string, at time.Time, runbook string, verdicts ...jenner.Verdict) []jenner.Proof {
	var all []jenner.Proof
	for i, verdict := range verdicts {
		drill := jenner.Drill{ID: id, Experiment: docs.Experiments[0], EndedAt: at.Add(time.Duration(i) * time.Second),
			Versions: learn.VersionsAt(docs, []string{"shop"}), Injected: []jenner.FaultRecord{{Fault: "process.kill"}},
			Result: jenner.DrillResult{Verdict: verdict, Runbook: runbook, Cause: "crashed", Target: "shop"}}
		all = append(all, learn.ProofFrom(drill, docs)...)
	}
	return all
}

func TestCoverage(t *testing.T) {
	docs := coveredDocs()
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		proofs []jenner.Proof
		change func(*jenner.Documents)
		want   string // of the row kill × shop × restart
	}{
		"nothing was ever tried": {nil, nil, "never tried"},
		"proven":                 {provenBy(docs, "d-1", opened.Add(-day), "restart", "PROVEN", "PROVEN"), nil, "proven"},
		"proven too long ago":    {provenBy(docs, "d-1", opened.Add(-31*day), "restart", "PROVEN"), nil, "stale drill d-1 was 31d ago"},
		"one round was not":      {provenBy(docs, "d-1", opened.Add(-day), "restart", "PROVEN", "NOT_REMEDIATED", "PROVEN"), nil, "failing NOT_REMEDIATED"},
		"slow is not proven":     {provenBy(docs, "d-1", opened.Add(-day), "restart", "PROVEN_SLOW"), nil, "failing PROVEN_SLOW"},
		"proven after it failed": {append(provenBy(docs, "d-1", opened.Add(-2*day), "restart", "HARMFUL"), provenBy(docs, "d-2", opened.Add(-day), "restart", "PROVEN")...), nil, "proven"},
		"failed after it was proven, listed the other way round": {append(provenBy(docs, "d-2", opened.Add(-day), "restart", "HARMFUL"),
			provenBy(docs, "d-1", opened.Add(-2*day), "restart", "PROVEN")...), nil, "failing HARMFUL"},
		"another runbook": {provenBy(docs, "d-1", opened.Add(-day), "replace", "PROVEN"), nil, "never tried"},
		"of tomorrow":     {provenBy(docs, "d-1", opened.Add(day), "restart", "PROVEN"), nil, "never tried"},
		"the runbook changed": {provenBy(docs, "d-1", opened.Add(-day), "restart", "PROVEN"), func(d *jenner.Documents) { d.Runbooks[0].Description = "x" },
			"stale runbook has changed since drill d-1"},
		"the service changed": {provenBy(docs, "d-1", opened.Add(-day), "restart", "PROVEN"), func(d *jenner.Documents) { d.Services[0].Tier = 1 },
			"stale service has changed since drill d-1"},
		"the signature changed": {provenBy(docs, "d-1", opened.Add(-day), "restart", "PROVEN"), func(d *jenner.Documents) { d.Signatures[0].Description = "x" },
			"stale signature has changed since drill d-1"},
		"another signature of the cause came": {provenBy(docs, "d-1", opened.Add(-day), "restart", "PROVEN"),
			func(d *jenner.Documents) {
				d.Signatures = append(d.Signatures, jenner.Signature{Name: "x", Cause: "crashed"})
			},
			"stale signature has changed since drill d-1"},
		"the signature of another cause changed": {provenBy(docs, "d-1", opened.Add(-day), "restart", "PROVEN"),
			func(d *jenner.Documents) { d.Signatures[1].Description = "x" }, "proven"},
		"the experiment changed": {provenBy(docs, "d-1", opened.Add(-day), "restart", "PROVEN"), func(d *jenner.Documents) { d.Experiments[0].Control = true },
			"stale experiment has changed since drill d-1"},
		"the policy changed": {provenBy(docs, "d-1", opened.Add(-day), "restart", "PROVEN"), func(d *jenner.Documents) { d.Policies[0].MaxAttempts = 9 }, "proven"},
	} {
		now := coveredDocs()
		if c.change != nil {
			c.change(now)
		}
		covered := learn.Coverage(now, c.proofs, opened, fullName)
		var rows []string
		proven := 0
		for _, row := range covered.Rows {
			rows = append(rows, fmt.Sprintf("%s %s %s %s", row.Service, row.Cause, row.Fault, row.Runbook))
			if row.Fault == "process.kill" && row.Runbook == "restart" {
				got := strings.TrimSpace(string(row.State) + " " + row.Why)
				if row.State == learn.CoverageFailing {
					got += " " + string(row.Verdict)
				}
				if got != c.want {
					t.Errorf("%s: %q, not %q", name, got, c.want)
				}
			}
			if row.State == learn.CoverageProven {
				proven++
			}
		}
		want := []string{"shop crashed process.kill replace", "shop crashed process.kill restart", "shop hung  restart"}
		if !slices.Equal(rows, want) {
			t.Fatalf("%s: the rows are %q, not %q", name, rows, want)
		}
		if want := float64(proven) / 3; covered.Share != want || covered.Proven != proven {
			t.Errorf("%s: %d are proven, a share of %f; not %d and %f", name, covered.Proven, covered.Share, proven, want)
		}
	}
	if empty := learn.Coverage(&jenner.Documents{}, nil, opened, fullName); len(empty.Rows) != 0 || empty.Share != 0 {
		t.Errorf("nothing to prove gives %+v", empty)
	}
}

// TestAProofIsOfTheDocumentsThatTheDrillBeganWith: what was changed while it went on has no version.
func TestAProofIsOfTheDocumentsThatTheDrillBeganWith(t *testing.T) {
	began := coveredDocs()
	drill := jenner.Drill{ID: "d-1", Experiment: began.Experiments[0], Versions: learn.VersionsAt(began, []string{"shop"}),
		Injected: []jenner.FaultRecord{{Fault: "process.kill"}}, Result: jenner.DrillResult{Verdict: jenner.VerdictProven, Runbook: "restart", Cause: "crashed"}}
	for name, change := range map[string]func(*jenner.Documents){
		"":          func(*jenner.Documents) {},
		"runbook":   func(d *jenner.Documents) { d.Runbooks[0].Description = "x" },
		"service":   func(d *jenner.Documents) { d.Services[0].Tier = 1 },
		"signature": func(d *jenner.Documents) { d.Signatures[0].Description = "x" },
	} {
		now := coveredDocs()
		change(now)
		proof := learn.ProofFrom(drill, now)[0]
		want := []string{"experiment", "runbook", "service", "signature"}
		want = slices.DeleteFunc(want, func(key string) bool { return key == name })
		if got := slices.Sorted(maps.Keys(proof.Versions)); !slices.Equal(got, want) {
			t.Errorf("%q changed: the proof is of %q", name, got)
		}
		if stale := learn.Stale(proof, now, opened, 0); (stale == "") != (name == "") {
			t.Errorf("%q changed while the drill went on: %q", name, stale)
		}
		if stale := learn.Stale(proof, began, opened, 0); (stale == "") != (name == "") {
			t.Errorf("%q was changed and changed back: %q", name, stale)
		}
	}
}

// TestCoverageOfStagesAndPicks: an experiment in stages covers the service of each, and a fault that picks among targets is
// that of the kind which it is for.
func TestCoverageOfStagesAndPicks(t *testing.T) {
	docs := coveredDocs()
	targets := []jenner.Target{{Kind: "file", Name: "conf"}, {Kind: "process", Name: "one"}, {Kind: "process", Name: "two"}}
	docs.Services = append(docs.Services, jenner.Service{Name: "staging", Targets: targets})
	docs.Services[0].Targets = targets
	docs.Policies = docs.Policies[:1]
	docs.Policies[0].Runbooks = []string{"restart"}
	docs.Experiments = []jenner.Experiment{{Name: "killed", Service: "shop", Faults: []jenner.FaultSpec{{Fault: "kill", Of: "shop", Pick: jenner.Pick{Count: 1}}},
		Expect: jenner.Expectation{Cause: "crashed"}, Stages: []jenner.Stage{{Name: "first", Service: "staging"}, {Name: "then"}}}}
	var rows []string
	for _, row := range learn.Coverage(docs, nil, opened, fullName).Rows {
		rows = append(rows, row.Service+" "+row.Fault)
	}
	if want := []string{"shop process.kill", "staging process.kill"}; !slices.Equal(rows, want) {
		t.Errorf("the rows are %q, not %q", rows, want)
	}
	docs.Experiments[0].Expect.Outcome = jenner.OutcomeNoAction
	for _, row := range learn.Coverage(docs, nil, opened, fullName).Rows {
		if row.Fault != "" {
			t.Errorf("an experiment in which nothing is to be healed declares %s", row.Fault)
		}
	}
}
