package diagnose

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// judged are patterns held against the world of TestEvidence, as checkout sees it.
var judged = []struct {
	pattern jenner.EvidencePattern
	finding jenner.Finding
	what    string
	saw     string
}{
	{jenner.EvidencePattern{Alert: "ErrorsHigh"}, jenner.Matched, "alert: ErrorsHigh", "fires since 2026-03-01T11:59:58Z, value 0.25"},
	{jenner.EvidencePattern{Alert: "Over"}, jenner.NotMatched, "alert: Over", "it does not fire"},
	{jenner.EvidencePattern{PromQL: "up"}, jenner.Matched, "promql: up", "1"},
	{jenner.EvidencePattern{PromQL: `p{service="$service"}`}, jenner.Matched, `promql: p{service="$service"}`, "0.95"},
	{jenner.EvidencePattern{PromQL: "down"}, jenner.NotMatched, "promql: down", "0"},
	{jenner.EvidencePattern{PromQL: "other"}, jenner.Missing, "promql: other", "no number of checkout among 1 answers"},
	{jenner.EvidencePattern{PromQL: "mixed"}, jenner.NotMatched, "promql: mixed", "0"},
	{jenner.EvidencePattern{PromQL: "nan"}, jenner.Missing, "promql: nan", "no number of checkout among 1 answers"},
	{jenner.EvidencePattern{PromQL: "negative"}, jenner.Matched, "promql: negative", "-2"},
	{jenner.EvidencePattern{PromQL: "absent"}, jenner.Missing, "promql: absent", "no answer: there is no data, or a comparison in it does not hold"},
	{jenner.EvidencePattern{Probe: "ready", Is: "failing"}, jenner.Matched, "probe: ready, is: failing", "failing: 503, last answer after 20ms"},
	{jenner.EvidencePattern{Probe: "ready", Is: "passing"}, jenner.NotMatched, "probe: ready, is: passing", "failing: 503, last answer after 20ms"},
	{jenner.EvidencePattern{Probe: "payments/ready", Is: "slow"}, jenner.Matched, "probe: payments/ready, is: slow", "slow, last answer after 20ms"},
	{jenner.EvidencePattern{Probe: "payments/ready", Is: "passing"}, jenner.NotMatched, "probe: payments/ready, is: passing", "slow, last answer after 20ms"},
	{jenner.EvidencePattern{Probe: "inventory/odd", Is: "failing"}, jenner.Missing, "probe: inventory/odd, is: failing", "it is unknown: no such host"},
	{jenner.EvidencePattern{Probe: "inventory/late", Is: "passing"}, jenner.Missing, "probe: inventory/late, is: passing", "its last answer is 10s old"},
	{jenner.EvidencePattern{Probe: "inventory/new", Is: "passing"}, jenner.Missing, "probe: inventory/new, is: passing", "it was never answered"},
	{jenner.EvidencePattern{Probe: "raedy", Is: "failing"}, jenner.Missing, "probe: raedy, is: failing", "checkout has no probe raedy"},
	{jenner.EvidencePattern{Probe: "ready"}, jenner.Missing, "probe: ready", `a probe is failing, passing or slow, not ""`},
	{jenner.EvidencePattern{Process: "alive"}, jenner.Matched, "process: alive", "process/checkout lives"},
	{jenner.EvidencePattern{Process: "gone"}, jenner.NotMatched, "process: gone", "process/checkout lives"},
	{jenner.EvidencePattern{Process: "dead"}, jenner.Missing, "process: dead", `a process is gone or alive, not "dead"`},
	{jenner.EvidencePattern{Dependency: "slow"}, jenner.Matched, "dependency: slow", "payments slow"},
	{jenner.EvidencePattern{Dependency: "sick"}, jenner.Missing, "dependency: sick", `a dependency is healthy, failing or slow, not "sick"`},
	{jenner.EvidencePattern{Log: "timed out"}, jenner.Missing, "log: timed out", "no source of logs is connected"},
	{jenner.EvidencePattern{Changed: "deploy", Within: jenner.Duration(15 * time.Minute)}, jenner.Missing, "changed: deploy, within: 15m", "no source of changes is connected"},
	{jenner.EvidencePattern{Event: "OOMKilled"}, jenner.Missing, "event: OOMKilled", "nothing tells of events of checkout"},
	{jenner.EvidencePattern{}, jenner.Missing, "", "the pattern does not say what to look for"},
	{jenner.EvidencePattern{Process: "alive", Weight: -2}, jenner.Missing, "process: alive", "the weight -2 cannot be used; write a number above 0"},
}

func TestEvidence(t *testing.T) {
	world := newShop()
	world.breaks("checkout", "ready", jenner.ProbeFailing)
	world.change("checkout", "ready", func(p *jenner.ProbeState) { p.Message = "503" })
	world.fire(jenner.Alert{Name: "ErrorsHigh", Service: "checkout", Value: 0.25})
	world.alerts["checkout"] = append(world.alerts["checkout"], jenner.Alert{Name: "Over", Service: "checkout", Status: jenner.Resolved})
	world.put("payments", "ready", jenner.ProbeSlow)
	world.put("inventory", "odd", jenner.ProbeUnknown)
	world.change("inventory", "odd", func(p *jenner.ProbeState) { p.Message = "no such host" })
	world.put("inventory", "late", jenner.ProbePassing)
	world.change("inventory", "late", func(p *jenner.ProbeState) { p.At = now.Add(-10 * time.Second) })
	world.put("inventory", "new", jenner.ProbeUnknown)
	world.change("inventory", "new", func(p *jenner.ProbeState) { p.At = time.Time{} })
	sample := func(value float64, service string) jenner.Sample {
		labels := map[string]string{"service": service}
		if service == "" {
			labels = nil
		}
		return jenner.Sample{Value: value, Labels: labels}
	}
	world.answers = map[string]jenner.Answer{
		"up":                    {Samples: []jenner.Sample{sample(1, "")}},
		`p{service="checkout"}`: {Samples: []jenner.Sample{sample(0.95, "checkout")}},
		"down":                  {Samples: []jenner.Sample{sample(0, ""), sample(0, "checkout")}},
		"other":                 {Samples: []jenner.Sample{sample(1, "payments")}},
		"mixed":                 {Samples: []jenner.Sample{sample(1, "payments"), sample(0, "checkout")}},
		"nan":                   {Samples: []jenner.Sample{sample(math.NaN(), "checkout")}},
		"negative":              {Samples: []jenner.Sample{sample(0, ""), sample(-2, "")}},
	}
	for _, c := range judged {
		t.Run(c.what, func(t *testing.T) {
			w := looking(world)
			got, _ := w.hold(t.Context(), w.service("checkout"), c.pattern)
			want := jenner.Evidence{What: c.what, Finding: c.finding, Weight: 1, Saw: c.saw}
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func looking(s *shop) world { return world{s.input("checkout")} }

func TestAQuestionThatCannotBeAskedIsMissing(t *testing.T) {
	world := newShop()
	world.answers["up"] = jenner.Answer{Samples: []jenner.Sample{{Value: 1}}}
	world.failed = errors.New("the store is closed")
	w := looking(world)
	got, _ := w.hold(t.Context(), w.service("checkout"), jenner.EvidencePattern{PromQL: "up"})
	if got.Finding != jenner.Missing || got.Saw != "it could not be asked: the store is closed" {
		t.Errorf("got %+v", got)
	}
}

func TestProcessEvidence(t *testing.T) {
	for _, c := range []struct {
		name        string
		happens     func(*shop)
		gone, alive jenner.Finding
	}{
		{"lives", func(*shop) {}, jenner.NotMatched, jenner.Matched},
		{"gone", func(s *shop) { s.put("checkout", "alive", jenner.ProbeFailing) }, jenner.Matched, jenner.NotMatched},
		{"nobody knows", func(s *shop) { s.put("checkout", "alive", jenner.ProbeUnknown) }, jenner.Missing, jenner.Missing},
		{"gone, as was seen long ago", func(s *shop) {
			s.put("checkout", "alive", jenner.ProbeFailing)
			s.change("checkout", "alive", func(p *jenner.ProbeState) { p.At = now.Add(-time.Minute) })
		}, jenner.Missing, jenner.Missing},
		{"not watched", func(s *shop) { s.probes["checkout"] = s.probes["checkout"][1:] }, jenner.Missing, jenner.Missing},
		{"one of two is gone", func(s *shop) {
			state := s.probes["checkout"][0]
			state.Target.Name, state.Status = "second", jenner.ProbeFailing
			s.probes["checkout"] = append(s.probes["checkout"], state)
		}, jenner.Matched, jenner.NotMatched},
		{"of one of two nobody knows", func(s *shop) {
			state := s.probes["checkout"][0]
			state.Target.Name, state.Status = "second", jenner.ProbeUnknown
			s.probes["checkout"] = append(s.probes["checkout"], state)
		}, jenner.Missing, jenner.Missing},
	} {
		t.Run(c.name, func(t *testing.T) {
			world := newShop()
			c.happens(world)
			w := looking(world)
			gone, alive := w.judgeProcess(w.service("checkout"), "gone", 0), w.judgeProcess(w.service("checkout"), "alive", 0)
			if gone.finding != c.gone || alive.finding != c.alive {
				t.Errorf("gone: %s (%s), want %s; alive: %s (%s), want %s", gone.finding, gone.saw, c.gone, alive.finding, alive.saw, c.alive)
			}
		})
	}
}

func TestDependencyEvidence(t *testing.T) {
	for _, c := range []struct {
		name                   string
		happens                func(*shop)
		healthy, failing, slow jenner.Finding
	}{
		{"all well", func(*shop) {}, jenner.Matched, jenner.NotMatched, jenner.NotMatched},
		{"a deep one fails", func(s *shop) { s.put("ledger", "ready", jenner.ProbeFailing) }, jenner.NotMatched, jenner.Matched, jenner.NotMatched},
		{"an alert of one fires", func(s *shop) { s.fire(jenner.Alert{Name: "x", Service: "ledger"}) }, jenner.NotMatched, jenner.Matched, jenner.NotMatched},
		{"one is slow", func(s *shop) { s.put("ledger", "ready", jenner.ProbeSlow) }, jenner.NotMatched, jenner.NotMatched, jenner.Matched},
		{"one is slow, and an alert says so", func(s *shop) { s.breaks("ledger", "ready", jenner.ProbeSlow) },
			jenner.NotMatched, jenner.NotMatched, jenner.Matched},
		{"one is slow, and a rule fires", func(s *shop) {
			s.breaks("ledger", "ready", jenner.ProbeSlow)
			s.fire(jenner.Alert{Name: "x", Kind: jenner.AlertRule, Service: "ledger"})
		}, jenner.NotMatched, jenner.Matched, jenner.Matched},
		{"of one nothing is known", func(s *shop) { delete(s.probes, "ledger") }, jenner.Missing, jenner.Missing, jenner.Missing},
		{"one fails and another is unknown", func(s *shop) {
			s.put("ledger", "ready", jenner.ProbeFailing)
			delete(s.probes, "inventory")
		}, jenner.NotMatched, jenner.Matched, jenner.Missing},
		{"a third party's is slow", func(s *shop) { s.put("partner", "ready", jenner.ProbeSlow) }, jenner.Matched, jenner.NotMatched, jenner.Matched},
		{"a third party's fails", func(s *shop) { s.put("partner", "ready", jenner.ProbeFailing) }, jenner.Matched, jenner.Matched, jenner.NotMatched},
		{"of a third party's nothing is known", func(s *shop) { delete(s.probes, "partner") }, jenner.Matched, jenner.Missing, jenner.Missing},
		{"it needs nothing", func(s *shop) { s.services["checkout"] = jenner.Service{Name: "checkout"} },
			jenner.Matched, jenner.NotMatched, jenner.NotMatched},
	} {
		t.Run(c.name, func(t *testing.T) {
			world := newShop()
			c.happens(world)
			w := looking(world)
			for is, want := range map[string]jenner.Finding{"healthy": c.healthy, "failing": c.failing, "slow": c.slow} {
				if got := w.judgeDependency(w.service("checkout"), is); got.finding != want {
					t.Errorf("%s: %s (%s), want %s", is, got.finding, got.saw, want)
				}
			}
		})
	}
}

// TestEvidenceThatLasts: a process that has just started and does not answer yet is not hung.
func TestEvidenceThatLasts(t *testing.T) {
	for _, c := range []struct {
		pattern jenner.EvidencePattern
		lasted  time.Duration
		want    jenner.Finding
	}{
		{jenner.EvidencePattern{Process: "alive", For: jenner.Duration(3 * time.Second)}, time.Second, jenner.NotMatched},
		{jenner.EvidencePattern{Process: "alive", For: jenner.Duration(3 * time.Second)}, 3 * time.Second, jenner.Matched},
		{jenner.EvidencePattern{Process: "alive"}, 0, jenner.Matched},
		{jenner.EvidencePattern{Process: "gone", For: jenner.Duration(3 * time.Second)}, time.Hour, jenner.NotMatched},
		{jenner.EvidencePattern{Probe: "alive", Is: "passing", For: jenner.Duration(3 * time.Second)}, 2 * time.Second, jenner.NotMatched},
		{jenner.EvidencePattern{Probe: "alive", Is: "passing", For: jenner.Duration(3 * time.Second)}, 4 * time.Second, jenner.Matched},
	} {
		world := newShop()
		world.change("checkout", "alive", func(p *jenner.ProbeState) { p.Since = now.Add(-c.lasted) })
		w := looking(world)
		got, _ := w.hold(t.Context(), w.service("checkout"), c.pattern)
		if got.Finding != c.want {
			t.Errorf("%s after %s: %s (%s), want %s", got.What, c.lasted, got.Finding, got.Saw, c.want)
		}
	}
}
