package telemetry

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
)

// sameFor is for how long an answer is also the answer to whoever asks the same.
const sameFor = time.Second

// asking is one question that was put to the server.
type asking struct {
	put    time.Time
	done   chan struct{}
	answer jenner.Answer // known once done is closed
	err    error
}

// over tells whether the answer is there.
func (a *asking) over() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// ask puts a question, or shares the answer of somebody who has just put it. Who asked first does not decide how long the
// others wait: each waits for as long as its own ctx says, and the question for as long as the server's timeout.
func (r *Remote) ask(ctx context.Context, promql string) (jenner.Answer, error) {
	if r.wrong != nil {
		return jenner.Answer{}, r.wrong
	}
	if ctx.Err() != nil {
		return jenner.Answer{}, context.Cause(ctx)
	}
	one, err := r.share(promql)
	if err != nil {
		return jenner.Answer{}, err
	}
	select {
	case <-one.done:
		return one.answer, one.err
	case <-ctx.Done():
		return jenner.Answer{}, fmt.Errorf("server %s: %w", r.server.Name, context.Cause(ctx))
	}
}

// share finds the question among those that were put just now, or puts it.
func (r *Remote) share(promql string) (*asking, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if one := r.once[promql]; one != nil && (now.Sub(one.put) < sameFor || !one.over()) {
		return one, nil
	}
	if err := r.health.barred(r.server.Name, now, r.every()); err != nil {
		return nil, err
	}
	r.sweep(now)
	one := &asking{put: now, done: make(chan struct{})}
	r.once[promql] = one
	go func() {
		var answered bool
		one.answer, answered, one.err = r.put(promql)
		r.mu.Lock()
		r.health.count(answered, one.err, time.Now(), r.every())
		r.mu.Unlock()
		close(one.done)
	}()
	return one, nil
}

// sweep forgets old answers, now and then. The lock is held.
func (r *Remote) sweep(now time.Time) {
	if now.Sub(r.swept) < sameFor {
		return
	}
	r.swept = now
	for promql, one := range r.once {
		if one.over() && now.Sub(one.put) >= sameFor {
			delete(r.once, promql)
		}
	}
}
