package line

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Reconciler is a line as the runner sees it.
type Reconciler interface {
	LineName() string
	Reconcile(ctx context.Context, id string) (time.Time, error)
	DueIDs(ctx context.Context, limit int) (ids []string, next time.Time, err error)
}

// Runner is the local queue: it hands out the ids that are due to a bounded number of workers, one worker an id at a
// time. All it knows is in the store; what it keeps in memory only makes it quicker.
type Runner struct {
	lines   []Reconciler
	workers chan struct{}
	wake    chan struct{}
	logger  *slog.Logger

	mu      sync.Mutex
	busy    map[key]*flight
	rests   rests
	backlog bool // the store had more that is due than was taken
	stopped bool // Run has ended: nothing is begun any more
	wait    sync.WaitGroup
}

type key struct{ line, id string }

// flight is one id that a worker has; again asks for one more call when it is done.
type flight struct{ again bool }

// rescan is how often the store is asked even though nobody woke the runner, for what another process put there.
const rescan = time.Second

// NewRunner makes a runner with that many workers.
func NewRunner(workers int, logger *slog.Logger, lines ...Reconciler) *Runner {
	return &Runner{lines: lines, workers: make(chan struct{}, workers), wake: make(chan struct{}, 1),
		logger: logger, busy: map[key]*flight{}, rests: newRests()}
}

// Run works until ctx ends, and returns when the last worker has stopped.
func (r *Runner) Run(ctx context.Context) {
	defer r.stop()
	timer := time.NewTimer(rescan)
	defer timer.Stop()
	var scanned time.Time
	var rest, wait time.Duration
	for r.idle(ctx, timer, wait) {
		if r.behind() || time.Since(scanned) >= rest {
			rest, scanned = r.scan(ctx), time.Now()
		}
		wait = min(r.startRested(ctx), time.Until(scanned.Add(rest)))
	}
}

// idle waits that long, or until somebody wakes the runner, and tells whether ctx goes on. What is due already needs no timer.
func (r *Runner) idle(ctx context.Context, timer *time.Timer, wait time.Duration) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer.Reset(wait)
	select {
	case <-ctx.Done():
		return false
	case <-r.wake:
	case <-timer.C:
	}
	return true
}

// behind tells whether the store may have more that is due than what was taken the last time.
func (r *Runner) behind() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.backlog
}

func (r *Runner) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.wait.Wait()
}

// scan starts what is due in the store and tells how long nothing else will be.
func (r *Runner) scan(ctx context.Context) time.Duration {
	wait, backlog := rescan, false
	for _, l := range r.lines {
		// More than there are workers, since some of the due ones are with a worker already.
		limit := 4 * cap(r.workers)
		ids, next, err := l.DueIDs(ctx, limit)
		if err != nil {
			if ctx.Err() == nil {
				r.logger.Error("cannot ask the store what is due", "line", l.LineName(), "error", err)
			}
			continue
		}
		for _, id := range ids {
			r.start(ctx, l, id, false)
		}
		// Where the limit cut them off, those beyond it are due already, and the next flight that ends asks again.
		backlog = backlog || len(ids) >= limit
		if !next.IsZero() && len(ids) < limit && !r.restsBy(next) {
			wait = min(wait, max(time.Until(next), time.Millisecond))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.backlog = backlog
	return wait
}

// rest keeps in mind when a record is due again, so that the store need not be asked.
func (r *Runner) rest(k key, due time.Time) {
	if due.IsZero() {
		return
	}
	r.mu.Lock()
	first := r.rests.put(k, due)
	r.mu.Unlock()
	if first {
		r.Scan()
	}
}

// restsBy tells whether something that rests is due by a time. Then most likely that is what the store means.
func (r *Runner) restsBy(at time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.rests.queue) > 0 && !r.rests.queue[0].due.After(at)
}

// startRested starts what has rested for long enough, and tells how long until the next one has.
func (r *Runner) startRested(ctx context.Context) time.Duration {
	r.mu.Lock()
	due, next := r.rests.take(time.Now())
	r.mu.Unlock()
	for _, k := range due {
		r.begin(ctx, k, false)
	}
	return next
}

// Wake looks at one record now, whatever it waits for. A record that does not exist, or has ended, is passed over.
func (r *Runner) Wake(ctx context.Context, line, id string) { r.begin(ctx, key{line, id}, true) }

func (r *Runner) begin(ctx context.Context, k key, again bool) {
	for _, l := range r.lines {
		if l.LineName() == k.line {
			r.start(ctx, l, k.id, again)
		}
	}
}

// Scan looks for work now.
func (r *Runner) Scan() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *Runner) start(ctx context.Context, l Reconciler, id string, again bool) {
	k := key{l.LineName(), id}
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil || r.stopped {
		return
	}
	r.rests.forget(k)
	if flying, ok := r.busy[k]; ok {
		flying.again = flying.again || again
		return
	}
	flying := &flight{}
	r.busy[k] = flying
	r.wait.Go(func() {
		select {
		case r.workers <- struct{}{}:
		case <-ctx.Done():
			r.forget(k)
			return
		}
		r.work(ctx, l, k, flying)
		<-r.workers
		if r.behind() {
			r.Scan()
		}
	})
}

// work calls the same id again for as long as it is due at once.
func (r *Runner) work(ctx context.Context, l Reconciler, k key, flying *flight) {
	for {
		due, err := l.Reconcile(ctx, k.id)
		if err != nil && !conflict(err) && ctx.Err() == nil {
			r.logger.Error("a step could not be made", "line", k.line, "id", k.id, "error", err)
			r.pause(ctx) // with the id still taken, so that nobody else tries meanwhile
		}
		now := ctx.Err() == nil && err == nil && !due.IsZero() && time.Until(due) <= 0
		r.mu.Lock()
		again := flying.again && ctx.Err() == nil
		flying.again = false
		if !now && !again {
			delete(r.busy, k)
			r.mu.Unlock()
			if err == nil {
				r.rest(k, due)
			}
			return
		}
		r.mu.Unlock()
	}
}

func (r *Runner) forget(k key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, k)
}

// pause keeps a store that refuses everything from being asked without pause.
func (r *Runner) pause(ctx context.Context) {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
	}
}
