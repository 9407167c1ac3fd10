package diagnose

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// cluster is a shop whose checkout is a deployment that something tells of.
func cluster() *shop {
	s := newShop()
	checkout := s.services["checkout"]
	checkout.Targets = append(checkout.Targets, jenner.Target{Kind: "deployment", Name: "web"})
	s.services["checkout"] = checkout
	return s
}

func (s *shop) observing(kinds ...string) world {
	in := s.input("checkout")
	in.Observed = func(kind string) bool {
		for _, one := range kinds {
			if one == kind {
				return true
			}
		}
		return false
	}
	return world{in}
}

func TestEventEvidence(t *testing.T) {
	web := jenner.TargetRef{Kind: "deployment", Name: "web"}
	loops := jenner.Alert{Name: "CrashLoopBackOff", Kind: jenner.AlertEvent, Service: "checkout", Target: web, Summary: "back-off 40s"}
	for name, c := range map[string]struct {
		fires   []jenner.Alert
		of      []string
		finding jenner.Finding
		saw     string
		on      jenner.TargetRef
	}{
		"it holds": {[]jenner.Alert{loops}, []string{"deployment"}, jenner.Matched, "since 2026-03-01T11:59:58Z: back-off 40s", web},
		"another holds": {[]jenner.Alert{{Name: "OOMKilled", Kind: jenner.AlertEvent, Service: "checkout", Target: web}},
			[]string{"deployment"}, jenner.NotMatched, "nothing of the kind is told", jenner.TargetRef{}},
		"a rule has the same name": {[]jenner.Alert{{Name: "CrashLoopBackOff", Kind: jenner.AlertRule, Service: "checkout", Target: web}},
			[]string{"deployment"}, jenner.NotMatched, "nothing of the kind is told", jenner.TargetRef{}},
		"of another service": {[]jenner.Alert{{Name: "CrashLoopBackOff", Kind: jenner.AlertEvent, Service: "payments", Target: web}},
			[]string{"deployment"}, jenner.NotMatched, "nothing of the kind is told", jenner.TargetRef{}},
		"nothing tells of this kind": {nil, []string{"pod"}, jenner.Missing, "nothing tells of events of checkout", jenner.TargetRef{}},
		"the target before the first": {[]jenner.Alert{loops, {Name: "CrashLoopBackOff", Kind: jenner.AlertEvent, Service: "checkout",
			Target: jenner.TargetRef{Kind: "pod", Name: "first"}, StartsAt: began.Add(-time.Minute)}}, []string{"deployment"},
			jenner.Matched, "since 2026-03-01T11:58:58Z", jenner.TargetRef{Kind: "pod", Name: "first"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := cluster()
			for _, alert := range c.fires {
				s.fire(alert)
			}
			w := s.observing(c.of...)
			got, on := w.hold(t.Context(), w.service("checkout"), jenner.EvidencePattern{Event: "CrashLoopBackOff"})
			want := jenner.Evidence{What: "event: CrashLoopBackOff", Finding: c.finding, Weight: 1, Saw: c.saw}
			if got != want || on != c.on {
				t.Errorf("got  %+v of %q\nwant %+v of %q", got, on, want, c.on)
			}
		})
	}
}

// TestResolvedEventsAreNoEvidence: a condition that is over explains nothing.
func TestResolvedEventsAreNoEvidence(t *testing.T) {
	s := cluster()
	s.alerts["checkout"] = []jenner.Alert{{Name: "OOMKilled", Kind: jenner.AlertEvent, Service: "checkout", Status: jenner.Resolved, StartsAt: began}}
	w := s.observing("deployment")
	if got, _ := w.hold(t.Context(), w.service("checkout"), jenner.EvidencePattern{Event: "OOMKilled"}); got.Finding != jenner.NotMatched {
		t.Errorf("got %+v", got)
	}
}

func TestChangeEvidence(t *testing.T) {
	web := jenner.TargetRef{Kind: "deployment", Name: "web"}
	release := func(ago time.Duration) jenner.ChangeEvent {
		return jenner.ChangeEvent{Service: "checkout", Target: web, Kind: jenner.ChangeDeploy, Object: "deployment/web", At: began.Add(-ago),
			By: "argocd", Summary: "image shop:v1 → shop:v2"}
	}
	other := release(time.Minute)
	other.Kind = jenner.ChangeConfig
	nobody := release(time.Minute)
	nobody.By = ""
	deploy, within := jenner.EvidencePattern{Changed: "deploy"}, jenner.EvidencePattern{Changed: "deploy", Within: jenner.Duration(2 * time.Minute)}
	for name, c := range map[string]struct {
		pattern jenner.EvidencePattern
		changes []jenner.ChangeEvent // the newest first
		finding jenner.Finding
		saw     string
		on      jenner.TargetRef
	}{
		"a minute before": {deploy, []jenner.ChangeEvent{release(time.Minute)}, jenner.Matched,
			"deployment/web by argocd, 1m before it began: image shop:v1 → shop:v2", web},
		"by nobody knows whom": {deploy, []jenner.ChangeEvent{nobody}, jenner.Matched,
			"deployment/web, 1m before it began: image shop:v1 → shop:v2", web},
		"at that very moment":     {deploy, []jenner.ChangeEvent{release(0)}, jenner.Matched, "deployment/web by argocd, 0s before it began: image shop:v1 → shop:v2", web},
		"a second after it began": {deploy, []jenner.ChangeEvent{release(-time.Second)}, jenner.NotMatched, "no deploy within 15m before it began", jenner.TargetRef{}},
		"after, and before": {deploy, []jenner.ChangeEvent{release(-time.Second), release(time.Minute)}, jenner.Matched,
			"deployment/web by argocd, 1m before it began: image shop:v1 → shop:v2", web},
		"too long ago":      {deploy, []jenner.ChangeEvent{release(16 * time.Minute)}, jenner.NotMatched, "no deploy within 15m before it began", jenner.TargetRef{}},
		"longer than asked": {within, []jenner.ChangeEvent{release(3 * time.Minute)}, jenner.NotMatched, "no deploy within 2m before it began", jenner.TargetRef{}},
		"another kind":      {deploy, []jenner.ChangeEvent{other}, jenner.NotMatched, "no deploy within 15m before it began", jenner.TargetRef{}},
		"none":              {deploy, nil, jenner.NotMatched, "no deploy within 15m before it began", jenner.TargetRef{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := cluster()
			s.fire(jenner.Alert{Name: "ErrorsHigh", Service: "checkout"})
			in := s.input("checkout")
			in.Changes = func(service string, since time.Time) []jenner.ChangeEvent {
				var events []jenner.ChangeEvent
				for _, event := range c.changes {
					if service == "checkout" && !event.At.Before(since) {
						events = append(events, event)
					}
				}
				return events
			}
			w := world{in}
			got, on := w.hold(t.Context(), w.service("checkout"), c.pattern)
			if got.Finding != c.finding || got.Saw != c.saw || on != c.on {
				t.Errorf("got  %+v of %q\nwant %s: %s of %q", got, on, c.finding, c.saw, c.on)
			}
		})
	}
}

// TestAChangeIsMeasuredFromNowWhereNothingFires: a question about a service in which nothing has begun yet.
func TestAChangeIsMeasuredFromNowWhereNothingFires(t *testing.T) {
	in := cluster().input("checkout")
	asked := time.Time{}
	in.Changes = func(_ string, since time.Time) []jenner.ChangeEvent { asked = since; return nil }
	w := world{in}
	got, _ := w.hold(t.Context(), w.service("checkout"), jenner.EvidencePattern{Changed: "config", Within: jenner.Duration(time.Hour)})
	if got.Finding != jenner.NotMatched || !asked.Equal(now.Add(-time.Hour)) {
		t.Errorf("got %+v, asked since %s", got, asked)
	}
}
