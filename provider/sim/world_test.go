package sim

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
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

// TestWhoHoldsTheClockHoldsTheWaits: where Wait is set, no effect lets time pass by itself.
func TestWhoHoldsTheClockHoldsTheWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := fresh(t)
		var waits []time.Duration
		var noted []string
		world.Wait = func(_ context.Context, d time.Duration) error {
			if waits = append(waits, d); d < 0 {
				return errors.New("given up")
			}
			return nil
		}
		world.Noted = func(effect Effect) { noted = append(noted, effect.What+" "+effect.Key) }
		began := time.Now()
		call := act.Call{Key: "k1", Target: world.Target("shop")}
		turn(t, world, "shop", KnobStartTakes, "3s")
		if _, err := (&Restart{}).Do(t.Context(), call); err != nil {
			t.Fatal(err)
		}
		turn(t, world, "shop", KnobStuck, "true")
		if _, err := (&Restart{}).Do(t.Context(), call); err == nil {
			t.Error("a start that never ends has ended well")
		}
		await := &Await{Every: jenner.Duration(2 * time.Second), Timeout: jenner.Duration(4 * time.Second)}
		if _, err := await.Do(t.Context(), call); err == nil {
			t.Error("what is gone has answered")
		}
		want := []time.Duration{3 * time.Second, -1, 2 * time.Second, 2 * time.Second}
		if !slices.Equal(waits, want) || !time.Now().Equal(began) || !slices.Equal(noted, []string{"restart k1", "restart k1"}) {
			t.Errorf("it waited %v, want %v; the clock went on by %s; noted were %q", waits, want, time.Since(began), noted)
		}
	})
}

// TestAnActionKnowsItsOwnDoing: after a crash, what somebody else did is not done again, and is not taken back.
func TestAnActionKnowsItsOwnDoing(t *testing.T) {
	for name, c := range map[string]struct {
		action    act.Action
		since     func(w *World)
		happened  act.Happened
		afterUndo string
	}{
		"start, and nobody did":    {&Start{}, func(*World) {}, act.HappenedNot, "gone"},
		"start by another":         {&Start{}, func(w *World) { w.Start("shop") }, act.HappenedDone, "running"},
		"start, and it died again": {&Start{}, func(w *World) { w.Start("shop"); w.Kill("shop") }, act.HappenedUnknown, "gone"},
		"stop by another": {&Stop{}, func(w *World) { w.Start("shop"); w.Kill("shop"); w.Start("shop"); w.Kill("shop") },
			act.HappenedUnknown, "gone"},
		"restart by another": {&Restart{}, func(w *World) { w.Start("shop") }, act.HappenedDone, "running"},
		"a knob by another": {&Set{Knob: "flag:x", Value: "on"}, func(w *World) { _ = w.Set("shop", "flag:x", "half") },
			act.HappenedUnknown, "half"},
	} {
		t.Run(name, func(t *testing.T) {
			world := fresh(t)
			if _, stops := c.action.(*Stop); !stops {
				world.Kill("shop")
			}
			call := act.Call{Key: "k1", Target: world.Target("shop")}
			var err error
			if call.Checkpoint, err = c.action.(act.Checkpointer).Checkpoint(t.Context(), call); err != nil {
				t.Fatal(err)
			}
			c.since(world)
			if got, err := c.action.(act.Resolver).Happened(t.Context(), call); err != nil || got != c.happened {
				t.Errorf("it says %q, %v; want %q", got, err, c.happened)
			}
			call.Key += "/undo"
			if undoer, can := c.action.(act.Undoer); can {
				if result, err := undoer.Undo(t.Context(), call); err != nil || result.Changed {
					t.Errorf("the undo says %+v, %v, and nothing was this call's", result, err)
				}
			}
			is := world.State("shop")
			if set, sets := c.action.(*Set); sets {
				is = world.Knob("shop", set.Knob)
			}
			if is != c.afterUndo {
				t.Errorf("it is %s in the end, want %s", is, c.afterUndo)
			}
		})
	}
}
