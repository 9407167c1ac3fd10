package detect

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

// desk is a taker with all around it.
type desk struct {
	*Taker
	at    *clock
	board *Board
	log   *bytes.Buffer
}

var (
	hook   = jenner.Receiver{Name: "am", From: jenner.FromAlertmanager}
	prom   = jenner.Receiver{Name: "prom", From: jenner.FromPrometheus}
	asking = jenner.Receiver{Name: "am", From: jenner.FromAlertmanager, Alertmanager: &jenner.ReceiverAlertmanager{URL: "http://x"}}
)

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{at: newClock(), log: &bytes.Buffer{}}
	d.board = NewBoard(d.at.now)
	d.Taker = NewTaker(d.board, d.at.now, slog.New(slog.NewTextHandler(d.log, nil)))
	docs := &jenner.Documents{Services: []jenner.Service{{Name: "shop", Targets: []jenner.Target{{Kind: "deployment", Name: "web"}}}, {Name: "bank"}},
		Receivers: []jenner.Receiver{hook, prom},
		Mappings:  []jenner.Mapping{{Name: "m", Rules: []jenner.MappingRule{{Match: map[string]string{"alertname": "Watchdog"}, Ignore: true}}}}}
	if err := d.Set(docs); err != nil {
		t.Fatal(err)
	}
	return d
}

// began is a firing alert that began so long ago.
func (d *desk) began(ago time.Duration) jenner.SentAlert {
	return jenner.SentAlert{Labels: map[string]string{"alertname": "Down", "service": "shop", "pod": "a"}, Status: jenner.Firing,
		StartsAt: d.at.at.Add(-ago), Annotations: map[string]string{"summary": "it is down"}}
}

// over is the same alert as one that ended so long ago.
func (d *desk) over(began, ended time.Duration) jenner.SentAlert {
	alert := d.began(began)
	alert.Status, alert.EndsAt = jenner.Resolved, d.at.at.Add(-ended)
	return alert
}

// until is the same alert as a Prometheus sends it.
func (d *desk) until(began, until time.Duration) jenner.SentAlert {
	alert := d.began(began)
	alert.Until = d.at.at.Add(until)
	return alert
}

// takes takes one alert and wants a result.
func (d *desk) takes(t *testing.T, receiver jenner.Receiver, alert jenner.SentAlert, want string) {
	t.Helper()
	if got := d.Take(receiver, []jenner.SentAlert{alert}, false); got[want] != 1 || len(got) != 1 {
		t.Errorf("it came to %v, want %s", got, want)
	}
}

// on is the alert on the board, firing or resolved.
func (d *desk) on(t *testing.T) jenner.Alert {
	t.Helper()
	for _, alert := range d.board.alerts {
		return alert
	}
	t.Fatal("there is nothing on the board")
	return jenner.Alert{}
}

func (d *desk) stands(t *testing.T, want jenner.AlertStatus, vouched bool) {
	t.Helper()
	if alert := d.on(t); alert.Status != want || alert.Status == jenner.Firing && alert.Vouched(d.at.at) != vouched {
		t.Errorf("the alert is %s, vouched for %v, want %s, %v: %+v", alert.Status, alert.Vouched(d.at.at), want, vouched, alert)
	}
}

func TestATakenAlertIsAsItWasSent(t *testing.T) {
	d := newDesk(t)
	d.takes(t, hook, d.began(time.Minute), TakenFires)
	got := d.on(t)
	want := jenner.Alert{Fingerprint: got.Fingerprint, Name: "Down", Kind: jenner.AlertTaken, Service: "shop",
		Target: jenner.TargetRef{Kind: "deployment", Name: "web"}, Status: jenner.Firing, Severity: jenner.SeverityPage,
		StartsAt: d.at.at.Add(-time.Minute), SeenAt: d.at.at, Summary: "it is down", Labels: d.began(0).Labels, From: "am",
		ValidUntil: d.at.at.Add(jenner.DefaultResendEvery)}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the alert is\n%+v, want\n%+v", got, want)
	}
}

func TestTheSameAlertTwiceIsOne(t *testing.T) {
	d := newDesk(t)
	changes, stop := d.board.Subscribe(10)
	d.takes(t, hook, d.began(time.Minute), TakenFires)
	d.takes(t, hook, d.began(time.Minute), TakenAgain)
	d.takes(t, prom, d.until(time.Minute, 4*time.Minute), TakenAgain) // the same one, by another way
	d.takes(t, hook, d.over(time.Minute, 0), TakenResolved)
	d.takes(t, hook, d.over(time.Minute, 0), PassedNotFired)
	stop()
	var heard []string
	for alert := range changes {
		heard = append(heard, string(alert.Status))
	}
	same(t, "changes", heard, []string{"firing", "resolved"})
}

func TestL1WhatIsOverStartsNothing(t *testing.T) {
	for name, story := range map[string]func(t *testing.T, d *desk){
		"resolved and never fired": func(t *testing.T, d *desk) { d.takes(t, hook, d.over(time.Minute, 0), PassedNotFired) },
		"the end came first": func(t *testing.T, d *desk) {
			d.takes(t, hook, d.over(time.Minute, 0), PassedNotFired)
			d.takes(t, hook, d.began(time.Minute), PassedOutdated)
		},
		"a message from before its end": func(t *testing.T, d *desk) {
			d.takes(t, hook, d.began(time.Minute), TakenFires)
			d.takes(t, hook, d.over(time.Minute, 0), TakenResolved)
			d.takes(t, hook, d.began(time.Minute), PassedOutdated)
		},
		"a message that somebody sends again an hour later": func(t *testing.T, d *desk) {
			caught := d.began(time.Minute)
			d.takes(t, hook, caught, TakenFires)
			d.takes(t, hook, d.over(time.Minute, 0), TakenResolved)
			d.at.pass(time.Hour)
			d.takes(t, hook, caught, PassedOutdated)
			caught.Labels = maps.Clone(caught.Labels)
			caught.Labels["pod"] = "nobody knows it any more"
			d.takes(t, hook, caught, PassedOld)
		},
		"it began long ago": func(t *testing.T, d *desk) {
			d.takes(t, hook, d.began(jenner.DefaultExpiresAfter+time.Second), PassedOld)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			story(t, d)
			if firing := d.board.AllFiring(); len(firing) != 0 {
				t.Errorf("there fires %+v", firing)
			}
		})
	}
}

func TestItFiresAnew(t *testing.T) {
	d := newDesk(t)
	d.takes(t, hook, d.began(3*time.Minute), TakenFires)
	d.takes(t, hook, d.over(3*time.Minute, 2*time.Minute), TakenResolved)
	d.takes(t, hook, d.began(time.Minute), TakenFires)
	d.takes(t, hook, d.over(3*time.Minute, 2*time.Minute), PassedOutdated) // the end of the first time, once more
	d.stands(t, jenner.Firing, true)
}

// TestALostEndIsMadeUpFor: the age of an alert is that of the time that it fires now.
func TestALostEndIsMadeUpFor(t *testing.T) {
	d := newDesk(t)
	d.takes(t, hook, d.began(0), TakenFires)
	d.at.pass(time.Hour)
	d.takes(t, hook, d.began(2*time.Minute), TakenFires)
	if got := d.on(t); !got.StartsAt.Equal(d.at.at.Add(-2 * time.Minute)) {
		t.Errorf("it began at %s, want two minutes before %s", got.StartsAt, d.at.at)
	}
}

// TestL8ASilentSenderMakesStale: a Prometheus that dies says nothing, and nothing is neither well nor a reason to act.
func TestL8ASilentSenderMakesStale(t *testing.T) {
	d := newDesk(t)
	d.takes(t, prom, d.until(0, 4*time.Minute), TakenFires)
	d.at.pass(time.Minute)
	d.takes(t, prom, d.until(time.Minute, 4*time.Minute), TakenAgain)
	d.at.pass(4*time.Minute - 1)
	d.stands(t, jenner.Firing, true)
	d.at.pass(1)
	d.stands(t, jenner.Firing, false)
	d.at.pass(forgetSilent)
	d.Tidy()
	d.stands(t, jenner.Firing, false)
	d.at.pass(1)
	d.Tidy()
	if len(d.board.alerts) != 0 {
		t.Error("an alert that nobody tells of any more stays for ever")
	}
}

func TestWrongClocks(t *testing.T) {
	t.Run("the sender's clock is an hour ahead", func(t *testing.T) {
		d := newDesk(t)
		d.takes(t, prom, d.until(-time.Hour, time.Hour+4*time.Minute), TakenFires)
		if got := d.on(t); !got.StartsAt.Equal(d.at.at) || !got.ValidUntil.Equal(d.at.at.Add(jenner.DefaultResendEvery)) {
			t.Errorf("it began at %s and is believed until %s; at %s nothing has begun later, and nobody is believed for longer than %s",
				got.StartsAt, got.ValidUntil, d.at.at, jenner.DefaultResendEvery)
		}
		d.at.pass(time.Minute)
		// It says that the alert is over now, by its clock: to us that is in an hour, and thus looks as if it fired.
		d.takes(t, prom, d.until(-time.Hour, time.Hour), PassedOutdated)
		d.at.pass(5 * time.Minute)
		d.stands(t, jenner.Firing, false)
	})
	t.Run("the sender's clock is an hour behind", func(t *testing.T) {
		d := newDesk(t)
		d.takes(t, prom, d.over(time.Hour, 56*time.Minute), PassedNotFired)
		newDesk(t).takes(t, hook, d.began(time.Hour), PassedOld)
		if len(d.board.alerts) != 0 {
			t.Error("an alert of an hour ago was taken")
		}
	})
	t.Run("the sender's clock is a minute behind", func(t *testing.T) {
		d := newDesk(t)
		d.takes(t, prom, d.until(time.Minute, 3*time.Minute), TakenFires)
		d.at.pass(time.Minute)
		d.takes(t, prom, d.over(2*time.Minute, time.Minute), TakenResolved)
	})
}

// TestAnOldMessageOfAPrometheusDoesNotEndAnAlert: it says until when it holds, and sent again later it says that it is over.
func TestAnOldMessageOfAPrometheusDoesNotEndAnAlert(t *testing.T) {
	d := newDesk(t)
	d.takes(t, prom, d.until(0, 4*time.Minute), TakenFires)
	for range 20 {
		d.at.pass(time.Minute)
		d.takes(t, prom, d.until(time.Hour, 4*time.Minute), TakenAgain)
	}
	d.takes(t, prom, d.over(20*time.Minute, 16*time.Minute), PassedOutdated)
	d.stands(t, jenner.Firing, true)
}

// TestAGroupThatLacksAnAlert makes it stale: it may be resolved, silenced or inhibited.
func TestAGroupThatLacksAnAlert(t *testing.T) {
	d := newDesk(t)
	of := func(pod, group string) jenner.SentAlert {
		alert := d.began(time.Minute)
		alert.Labels = map[string]string{"alertname": "Down", "service": "shop", "pod": pod}
		alert.Group = group
		return alert
	}
	d.Take(hook, []jenner.SentAlert{of("a", "g"), of("b", "g")}, true)
	d.Take(hook, []jenner.SentAlert{of("c", "h")}, true)
	vouched := func() (pods []string) {
		for _, alert := range d.board.AllFiring() {
			if alert.Vouched(d.at.at) {
				pods = append(pods, alert.Labels["pod"])
			}
		}
		slices.Sort(pods)
		return pods
	}
	same(t, "at first", vouched(), []string{"a", "b", "c"})
	d.Take(hook, []jenner.SentAlert{of("a", "g")}, false)
	same(t, "after a message that leaves some out", vouched(), []string{"a", "b", "c"})
	d.Take(hook, []jenner.SentAlert{of("a", "g")}, true)
	same(t, "after a whole message", vouched(), []string{"a", "c"})
	d.Take(jenner.Receiver{Name: "other", From: jenner.FromAlertmanager}, []jenner.SentAlert{of("d", "h")}, true)
	same(t, "after a group of the same name from elsewhere", vouched(), []string{"a", "c", "d"})
	d.Take(hook, []jenner.SentAlert{of("b", "g")}, true)
	same(t, "when it is told of again", vouched(), []string{"b", "c", "d"})
}

func TestWhatIsPassedOver(t *testing.T) {
	d := newDesk(t)
	with := func(labels ...string) jenner.SentAlert {
		alert := d.began(0)
		alert.Labels = map[string]string{"alertname": "Down", "service": "shop"}
		for i := 0; i < len(labels); i += 2 {
			alert.Labels[labels[i]] = labels[i+1]
		}
		return alert
	}
	listed := hook
	listed.Alerts = []string{"Up"}
	noData := with()
	noData.NoData = true
	theirs := with()
	theirs.Service = "nobody"
	d.takes(t, hook, with("alertname", ""), PassedNameless)
	d.takes(t, hook, with("jenner_phase", "acting"), PassedOwn)
	d.takes(t, listed, with(), PassedUnlisted)
	d.takes(t, hook, noData, PassedNoData)
	d.takes(t, hook, with("alertname", "Watchdog"), NobodyIgnored)
	d.takes(t, hook, with("service", "nobody"), NobodyUnmapped)
	d.takes(t, hook, with("service", "nobody", "pod", "b"), NobodyUnmapped)
	d.takes(t, hook, theirs, NobodyUnmapped)
	if len(d.board.alerts) != 0 {
		t.Errorf("there is %v on the board", d.board.alerts)
	}
	if said := strings.Count(d.log.String(), "belongs to no service"); said != 1 {
		t.Errorf("it was told %d times that Down is nobody's, want once", said)
	}
	if list := d.Nobodys(); len(list) != 1 || list[0].Name != "Down" || list[0].Count != 3 || list[0].Saw == "" {
		t.Errorf("nobody's are %+v", list)
	}
	if counts := d.Counts()["am"]; counts[NobodyUnmapped] != 3 || counts[TakenFires] != 0 || len(counts) != len(TakenResults) {
		t.Errorf("the counts are %v; all results must be there from the beginning", counts)
	}
}

// TestL20AStormOfTakenAlertsIsBounded: more alerts than anybody can hold, of the kinds that are remembered though they do
// not fire.
func TestL20AStormOfTakenAlertsIsBounded(t *testing.T) {
	d := newDesk(t)
	sum := func() (all uint64) {
		for _, count := range d.Counts()["am"] {
			all += count
		}
		return all
	}
	for i := range 3 * knownLimit {
		alert := d.over(time.Minute, 0)
		if i%2 == 0 {
			alert = d.began(0)
		}
		alert.Labels = map[string]string{"alertname": "Down", "service": "shop", "pod": fmt.Sprint(i)}
		alert.Group = fmt.Sprint(i)
		d.Take(hook, []jenner.SentAlert{alert}, true)
	}
	if len(d.known) > knownLimit || len(d.groups) > knownLimit || len(d.board.alerts) > DefaultLimit {
		t.Errorf("%d are known in %d groups, %d are on the board", len(d.known), len(d.groups), len(d.board.alerts))
	}
	if sum() != 3*knownLimit || d.Counts()["am"][TakenFires] != LimitOfService {
		t.Errorf("%d alerts came to %v; each must be counted", 3*knownLimit, d.Counts()["am"])
	}
}

// TestARestartForgetsNoAlert: what was firing before is known by the board, and goes on.
func TestARestartForgetsNoAlert(t *testing.T) {
	d := newDesk(t)
	d.takes(t, prom, d.until(0, 4*time.Minute), TakenFires)
	before := d.on(t)
	d.at.pass(time.Hour)
	again := newDesk(t)
	again.at.at = d.at.at
	again.board.Restore([]jenner.Alert{before})
	again.stands(t, jenner.Firing, false)
	again.takes(t, prom, again.until(time.Hour, 4*time.Minute), TakenAgain) // though it began long ago
	again.stands(t, jenner.Firing, true)
	again.takes(t, prom, again.over(time.Hour, 0), TakenResolved)
}

// TestHoweverMessagesAreShuffled: late, twice and in any order, in the end it stands as whoever looks has it.
func TestHoweverMessagesAreShuffled(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDesk(t)
		d.at.pass(time.Hour)
		open := rapid.Bool().Draw(rt, "it fires in the end")
		moments := rapid.IntRange(1, 4).Draw(rt, "times")
		gap := rapid.IntRange(1, 70).Draw(rt, "gap")
		var sent []jenner.SentAlert
		for i := range moments {
			began := time.Duration(2*(moments-i)*gap) * time.Second
			ended := began - time.Duration(gap)*time.Second
			sent = append(sent, d.began(began))
			if !open || i < moments-1 {
				sent = append(sent, d.over(began, ended))
			}
		}
		seed := rapid.Uint64().Draw(rt, "seed")
		shuffled := append(slices.Clone(sent), sent...)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for _, one := range shuffled {
			d.Take(hook, []jenner.SentAlert{one}, false)
		}
		firing := len(d.board.AllFiring()) == 1
		if firing != open {
			rt.Fatalf("it fires: %v, want %v", firing, open)
		}
	})
}

func heardOf(alert jenner.Alert, updated, until time.Time) Heard {
	return Heard{Labels: alert.Labels, Updated: updated, Until: until}
}

func TestAnAlertmanagerThatIsAsked(t *testing.T) {
	for name, test := range map[string]struct {
		then    func(d *desk, answer *Answer) // what the second answer is like, half a minute after the first
		status  jenner.AlertStatus
		vouched bool
	}{
		"it fires on":            {func(*desk, *Answer) {}, jenner.Firing, true},
		"somebody ended it":      {func(_ *desk, a *Answer) { a.Firing = nil }, jenner.Resolved, false},
		"it ran out":             {func(_ *desk, a *Answer) { a.Firing, a.Now = nil, a.Now.Add(5*time.Minute) }, jenner.Firing, false},
		"it was started anew":    {func(_ *desk, a *Answer) { a.Firing, a.Started = nil, a.Now.Add(-time.Second) }, jenner.Firing, false},
		"nobody knows its clock": {func(_ *desk, a *Answer) { a.Firing, a.Now = nil, time.Time{} }, jenner.Firing, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.takes(t, asking, d.began(0), TakenFires)
			alert := d.on(t)
			theirs := d.at.at.Add(time.Hour) // its clock is another one
			answer := Answer{Now: theirs, Started: theirs.Add(-time.Hour), Firing: []Heard{heardOf(alert, theirs, theirs.Add(4*time.Minute))}}
			d.Asked(asking, []jenner.Alert{alert}, answer)
			d.stands(t, jenner.Firing, true)
			d.at.pass(AskedBelieved(asking))
			d.stands(t, jenner.Firing, false)
			answer.Now = answer.Now.Add(AskedBelieved(asking))
			test.then(d, &answer)
			d.Asked(asking, []jenner.Alert{alert}, answer)
			d.stands(t, test.status, test.vouched)
		})
	}
}

// TestAnAlertmanagerThatNeverHadTheAlert cannot say that it is over.
func TestAnAlertmanagerThatNeverHadTheAlert(t *testing.T) {
	d := newDesk(t)
	d.takes(t, asking, d.began(0), TakenFires)
	d.Asked(asking, []jenner.Alert{d.on(t)}, Answer{Now: d.at.at, Started: d.at.at.Add(-time.Hour)})
	d.stands(t, jenner.Firing, false)
	d.Asked(asking, []jenner.Alert{d.on(t)}, Answer{Now: d.at.at, Firing: []Heard{heardOf(d.on(t), d.at.at, d.at.at)}})
	d.stands(t, jenner.Firing, true)
}

// TestWhenItWasSeenIsWhenSomebodyLooked: an Alertmanager that is asked after something was done may repeat what it was told
// before.
func TestWhenItWasSeenIsWhenSomebodyLooked(t *testing.T) {
	d := newDesk(t)
	d.takes(t, asking, d.began(0), TakenFires)
	seen := d.on(t).SeenAt
	d.at.pass(time.Minute)
	d.Asked(asking, []jenner.Alert{d.on(t)}, Answer{Now: d.at.at, Firing: []Heard{heardOf(d.on(t), seen, d.at.at.Add(time.Minute))}})
	if got := d.on(t).SeenAt; !got.Equal(seen) {
		t.Errorf("it was seen at %s, want %s: nobody looked since", got, seen)
	}
}
