package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jenner-heal/jenner"
)

// ear is a notifier that remembers what it was told, or fails, or does not answer.
type ear struct {
	mu   sync.Mutex
	told []string
	err  error
	hang bool
}

func (e *ear) Notify(ctx context.Context, message Message) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if e.err == nil {
		e.told = append(e.told, message.Title)
	}
	return e.err
}

func (e *ear) heard(t *testing.T, who string, want ...string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.told, want) {
		t.Errorf("%s was told %v, want %v", who, e.told, want)
	}
}

// desk is a router with one channel, pager, and two fallbacks.
type desk struct {
	*Router
	pager, file, terminal *ear
}

func newDesk(t *testing.T) desk {
	t.Helper()
	d := desk{pager: &ear{}, file: &ear{}, terminal: &ear{}}
	build := func(channel jenner.Channel) (Notifier, error) {
		if channel.Kind != "ear" {
			return nil, fmt.Errorf("there is no notifier %q", channel.Kind)
		}
		return d.pager, nil
	}
	d.Router = NewRouter(build, []Notifier{d.file, d.terminal}, slog.New(slog.DiscardHandler))
	if err := d.Set([]jenner.Channel{{Name: "pager", Kind: "ear"}}); err != nil {
		t.Fatal(err)
	}
	return d
}

func message(key, title string) Message { return Message{Key: key, Title: title} }

func TestNamedChannelAndFallbacksAreTold(t *testing.T) {
	d := newDesk(t)
	if err := d.Notify(t.Context(), "pager", message("i-1", "down")); err != nil {
		t.Error(err)
	}
	if err := d.Notify(t.Context(), "", message("i-2", "no channel")); err != nil {
		t.Error(err)
	}
	d.pager.heard(t, "the pager", "down")
	d.file.heard(t, "the file", "down", "no channel")
	d.terminal.heard(t, "the terminal", "down", "no channel")
}

func TestUnknownChannelTellsFallbacksAndSaysSo(t *testing.T) {
	d := newDesk(t)
	err := d.Notify(t.Context(), "pagr", message("i-1", "down"))
	if err == nil || !strings.Contains(err.Error(), `no channel "pagr"`) || !strings.Contains(err.Error(), "pager") {
		t.Errorf("the error is %v", err)
	}
	if jenner.NextAfter(err) != jenner.NeverMind {
		t.Errorf("trying again cannot help, but the error says %s", jenner.NextAfter(err))
	}
	d.file.heard(t, "the file", "down")
	d.pager.heard(t, "the pager")
}

func TestOnePageForOneKey(t *testing.T) {
	d := newDesk(t)
	for _, title := range []string{"first", "again"} {
		if err := d.Notify(t.Context(), "pager", message("i-1", title)); err != nil {
			t.Error(err)
		}
	}
	d.pager.heard(t, "the pager", "first")
	d.file.heard(t, "the file", "first")
	for _, title := range []string{"no key", "no key"} {
		if err := d.Notify(t.Context(), "pager", message("", title)); err != nil {
			t.Error(err)
		}
	}
	d.pager.heard(t, "the pager", "first", "no key", "no key")
}

func TestAtTheSameTimeOnePage(t *testing.T) {
	d := newDesk(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := d.Notify(t.Context(), "pager", message("i-1", "down")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	d.pager.heard(t, "the pager", "down")
}

func TestOneFailureDoesNotKeepTheOthersFromBeingTold(t *testing.T) {
	d := newDesk(t)
	d.pager.err, d.file.err = errors.New("line is busy"), errors.New("disk is full")
	err := d.Notify(t.Context(), "pager", message("i-1", "down"))
	if err == nil || !errors.Is(err, d.pager.err) || !errors.Is(err, d.file.err) || jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("the error is %v, want both, to be tried again", err)
	}
	d.terminal.heard(t, "the terminal", "down")

	d.pager.err, d.file.err = nil, nil
	if err := d.Notify(t.Context(), "pager", message("i-1", "down")); err != nil {
		t.Error(err)
	}
	d.pager.heard(t, "the pager, the second time,", "down")
	d.terminal.heard(t, "the terminal, which knew,", "down")
}

func TestNobodyWaitsForTheOneThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.pager.hang = true
		start := time.Now()
		err := d.Notify(context.Background(), "pager", message("i-1", "down"))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != patience {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		d.terminal.heard(t, "the terminal", "down")
	})
}

// deaf does not even heed its context.
type deaf struct{ release chan struct{} }

func (d deaf) Notify(context.Context, Message) error { <-d.release; return nil }

func TestOneThatIgnoresItsContextIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := deaf{make(chan struct{})}
		other := &ear{}
		router := NewRouter(nil, []Notifier{stuck, other}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := router.Notify(ctx, "", message("i-1", "down"))
		if err == nil || !strings.Contains(err.Error(), "fallback 1") {
			t.Errorf("the error is %v", err)
		}
		other.heard(t, "the other", "down")
		close(stuck.release)
	})
}

func TestSetRefusesWhole(t *testing.T) {
	d := newDesk(t)
	source := jenner.Source{File: "channels.yaml", Line: 7}
	err := d.Set([]jenner.Channel{
		{Name: "new", Kind: "ear"}, {Name: "odd", Kind: "nose", Source: source}, {Name: "new", Kind: "ear"},
	})
	if err == nil || !strings.Contains(err.Error(), "channels.yaml:7: channel odd") || !strings.Contains(err.Error(), "same name") {
		t.Errorf("the error is %v, want both mistakes with their place", err)
	}
	if err := d.Notify(t.Context(), "pager", message("i-1", "down")); err != nil {
		t.Error(err)
	}
	d.pager.heard(t, "the pager, which stays,", "down")
	if err := d.Notify(t.Context(), "new", message("i-2", "up")); err == nil {
		t.Error("half of the refused channels are there")
	}
}

func TestFailedDeliveriesTakeNoMemory(t *testing.T) {
	d := newDesk(t)
	d.pager.err = errors.New("line is busy")
	for range 10 {
		if err := d.Notify(t.Context(), "pager", message("i-1", "down")); err == nil {
			t.Fatal("no error")
		}
	}
	if len(d.order) != 2 || len(d.told) != 2 {
		t.Errorf("remembered are %v, want the two fallbacks", d.order)
	}
}

func TestL20MemoryOfPagesIsBounded(t *testing.T) {
	router := NewRouter(nil, []Notifier{&ear{}}, slog.New(slog.DiscardHandler))
	for i := range remembered + 100 {
		if err := router.Notify(t.Context(), "", message(fmt.Sprint(i), "storm")); err != nil {
			t.Fatal(err)
		}
	}
	if len(router.told) != remembered || len(router.order) != remembered {
		t.Errorf("%d and %d deliveries are remembered, want %d", len(router.told), len(router.order), remembered)
	}
	if router.remember(delivery{fmt.Sprint(remembered + 99), "fallback 1"}) {
		t.Error("the newest was forgotten instead of the oldest")
	}
}
