package diagnose

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
)

// TestStories tells apart what looks alike from the gateway: in each of them checkout does not answer as it should.
func TestStories(t *testing.T) {
	for _, story := range []struct {
		name       string
		happens    func(*shop)
		root       string
		path       string
		cause      jenner.Cause
		confidence float64
		target     string
	}{
		{"checkout was killed a moment ago", func(s *shop) { s.breaks("checkout", jenner.AliveProbe, jenner.ProbeFailing) },
			"checkout", "gateway checkout", "crashed", 0.75, "process/checkout"},
		// Its ready probe fails too, which hung explains nearly as well: 1 × (1 − (0.8 − 0.5)).
		{"checkout was killed, and is missed", func(s *shop) {
			s.breaks("checkout", jenner.AliveProbe, jenner.ProbeFailing)
			s.breaks("checkout", "ready", jenner.ProbeFailing)
		}, "checkout", "gateway checkout", "crashed", 0.7, "process/checkout"},
		{"checkout hangs", func(s *shop) { s.breaks("checkout", "ready", jenner.ProbeFailing) },
			"checkout", "gateway checkout", "hung", 1, "process/checkout"},
		{"ledger is down, and all above it are sick", func(s *shop) {
			s.breaks("checkout", "ready", jenner.ProbeFailing)
			s.breaks("payments", "ready", jenner.ProbeFailing)
			s.breaks("ledger", jenner.AliveProbe, jenner.ProbeFailing)
		}, "ledger", "gateway checkout payments ledger", "crashed", 0.75, "process/ledger"},
		{"the partner is slow", func(s *shop) {
			s.breaks("checkout", "ready", jenner.ProbeSlow)
			s.put("partner", "ready", jenner.ProbeSlow)
		}, "checkout", "gateway checkout", "slow-dependency", 1, "process/checkout"},
		// Checkout lives and does not answer, so that hung explains all of it as well: neither is sure enough to act on.
		{"the partner fails", func(s *shop) {
			s.breaks("checkout", "ready", jenner.ProbeFailing)
			s.breaks("partner", "ready", jenner.ProbeFailing)
		}, "checkout", "gateway checkout", "dependency-failure", 0.5, "process/checkout"},
	} {
		t.Run(story.name, func(t *testing.T) {
			world := newShop()
			world.breaks("gateway", "ready", jenner.ProbeFailing)
			story.happens(world)
			got := world.diagnose(t, "gateway", known...)
			if got.Root != story.root || strings.Join(got.Path, " ") != story.path || got.Unsure != "" || !got.At.Equal(now) {
				t.Errorf("root %s by %v, unsure %q; want %s by %s", got.Root, got.Path, got.Unsure, story.root, story.path)
			}
			best, _ := got.Best()
			if best.Cause != story.cause || !near(float64(best.Confidence), story.confidence) || best.Target.String() != story.target || best.Service != story.root {
				t.Errorf("got %s of %s, %s, %v: %s\nwant %s, %v, %s", best.Cause, best.Service, best.Target, best.Confidence,
					best.Formula, story.cause, story.confidence, story.target)
			}
		})
	}
}

func near(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 }

func TestNothingIsWrong(t *testing.T) {
	got := newShop().diagnose(t, "gateway", known[0])
	if diff := cmp.Diff(jenner.Diagnosis{At: now, Root: "gateway", Path: []string{"gateway"}}, got); diff != "" {
		t.Errorf("of a world that is well (-want +got):\n%s", diff)
	}
}

func TestADiagnosisShowsItsEvidence(t *testing.T) {
	world := newShop()
	world.breaks("checkout", jenner.AliveProbe, jenner.ProbeFailing)
	world.change("checkout", jenner.AliveProbe, func(p *jenner.ProbeState) { p.Message = "no process 4711" })
	world.change("checkout", "ready", func(p *jenner.ProbeState) { p.At = now.Add(-time.Minute) })
	best, _ := world.diagnose(t, "checkout", known[0]).Best()
	want := jenner.RankedCause{Cause: "crashed", Signature: "crashed", Service: "checkout",
		Target: jenner.TargetRef{Kind: "process", Name: "checkout"}, Confidence: 0.75, Formula: "3 of 4 matched: 0.75, no rival",
		Evidence: []jenner.Evidence{
			{What: "process: gone", Finding: jenner.Matched, Weight: 3, Saw: "process/checkout is gone: no process 4711"},
			{What: "probe: ready, is: failing", Finding: jenner.Missing, Weight: 1, Saw: "its last answer is 1m old"},
		}}
	if diff := cmp.Diff(want, best); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFormulaShowsTheRival(t *testing.T) {
	world := newShop()
	world.breaks("checkout", jenner.AliveProbe, jenner.ProbeFailing)
	world.breaks("checkout", "ready", jenner.ProbeFailing)
	best, _ := world.diagnose(t, "checkout", known...).Best()
	if want := "4 of 4 matched: 1; rival hung has 0.8: 1 × (1 − max(0, 0.8 − ½)) = 0.7"; best.Formula != want {
		t.Errorf("got  %s\nwant %s", best.Formula, want)
	}
}

func TestUnsure(t *testing.T) {
	for _, c := range []struct {
		name    string
		happens func(*shop)
		unsure  string
	}{
		{"everything below was looked at", func(*shop) {}, ""},
		{"ledger was not looked at since", func(s *shop) {
			s.change("ledger", "ready", func(p *jenner.ProbeState) { p.At = began })
		}, "ledger must be looked at first: probe ready was not answered since the trouble began; checkout may only suffer from it"},
		{"only whether it lives was looked at", func(s *shop) {
			s.change("inventory", "ready", func(p *jenner.ProbeState) { p.At = time.Time{} })
		}, "inventory must be looked at first: probe ready was never answered; checkout may only suffer from it"},
		{"ledger failed once", func(s *shop) {
			s.change("ledger", "ready", func(p *jenner.ProbeState) { p.LastOK, p.Streak = false, 1 })
		}, "ledger must be looked at first: the last 1 answers of probe ready were bad, which is not enough to call it failing; " +
			"checkout may only suffer from it"},
		{"ledger cannot be asked", func(s *shop) { s.put("ledger", "ready", jenner.ProbeUnknown) },
			"ledger must be looked at first: probe ready is unknown; checkout may only suffer from it"},
		{"ledger has no probe", func(s *shop) { delete(s.probes, "ledger") },
			"ledger must be looked at first, and it has no probe; checkout may only suffer from it"},
		{"ledger was not asked for long", func(s *shop) {
			for _, alert := range []string{"checkout", "gateway"} {
				s.alerts[alert][0].StartsAt = now.Add(-time.Hour)
			}
			s.change("ledger", "ready", func(p *jenner.ProbeState) { p.At = now.Add(-time.Minute) })
		}, "ledger must be looked at first: probe ready was last answered 1m ago; checkout may only suffer from it"},
		{"a third party's need not be", func(s *shop) { delete(s.probes, "partner") }, ""},
		{"a probe for evidence only need not be", func(s *shop) {
			service, no := s.services["ledger"], false
			service.Probes = []jenner.Probe{{Name: "deep", Alert: &no}}
			s.services["ledger"] = service
			s.change("ledger", "deep", func(p *jenner.ProbeState) { *p = jenner.ProbeState{Name: "deep", Service: "ledger"} })
		}, ""},
		{"checkout is gone, which nothing below explains", func(s *shop) {
			s.breaks("checkout", jenner.AliveProbe, jenner.ProbeFailing)
			delete(s.probes, "ledger")
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			world := newShop()
			world.breaks("gateway", "ready", jenner.ProbeFailing)
			world.breaks("checkout", "ready", jenner.ProbeFailing)
			c.happens(world)
			if got := world.diagnose(t, "gateway", known...); got.Root != "checkout" || got.Unsure != c.unsure {
				t.Errorf("root %s\ngot  %q\nwant %q", got.Root, got.Unsure, c.unsure)
			}
		})
	}
}

// TestUnsureCountsFromTheFirstSign: where no alert of the root fires yet, its failing probe is the first sign.
func TestUnsureCountsFromTheFirstSign(t *testing.T) {
	world := newShop()
	world.breaks("gateway", "ready", jenner.ProbeFailing)
	world.put("payments", "ready", jenner.ProbeFailing)
	world.put("checkout", "ready", jenner.ProbeFailing)
	world.change("payments", "ready", func(p *jenner.ProbeState) { p.Since = now.Add(-50 * time.Millisecond) })
	world.put("payments", "deep", jenner.ProbeFailing)
	world.change("payments", "deep", func(p *jenner.ProbeState) { p.Since = now.Add(-10 * time.Millisecond) })
	for _, probe := range []string{jenner.AliveProbe, "ready"} {
		world.change("ledger", probe, func(p *jenner.ProbeState) { p.At = now.Add(-60 * time.Millisecond) })
	}
	got := world.diagnose(t, "gateway")
	if got.Root != "payments" || !strings.HasPrefix(got.Unsure, "ledger must be looked at first: probe alive was not answered since") {
		t.Errorf("root %s, unsure %q", got.Root, got.Unsure)
	}
	for _, probe := range []string{jenner.AliveProbe, "ready"} {
		world.change("ledger", probe, func(p *jenner.ProbeState) { p.At = now.Add(-40 * time.Millisecond) })
	}
	if got := world.diagnose(t, "gateway"); got.Unsure != "" {
		t.Errorf("ledger was looked at since the first of two probes failed; unsure %q", got.Unsure)
	}
}

func TestTriggers(t *testing.T) {
	runbook := func(name string, confidence jenner.Confidence) jenner.Runbook {
		return jenner.Runbook{Name: name, Trigger: &jenner.Trigger{Alert: "pool > 90%", Confidence: confidence}}
	}
	world := newShop()
	world.breaks("checkout", "ready", jenner.ProbeFailing)
	pool := jenner.TargetRef{Kind: "process", Name: "checkout-2"}
	world.fire(jenner.Alert{Name: "drain", Kind: jenner.AlertTrigger, Service: "checkout", Target: pool, Value: 0.93})
	world.fire(jenner.Alert{Name: "said", Kind: jenner.AlertTrigger, Service: "checkout"})
	world.fire(jenner.Alert{Name: "rule", Kind: jenner.AlertRule, Service: "checkout"})
	world.fire(jenner.Alert{Name: "other", Kind: jenner.AlertTrigger, Service: "gateway"})
	in := world.input("checkout", known...)
	in.Triggers = []jenner.Runbook{runbook("drain", 0), runbook("said", 0.9), runbook("rule", 0.9), runbook("other", 0.9), {Name: "none"}}
	got := Diagnose(t.Context(), in)

	var ranked []string
	for _, cause := range got.Causes {
		ranked = append(ranked, string(cause.Cause))
	}
	if diff := cmp.Diff([]string{"hung", "said", "drain", "crashed", "dependency-failure", "slow-dependency"}, ranked); diff != "" {
		t.Fatalf("the order (-want +got):\n%s", diff)
	}
	want := jenner.RankedCause{Cause: "drain", Signature: "drain", Service: "checkout", Target: pool, Confidence: 0.75,
		Formula: "0.75, medium, as the trigger does not say",
		Evidence: []jenner.Evidence{{What: "trigger: pool > 90%", Finding: jenner.Matched, Weight: 1,
			Saw: "fires since 2026-03-01T11:59:58Z, value 0.93"}}}
	if diff := cmp.Diff(want, got.Causes[2]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Its alert names no target, so it is that of the first alert that names one.
	if got.Causes[1].Confidence != 0.9 || got.Causes[1].Target != pool {
		t.Errorf("the trigger that says how sure it is: %v of %s", got.Causes[1].Confidence, got.Causes[1].Target)
	}
}

func TestSignaturesAreForTheServicesTheyPick(t *testing.T) {
	world := newShop()
	world.breaks("checkout", jenner.AliveProbe, jenner.ProbeFailing)
	other := known[0]
	other.Services = jenner.Selector{Names: []string{"payments"}}
	if got := world.diagnose(t, "checkout", other); len(got.Causes) != 0 {
		t.Errorf("a signature of payments explains checkout: %v", got.Causes)
	}
}

// TestTargets: the process that is gone, else what the first alert names, else the service's first target.
func TestTargets(t *testing.T) {
	second := jenner.TargetRef{Kind: "process", Name: "second"}
	two := func() *shop {
		s := newShop()
		service := s.services["inventory"]
		service.Targets = append(service.Targets, jenner.Target{Kind: "process", Name: "second"})
		s.services["inventory"] = service
		state := s.probes["inventory"][0]
		state.Target = second
		s.probes["inventory"] = append(s.probes["inventory"], state)
		return s
	}
	for _, c := range []struct {
		name    string
		happens func(*shop)
		target  string
	}{
		{"the second is gone", func(s *shop) {
			s.breaks("inventory", "ready", jenner.ProbeFailing)
			s.probes["inventory"][2].Status = jenner.ProbeFailing
		}, "process/second"},
		{"both live, and the alert names the second", func(s *shop) {
			s.put("inventory", "ready", jenner.ProbeFailing)
			s.fire(jenner.Alert{Name: "later", Service: "inventory", Target: jenner.TargetRef{Kind: "process", Name: "inventory"}, StartsAt: now})
			s.fire(jenner.Alert{Name: "no target", Service: "inventory", StartsAt: began.Add(-time.Second)})
			s.fire(jenner.Alert{Name: "first", Service: "inventory", Target: second})
		}, "process/second"},
		{"nothing is named", func(s *shop) {
			s.put("inventory", "ready", jenner.ProbeFailing)
			s.fire(jenner.Alert{Name: "no target", Service: "inventory"})
		}, "process/inventory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			world := two()
			c.happens(world)
			if best, _ := world.diagnose(t, "inventory", known...).Best(); best.Target.String() != c.target {
				t.Errorf("%s of %s, want %s", best.Cause, best.Target, c.target)
			}
		})
	}
}
