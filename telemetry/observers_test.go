package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
)

// lookout is a runner of one observer of the kind `pod`, whose every run is as a function says; n counts the runs from 1.
type lookout struct {
	*Observers
	run func(ctx context.Context, n int, sink Sink) error

	mu     sync.Mutex
	begun  []time.Duration // since the start
	with   [][]string      // the services of each run
	open   int             // runs that have not ended
	told   []string
	logged strings.Builder
}

func newLookout(run func(ctx context.Context, n int, sink Sink) error) *lookout {
	l := &lookout{run: run}
	start := time.Now()
	l.Observers = NewObservers([]ObserverEntry{{Name: "sky.birds", Kinds: []string{"pod"}, New: func() Observer {
		return observerFunc(func(ctx context.Context, services []jenner.Service, sink Sink) error {
			l.mu.Lock()
			l.begun, l.open = append(l.begun, time.Since(start)), l.open+1
			var with []string
			for _, service := range services {
				with = append(with, service.Name)
			}
			l.with = append(l.with, with)
			n := len(l.begun)
			l.mu.Unlock()
			defer func() { l.mu.Lock(); l.open--; l.mu.Unlock() }()
			return l.run(ctx, n, sink)
		})
	}}}, func(observer string) Sink { return &ear{l, observer} }, slog.New(slog.NewTextHandler(&shared{&l.mu, &l.logged}, nil)))
	return l
}

type observerFunc func(ctx context.Context, services []jenner.Service, sink Sink) error

func (f observerFunc) Observe(ctx context.Context, services []jenner.Service, sink Sink) error {
	return f(ctx, services, sink)
}

type shared struct {
	mu   *sync.Mutex
	text *strings.Builder
}

func (w *shared) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(line)
}

// ear is a sink that remembers.
type ear struct {
	lookout  *lookout
	observer string
}

func (e *ear) hear(words ...string) {
	e.lookout.mu.Lock()
	defer e.lookout.mu.Unlock()
	e.lookout.told = append(e.lookout.told, e.observer+" "+strings.Join(words, " "))
}

func (e *ear) Condition(c jenner.Condition)   { e.hear("condition", c.Reason) }
func (e *ear) Changed(c jenner.ChangeEvent)   { e.hear("changed", c.Object) }
func (e *ear) Synced(...jenner.Subject)       { e.hear("synced") }
func (e *ear) Seen(...jenner.Subject)         { e.hear("seen") }
func (e *ear) Blind(what string, _ error)     { e.hear("blind", what) }
func (l *lookout) heard(words ...string) bool { return slices.Equal(l.told, words) }

// untilStopped is a run that heeds its context.
func untilStopped(ctx context.Context, _ int, _ Sink) error {
	<-ctx.Done()
	return ctx.Err()
}

func pods(names ...string) []jenner.Service {
	var services []jenner.Service
	for _, name := range names {
		services = append(services, jenner.Service{Name: name, Targets: []jenner.Target{{Kind: "pod", Name: name}}})
	}
	return services
}

// TestObserversFollowTheServices: an observer runs over the services that have a target of its kinds, is begun anew when
// they change, and is not disturbed otherwise.
func TestObserversFollowTheServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookout(untilStopped)
		defer l.Close()
		l.Set([]jenner.Service{{Name: "plain", Targets: []jenner.Target{{Kind: "process", Name: "plain"}}}})
		synctest.Wait()
		if len(l.begun) != 0 || len(l.told) != 0 {
			t.Fatalf("with nothing to observe it ran %d times and told %q", len(l.begun), l.told)
		}
		both := append(pods("shop"), jenner.Service{Name: "plain", Targets: []jenner.Target{{Kind: "process", Name: "plain"}}})
		l.Set(both)
		l.Set(both)
		l.Set(append(pods("shop"), jenner.Service{Name: "other", Targets: []jenner.Target{{Kind: "process", Name: "other"}}}))
		synctest.Wait()
		if len(l.begun) != 1 || l.open != 1 || !slices.Equal(l.with[0], []string{"shop"}) {
			t.Fatalf("it ran %d times, with %v, and %d runs are open; want one, with shop alone", len(l.begun), l.with, l.open)
		}
		l.Set(pods("shop", "till"))
		synctest.Wait()
		if len(l.begun) != 2 || l.open != 1 || !slices.Equal(l.with[1], []string{"shop", "till"}) {
			t.Fatalf("after a change it ran %d times, with %v, and %d runs are open", len(l.begun), l.with, l.open)
		}
		l.Set(nil)
		synctest.Wait()
		if l.open != 0 || !l.heard("sky.birds synced") {
			t.Fatalf("with nothing left to observe, %d runs are open and %q was told; want that nothing holds", l.open, l.told)
		}
	})
}

// TestABrokenObserverIsBegunAnew: at once at first, then less and less often, but within half a minute, and what it told
// is not taken back meanwhile.
func TestABrokenObserverIsBegunAnew(t *testing.T) {
	broken := errors.New("the watch broke off")
	for name, run := range map[string]func(ctx context.Context, n int, sink Sink) error{
		"error": func(context.Context, int, Sink) error { return broken },
		"panic": func(context.Context, int, Sink) error { panic(broken) },
		"end":   func(context.Context, int, Sink) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLookout(func(ctx context.Context, n int, sink Sink) error {
					if n == 1 {
						sink.Condition(jenner.Condition{Reason: "Molting", On: true})
					}
					return run(ctx, n, sink)
				})
				l.Set(pods("shop"))
				time.Sleep(5 * time.Minute)
				l.Close()
				if len(l.begun) < 12 || l.begun[1] > time.Second {
					t.Errorf("within 5 minutes it was begun at %v", l.begun)
				}
				for i := 1; i < len(l.begun); i++ {
					if pause := l.begun[i] - l.begun[i-1]; pause > 30*time.Second || i > 15 && pause < 5*time.Second {
						t.Errorf("between run %d and %d it waited %s", i, i+1, pause)
					}
				}
				if !l.heard("sky.birds condition Molting") {
					t.Errorf("it told %q", l.told)
				}
				if log := l.logged.String(); !strings.Contains(log, "sky.birds") || name != "end" && !strings.Contains(log, broken.Error()) {
					t.Errorf("the log does not say what broke: %s", log)
				}
			})
		})
	}
}

// TestAnObserverThatRanWellIsBegunAnewSoon: the pauses grow while it breaks off at once, and not over its lifetime.
func TestAnObserverThatRanWellIsBegunAnewSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLookout(func(ctx context.Context, n int, _ Sink) error {
			if n == 12 {
				time.Sleep(time.Hour)
			}
			return errors.New("gone")
		})
		l.Set(pods("shop"))
		time.Sleep(90 * time.Minute)
		l.Close()
		if pause := l.begun[12] - l.begun[11] - time.Hour; pause > time.Second {
			t.Errorf("after an hour that went well it was begun anew after %s", pause)
		}
	})
}

// TestCloseEndsTheObservers: and one that does not heed its context is left behind and not heard any more.
func TestCloseEndsTheObservers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := make(chan struct{})
		l := newLookout(func(_ context.Context, _ int, sink Sink) error {
			sink.Seen()
			<-deaf
			sink.Condition(jenner.Condition{Reason: "Late", On: true})
			sink.Changed(jenner.ChangeEvent{Object: "late"})
			sink.Synced()
			sink.Seen()
			sink.Blind("late", nil)
			return nil
		})
		l.Set(pods("shop"))
		synctest.Wait()
		began := time.Now()
		l.Close()
		if waited := time.Since(began); waited != lastPatience {
			t.Errorf("Close waited %s for one that is deaf, want %s", waited, lastPatience)
		}
		close(deaf)
		synctest.Wait()
		if l.open != 0 || len(l.begun) != 1 || !l.heard("sky.birds seen") {
			t.Errorf("after Close %d runs of %d are open, and what was heard is %q", l.open, len(l.begun), l.told)
		}
		if !strings.Contains(l.logged.String(), "left behind") {
			t.Errorf("nobody is told that it was left behind: %s", l.logged.String())
		}
	})
}
