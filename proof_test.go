package jenner_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

var proven = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestAProofIsStale(t *testing.T) {
	versions := func(changes ...string) map[string]string {
		all := map[string]string{jenner.VersionExperiment: "e1", jenner.VersionService: "s1", jenner.VersionRunbook: "r1", jenner.VersionSignature: "g1"}
		for i := 0; i+1 < len(changes); i += 2 {
			if all[changes[i]] = changes[i+1]; changes[i+1] == "" {
				delete(all, changes[i])
			}
		}
		return all
	}
	proof := jenner.Proof{Drill: "d-1", At: proven, Versions: versions()}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		age, most time.Duration
		now       map[string]string
		want      string
	}{
		"fresh":                   {day, 30 * day, versions(), ""},
		"just before it is":       {30*day - 1, 30 * day, versions(), ""},
		"as old as is asked":      {30 * day, 30 * day, versions(), "drill d-1 was 30d ago"},
		"and some hours":          {30*day + 5*time.Hour, 30 * day, versions(), "drill d-1 was 30d ago"},
		"of any age":              {1000 * day, 0, versions(), ""},
		"another runbook":         {day, 0, versions("runbook", "r2"), "runbook has changed since drill d-1"},
		"another service":         {day, 0, versions("service", "s2"), "service has changed since drill d-1"},
		"another signature":       {day, 0, versions("signature", "g2"), "signature has changed since drill d-1"},
		"another experiment":      {day, 0, versions("experiment", "e2"), "experiment has changed since drill d-1"},
		"no signature any more":   {day, 0, versions("signature", ""), "signature has changed since drill d-1"},
		"something new beside it": {day, 0, versions("team", "t1"), "team has changed since drill d-1"},
		"two at once":             {day, 0, versions("runbook", "r2", "service", "s2"), "service and runbook have changed since drill d-1"},
		"changed, and old too":    {40 * day, 30 * day, versions("runbook", "r2"), "runbook has changed since drill d-1"},
	} {
		if got := proof.Stale(proven.Add(c.age), c.most, c.now); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
	if got := (jenner.Proof{Drill: "d-0", At: proven}).Stale(proven, 0, nil); got != "everything has changed since drill d-0" {
		t.Errorf("a proof of nothing in particular: %q", got)
	}
}

func TestRefutes(t *testing.T) {
	var refuting []jenner.Verdict
	for _, verdict := range jenner.Verdicts {
		if (jenner.Proof{Verdict: verdict}).Refutes() {
			refuting = append(refuting, verdict)
		}
	}
	if want := []jenner.Verdict{jenner.VerdictNotRemediated, jenner.VerdictHarmful}; !slices.Equal(refuting, want) {
		t.Errorf("%v refute, not %v", refuting, want)
	}
}
