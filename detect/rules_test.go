package detect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

// world is telemetry whose answers the test writes. An expression that is in none of the maps has no data.
type world struct {
	mu      sync.Mutex
	answers map[string][]jenner.Sample
	broken  map[string]bool
	data    map[string]bool // has data, though the comparison may be false
}

func newWorld() *world {
	return &world{answers: map[string][]jenner.Sample{}, broken: map[string]bool{}, data: map[string]bool{}}
}

func (w *world) Query(_ context.Context, promql string) (jenner.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken[promql] {
		return jenner.Answer{}, errors.New("telemetry is away")
	}
	return jenner.Answer{Samples: w.answers[promql]}, nil
}

func (w *world) Probe(string, string) (jenner.ProbeState, bool) { return jenner.ProbeState{}, false }

func (w *world) Probes(string) []jenner.ProbeState { return nil }

func (w *world) hasData(_ context.Context, promql string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.data[promql] || len(w.answers[promql]) > 0, nil
}

// The ways an expression can turn out.
const (
	holds    = "holds"
	isFalse  = "false"
	noData   = "no data"
	notANum  = "not a number"
	noAnswer = "could not ask"
)

// say makes an expression turn out in one of these ways from now on.
func (w *world) say(promql, how string, labels ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	set := map[string]string{}
	for i := 0; i < len(labels); i += 2 {
		set[labels[i]] = labels[i+1]
	}
	delete(w.answers, promql)
	w.broken[promql], w.data[promql] = how == noAnswer, how == isFalse
	switch how {
	case holds:
		w.answers[promql] = []jenner.Sample{{Labels: set, Value: 1}}
	case notANum:
		w.answers[promql] = []jenner.Sample{{Labels: set, Value: math.NaN()}}
	}
}

func (w *world) value(promql string, values ...float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[promql] = nil
	for _, value := range values {
		w.answers[promql] = append(w.answers[promql], jenner.Sample{Value: value})
	}
}

// bench is an engine with all around it.
type bench struct {
	*Engine
	at    *clock
	world *world
	board *Board
	log   *bytes.Buffer
}

func newBench(docs *jenner.Documents) *bench {
	b := &bench{at: newClock(), world: newWorld(), log: &bytes.Buffer{}}
	b.board = NewBoard(b.at.now)
	b.Engine = New(Options{
		Telemetry: b.world, Board: b.board, Now: b.at.now, HasData: b.world.hasData,
		Steady: NewSteady(SteadyOptions{Window: 5 * time.Second}),
		Triggers: func(runbook jenner.Runbook) (name, promql string, err error) {
			switch alert := runbook.Trigger.Alert; {
			case strings.Contains(alert, "?"):
				return "", "", errors.New("no such thing")
			case strings.ContainsAny(alert, "<>"):
				return "", alert, nil
			default:
				return alert, "", nil
			}
		},
		Logger: slog.New(slog.NewTextHandler(b.log, nil)),
	})
	b.Set(docs)
	return b
}

// step is one look, and then one period later.
func (b *bench) step() {
	b.look(context.Background())
	b.at.pass(DefaultEvery)
}

func shop(rules ...jenner.Rule) *jenner.Documents {
	return &jenner.Documents{Services: []jenner.Service{
		{Name: "shop", Targets: []jenner.Target{{Kind: "process", Name: "shop"}}, Alerts: rules},
		{Name: "bank"},
	}}
}

func TestRuleAlertSaysWhatItSaw(t *testing.T) {
	b := newBench(shop(jenner.Rule{Name: "errors", PromQL: `rate(errors{service="$service"}) > 1`, Severity: "ticket"}))
	b.world.say(`rate(errors{service="shop"}) > 1`, holds, "__name__", "errors", "path", "/buy")
	b.step()
	firing := b.board.Firing("shop")
	if len(firing) != 1 {
		t.Fatalf("%d alerts fire, want 1", len(firing))
	}
	got := firing[0]
	if got.Name != "errors" || got.Kind != jenner.AlertRule || got.Target.String() != "process/shop" ||
		got.Severity != jenner.SeverityTicket || got.Value != 1 || got.Summary == "" ||
		len(got.Labels) != 2 || got.Labels["path"] != "/buy" || got.Labels["service"] != "shop" {
		t.Errorf("the alert is %+v", got)
	}
}

func TestRuleOfEachSeriesByItself(t *testing.T) {
	b := newBench(shop(jenner.Rule{Name: "full", PromQL: "disk > 9", For: jenner.Duration(time.Second)}))
	b.world.say("disk > 9", holds, "disk", "a")
	b.step()
	b.world.answers["disk > 9"] = append(b.world.answers["disk > 9"],
		jenner.Sample{Labels: map[string]string{"disk": "b"}, Value: 1},
		jenner.Sample{Labels: map[string]string{"disk": "c", "service": "bank"}, Value: 1})
	for range 4 {
		b.step()
	}
	firing := b.board.AllFiring()
	if len(firing) != 1 || firing[0].Labels["disk"] != "a" {
		t.Fatalf("after 1s only disk a may fire, and the series of another service never: %+v", firing)
	}
	b.world.say("disk > 9", holds, "disk", "b")
	b.step()
	if firing = b.board.AllFiring(); len(firing) != 1 || firing[0].Labels["disk"] != "b" {
		t.Errorf("now only disk b may fire: %+v", firing)
	}
}

func TestSeriesOfAnotherServiceIsNotOurs(t *testing.T) {
	b := newBench(shop(jenner.Rule{Name: "errors", PromQL: "errors > 1"}))
	b.world.say("errors > 1", holds, "service", "bank")
	b.step()
	same(t, "of another service", names(b.board.AllFiring()), []string{})
	b.world.say("errors > 1", holds, "service", "shop")
	b.step()
	same(t, "of its own", names(b.board.AllFiring()), []string{"shop/errors"})
}

func TestFollowingTriggerIsAsOldAsItsLeader(t *testing.T) {
	docs := shop(jenner.Rule{Name: "leader", PromQL: "leader > 1"})
	docs.Runbooks = []jenner.Runbook{{Name: "cut", Trigger: &jenner.Trigger{Alert: "leader"}}}
	b := newBench(docs)
	b.world.say("leader > 1", holds)
	b.step()
	b.world.say("leader > 1", noData)
	b.step()
	b.step()
	firing := b.board.Firing("shop")
	if len(firing) != 2 || !firing[0].SeenAt.Equal(firing[1].SeenAt) || firing[0].Target != firing[1].Target {
		t.Errorf("the trigger must be seen when its alert was seen: %+v", firing)
	}
}

func TestL8MissingDataNeitherFiresNorResolves(t *testing.T) {
	for _, missing := range []string{noData, notANum, noAnswer} {
		t.Run(missing, func(t *testing.T) {
			b := newBench(shop(jenner.Rule{Name: "errors", PromQL: "errors > 1"}))
			b.world.say("errors > 1", missing)
			b.step()
			if firing := b.board.AllFiring(); len(firing) != 0 {
				t.Fatalf("missing data fired: %+v", firing)
			}
			b.world.say("errors > 1", holds)
			b.step()
			seen := b.board.Firing("shop")[0].SeenAt
			b.world.say("errors > 1", missing)
			for range 100 {
				b.step()
			}
			firing := b.board.Firing("shop")
			if len(firing) != 1 || !firing[0].SeenAt.Equal(seen) {
				t.Fatalf("missing data resolved or refreshed: %+v, seen first at %s", firing, seen)
			}
			b.world.say("errors > 1", isFalse)
			b.step()
			if firing := b.board.Firing("shop"); len(firing) != 0 {
				t.Errorf("a false comparison with data must resolve: %+v", firing)
			}
		})
	}
}

// `for` as a list kept by hand has it: since when a rule holds counts, a false one starts anew, and without data nothing
// begins, ends or is refreshed.
func TestRuleForAgreesWithAModel(t *testing.T) {
	ways := []string{holds, holds, holds, isFalse, noData, notANum, noAnswer}
	rapid.Check(t, func(t *rapid.T) {
		hold := time.Duration(rapid.IntRange(0, 6).Draw(t, "for")) * DefaultEvery
		b := newBench(shop(jenner.Rule{Name: "errors", PromQL: "errors > 1", For: jenner.Duration(hold)}))
		var since, seen time.Time
		firing := false
		for i, way := range rapid.SliceOfN(rapid.SampledFrom(ways), 1, 40).Draw(t, "course") {
			now := b.at.at
			b.world.say("errors > 1", way)
			b.step()
			switch way {
			case holds:
				if since.IsZero() {
					since = now
				}
				firing = firing || now.Sub(since) >= hold
				seen = now
			case isFalse:
				firing, since = false, time.Time{}
			default:
				if !firing && now.Sub(since) >= hold {
					since = time.Time{}
				}
			}
			got := b.board.Firing("shop")
			if (len(got) == 1) != firing {
				t.Fatalf("look %d (%s): firing is %v, want %v", i, way, len(got) == 1, firing)
			}
			if firing && !got[0].SeenAt.Equal(seen) {
				t.Fatalf("look %d (%s): seen at %s, want %s", i, way, got[0].SeenAt, seen)
			}
		}
	})
}

func TestRuleResolvesWhatFiredBeforeARestart(t *testing.T) {
	rule := jenner.Rule{Name: "errors", PromQL: "errors > 1"}
	before := newBench(shop(rule))
	before.world.say("errors > 1", holds, "path", "/buy")
	before.step()
	kept := before.board.Firing("shop")

	after := newBench(shop(rule))
	after.board.Restore(kept)
	after.step() // no data yet
	if firing := after.board.Firing("shop"); len(firing) != 1 {
		t.Fatalf("the alert went away without data: %+v", firing)
	}
	after.world.say("errors > 1", isFalse)
	after.step()
	if got, _ := after.board.Get(kept[0].Fingerprint); got.Status != jenner.Resolved {
		t.Errorf("it is %s, want resolved", got.Status)
	}
}

func TestSetKeepsPendingAndWithdrawsWhatNobodyAsksFor(t *testing.T) {
	rule := jenner.Rule{Name: "errors", PromQL: "errors > 1", For: jenner.Duration(time.Second)}
	b := newBench(shop(rule))
	b.world.say("errors > 1", holds)
	for range 4 {
		b.step()
	}
	b.Set(shop(rule)) // the same again: what is pending stays
	b.step()
	if len(b.board.Firing("shop")) != 1 {
		t.Fatal("a reload began the `for` of an unchanged rule anew")
	}
	foreign := fires("shop", "of another detector")
	foreign.Kind = "webhook"
	b.board.Put(foreign)
	b.Set(shop())
	same(t, "firing", names(b.board.AllFiring()), []string{"shop/of another detector"})
}

func TestTriggers(t *testing.T) {
	runbook := func(alert string) jenner.Runbook {
		return jenner.Runbook{Name: "cut", Trigger: &jenner.Trigger{Alert: alert, For: jenner.Duration(DefaultEvery)}}
	}
	policy := func(services ...string) []jenner.Policy {
		return []jenner.Policy{{Runbooks: []string{"cut"}, Services: jenner.Selector{Names: services}}}
	}
	tests := map[string]struct {
		runbook  jenner.Runbook
		policies []jenner.Policy
		promql   string
		labels   []string
		want     []string
		warns    string
	}{
		"by the series' label":   {runbook("pool > 9"), policy("shop"), "pool > 9", []string{"service", "bank"}, []string{"bank/cut"}, ""},
		"by the only service":    {runbook("pool > 9"), policy("shop"), "pool > 9", nil, []string{"shop/cut"}, ""},
		"by $service":            {runbook("pool{s=$service} > 9"), policy("shop", "bank"), "pool{s=bank} > 9", nil, []string{"bank/cut"}, ""},
		"nobody's":               {runbook("pool > 9"), policy("shop", "bank"), "pool > 9", nil, nil, "for which service"},
		"no policy":              {runbook("pool > 9"), nil, "pool > 9", nil, nil, "for which service"},
		"of an unknown service":  {runbook("pool > 9"), policy("shop"), "pool > 9", []string{"service", "moon"}, nil, "no document describes"},
		"that nobody can read":   {runbook("pool ? 9"), policy("shop"), "pool ? 9", nil, nil, "cannot be read"},
		"following another":      {runbook("leader"), nil, "leader > 1", nil, []string{"bank/cut"}, ""},
		"following nothing real": {runbook("someone"), nil, "leader > 1", nil, nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			docs := shop()
			docs.Services[1].Alerts = []jenner.Rule{{Name: "leader", PromQL: "leader > 1"}}
			docs.Runbooks, docs.Policies = []jenner.Runbook{test.runbook}, test.policies
			b := newBench(docs)
			b.world.say(test.promql, holds, test.labels...)
			for range 3 {
				b.step()
			}
			var got []jenner.Alert
			for _, alert := range b.board.AllFiring() {
				if alert.Kind == jenner.AlertTrigger {
					got = append(got, alert)
				}
			}
			same(t, "triggered", names(got), append([]string{}, test.want...))
			if warnings := strings.Count(b.log.String(), "WARN"); test.warns == "" && warnings != 0 ||
				test.warns != "" && (warnings != 1 || !strings.Contains(b.log.String(), test.warns)) {
				t.Errorf("%d warnings, want %q once:\n%s", warnings, test.warns, b.log)
			}
			b.world.say(test.promql, isFalse)
			b.step()
			b.step()
			if firing := b.board.AllFiring(); len(firing) != 0 {
				t.Errorf("still firing: %v", names(firing))
			}
		})
	}
}

func TestTwoRulesOfOneNameDoNotFight(t *testing.T) {
	b := newBench(shop(jenner.Rule{Name: "errors", PromQL: "errors > 1"}, jenner.Rule{Name: "errors", PromQL: "errors > 9"}))
	b.world.say("errors > 1", holds)
	b.world.say("errors > 9", isFalse)
	b.step()
	if len(b.board.AllFiring()) != 1 || !strings.Contains(b.log.String(), "same name") {
		t.Errorf("firing: %v, log:\n%s", names(b.board.AllFiring()), b.log)
	}
}

func TestRunLooksInItsPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		telemetry := newWorld()
		board := NewBoard(time.Now)
		engine := New(Options{Telemetry: telemetry, Board: board, Now: time.Now, HasData: telemetry.hasData})
		engine.Set(shop(jenner.Rule{Name: "errors", PromQL: "errors > 1", For: jenner.Duration(2 * time.Second)}))
		changes, stop := board.Subscribe(10)
		defer stop()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); engine.Run(ctx) }()
		telemetry.say("errors > 1", holds)
		start := time.Now()
		fired := <-changes
		if after := fired.StartsAt.Sub(start); after < 2*time.Second || after > 2*time.Second+DefaultEvery {
			t.Errorf("it fired after %s, want 2s", after)
		}
		telemetry.say("errors > 1", isFalse)
		if ended := <-changes; ended.Status != jenner.Resolved {
			t.Errorf("then it is %s, want resolved", ended.Status)
		}
		cancel()
		<-done
	})
}

func TestL20RuleWithManySeriesStaysBounded(t *testing.T) {
	b := newBench(shop(jenner.Rule{Name: "errors", PromQL: "errors > 1"}))
	b.board.SetLimit(50)
	for i := range 500 {
		b.world.answers["errors > 1"] = append(b.world.answers["errors > 1"],
			jenner.Sample{Labels: map[string]string{"path": fmt.Sprint(i)}, Value: 2})
	}
	b.step()
	if firing := len(b.board.AllFiring()); firing != 50 || b.board.Dropped() != 450 {
		t.Errorf("%d fire, %d dropped; want 50 and 450", firing, b.board.Dropped())
	}
}
