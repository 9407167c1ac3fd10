package sim

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
)

func TestADependantSuffersFromWhatItNeeds(t *testing.T) {
	world := fresh(t)
	world.Add("payments", "ledger")
	world.Add("checkout", "payments", "partner unless cached")
	world.Add("ledger")
	world.Add("partner")
	asked := func(want string) {
		t.Helper()
		_, err := world.Ask("checkout")
		if got := ""; err != nil || want != "" {
			if err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("checkout says %q, want %q", got, want)
			}
		}
	}
	asked("")
	world.Kill("ledger")
	asked("it needs payments: it needs ledger: connection refused")
	world.Start("ledger")
	asked("")
	turn(t, world, "partner", KnobLatency, "3s")
	if late, err := world.Ask("checkout"); late != 3*time.Second || err != nil {
		t.Errorf("checkout answers after %s, %v; it needs a partner that is 3s late", late, err)
	}
	turn(t, world, "checkout", "flag:cached", "on")
	if late, err := world.Ask("checkout"); late != 0 || err != nil {
		t.Errorf("with the flag checkout answers after %s, %v", late, err)
	}
}

func TestChangesComeAtTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := fresh(t)
		begin := time.Now()
		turn(t, world, "shop", KnobReturns, "10s")
		turn(t, world, "shop", KnobWarmUp, "2s")
		world.At(begin.Add(5*time.Second), func(w *World) { w.Kill("shop") })
		for _, moment := range []struct {
			at          time.Duration
			state, says string
		}{
			{4 * time.Second, "running", ""},
			{6 * time.Second, "gone", "connection refused"},
			{15 * time.Second, "gone", "connection refused"}, // killed when somebody looked, at 6s
			{17 * time.Second, "running", "it is still warming up"},
			{30 * time.Second, "running", ""},
		} {
			time.Sleep(time.Until(begin.Add(moment.at)))
			_, err := world.Ask("shop")
			if got := world.State("shop"); got != moment.state || (err == nil) != (moment.says == "") || err != nil && err.Error() != moment.says {
				t.Errorf("after %s: %s, %v; want %s, %q", moment.at, got, err, moment.state, moment.says)
			}
		}
	})
}

func TestKnobsRefuseWhatTheyCannotBe(t *testing.T) {
	world := fresh(t)
	for knob, value := range map[string]string{KnobBroken: "perhaps", KnobLatency: "5", KnobStartFails: "-1", "flag:": "on", "colour": "red"} {
		if err := world.Set("shop", knob, value); err == nil {
			t.Errorf("knob %s can be %q", knob, value)
		}
	}
	if err := world.Set("nowhere", KnobBroken, "true"); err == nil || !strings.Contains(err.Error(), `no service "nowhere"`) {
		t.Errorf("a service that is not there: %v", err)
	}
}

func TestTelemetryFollowsTheWorld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := fresh(t)
		var heard []string
		seen := NewTelemetry(world, func(state jenner.ProbeState) {
			if text := state.Name + " " + string(state.Status); len(heard) == 0 || !strings.Contains(strings.Join(heard[max(0, len(heard)-2):], ","), text) {
				heard = append(heard, text)
			}
		})
		service := jenner.Service{Name: "shop", Targets: []jenner.Target{world.Target("shop")}, Probes: []jenner.Probe{{Name: "ready",
			Kind: "answer", Params: jenner.Params{"world": jenner.Raw(world.id)}, Every: jenner.Duration(250 * time.Millisecond),
			Slow: jenner.Duration(100 * time.Millisecond)}}}
		if err := seen.Set([]jenner.Service{service}); err != nil {
			t.Fatal(err)
		}
		turnAt := func(after time.Duration, change func()) { time.Sleep(after); change() }
		ctx, stop := context.WithCancel(t.Context())
		var looking sync.WaitGroup
		looking.Go(func() { seen.Run(ctx) })
		turnAt(time.Second, func() { world.Kill("shop") })
		turnAt(time.Second, func() { world.Start("shop") })
		turnAt(time.Second, func() { turn(t, world, "shop", KnobLatency, "150ms") })
		turnAt(time.Second, func() { turn(t, world, "shop", KnobLatency, "400ms") }) // later than the timeout
		turnAt(time.Second, func() { turn(t, world, "shop", KnobLatency, "") })
		time.Sleep(time.Second)
		stop()
		looking.Wait()
		got := strings.Join(heard, ", ")
		want := "alive passing, ready passing, alive failing, ready failing, alive passing, ready passing, ready slow, ready failing, ready passing"
		for _, one := range strings.Split(want, ", ") {
			rest, found := "", false
			if _, rest, found = strings.Cut(got, one); !found {
				t.Fatalf("heard %s\nmissing %q of %s", strings.Join(heard, ", "), one, want)
			}
			got = rest
		}
		seen.Blind(true)
		time.Sleep(time.Minute)
		if state, known := seen.Probe("shop", "ready"); !known || state.Fresh(time.Now()) {
			t.Errorf("a minute without a look, and the state counts as fresh: %+v", state)
		}
	})
}

func TestAQuestionHasTheAnswerThatWasGivenOrNone(t *testing.T) {
	world := fresh(t)
	seen := NewTelemetry(world, nil)
	world.SetAnswer("pool_use", 0.95)
	if answer, err := seen.Query(t.Context(), "pool_use"); err != nil || answer.NoData() || answer.Samples[0].Value != 0.95 {
		t.Errorf("%+v, %v", answer, err)
	}
	for _, question := range []string{"pool_use ", "other"} {
		if answer, err := seen.Query(t.Context(), question); err != nil || !answer.NoData() {
			t.Errorf("%q: %+v, %v; want no data", question, answer, err)
		}
	}
	world.NoAnswer("pool_use")
	if answer, _ := seen.Query(t.Context(), "pool_use"); !answer.NoData() {
		t.Error("an answer that was taken away is still given")
	}
}
