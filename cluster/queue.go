package cluster

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// queue is what is still to be written to the API server: the newest value of each key, in the order in which the keys came.
// It never blocks who puts something into it; where it is full, the oldest goes and is counted. One goroutine empties it.
type queue[T any] struct {
	what  string // for people: `incidents`
	room  int
	tally *tally
	log   *slog.Logger
	write func(ctx context.Context, key string, value T) error // errNoNews where nothing was written

	mu    sync.Mutex
	items map[string]T
	order []string
	wake  chan struct{}
}

// errNoNews is why nothing was written: the same stands there already.
var errNoNews = errors.New("nothing new")

func newQueue[T any](what string, room int, t *tally, log *slog.Logger, write func(context.Context, string, T) error) *queue[T] {
	return &queue[T]{what: what, room: room, tally: t, log: log, write: write, items: map[string]T{}, wake: make(chan struct{}, 1)}
}

// put adds a value in the place of an earlier one of the same key.
func (q *queue[T]) put(key string, value T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, waits := q.items[key]; !waits {
		if len(q.order) >= q.room {
			delete(q.items, q.order[0])
			q.order = q.order[1:]
			q.tally.dropped(q.what)
		}
		q.order = append(q.order, key)
	}
	q.items[key] = value
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue[T]) take() (key string, value T, some bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.order) == 0 {
		return key, value, false
	}
	key = q.order[0]
	value = q.items[key]
	q.order = q.order[1:]
	delete(q.items, key)
	return key, value, true
}

// back puts a value back in front that could not be written, unless a newer one is there or all room is taken.
func (q *queue[T]) back(key string, value T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, newer := q.items[key]; newer {
		return
	}
	if len(q.order) >= q.room {
		q.tally.dropped(q.what)
		return
	}
	q.order = append([]string{key}, q.order...)
	q.items[key] = value
}

func (q *queue[T]) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.order)
}

// How long a single write may take, and how long is waited after one that failed.
const (
	writePatience   = 10 * time.Second
	writeAgainFirst = 200 * time.Millisecond
	writeAgainMost  = 15 * time.Second
	finishPatience  = 2 * time.Second // for all that still waits when Jenner stops
)

// run writes until ctx ends. What the API server cannot take at present is tried again; what it refuses is dropped.
func (q *queue[T]) run(ctx context.Context) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = writeAgainFirst, writeAgainMost
	for {
		key, value, some := q.take()
		if !some {
			select {
			case <-ctx.Done():
				return
			case <-q.wake:
			}
			continue
		}
		err := q.once(ctx, key, value)
		switch {
		case err == nil:
			pause.Reset()
			q.tally.written(q.what)
			continue
		case errors.Is(err, errNoNews):
			continue
		case ctx.Err() != nil:
			q.back(key, value)
			return
		case refused(err):
			q.tally.dropped(q.what)
			q.log.Warn("the API server refuses what Jenner shows; nothing else suffers by it", "what", q.what, "of", key, "error", err)
			continue
		}
		q.back(key, value)
		wait := pause.NextBackOff()
		q.log.Debug("what Jenner shows cannot be written at present", "what", q.what, "of", key, "again in", wait, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// finish writes what still waits after run, for a moment, and counts what it cannot write as dropped.
func (q *queue[T]) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, finishPatience)
	defer cancel()
	for key, value, some := q.take(); some; key, value, some = q.take() {
		switch err := q.write(ctx, key, value); {
		case err == nil:
			q.tally.written(q.what)
		case !errors.Is(err, errNoNews):
			q.tally.dropped(q.what)
		}
	}
}

func (q *queue[T]) once(ctx context.Context, key string, value T) error {
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	return q.write(ctx, key, value)
}

// refused tells whether the API server has understood and says no: asking again would not help.
func refused(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code >= 400 && code < 500 && code != 408 && code != 429 && !apierrors.IsConflict(err)
}
