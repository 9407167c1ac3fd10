package diagnose

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

var (
	now   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	began = now.Add(-2 * time.Second)
)

// shop is a small world: services with an alive and a ready probe each, all well and seen a moment ago. It is the
// Telemetry of its diagnosis. Each story breaks something in it.
type shop struct {
	services map[string]jenner.Service
	probes   map[string][]jenner.ProbeState
	alerts   map[string][]jenner.Alert
	answers  map[string]jenner.Answer // by PromQL; what is not here cannot be asked
	failed   error                    // of every question
}

func (s *shop) Query(_ context.Context, promql string) (jenner.Answer, error) {
	return s.answers[promql], s.failed
}

func (s *shop) Probe(service, name string) (jenner.ProbeState, bool) {
	for _, state := range s.probes[service] {
		if state.Name == name {
			return state, true
		}
	}
	return jenner.ProbeState{}, false
}

func (s *shop) Probes(service string) []jenner.ProbeState { return s.probes[service] }

// newShop opens gateway → checkout → payments → ledger, checkout → inventory, checkout → partner (a third party's).
func newShop() *shop {
	s := &shop{services: map[string]jenner.Service{}, probes: map[string][]jenner.ProbeState{},
		alerts: map[string][]jenner.Alert{}, answers: map[string]jenner.Answer{}}
	for name, needs := range map[string]string{"gateway": "checkout", "checkout": "payments inventory partner",
		"payments": "ledger", "inventory": "", "ledger": "", "partner": ""} {
		s.services[name] = jenner.Service{Name: name, DependsOn: strings.Fields(needs), External: name == "partner",
			Targets: []jenner.Target{{Kind: "process", Name: name}}}
		s.put(name, jenner.AliveProbe, jenner.ProbePassing)
		s.put(name, "ready", jenner.ProbePassing)
	}
	delete(s.services, "partner")
	s.services["partner"] = jenner.Service{Name: "partner", External: true}
	s.probes["partner"] = s.probes["partner"][1:] // nobody here watches its process
	return s
}

// put gives a probe a status that was seen a moment ago.
func (s *shop) put(service, probe string, status jenner.ProbeStatus) {
	state := jenner.ProbeState{Service: service, Name: probe, Status: status, Since: began, At: now.Add(-100 * time.Millisecond),
		LastOK: status != jenner.ProbeFailing, Streak: 3, Every: time.Second, Duration: 20 * time.Millisecond}
	if probe == jenner.AliveProbe {
		state.Target = jenner.TargetRef{Kind: "process", Name: service}
	}
	s.change(service, probe, func(old *jenner.ProbeState) { *old = state })
}

func (s *shop) change(service, probe string, change func(*jenner.ProbeState)) {
	at := slices.IndexFunc(s.probes[service], func(p jenner.ProbeState) bool { return p.Name == probe })
	if at < 0 {
		s.probes[service] = append(s.probes[service], jenner.ProbeState{})
		at = len(s.probes[service]) - 1
	}
	change(&s.probes[service][at])
}

// breaks gives a probe a status and fires the alert that goes with it.
func (s *shop) breaks(service, probe string, status jenner.ProbeStatus) {
	s.put(service, probe, status)
	kind := jenner.AlertProbe
	if probe == jenner.AliveProbe {
		kind = jenner.AlertGone
	}
	s.fire(jenner.Alert{Name: probe + " " + string(status), Kind: kind, Service: service,
		Target: jenner.TargetRef{Kind: "process", Name: service}, Labels: map[string]string{"service": service, "probe": probe}})
}

func (s *shop) fire(alert jenner.Alert) {
	alert.Status, alert.SeenAt = jenner.Firing, now
	if alert.StartsAt.IsZero() {
		alert.StartsAt = began
	}
	s.alerts[alert.Service] = append(s.alerts[alert.Service], alert)
}

func (s *shop) input(service string, signatures ...jenner.Signature) Input {
	return Input{Now: now, Service: service, Services: s.services, Signatures: signatures, Telemetry: s,
		Firing: func(service string) []jenner.Alert { return s.alerts[service] }}
}

func (s *shop) diagnose(t *testing.T, service string, signatures ...jenner.Signature) jenner.Diagnosis {
	t.Helper()
	return Diagnose(t.Context(), s.input(service, signatures...))
}

// known are the signatures of the stories.
var known = []jenner.Signature{
	{Name: "crashed", Cause: "crashed", Evidence: []jenner.EvidencePattern{
		{Process: "gone", Weight: 3}, {Probe: "ready", Is: "failing", Weight: 1}}},
	{Name: "hung", Cause: "hung", Evidence: []jenner.EvidencePattern{
		{Process: "alive", Weight: 1}, {Probe: "ready", Is: "failing", Weight: 3}, {Dependency: "healthy", Weight: 1}}},
	{Name: "dependency-failure", Cause: "dependency-failure", Evidence: []jenner.EvidencePattern{
		{Dependency: "failing", Weight: 3}, {Process: "alive", Weight: 1}}},
	{Name: "slow-dependency", Cause: "slow-dependency", Evidence: []jenner.EvidencePattern{
		{Dependency: "slow", Weight: 3}, {Probe: "ready", Is: "slow", Weight: 1}, {Process: "alive", Weight: 1}}},
}
