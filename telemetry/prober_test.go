package telemetry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
)

// script is a probe that answers as a function says; n counts its calls from 1.
type script func(ctx context.Context, n int) Result

type scripted struct {
	script script
	calls  int
}

func (s *scripted) Probe(ctx context.Context, _ ProbeCall) Result {
	s.calls++
	return s.script(ctx, s.calls)
}

func always(result Result) script { return func(context.Context, int) Result { return result } }

// desk is a prober with scripts in place of real services, and all that came out of it.
type desk struct {
	*Prober
	scripts map[string]script // by the probe's name

	mu      sync.Mutex
	start   time.Time
	states  []jenner.ProbeState
	samples []jenner.Sample
	built   []string
}

// newDesk is called inside a synctest bubble: its time is not that of the wall.
func newDesk(scripts map[string]script) *desk {
	d := &desk{scripts: scripts, start: time.Now()}
	d.Prober = NewProber(ProberOptions{
		Append: func(samples ...jenner.Sample) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.samples = append(d.samples, samples...)
			return nil
		},
		Build: func(_ jenner.Service, probe jenner.Probe) (Probe, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.built = append(d.built, probe.Name)
			if d.scripts[probe.Name] == nil {
				return nil, errors.New("nobody wrote this script")
			}
			return &scripted{script: d.scripts[probe.Name]}, nil
		},
		Alive: func(target jenner.Target) (Probe, bool) {
			return &scripted{script: d.scripts[target.Name]}, target.Kind == "process"
		},
		OnState: func(state jenner.ProbeState) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.states = append(d.states, state)
		},
	})
	return d
}

// seen are the states that OnState was told of that probe, in order.
func (d *desk) seen(name string) []jenner.ProbeState {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []jenner.ProbeState
	for _, state := range d.states {
		if state.Name == name {
			list = append(list, state)
		}
	}
	return list
}

func (d *desk) state(t *testing.T, name string) jenner.ProbeState {
	t.Helper()
	state, has := d.Probe("checkout", name)
	if !has {
		t.Fatalf("there is no probe %s", name)
	}
	return state
}

func checkout(probes ...jenner.Probe) []jenner.Service {
	return []jenner.Service{{Name: "checkout", Probes: probes}}
}

func every(name string, period time.Duration) jenner.Probe {
	return jenner.Probe{Name: name, Kind: "script", Every: jenner.Duration(period)}
}

// after lets time pass and all that was due happen.
func after(d time.Duration) {
	time.Sleep(d) // synctest: the bubble's time
	synctest.Wait()
}

func TestProberRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(map[string]script{"quick": always(Result{Outcome: OK}), "calm": always(Result{Outcome: OK})})
		defer d.Close()
		d.Set(checkout(every("quick", 250*time.Millisecond), jenner.Probe{Name: "calm", Kind: "script"}))
		after(100 * time.Millisecond)
		if got := len(d.seen("quick")); got != 1 {
			t.Errorf("a quick probe was asked %d times in its first 100 ms, want once", got)
		}
		after(9900 * time.Millisecond)
		for name, want := range map[string]int{"quick": 40, "calm": 10} {
			states := d.seen(name)
			if len(states) != want {
				t.Errorf("%s was asked %d times in 10 s, want %d", name, len(states), want)
			}
			for i := 1; i < len(states); i++ {
				if gap := states[i].At.Sub(states[i-1].At); gap != states[i].Every {
					t.Fatalf("%s: %s between two answers, want %s", name, gap, states[i].Every)
				}
			}
		}
	})
}

func TestProberStateAndSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(map[string]script{"ready": func(_ context.Context, n int) Result {
			time.Sleep(40 * time.Millisecond) // synctest: how long the service takes
			if n == 3 || n == 4 {
				return Result{Outcome: Failed, Message: fmt.Sprintf("reason %d", n)}
			}
			return Result{Outcome: OK}
		}})
		defer d.Close()
		d.Set(checkout(every("ready", 500*time.Millisecond)))
		after(3 * time.Second)
		var row []string
		for _, state := range d.seen("ready") {
			row = append(row, fmt.Sprintf("%s %v %d %s", state.Status, state.LastOK, state.Streak, state.Message))
		}
		want := []string{
			"passing true 1 ", "passing true 2 ", "passing false 1 reason 3", "failing false 2 reason 4",
			"failing true 1 reason 4", "passing true 2 reason 4",
		}
		if !slices.Equal(row, want) {
			t.Errorf("got %q, want %q", row, want)
		}
		state, first := d.state(t, "ready"), d.seen("ready")[0]
		if state != d.seen("ready")[5] || state.Since != state.At || first.Since != first.At {
			t.Errorf("the state read is %+v", state)
		}
		if state.Duration != 40*time.Millisecond || state.Kind != "script" || !state.Fresh(time.Now()) {
			t.Errorf("the state read is %+v", state)
		}
		got := d.series("probe_success")
		if want := "1 1 0 0 1 1"; got != want {
			t.Errorf("probe_success %s, want %s", got, want)
		}
		if got, want := d.series("probe_duration_seconds"), "0.04 0.04 0.04 0.04 0.04 0.04"; got != want {
			t.Errorf("probe_duration_seconds %s, want %s", got, want)
		}
	})
}

// series writes the values of a series, `end` for a stale marker.
func (d *desk) series(metric string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var row []string
	for _, one := range d.samples {
		if one.Labels["__name__"] != metric || one.Labels["service"] != "checkout" || one.Labels["probe"] == "" {
			continue
		}
		text := fmt.Sprint(one.Value)
		if math.Float64bits(one.Value) == math.Float64bits(staleMarker) {
			text = "end"
		}
		row = append(row, text)
	}
	return strings.Join(row, " ")
}

func TestProberAnswers(t *testing.T) {
	ignoring := func(d time.Duration, then Result) script {
		return func(context.Context, int) Result {
			time.Sleep(d) // synctest: the probe does not heed its context
			return then
		}
	}
	heeding := func(ctx context.Context, _ int) Result {
		<-ctx.Done()
		return ResultOf(ctx, ctx.Err())
	}
	firstThen := func(result Result, later script) script {
		return func(ctx context.Context, n int) Result {
			if n == 1 {
				return result
			}
			return later(ctx, n)
		}
	}
	for _, tc := range []struct {
		name   string
		script script
		status jenner.ProbeStatus
		says   string
	}{
		{"a hanging service", heeding, jenner.ProbeFailing, "no answer in time"},
		{"a right answer that comes too late", ignoring(600*time.Millisecond, Result{Outcome: OK}), jenner.ProbeFailing, "later than the timeout of 500ms"},
		{"a slow service", ignoring(300*time.Millisecond, Result{Outcome: OK}), jenner.ProbeSlow, ""},
		{"a probe that never comes back", firstThen(Result{Outcome: OK}, ignoring(time.Hour, Result{Outcome: OK})), jenner.ProbeUnknown, "no answer for 1.5s"},
		{"a question that can no longer be asked", firstThen(Result{Outcome: OK}, always(Result{Outcome: Unknown, Message: "no file descriptors"})), jenner.ProbeUnknown, "no file descriptors"},
		{"an outcome nobody knows", always(Result{Outcome: "maybe"}), jenner.ProbeUnknown, ""},
		{"a probe that panics", func(context.Context, int) Result { panic("nil map") }, jenner.ProbeUnknown, "panicked: nil map"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(map[string]script{"ready": tc.script})
				probe := every("ready", 500*time.Millisecond)
				probe.Slow = jenner.Duration(200 * time.Millisecond)
				d.Set(checkout(probe))
				after(4 * time.Second)
				state := d.state(t, "ready")
				if state.Status != tc.status || !strings.Contains(state.Message, tc.says) {
					t.Errorf("%s %q, want %s %q", state.Status, state.Message, tc.status, tc.says)
				}
				told := d.seen("ready")
				if len(told) == 0 || told[len(told)-1].Status != tc.status {
					t.Error("OnState was not told")
				}
				if state.Status == jenner.ProbeUnknown && strings.HasPrefix(d.series("probe_success"), "1") &&
					d.series("probe_success") != "1 end" {
					t.Errorf("probe_success %s: unknown is no data", d.series("probe_success"))
				}
				asked := time.Now()
				d.Close() // also with a probe that never comes back
				if took := time.Since(asked); took > lastPatience {
					t.Errorf("Close waited %s, want at most %s", took, lastPatience)
				}
				time.Sleep(2 * time.Hour) // synctest: until the probe that was left behind ends
			})
		})
	}
}

func TestProberUnknownBreaksTheRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(map[string]script{"ready": func(_ context.Context, n int) Result {
			if n == 3 {
				return Result{Outcome: Unknown, Message: "no file descriptors"}
			}
			return Result{Outcome: OK}
		}})
		defer d.Close()
		d.Set(checkout(every("ready", time.Second)))
		after(4 * time.Second)
		var row []string
		for _, state := range d.seen("ready") {
			row = append(row, fmt.Sprintf("%s %d", state.Status, state.Streak))
		}
		if want := []string{"passing 1", "passing 2", "passing 0", "passing 1"}; !slices.Equal(row, want) {
			t.Errorf("got %q, want %q", row, want)
		}
		if told := d.seen("ready"); len(told) > 2 && told[2].At != told[1].At {
			t.Error("an unknown answer counts as a look at the service")
		}
		if got, want := d.series("probe_success"), "1 1 end 1"; got != want {
			t.Errorf("probe_success %s, want %s", got, want)
		}
	})
}

func TestProberSetKeepsWhatDidNotChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok := always(Result{Outcome: OK})
		d := newDesk(map[string]script{"same": ok, "changed": ok, "gone": ok, "new": ok})
		defer d.Close()
		d.Set(checkout(every("same", time.Second), every("changed", time.Second), every("gone", time.Second)))
		after(5 * time.Second)
		same := d.state(t, "same")
		if same.Streak != 5 {
			t.Fatalf("asked %d times in 5 s", same.Streak)
		}
		services := checkout(every("same", time.Second), every("changed", 2*time.Second), every("new", time.Second))
		services[0].Description = "another text"
		d.Set(services)
		if now := d.state(t, "same"); now != same {
			t.Errorf("an unchanged probe has another state: %+v, before %+v", now, same)
		}
		if now := d.state(t, "changed"); now.Status != jenner.ProbeUnknown || !now.At.IsZero() {
			t.Errorf("a changed probe begins with the old state: %+v", now)
		}
		if _, has := d.Probe("checkout", "gone"); has {
			t.Error("a removed probe is still there")
		}
		before := len(d.seen("gone"))
		after(5 * time.Second)
		if now := d.state(t, "same"); now.Streak != 10 || now.Since != same.Since {
			t.Errorf("an unchanged probe lost its rhythm: %+v", now)
		}
		if got := len(d.seen("gone")); got != before {
			t.Errorf("a removed probe was asked %d times more", got-before)
		}
		if want := []string{"changed", "changed", "gone", "new", "same"}; !slices.Equal(slices.Sorted(slices.Values(d.built)), want) {
			t.Errorf("built %v, want %v", d.built, want)
		}
		var names []string
		for _, state := range d.Probes("checkout") {
			names = append(names, state.Name)
		}
		if want := []string{"changed", "new", "same"}; !slices.Equal(names, want) {
			t.Errorf("Probes gives %v, want %v", names, want)
		}
		if !strings.Contains(d.series("probe_success"), "end") {
			t.Error("the series of the removed probe did not end")
		}
	})
}

func TestProberAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(map[string]script{
			"ready": always(Result{Outcome: OK}),
			"main": func(_ context.Context, n int) Result {
				if n == 3 {
					return Result{Outcome: Failed, Message: "pid 4711 is gone"}
				}
				return Result{Outcome: OK}
			},
			"helper": always(Result{Outcome: Failed, Message: "no pidfile"}),
		})
		defer d.Close()
		services := checkout(every("ready", 200*time.Millisecond))
		services[0].Targets = []jenner.Target{{Kind: "flag", Name: "cache"}, {Kind: "process", Name: "main"}, {Kind: "process", Name: "helper"}}
		services = append(services, jenner.Service{Name: "lonely", Targets: []jenner.Target{{Kind: "process", Name: "helper"}}})
		d.Set(services)
		after(time.Second)
		var row []string
		for _, state := range d.seen("alive") {
			if state.Service == "checkout" {
				row = append(row, string(state.Status))
			}
		}
		if want := []string{"passing", "passing", "failing", "passing", "passing"}; !slices.Equal(row, want) {
			t.Errorf("alive was %v, want %v", row, want)
		}
		if state := d.state(t, "alive"); state.Target != (jenner.TargetRef{Kind: "process", Name: "main"}) || state.Kind != "alive" {
			t.Errorf("alive is %+v", state)
		}
		if state := d.state(t, "alive:helper"); state.Status != jenner.ProbeFailing || state.Every != 200*time.Millisecond {
			t.Errorf("alive:helper is %+v", state)
		}
		if state, _ := d.Probe("lonely", "alive"); state.Every != 500*time.Millisecond {
			t.Errorf("alive of a service without probes is asked every %s, want 500ms", state.Every)
		}
	})
}

func TestProberWhatCannotBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(map[string]script{"odd": always(Result{Outcome: OK}), "twice": always(Result{Outcome: OK})})
		defer d.Close()
		odd := every("odd", time.Second)
		odd.Fails, odd.Of = 3, 2
		d.Set(checkout(odd, every("missing", time.Second), every("twice", time.Second), every("twice", time.Minute)))
		after(3 * time.Second)
		for name, says := range map[string]string{"odd": "fails 3 of 2", "missing": "nobody wrote this script"} {
			state := d.state(t, name)
			if state.Status != jenner.ProbeUnknown || !strings.Contains(state.Message, says) || len(d.seen(name)) != 1 {
				t.Errorf("%s: %+v, told %d times; want unknown with %q, told once", name, state, len(d.seen(name)), says)
			}
		}
		if state := d.state(t, "twice"); state.Every != time.Second || state.Status != jenner.ProbePassing {
			t.Errorf("of two probes of one name the first counts; got %+v", state)
		}
	})
}

// watched is a probe that knows when asking is worth it: whenever somebody sends on news.
type watched struct {
	scripted
	news chan error
}

func (w *watched) Watch(ctx context.Context, _ ProbeCall) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-w.news:
		return err
	}
}

func TestProberWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		probe := &watched{news: make(chan error)}
		gone := false
		probe.script = func(context.Context, int) Result {
			if gone {
				return Result{Outcome: Failed, Message: "gone"}
			}
			return Result{Outcome: OK}
		}
		d := newDesk(nil)
		d.opts.Alive = func(jenner.Target) (Probe, bool) { return probe, true }
		defer d.Close()
		services := checkout()
		services[0].Targets = []jenner.Target{{Kind: "process", Name: "main"}}
		d.Set(services)
		after(120 * time.Millisecond)
		gone = true
		probe.news <- nil
		synctest.Wait() // no time passes
		if state := d.state(t, "alive"); state.Status != jenner.ProbeFailing || state.At != time.Now() {
			t.Errorf("at the moment of the news: %+v", state)
		}
		before := len(d.seen("alive"))
		stop := time.Now().Add(200 * time.Millisecond)
		for time.Now().Before(stop) { // as fast as the prober takes it
			select {
			case probe.news <- nil:
			case <-time.After(time.Millisecond):
			}
		}
		synctest.Wait()
		if got := len(d.seen("alive")) - before; got < 8 || got > 11 {
			t.Errorf("%d questions in 200 ms of news, want one in 20 ms", got)
		}
		after(20 * time.Millisecond)
		before = len(d.seen("alive"))
		probe.news <- errors.New("cannot watch")
		after(time.Second)
		if got := len(d.seen("alive")) - before; got != 1 {
			t.Errorf("%d questions in a second without watching, want the usual one of a probe that can watch", got)
		}
	})
}

// One probe that is stuck, or whose listener is slow, holds up no other.
func TestProberSlowListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(map[string]script{"a": always(Result{Outcome: OK}), "b": always(Result{Outcome: OK})})
		inner := d.opts.OnState
		d.opts.OnState = func(state jenner.ProbeState) {
			inner(state)
			if state.Name == "a" {
				time.Sleep(time.Hour) // synctest
			}
		}
		d.Set(checkout(every("a", time.Second), every("b", time.Second)))
		after(10 * time.Second)
		if a, b := len(d.seen("a")), len(d.seen("b")); a != 1 || b != 10 {
			t.Errorf("a was asked %d times and b %d times, want 1 and 10", a, b)
		}
		d.Close()
	})
}

func TestProberClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(map[string]script{"ready": always(Result{Outcome: OK})})
		d.Set(checkout(every("ready", time.Second)))
		after(3 * time.Second)
		d.Close()
		d.Close()
		told := len(d.seen("ready"))
		d.Set(checkout(every("other", time.Second)))
		after(10 * time.Second)
		if _, has := d.Probe("checkout", "other"); has || len(d.seen("ready")) != told {
			t.Error("a closed prober asks on")
		}
		if got, want := d.series("probe_success"), "1 1 1 end"; got != want {
			t.Errorf("probe_success %s, want %s", got, want)
		}
	})
}

func TestProberAskNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(map[string]script{"ready": always(Result{Outcome: OK})})
		defer d.Close()
		d.Set(checkout(every("ready", time.Minute)))
		after(90 * time.Second)
		before := len(d.seen("ready"))
		d.AskNow("another")
		synctest.Wait()
		if got := len(d.seen("ready")); got != before {
			t.Error("a probe of another service was asked")
		}
		d.AskNow("checkout")
		synctest.Wait() // no time passes
		if told := d.seen("ready"); len(told) != before+1 || told[before].At != time.Now() {
			t.Errorf("asked %d times, want once at once", len(told)-before)
		}
		after(time.Minute)
		if got := len(d.seen("ready")); got != before+2 {
			t.Errorf("asked %d times in the next minute, want once: the rhythm stays", got-before-1)
		}
	})
}
