package alertmanager

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	"github.com/jenner-heal/jenner/internal/alertmanager"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/notify"
)

// real is an Alertmanager that tells nobody of anything.
func real(t *testing.T) *lab.Alertmanager {
	t.Helper()
	a, err := lab.StartAlertmanager(t.Context(), t.TempDir(), "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// shown are the alerts that fire at an Alertmanager, as NAME PHASE SEVERITY.
func shown(t *testing.T, a *lab.Alertmanager) map[string]alertmanager.Alert {
	t.Helper()
	all, _, err := client(a.URL(), nil).Alerts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]alertmanager.Alert{}
	for _, alert := range all {
		found[strings.Join([]string{alert.Labels["alertname"], alert.Labels["jenner_phase"], alert.Labels["severity"]}, " ")] = alert
	}
	return found
}

func shows(t *testing.T, a *lab.Alertmanager, when string, want ...string) {
	t.Helper()
	got := shown(t, a)
	for _, one := range want {
		if _, is := got[one]; !is {
			t.Errorf("%s: %q is not shown", when, one)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: there are %v, want %q", when, maps.Keys(got), want)
	}
}

func standing(phase jenner.Phase, paged bool) notify.Standing {
	return notify.Standing{Incident: "i-1", Service: "shop", Phase: phase, Severity: jenner.SeverityTicket, OpenedAt: time.Now().Add(-time.Minute),
		Paged: paged, Title: "shop: " + string(phase), Body: "what is known"}
}

// TestAnIncidentIsShownAsLongAsItLasts, phase by phase, with its page, and nothing of it afterwards.
func TestAnIncidentIsShownAsLongAsItLasts(t *testing.T) {
	a := real(t)
	n := &NotifierAlertmanager{URLs: []string{a.URL()}, Labels: map[string]string{"cluster": "eu"}}
	follow := func(all ...notify.Standing) {
		t.Helper()
		if err := n.Follow(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	follow()
	shows(t, a, "before")
	follow(standing(jenner.PhaseActing, false))
	shows(t, a, "acting", "JennerIncident acting info")
	follow(standing(jenner.PhaseVerifying, false))
	shows(t, a, "verifying", "JennerIncident verifying info")
	message := notify.Message{Key: "i-1", At: time.Now(), Severity: jenner.SeverityPage, Incident: "i-1", Service: "shop", Title: "shop needs a human", Body: "all"}
	if err := n.Notify(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	shows(t, a, "paged", "JennerIncident verifying info", "JennerPage paged page")
	page := shown(t, a)["JennerPage paged page"]
	want := map[string]string{"alertname": "JennerPage", "service": "shop", "incident": "i-1", "severity": "page", "jenner_phase": "paged", "cluster": "eu"}
	if !maps.Equal(page.Labels, want) || page.Annotations["summary"] != "shop needs a human" || page.Annotations["description"] != "all" {
		t.Errorf("the page is %+v", page)
	}
	if left := time.Until(page.EndsAt); left <= 0 || left > expiry {
		t.Errorf("it ends in %s by itself, want %s at most", left, expiry)
	}
	follow(standing(jenner.PhaseEscalated, true))
	shows(t, a, "escalated", "JennerIncident escalated info", "JennerPage paged page")
	again := &NotifierAlertmanager{URLs: n.URLs, Labels: n.Labels} // after a restart
	if err := again.Follow(t.Context(), []notify.Standing{standing(jenner.PhaseEscalated, true)}); err != nil {
		t.Fatal(err)
	}
	shows(t, a, "after a restart", "JennerIncident escalated info", "JennerPage paged page", "JennerPage paged ticket")
	follow()
	if err := again.Follow(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	shows(t, a, "over")
}

// TestAMessageOfNoIncident stands for a while by itself.
func TestAMessageOfNoIncident(t *testing.T) {
	a := real(t)
	n := &NotifierAlertmanager{URLs: []string{a.URL()}}
	for range 2 { // the same key is the same alert
		if err := n.Notify(t.Context(), notify.Message{Key: "k", At: time.Now(), Severity: jenner.SeverityTicket, Title: "look"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Follow(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	shows(t, a, "a message", "JennerPage paged ticket")
}

// TestOneOfTwoAlertmanagersIsEnough for a page; what is shown is told to both, and an end until both have heard it.
func TestOneOfTwoAlertmanagersIsEnough(t *testing.T) {
	a, b := real(t), real(t)
	n := &NotifierAlertmanager{URLs: []string{a.URL(), b.URL()}}
	if err := n.Follow(t.Context(), []notify.Standing{standing(jenner.PhaseActing, false)}); err != nil {
		t.Fatal(err)
	}
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := n.Notify(t.Context(), notify.Message{Key: "k", Incident: "i-1", Severity: jenner.SeverityPage, Title: "look"}); err != nil {
		t.Errorf("one has taken it, and the error is %v", err)
	}
	if err := n.Follow(t.Context(), nil); jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("one was not told: %v", err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := client(b.URL(), nil).Give(t.Context(), []alertmanager.Alert{n.incident(standing(jenner.PhaseActing, false))}); err != nil {
		t.Fatal(err) // what it knew before it was stopped
	}
	if err := n.Follow(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	shows(t, a, "the one")
	shows(t, b, "the other")
	nobody := &NotifierAlertmanager{URLs: []string{"http://127.0.0.1:1"}}
	if err := nobody.Notify(t.Context(), notify.Message{Key: "k"}); jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("nobody was told: %v", err)
	}
}

func TestNotifierRefuses(t *testing.T) {
	for want, n := range map[string]*NotifierAlertmanager{
		"urls is missing":           {},
		`"alertmanager:9093" is no`: {URLs: []string{"alertmanager:9093"}},
		"the label severity":        {URLs: []string{"http://a"}, Labels: map[string]string{"severity": "x"}},
		"must be in one place":      {URLs: []string{"http://a"}, Token: &jenner.Secret{File: "a", Env: "B"}},
	} {
		if err := n.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

// silencing is the action and what it is told.
func silencing(a *lab.Alertmanager) (*Silence, act.Call) {
	return &Silence{URL: a.URL(), Labels: map[string]string{"alertname": "Down", "pod": `a"b`}, For: jenner.Duration(time.Minute)}, act.Call{Incident: "i-1"}
}

func TestSilenceIsAsEveryActionIs(t *testing.T) {
	a := real(t) // one for all tests, each of which begins with no silence
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		action, call := silencing(a)
		if _, err := action.Undo(t.Context(), call); err != nil {
			t.Fatal(err)
		}
		return actiontest.World{Call: call, Action: func() act.Action { fresh, _ := silencing(a); return fresh },
			State: func(t *testing.T) string {
				mine, err := action.mine(t.Context(), call)
				if err != nil {
					t.Fatal(err)
				}
				return map[bool]string{true: "silenced", false: "heard"}[len(mine) > 0]
			}}
	})
}

// TestOnlyTheOwnSilenceIsChanged: people's own, those of other incidents and those of other alerts stay.
func TestOnlyTheOwnSilenceIsChanged(t *testing.T) {
	a := real(t)
	action, call := silencing(a)
	theirs := alertmanager.Silence{Matchers: action.matchers(), StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour), CreatedBy: "ann", Comment: comment(call)}
	if _, err := client(a.URL(), nil).Silence(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	wider, another := *action, call
	wider.Labels = map[string]string{"alertname": "Down"}
	another.Incident = "i-2"
	for _, one := range []struct {
		action *Silence
		call   act.Call
	}{{action, call}, {action, call}, {&wider, call}, {action, another}} {
		if _, err := one.action.Do(t.Context(), one.call); err != nil {
			t.Fatal(err)
		}
	}
	active := func() (count int) {
		all, err := client(a.URL(), nil).Silences(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, silence := range all {
			if !silence.Ended() {
				count++
			}
		}
		return count
	}
	if got := active(); got != 4 {
		t.Errorf("there are %d silences, want ann's, the incident's one, the wider one and the other incident's", got)
	}
	if _, err := action.Undo(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if got := active(); got != 3 {
		t.Errorf("after the undo there are %d silences, want 3", got)
	}
}

func TestSilenceRefuses(t *testing.T) {
	fine := func() *Silence {
		return &Silence{URL: "http://a", Labels: map[string]string{"alertname": "x"}, For: jenner.Duration(time.Minute)}
	}
	for want, change := range map[string]func(s *Silence){
		"is no address":           func(s *Silence) { s.URL = "" },
		"must name the alert":     func(s *Silence) { s.Labels = map[string]string{"pod": "a"} },
		"for is 2h":               func(s *Silence) { s.For = jenner.Duration(2 * time.Hour) },
		"for is 0":                func(s *Silence) { s.For = 0 },
		"the token must be in on": func(s *Silence) { s.Token = &jenner.Secret{} },
	} {
		s := fine()
		change(s)
		if err := errors.Join(s.Validate(), s.Check(t.Context(), act.Call{})); err == nil || strings.Count(err.Error(), want) != 2 {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
	if err := fine().Validate(); err != nil {
		t.Error(err)
	}
}
