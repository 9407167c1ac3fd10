package detect

import (
	"context"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

func number(value float64) *jenner.Number {
	n := jenner.Number(value)
	return &n
}

func measured(slis ...jenner.SLI) *jenner.Documents {
	return &jenner.Documents{Services: []jenner.Service{{Name: "shop", SLIs: slis}}}
}

var latency = jenner.SLI{Name: "latency", PromQL: `latency{s="$service"}`}

const asked = `latency{s="shop"}`

// learn feeds values one second apart.
func learn(s *Steady, from time.Time, values ...float64) {
	for i, value := range values {
		s.Observe("shop", "latency", value, from.Add(time.Duration(i)*time.Second))
	}
}

func TestSteadyFormula(t *testing.T) {
	tests := map[string]struct {
		values    []float64
		low, high float64
	}{
		"leeway where it varies little": {[]float64{10, 10, 10, 10, 10, 10}, 5, 15},
		"deviation where it varies":     {[]float64{0, 2, 0, 2, 0, 2}, 1 - 4*math.Sqrt(1.2), 1 + 4*math.Sqrt(1.2)},
		"floor around nothing":          {[]float64{0, 0, 0, 0, 0, 0}, -0.01, 0.01},
		"below zero":                    {[]float64{-10, -10, -10, -10, -10, -10}, -15, -5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := NewSteady(SteadyOptions{Window: 5 * time.Second})
			s.Set(measured(latency))
			learn(s, newClock().at, test.values...)
			got, learned := s.Bounds("shop", "latency")
			if !learned || !got.Learned || got.N != 6 || math.Abs(got.Low-test.low) > 1e-9 || math.Abs(got.High-test.high) > 1e-9 {
				t.Errorf("the bounds are %+v (%v), want %g to %g", got, learned, test.low, test.high)
			}
		})
	}
}

func TestSteadyNeedsTimeAndSamples(t *testing.T) {
	at := newClock().at
	s := NewSteady(SteadyOptions{Window: 10 * time.Second, MinSamples: 4})
	s.Set(measured(latency))
	learn(s, at, 1, 1, 1, 1, 1) // enough samples, but not the time
	if got, known := s.Bounds("shop", "latency"); known {
		t.Errorf("learned in half the window: %+v", got)
	}
	s.Observe("shop", "latency", math.NaN(), at.Add(time.Minute))
	if got, known := s.Bounds("shop", "latency"); known {
		t.Errorf("learned from no number: %+v", got)
	}
	s.Disturbed("shop")
	s.Observe("shop", "latency", 1, at.Add(time.Minute))
	s.Observe("shop", "latency", 1, at.Add(2*time.Minute)) // the time, but not enough samples since
	if got, known := s.Bounds("shop", "latency"); known {
		t.Errorf("a disturbed baseline went on: %+v", got)
	}
}

// Whatever is learned: the bounds hold the mean with room, they do not depend on the order of the values, they are what
// the formula gives, and later values do not move them.
func TestSteadyBoundsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 5, 50).Draw(t, "values")
		at := newClock().at
		s := NewSteady(SteadyOptions{Window: time.Duration(len(values)-1) * time.Second})
		learn(s, at, values...)
		got, known := s.Bounds("shop", "latency")
		if !known {
			t.Fatal("nothing was learned")
		}
		sum, squares := 0.0, 0.0
		for _, value := range values {
			sum += value
		}
		mean := sum / float64(len(values))
		for _, value := range values {
			squares += (value - mean) * (value - mean)
		}
		deviation := math.Sqrt(squares / float64(len(values)-1))
		distance := max(Deviations*deviation, Leeway*math.Abs(mean), DefaultFloor)
		near := 1e-6 * (1 + math.Abs(mean) + deviation)
		if math.Abs(got.Low-(mean-distance)) > near || math.Abs(got.High-(mean+distance)) > near {
			t.Fatalf("%+v, want %g ± %g", got, mean, distance)
		}
		if !got.Holds(mean) || got.Holds(mean+2*distance) || got.Holds(mean-2*distance) {
			t.Fatalf("%+v holds what it must not, or not its own mean %g", got, mean)
		}
		learn(s, at.Add(time.Hour), rapid.SliceOfN(rapid.Float64(), 0, 20).Draw(t, "later")...)
		if after, _ := s.Bounds("shop", "latency"); after != got {
			t.Fatalf("the bounds moved from %+v to %+v", got, after)
		}
	})
}

func TestDeclaredBoundsWin(t *testing.T) {
	sli := latency
	sli.Below = number(0.5)
	s := NewSteady(SteadyOptions{Window: 5 * time.Second})
	s.Set(measured(sli))
	learn(s, newClock().at, 9, 9, 9, 9, 9, 9)
	got, known := s.Bounds("shop", "latency")
	if !known || got.Learned || got.High != 0.5 || !got.Holds(-1e300) || got.Holds(0.6) {
		t.Errorf("the bounds are %+v (%v), want everything up to 0.5", got, known)
	}
	sli.Above, sli.Below = number(0.1), nil
	s.Set(measured(sli))
	if got, _ := s.Bounds("shop", "latency"); got.Low != 0.1 || !got.Holds(1e300) || got.Holds(0) {
		t.Errorf("the bounds are %+v, want 0.1 or more", got)
	}
}

func TestL8CheckHasThreeOutcomes(t *testing.T) {
	tests := map[string]struct {
		values []float64
		broken bool
		bounds bool
		want   jenner.CheckOutcome
		saw    string
	}{
		"normal":             {[]float64{10}, false, true, jenner.Passed, "10, normal is 5 to 15"},
		"out of bounds":      {[]float64{99}, false, true, jenner.Failed, "99, normal is 5 to 15"},
		"no traffic":         {nil, false, true, jenner.Inconclusive, "no data"},
		"nothing by nothing": {[]float64{math.NaN()}, false, true, jenner.Inconclusive, "no data"},
		"could not ask":      {nil, true, true, jenner.Inconclusive, "could not ask: telemetry is away"},
		"no bounds":          {[]float64{10}, false, false, jenner.Inconclusive, "no steady bounds yet"},
		"two numbers": {[]float64{10, 10}, false, true, jenner.Inconclusive,
			"too many series: 2 series where one number is needed; put sum(), max() or the like around the PromQL"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := NewSteady(SteadyOptions{Window: 5 * time.Second})
			docs := measured(latency)
			s.Set(docs)
			if test.bounds {
				learn(s, newClock().at, 10, 10, 10, 10, 10, 10)
			}
			telemetry := newWorld()
			telemetry.value(asked, test.values...)
			telemetry.broken[asked] = test.broken
			checks := s.Check(docs.Services[0], telemetry, context.Background())
			if len(checks) != 1 || checks[0] != (jenner.Check{Kind: jenner.CheckSLI, Name: "sli latency", Outcome: test.want, Saw: test.saw}) {
				t.Errorf("checks are %+v, want %s, saw %q", checks, test.want, test.saw)
			}
		})
	}
}

func TestSteadySurvivesARestart(t *testing.T) {
	before := NewSteady(SteadyOptions{Window: 5 * time.Second})
	before.Set(measured(latency))
	learn(before, newClock().at, 10, 10, 10, 10, 10, 10)
	raw, err := before.Export()
	if err != nil {
		t.Fatal(err)
	}
	want, _ := before.Bounds("shop", "latency")

	for _, importFirst := range []bool{true, false} {
		after := NewSteady(SteadyOptions{})
		if !importFirst {
			after.Set(measured(latency))
		}
		if err := after.Import(raw); err != nil {
			t.Fatal(err)
		}
		after.Set(measured(latency))
		if got, known := after.Bounds("shop", "latency"); !known || got != want {
			t.Errorf("after the restart: %+v (%v), want %+v", got, known, want)
		}
		other := latency
		other.PromQL = "something else"
		after.Set(measured(other))
		if got, known := after.Bounds("shop", "latency"); known {
			t.Errorf("another question has the old bounds: %+v", got)
		}
	}
}

func TestImportRefusesWhatItCannotRead(t *testing.T) {
	for _, raw := range []string{`{`, `[{"service":"shop","sli":"latency","learned":true,"low":2,"high":1}]`, `[{}]`} {
		s := NewSteady(SteadyOptions{})
		if err := s.Import([]byte(raw)); err == nil {
			t.Errorf("Import(%s) gave no error", raw)
		}
		if got, known := s.Bounds("shop", "latency"); known {
			t.Errorf("Import(%s) left %+v", raw, got)
		}
	}
}

func TestRelearn(t *testing.T) {
	s := NewSteady(SteadyOptions{Window: 5 * time.Second})
	s.Set(measured(latency))
	at := newClock().at
	learn(s, at, 10, 10, 10, 10, 10, 10)
	s.Relearn("sho") // the name of another service
	if _, known := s.Bounds("shop", "latency"); !known {
		t.Error("another service's Relearn forgot this one")
	}
	s.Relearn("shop")
	if got, known := s.Bounds("shop", "latency"); known {
		t.Errorf("still known: %+v", got)
	}
	learn(s, at.Add(time.Hour), 20, 20, 20, 20, 20, 20)
	if got, _ := s.Bounds("shop", "latency"); got.Mean != 20 {
		t.Errorf("learned anew: %+v", got)
	}
}

// seconds lets the engine look for so long.
func (b *bench) seconds(n int) {
	for range n * int(time.Second/DefaultEvery) {
		b.step()
	}
}

func TestSLIOutOfBoundsFires(t *testing.T) {
	sli := latency
	sli.For = jenner.Duration(3 * time.Second)
	b := newBench(measured(sli))
	b.world.value(asked, 10)
	b.seconds(7)
	if got, known := b.steady.Bounds("shop", "latency"); !known {
		t.Fatalf("nothing was learned: %+v", got)
	}
	b.world.value(asked, 100)
	b.seconds(3)
	same(t, "after less than `for`", names(b.board.AllFiring()), []string{})
	b.seconds(1)
	same(t, "after `for`", names(b.board.AllFiring()), []string{"shop/sli-latency"})
	seen := b.board.AllFiring()[0].SeenAt
	b.world.value(asked)
	b.seconds(60)
	if firing := b.board.AllFiring(); len(firing) != 1 || !firing[0].SeenAt.Equal(seen) {
		t.Errorf("without data it was resolved or refreshed: %+v", firing)
	}
	b.world.value(asked, 11)
	b.seconds(1)
	same(t, "back in bounds", names(b.board.AllFiring()), []string{})
}

func TestL8GapDoesNotCountAsOutOfBounds(t *testing.T) {
	sli := latency
	sli.Below, sli.For = number(1), jenner.Duration(3*time.Second)
	b := newBench(measured(sli))
	b.world.value(asked, 100)
	b.seconds(1)
	b.world.value(asked)
	b.seconds(10)
	b.world.value(asked, 100)
	b.seconds(1)
	same(t, "firing right after a gap longer than `for`", names(b.board.AllFiring()), []string{})
}

func TestSLIAlertFromBeforeARestartIsRefreshedAtOnce(t *testing.T) {
	sli := latency
	sli.Below, sli.For = number(1), jenner.Duration(3*time.Second)
	before := newBench(measured(sli))
	before.world.value(asked, 100)
	before.seconds(5)

	after := newBench(measured(sli))
	after.at.pass(time.Hour)
	after.board.Restore(before.board.AllFiring())
	after.world.value(asked, 100)
	now := after.at.at
	after.step()
	if firing := after.board.AllFiring(); len(firing) != 1 || !firing[0].SeenAt.Equal(now) {
		t.Errorf("firing: %+v, want one that was seen at %s", firing, now)
	}
}

func TestSLIWithoutForIsNoAlert(t *testing.T) {
	sli := latency
	sli.Below = number(1)
	b := newBench(measured(sli))
	b.world.value(asked, 100)
	b.seconds(10)
	same(t, "firing", names(b.board.AllFiring()), []string{})
}

func TestNothingIsLearnedFromTrouble(t *testing.T) {
	b := newBench(measured(latency))
	b.world.value(asked, 10)
	b.seconds(3)
	b.board.Put(fires("shop", "down"))
	b.world.value(asked, 1000)
	b.seconds(30)
	if got, known := b.steady.Bounds("shop", "latency"); known {
		t.Fatalf("learned while an alert fired: %+v", got)
	}
	b.board.Put(resolves("shop", "down"))
	b.world.value(asked, 20)
	b.seconds(7)
	if got, _ := b.steady.Bounds("shop", "latency"); got.Mean != 20 {
		t.Errorf("learned %+v, want the values after the trouble alone", got)
	}
}
