package detect

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
)

// twoWorlds answers questions about the service far as a server would, which may hang, and all others by itself.
type twoWorlds struct {
	*world
	far *world

	mu    sync.Mutex
	hangs bool
	asked map[string]int // questions put to the server
}

func (w *twoWorlds) Query(ctx context.Context, promql string) (jenner.Answer, error) {
	question, _ := jenner.Asked(ctx)
	if question.Service != "far" {
		return w.world.Query(ctx, promql)
	}
	w.mu.Lock()
	hangs := w.hangs
	w.asked[promql]++
	w.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return jenner.Answer{}, context.Cause(ctx)
	}
	return w.far.Query(ctx, promql)
}

func (w *twoWorlds) HasData(ctx context.Context, promql string) (bool, error) {
	if question, _ := jenner.Asked(ctx); question.Service == "far" {
		return w.far.hasData(ctx, promql)
	}
	return w.world.hasData(ctx, promql)
}

func (w *twoWorlds) hang(does bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hangs = does
}

func (w *twoWorlds) times(promql string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[promql]
}

// farAndNear are two services, of which one lives on a server that is asked every second.
func farAndNear() *jenner.Documents {
	return &jenner.Documents{
		Prometheus: []jenner.Prometheus{{Name: "main", Every: jenner.Duration(time.Second)}},
		Services: []jenner.Service{
			{Name: "far", Prometheus: "main", Alerts: []jenner.Rule{{Name: "a", PromQL: "a > 0"}, {Name: "b", PromQL: "b > 0"}},
				SLIs: []jenner.SLI{{Name: "s", PromQL: "s", Below: new(jenner.Number)}}},
			{Name: "near", Alerts: []jenner.Rule{{Name: "a", PromQL: "a > 0"}}},
		},
	}
}

// running is an engine that runs in the bubble of synctest until the test ends.
func running(t *testing.T, docs *jenner.Documents) (*Engine, *twoWorlds) {
	t.Helper()
	w := &twoWorlds{world: newWorld(), far: newWorld(), asked: map[string]int{}}
	engine := New(Options{Telemetry: w, Board: NewBoard(time.Now), Now: time.Now, HasData: w.HasData, Logger: slog.New(slog.DiscardHandler)})
	engine.Set(docs)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { engine.Run(ctx); close(ended) }()
	t.Cleanup(func() { stop(); <-ended })
	return engine, w
}

// A server that hangs holds up its own rules and nobody else's.
func TestAServerThatHangsHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, w := running(t, farAndNear())
		w.hang(true)
		time.Sleep(2 * time.Second)
		w.say("a > 0", holds)
		time.Sleep(DefaultEvery)
		synctest.Wait()
		same(t, "firing", names(engine.board.AllFiring()), []string{"near/a"})
		w.say("a > 0", isFalse)
		time.Sleep(DefaultEvery)
		synctest.Wait()
		same(t, "firing", names(engine.board.AllFiring()), []string{})
		done := make(chan struct{})
		go func() { engine.Set(farAndNear()); close(done) }() // breaks off what hangs
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Error("a change of the documents waits for the server")
		}
	})
}

// A server is asked as often as its document says, and not at each look.
func TestAServerIsAskedAtItsOwnPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, w := running(t, farAndNear())
		time.Sleep(10*time.Second + DefaultEvery/2)
		synctest.Wait()
		for _, promql := range []string{"a > 0", "b > 0", "s"} {
			if n := w.times(promql); n != 11 {
				t.Errorf("%s was asked %d times in 10 s", promql, n)
			}
		}
		w.far.say("a > 0", holds, "service", "kube-state-metrics")
		w.far.value("s", 3)
		time.Sleep(time.Second)
		synctest.Wait()
		same(t, "firing", names(engine.board.AllFiring()), []string{"far/a"})
		if labels := engine.board.AllFiring()[0].Labels; labels["exported_service"] != "kube-state-metrics" || labels["service"] != "far" {
			t.Errorf("the labels are %v", labels)
		}
	})
}

// What fires on a server's word is resolved when it was clear twice: the data may have come back between two questions.
func TestAServersAlertIsResolvedWhenItIsClearTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, w := running(t, farAndNear())
		step := func(how string, want ...string) {
			t.Helper()
			w.far.say("a > 0", how)
			time.Sleep(time.Second)
			synctest.Wait()
			same(t, "firing when it is "+how, names(engine.board.AllFiring()), append([]string{}, want...))
		}
		time.Sleep(DefaultEvery / 2)
		step(holds, "far/a")
		step(isFalse, "far/a")
		step(noData, "far/a")
		step(isFalse, "far/a")
		step(noAnswer, "far/a")
		step(isFalse, "far/a")
		step(isFalse)
	})
}

// One that is pending begins anew after a single look at which it did not hold.
func TestAServersPendingAlertBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		docs := farAndNear()
		docs.Services[0].Alerts[0].For = jenner.Duration(2 * time.Second)
		engine, w := running(t, docs)
		time.Sleep(DefaultEvery / 2)
		for _, how := range []string{holds, holds, isFalse, holds, holds} {
			w.far.say("a > 0", how)
			time.Sleep(time.Second)
			synctest.Wait()
			same(t, "firing", names(engine.board.AllFiring()), []string{})
		}
		time.Sleep(time.Second)
		synctest.Wait()
		same(t, "firing", names(engine.board.AllFiring()), []string{"far/a"})
	})
}

// That an instance is down says nothing about its alert, also where other instances give data.
func TestAnInstanceThatIsDownKeepsItsAlert(t *testing.T) {
	b := newBench(shop(jenner.Rule{Name: "busy", PromQL: "busy > 1"}))
	b.world.say("busy > 1", holds, "service", "shop", "instance", "one")
	b.step()
	const down = `up{instance="one",service="shop"} == 0`
	b.world.say("busy > 1", isFalse)
	b.world.say(down, holds)
	b.step()
	same(t, "down", names(b.board.AllFiring()), []string{"shop/busy"})
	b.world.say(down, noAnswer)
	b.step()
	same(t, "unknown", names(b.board.AllFiring()), []string{"shop/busy"})
	b.world.say(down, isFalse)
	b.step()
	same(t, "up, or gone for good", names(b.board.AllFiring()), []string{})
}
