package detect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

var (
	front = jenner.TargetRef{Kind: "process", Name: "front"}
	back  = jenner.TargetRef{Kind: "process", Name: "back"}
)

// rusty is a condition of one of the shop's targets.
func rusty(target jenner.TargetRef, object string, on bool) jenner.Condition {
	return jenner.Condition{Service: "shop", Target: target, Reason: "Rusty", Object: object, On: on}
}

// told is a board with one observer, and the changes that it told of.
func told(t *testing.T) (*bench, *Observed, *[]jenner.ChangeEvent) {
	t.Helper()
	b := newBench(probed())
	var changes []jenner.ChangeEvent
	return b, b.Observed("sky.rust", func(event jenner.ChangeEvent) { changes = append(changes, event) }), &changes
}

func TestAConditionIsAnAlert(t *testing.T) {
	b, observed, _ := told(t)
	since := b.at.at.Add(-time.Minute)
	observed.Condition(jenner.Condition{Service: "shop", Target: back, Reason: "Rusty", Object: "pod/b", On: true, Since: since,
		Severity: jenner.SeverityTicket, Summary: "it is rusty", Value: 3, Labels: map[string]string{"zone": "z1", "service": "shop"}})
	firing := b.board.Firing("shop")
	if len(firing) != 1 {
		t.Fatalf("%d alerts fire", len(firing))
	}
	got, labels := firing[0], fmt.Sprint(firing[0].Labels)
	got.Labels, got.Fingerprint = nil, ""
	want := jenner.Alert{Name: "Rusty", Kind: jenner.AlertEvent, Service: "shop", Target: back, Status: jenner.Firing,
		Severity: jenner.SeverityTicket, StartsAt: since, SeenAt: b.at.at, Summary: "it is rusty", Value: 3}
	if fmt.Sprint(got) != fmt.Sprint(want) || labels != "map[object:pod/b observer:sky.rust service:shop zone:z1]" {
		t.Errorf("got  %+v %s\nwant %+v", got, labels, want)
	}
}

func TestConditionsBeginAndEnd(t *testing.T) {
	for name, c := range map[string]struct {
		course []jenner.Condition
		want   []string // TARGET OBJECT of those that fire
	}{
		"begins":              {[]jenner.Condition{rusty(front, "", true)}, []string{"process/front "}},
		"told twice":          {[]jenner.Condition{rusty(front, "", true), rusty(front, "", true)}, []string{"process/front "}},
		"ends":                {[]jenner.Condition{rusty(front, "", true), rusty(front, "", false)}, nil},
		"ends, never begun":   {[]jenner.Condition{rusty(front, "", false)}, nil},
		"of two objects":      {[]jenner.Condition{rusty(front, "a", true), rusty(front, "b", true), rusty(front, "a", false)}, []string{"process/front b"}},
		"of two targets":      {[]jenner.Condition{rusty(front, "a", true), rusty(back, "a", true), rusty(front, "a", false)}, []string{"process/back a"}},
		"of no target":        {[]jenner.Condition{rusty(jenner.TargetRef{}, "", true)}, []string{" "}},
		"of no known target":  {[]jenner.Condition{rusty(jenner.TargetRef{Kind: "process", Name: "side"}, "", true)}, nil},
		"of no known service": {[]jenner.Condition{{Service: "market", Target: front, Reason: "Rusty", On: true}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b, observed, _ := told(t)
			for _, condition := range c.course {
				observed.Condition(condition)
			}
			var got []string
			for _, alert := range b.board.AllFiring() {
				got = append(got, alert.Target.String()+" "+alert.Labels["object"])
			}
			same(t, "firing", got, c.want)
			for _, alert := range b.board.AllFiring() {
				if alert.Severity != jenner.SeverityPage {
					t.Errorf("nobody said how severe it is, and it is %q", alert.Severity)
				}
			}
		})
	}
}

// TestSyncedEndsWhatIsNotTold: what was known before a restart fires, stale, until the observer has told everything.
func TestSyncedEndsWhatIsNotTold(t *testing.T) {
	for name, c := range map[string]struct {
		observer string
		tells    []jenner.Condition
		synced   func(*Observed)
		want     []string
	}{
		"not yet":                {"sky.rust", nil, func(*Observed) {}, []string{"back", "front"}},
		"nothing holds any more": {"sky.rust", nil, func(o *Observed) { o.Synced() }, nil},
		"one holds on":           {"sky.rust", []jenner.Condition{rusty(back, "", true)}, func(o *Observed) { o.Synced() }, []string{"back"}},
		"of one subject": {"sky.rust", nil,
			func(o *Observed) { o.Synced(jenner.Subject{Service: "shop", Target: front}) }, []string{"back"}},
		"of another service": {"sky.rust", nil,
			func(o *Observed) { o.Synced(jenner.Subject{Service: "market", Target: front}) }, []string{"back", "front"}},
		"another observer's": {"sky.moss", nil, func(o *Observed) { o.Synced() }, []string{"back", "front"}},
	} {
		t.Run(name, func(t *testing.T) {
			b, before, _ := told(t)
			before.Condition(rusty(front, "", true))
			before.Condition(rusty(back, "", true))
			b.OnProbe(state("ready", jenner.ProbeFailing, b.at.at)) // a probe's, which is none of an observer's business
			known, seen := b.board.AllFiring(), b.at.at

			after := newBench(probed())
			after.at.pass(time.Hour)
			after.board.Restore(known)
			observed := after.Observed(c.observer, nil)
			for _, condition := range c.tells {
				observed.Condition(condition)
			}
			c.synced(observed)
			var got, others []string
			for _, alert := range after.board.AllFiring() {
				if wasTold := alert.SeenAt.Equal(after.at.at); wasTold != (len(c.tells) > 0 && alert.Name == "Rusty" && alert.Target == back) {
					t.Errorf("%s of %s was seen at %s, restored as seen at %s", alert.Name, alert.Target, alert.SeenAt, seen)
				}
				if alert.Kind == jenner.AlertEvent {
					got = append(got, alert.Target.Name)
				} else {
					others = append(others, alert.Name)
				}
			}
			slices.Sort(got)
			same(t, "firing", got, c.want)
			same(t, "firing of others", others, []string{"ready-failing"})
		})
	}
}

// TestSeenRefreshes: conditions that nobody sees any more go stale, and are never resolved for that.
func TestSeenRefreshes(t *testing.T) {
	b, observed, _ := told(t)
	observed.Condition(rusty(front, "", true))
	observed.Condition(rusty(back, "", true))
	began := b.at.at
	seen := func() string {
		var ages []string
		for _, alert := range b.board.AllFiring() {
			ages = append(ages, fmt.Sprintf("%s %s", alert.Target.Name, b.at.at.Sub(alert.SeenAt)))
			if !alert.StartsAt.Equal(began) {
				t.Errorf("it began at %s, not %s", alert.StartsAt, began)
			}
		}
		slices.Sort(ages)
		return strings.Join(ages, ", ")
	}
	b.at.pass(10 * time.Second)
	observed.Seen()
	b.at.pass(time.Second)
	if got := seen(); got != "back 1s, front 1s" {
		t.Errorf("after Seen: %s", got)
	}
	observed.Seen(jenner.Subject{Service: "shop", Target: back})
	b.at.pass(time.Hour)
	if got := seen(); got != "back 1h0m0s, front 1h0m1s" {
		t.Errorf("after Seen of one, and then silence: %s", got)
	}
	observed.Condition(rusty(back, "", false))
	observed.Seen()
	if got := seen(); got != "front 0s" {
		t.Errorf("what is over was seen again: %s", got)
	}
}

// TestSetWithdrawsConditionsOfWhatIsGone: and neither Seen nor a late word brings them back.
func TestSetWithdrawsConditionsOfWhatIsGone(t *testing.T) {
	b, observed, _ := told(t)
	observed.Condition(rusty(front, "", true))
	observed.Condition(rusty(back, "", true))
	docs := probed()
	docs.Services[0].Targets = docs.Services[0].Targets[:1]
	b.Set(docs)
	observed.Seen()
	observed.Condition(rusty(back, "late", true))
	if firing := b.board.AllFiring(); len(firing) != 1 || firing[0].Target != front {
		t.Errorf("without the target back, these fire: %+v", firing)
	}
	b.Set(&jenner.Documents{})
	observed.Seen()
	if firing := b.board.AllFiring(); len(firing) != 0 {
		t.Errorf("without the service, these fire: %+v", firing)
	}
	b.Set(probed())
	observed.Seen()
	if firing := b.board.AllFiring(); len(firing) != 0 {
		t.Errorf("with the service back again, what was told of the old one fires: %+v", firing)
	}
}

func TestBlindIsWrittenDownOnce(t *testing.T) {
	b, observed, _ := told(t)
	observed.Blind("pods in shop", nil)
	for range 3 {
		observed.Blind("pods in shop", errors.New("no right to list pods"))
	}
	observed.Blind("pods in shop", errors.New("refused"))
	observed.Blind("pods in shop", nil)
	observed.Blind("pods in shop", nil)
	var got []string
	for line := range strings.Lines(b.log.String()) {
		if strings.Contains(line, "pods in shop") {
			got = append(got, fmt.Sprint(strings.Contains(line, "sky.rust"), strings.Contains(line, "no right to list"),
				strings.Contains(line, "refused"), strings.Contains(line, "again")))
		}
	}
	same(t, "log", got, []string{"true true false false", "true false true false", "true false false true"})
}

func TestChangedIsHandedOn(t *testing.T) {
	_, observed, changes := told(t)
	event := jenner.ChangeEvent{Service: "shop", Object: "configmap/shop"}
	observed.Changed(event)
	if len(*changes) != 1 || (*changes)[0] != event {
		t.Errorf("it told of %+v", *changes)
	}
}

func TestChanges(t *testing.T) {
	at := newClock()
	changes := NewChanges(at.now)
	ago := func(object string, ago time.Duration) jenner.ChangeEvent {
		return jenner.ChangeEvent{Service: "shop", Kind: jenner.ChangeConfig, Object: object, At: at.at.Add(-ago)}
	}
	of := func(since time.Duration) string {
		var objects []string
		for _, event := range changes.Of("shop", at.at.Add(-since)) {
			objects = append(objects, event.Object)
		}
		return strings.Join(objects, " ")
	}
	for _, event := range []jenner.ChangeEvent{ago("late", time.Minute), ago("early", time.Hour), ago("early", time.Hour), ago("long ago", 25*time.Hour),
		{Service: "shop", Object: "now"}, {Service: "other", Object: "other"}} {
		changes.Record(event)
	}
	if got := of(24 * time.Hour); got != "now late early" {
		t.Errorf("all of them: %q", got)
	}
	if got := of(time.Minute); got != "now late" {
		t.Errorf("those of the last minute: %q", got)
	}
	again := ago("early", time.Hour)
	again.At = again.At.Add(time.Second)
	changes.Record(again)
	if got := of(24 * time.Hour); got != "now late early early" {
		t.Errorf("changed once more a second later: %q", got)
	}
	at.pass(changesKept - time.Minute/2)
	changes.Record(ago("fresh", 0))
	if got := of(2 * changesKept); got != "fresh now" {
		t.Errorf("a day later: %q", got)
	}
	for i := range 2 * changesOfService {
		at.pass(time.Second)
		changes.Record(ago(fmt.Sprint(i), 0))
	}
	if all := changes.Of("shop", time.Time{}); len(all) != changesOfService || all[0].Object != fmt.Sprint(2*changesOfService-1) {
		t.Errorf("of very many %d are kept, the newest %+v", len(all), all[0])
	}
}
