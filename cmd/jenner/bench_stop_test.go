package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/internal/await"
)

// BenchmarkKillSwitch is how long after somebody says stop the effect that is under way was broken off, and how long after
// it the last effect was begun. The clock runs from before the kill switch, or the pause, is written to disk; with
// `from-the-terminal` from before the command is started.
func BenchmarkKillSwitch(b *testing.B) {
	stop := func(b *testing.B, a *app.App) func() {
		if _, err := a.Holds.Stop("bench", ""); err != nil {
			b.Fatal(err)
		}
		return func() { _, _, _ = a.Holds.Resume() }
	}
	pause := func(b *testing.B, a *app.App) func() {
		if _, err := a.Holds.Pause("stock", time.Time{}, "bench", ""); err != nil {
			b.Fatal(err)
		}
		return func() { _, _, _ = a.Holds.Unpause("stock") }
	}
	typed := func(word ...string) func(b *testing.B, a *app.App) func() {
		return func(b *testing.B, a *app.App) func() {
			cmd := exec.Command(filepath.Join(a.Config[0], "jenner"), append(word, "--data", a.Data)...)
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			return func() {
				_ = cmd.Wait()
				_, _, _ = a.Holds.Resume()
				_, _, _ = a.Holds.Unpause("stock")
			}
		}
	}
	for _, way := range []struct {
		name string
		say  func(b *testing.B, a *app.App) func()
	}{{"stop", stop}, {"pause", pause}, {"stop-from-the-terminal", typed("stop")}, {"pause-from-the-terminal", typed("pause", "stock")}} {
		b.Run(way.name+"/restart-under-way", func(b *testing.B) {
			w, a := stopped(b)
			// Its process ignores SIGTERM, so that the restart waits for it to end.
			order := orderFor(b, a, w, "restart", jenner.Params{"grace": jenner.Raw("30s")})
			latencies(b, func(i int) time.Duration { return brokenOff(b, a, order, i, way.say) })
		})
		b.Run(way.name+"/command-under-way", func(b *testing.B) {
			w, a := stopped(b)
			order := orderFor(b, a, w, "run", jenner.Params{"argv": jenner.Raw([]string{"sleep", "60"})})
			latencies(b, func(i int) time.Duration { return brokenOff(b, a, order, i, way.say) })
		})
		b.Run(way.name+"/about-to-begin", func(b *testing.B) {
			w, a := stopped(b)
			order := orderFor(b, a, w, "restart", nil)
			latencies(b, func(i int) time.Duration { return lastBegun(b, a, order, i, way.say) })
		})
	}
}

// stopped is a jenner over a world that runs, which has nothing to heal.
func stopped(b *testing.B) (testWorld, *app.App) {
	b.Helper()
	w := newWorld(b, "")
	a := running(b, w, func(*app.App) {})
	start := orderFor(b, a, w, "start", nil)
	start.Call.Key = "bench/start"
	if _, err := a.Executor().Do(b.Context(), start); err != nil {
		b.Fatal(err)
	}
	await.True(b, "it serves", func() bool { return serves(w.healthURL()) })
	return w, a
}

func orderFor(b *testing.B, a *app.App, w testWorld, verb string, params jenner.Params) act.Order {
	b.Helper()
	service, known := a.Docs().Service("stock")
	if !known {
		b.Fatal("no service in", w.files())
	}
	name, action, err := a.Action(verb, service.Targets[0].Kind, params)
	if err != nil {
		b.Fatal(err)
	}
	return act.Order{Name: name, Action: action, Params: params, By: "bench", Call: act.Call{Service: service, Target: service.Targets[0]}}
}

// latencies reports the median and the most of what is measured b.N times.
func latencies(b *testing.B, one func(i int) time.Duration) {
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		// At another moment between two looks at the disk each time.
		<-time.After(60*time.Millisecond + time.Duration(rand.Int64N(int64(40*time.Millisecond))))
		took = append(took, one(i))
	}
	slices.Sort(took)
	b.ReportMetric(median(took), "p50-ms")
	b.ReportMetric(float64(took[len(took)-1])/float64(time.Millisecond), "max-ms")
	b.ReportMetric(0, "ns/op")
}

// brokenOff begins an effect, says stop while it is under way, and gives how long that took.
func brokenOff(b *testing.B, a *app.App, order act.Order, i int, say func(*testing.B, *app.App) func()) time.Duration {
	b.Helper()
	order.Call.Key = fmt.Sprintf("%s/%s/%d", b.Name(), order.Name, i)
	type end struct {
		at  time.Time
		err error
	}
	ended := make(chan end, 1)
	go func() {
		_, err := a.Executor().Do(b.Context(), order)
		ended <- end{time.Now(), err}
	}()
	await.True(b, "the effect is under way", func() bool {
		_, err := a.Store.Intent(b.Context(), order.Call.Key)
		return err == nil
	})
	<-time.After(10 * time.Millisecond) // the intent is on disk; a moment later the effect has begun
	began := time.Now()
	takeBack := say(b, a)
	result := <-ended
	takeBack()
	if !errors.Is(result.err, act.ErrHeld) {
		b.Fatalf("it was not broken off: %v", result.err)
	}
	return result.at.Sub(began)
}

// instant is an effect that is over as it begins.
type instant struct{ begun *atomic.Int64 }

func (e instant) Do(context.Context, act.Call) (act.Result, error) {
	e.begun.Store(time.Now().UnixNano())
	return act.Result{Changed: true}, nil
}

// lastBegun begins one effect after the other, says stop, and gives how long after that the last one was begun.
func lastBegun(b *testing.B, a *app.App, order act.Order, i int, say func(*testing.B, *app.App) func()) time.Duration {
	b.Helper()
	begun, ended := &atomic.Int64{}, make(chan error, 1)
	order.Name, order.Action = "bench.instant", instant{begun}
	go func() {
		for n := 0; ; n++ {
			one := order
			one.Call.Key = fmt.Sprintf("%s/%d/%d", b.Name(), i, n)
			if _, err := a.Executor().Do(b.Context(), one); err != nil {
				ended <- err
				return
			}
		}
	}()
	await.True(b, "effects are begun", func() bool { return begun.Load() > 0 })
	began := time.Now()
	takeBack := say(b, a)
	if err := <-ended; !errors.Is(err, act.ErrHeld) {
		b.Fatalf("it was not stopped: %v", err)
	}
	takeBack()
	return max(0, time.Unix(0, begun.Load()).Sub(began))
}
