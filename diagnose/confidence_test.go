package diagnose

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

func TestConfidenceFormula(t *testing.T) {
	for _, c := range []struct{ s, rival, want float64 }{
		{1, 0, 1}, {1, 0.5, 1}, {1, 0.75, 0.75}, {1, 1, 0.5}, {0.8, 0.7, 0.64}, {0.5, 1, 0.25}, {0, 1, 0},
	} {
		if got := confidence(c.s, c.rival); !near(got, c.want) {
			t.Errorf("support %v against %v: %v, want %v", c.s, c.rival, got, c.want)
		}
	}
	if support(0, 0) != 0 || support(1, 4) != 0.25 {
		t.Errorf("support: %v of nothing, %v of one in four", support(0, 0), support(1, 4))
	}
}

func TestPropertiesOfTheFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		high, rivalHigh := rapid.Float64Range(0, 1).Draw(t, "s"), rapid.Float64Range(0, 1).Draw(t, "rival")
		low, rivalLow := rapid.Float64Range(0, high).Draw(t, "less s"), rapid.Float64Range(0, rivalHigh).Draw(t, "less rival")
		if c := confidence(high, rivalHigh); c < 0 || c > 1 || c > high {
			t.Fatalf("confidence(%v, %v) = %v", high, rivalHigh, c)
		}
		if confidence(low, rivalHigh) > confidence(high, rivalHigh) {
			t.Fatalf("less support made it surer")
		}
		if confidence(high, rivalHigh) > confidence(high, rivalLow) {
			t.Fatalf("a stronger rival made it surer")
		}
	})
}

// probed draws a signature about probes of one service, whose states are drawn too.
func probed(t *rapid.T, s *shop, cause jenner.Cause, probes []string) jenner.Signature {
	signature := jenner.Signature{Name: string(cause), Cause: cause}
	for _, probe := range probes {
		s.put("ledger", probe, rapid.SampledFrom([]jenner.ProbeStatus{jenner.ProbePassing, jenner.ProbeFailing, jenner.ProbeUnknown}).Draw(t, probe))
		signature.Evidence = append(signature.Evidence, jenner.EvidencePattern{Probe: probe, Is: "failing",
			Weight: jenner.Number(rapid.Float64Range(0.1, 10).Draw(t, probe+" weight"))})
	}
	return signature
}

func sureness(diagnosis jenner.Diagnosis, cause jenner.Cause) float64 {
	for _, one := range diagnosis.Causes {
		if one.Cause == cause {
			return float64(one.Confidence)
		}
	}
	return 0
}

// TestPropertiesOfADiagnosis: evidence of a cause that turns from not matched or missing to matched never makes that
// cause less sure, evidence that goes missing never makes it surer, and none of the confidences leaves [0,1].
func TestPropertiesOfADiagnosis(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		world := newShop()
		one := probed(t, world, "one", []string{"p1", "p2", "p3"})
		two := probed(t, world, "two", []string{"q1", "q2"})
		was := Diagnose(t.Context(), world.input("ledger", one, two))
		for i, cause := range was.Causes {
			if !(cause.Confidence >= 0 && cause.Confidence <= 1) {
				t.Fatalf("confidence %v", cause.Confidence)
			}
			if i > 0 && cause.Confidence > was.Causes[i-1].Confidence {
				t.Fatalf("cause %d is surer than the one before it", i)
			}
		}
		turned := rapid.SampledFrom([]string{"p1", "p2", "p3"}).Draw(t, "turned")
		world.put("ledger", turned, jenner.ProbeUnknown)
		without := Diagnose(t.Context(), world.input("ledger", one, two))
		world.put("ledger", turned, jenner.ProbeFailing)
		with := Diagnose(t.Context(), world.input("ledger", one, two))
		if a, b, c := sureness(without, "one"), sureness(was, "one"), sureness(with, "one"); a > b || b > c {
			t.Fatalf("%s missing: %v, as it was: %v, matched: %v", turned, a, b, c)
		}
	})
}

// TestTwoSignaturesOfOneCauseAreNoRivals: they tell of the same thing.
func TestTwoSignaturesOfOneCauseAreNoRivals(t *testing.T) {
	world := newShop()
	world.breaks("ledger", jenner.AliveProbe, jenner.ProbeFailing)
	again := known[0]
	again.Name, again.Evidence = "another", again.Evidence[:1]
	got := world.diagnose(t, "ledger", known[0], again)
	if len(got.Causes) != 2 || got.Causes[0].Signature != "another" || got.Causes[0].Confidence != 1 || got.Causes[1].Confidence != 0.75 {
		t.Errorf("got %+v", got.Causes)
	}
}

// TestEqualCausesStandByName, and the order of the files does not show, also not in the formula.
func TestEqualCausesStandByName(t *testing.T) {
	world := newShop()
	world.breaks("ledger", jenner.AliveProbe, jenner.ProbeFailing)
	var signatures []jenner.Signature
	for _, name := range []string{"c", "b", "a"} {
		signatures = append(signatures, jenner.Signature{Name: name, Cause: jenner.Cause(name), Evidence: []jenner.EvidencePattern{{Process: "gone"}}})
	}
	got := world.diagnose(t, "ledger", signatures...)
	if len(got.Causes) != 3 || got.Causes[0].Cause != "a" || got.Causes[1].Cause != "b" || got.Causes[2].Cause != "c" {
		t.Fatalf("got %+v", got.Causes)
	}
	if want := "1 of 1 matched: 1; rival a has 1: 1 × (1 − max(0, 1 − ½)) = 0.5"; got.Causes[2].Formula != want {
		t.Errorf("got %q, want %q", got.Causes[2].Formula, want)
	}
}

// TestEquallySureCausesStandBySupport: a trigger has all of its evidence, and goes before a signature that has half.
func TestEquallySureCausesStandBySupport(t *testing.T) {
	world := newShop()
	world.breaks("ledger", jenner.AliveProbe, jenner.ProbeFailing)
	world.fire(jenner.Alert{Name: "z", Kind: jenner.AlertTrigger, Service: "ledger"})
	in := world.input("ledger", jenner.Signature{Name: "a", Cause: "a", Evidence: []jenner.EvidencePattern{{Process: "gone"}, {Log: "x"}}})
	in.Triggers = []jenner.Runbook{{Name: "z", Trigger: &jenner.Trigger{Alert: "x", Confidence: 0.5}}}
	got := Diagnose(t.Context(), in)
	if len(got.Causes) != 2 || got.Causes[0].Cause != "z" || got.Causes[1].Confidence != 0.5 {
		t.Errorf("got %+v", got.Causes)
	}
}
