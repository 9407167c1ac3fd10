package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// book is what a queue wrote.
type book struct {
	*queue[int]
	wrote []string
	fail  func(key string, value int) error
}

func newBook(room int) *book {
	b := &book{}
	b.queue = newQueue(whatEvents, room, newTally(), slog.New(slog.DiscardHandler), func(_ context.Context, key string, value int) error {
		if b.fail != nil {
			if err := b.fail(key, value); err != nil {
				return err
			}
		}
		b.wrote = append(b.wrote, fmt.Sprint(key, value))
		return nil
	})
	return b
}

// during runs the queue for a while.
func (b *book) during(t *testing.T, lasting time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), lasting)
	defer cancel()
	b.run(ctx)
}

// TestTheQueueKeepsTheNewest: of each key, in the order of the keys; what is too much goes, the oldest first, and is counted.
func TestTheQueueKeepsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(3)
		for i, key := range []string{"a", "b", "a", "c", "d"} {
			b.put(key, i)
		}
		b.during(t, time.Second)
		if want := []string{"b1", "c3", "d4"}; !slices.Equal(b.wrote, want) {
			t.Errorf("it wrote %q, want %q", b.wrote, want)
		}
		if b.tally.lost[whatEvents] != 1 || b.tally.wrote[whatEvents] != 3 || b.length() != 0 {
			t.Errorf("it counted %v written and %v dropped, and %d wait", b.tally.wrote, b.tally.lost, b.length())
		}
	})
}

// TestTheQueueTriesAgain: what the API server cannot take at present is written later, unless something newer came; what it
// refuses is dropped and holds nothing up.
func TestTheQueueTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(10)
		began := time.Now()
		b.fail = func(key string, value int) error {
			switch {
			case key == "refused":
				return apierrors.NewForbidden(schema.GroupResource{Resource: "events"}, "x", errors.New("no"))
			case time.Since(began) < 5*time.Second && value == 1:
				b.put("late", 2)
				return errors.New("connection refused")
			case time.Since(began) < 5*time.Second && value == 2:
				return apierrors.NewTooManyRequests("slowly", 1)
			}
			return nil
		}
		b.put("refused", 0)
		b.put("late", 1)
		b.during(t, 2*time.Second)
		if len(b.wrote) != 0 || b.length() != 1 {
			t.Errorf("while the server is away it wrote %q, and %d wait", b.wrote, b.length())
		}
		b.during(t, time.Minute)
		if want := []string{"late2"}; !slices.Equal(b.wrote, want) || b.tally.lost[whatEvents] != 1 {
			t.Errorf("it wrote %q, want %q; dropped %v", b.wrote, want, b.tally.lost)
		}
	})
}

// TestNothingNewIsNotCounted: only what was written is.
func TestNothingNewIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(10)
		b.fail = func(string, int) error { return errNoNews }
		b.put("a", 1)
		b.during(t, time.Second)
		if b.tally.wrote[whatEvents] != 0 || b.tally.lost[whatEvents] != 0 || b.length() != 0 {
			t.Errorf("it counted %v written and %v dropped, and %d wait", b.tally.wrote, b.tally.lost, b.length())
		}
	})
}

// TestTheQueueFinishes: what waits when Jenner stops is written, in its order, also what was just being written; where the API
// server does not answer, it is given up after a moment, and counted.
func TestTheQueueFinishes(t *testing.T) {
	for _, answers := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := newBook(10)
			stopped := false
			b.write = func(ctx context.Context, key string, value int) error {
				if !stopped || !answers {
					<-ctx.Done()
					return ctx.Err()
				}
				b.wrote = append(b.wrote, fmt.Sprint(key, value))
				return nil
			}
			for i, key := range []string{"a", "b", "c"} {
				b.put(key, i)
			}
			b.during(t, time.Second)
			stopped = true
			began := time.Now()
			b.finish(t.Context())
			written, dropped, took := []string{"a0", "b1", "c2"}, 0.0, time.Duration(0)
			if !answers {
				written, dropped, took = nil, 3, finishPatience
			}
			if !slices.Equal(b.wrote, written) || b.tally.lost[whatEvents] != dropped || time.Since(began) != took || b.length() != 0 {
				t.Errorf("where it answers is %t, it wrote %q within %s, %v dropped, and %d wait", answers, b.wrote, time.Since(began),
					b.tally.lost, b.length())
			}
		})
	}
}
