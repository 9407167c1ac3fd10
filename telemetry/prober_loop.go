package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"

	"github.com/jenner-heal/jenner"
)

// lastPatience is how long a stopped loop waits for a probe that does not heed its context.
const lastPatience = time.Second

// probeLoop asks one probe again and again, in one goroutine.
type probeLoop struct {
	opts    ProberOptions
	plan    probePlan
	probe   Probe
	content string
	stop    context.CancelFunc
	done    chan struct{}
	service atomic.Pointer[jenner.Service] // a reload may change parts of it that the probe does not depend on
	logger  *slog.Logger
	wake    chan struct{} // a Watcher says that asking now is worth it
	hurry   chan struct{} // somebody waits for an answer

	tally           *tally
	success, length map[string]string // labels of the two series
	written         bool              // the series have points
	last            time.Time         // of the newest point

	mu    sync.Mutex
	state jenner.ProbeState
}

func newProbeLoop(opts ProberOptions, service jenner.Service, plan probePlan, probe Probe, content string, stop context.CancelFunc) *probeLoop {
	every, name := plan.Probe.Every.Std(), plan.Probe.Name
	now := time.Now()
	series := func(metric string) map[string]string {
		return map[string]string{model.MetricNameLabel: metric, "service": service.Name, "probe": name}
	}
	l := &probeLoop{
		opts: opts, plan: plan, probe: probe, content: content, stop: stop,
		done: make(chan struct{}), wake: make(chan struct{}), hurry: make(chan struct{}, 1),
		logger: opts.Logger.With("service", service.Name, "probe", name),
		// A patient probe may rightly answer later than three periods after its last answer.
		tally:   newTally(plan.Probe.Fails, plan.Probe.Of, plan.Again, max(3*every, plan.Probe.Timeout.Std()+every), now),
		success: series("probe_success"), length: series("probe_duration_seconds"),
		state: jenner.ProbeState{
			Service: service.Name, Name: name, Kind: plan.Probe.Kind, Target: plan.Target.Ref(),
			Status: jenner.ProbeUnknown, Since: now, Every: every,
		},
	}
	l.service.Store(&service)
	return l
}

func (l *probeLoop) present() jenner.ProbeState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// run asks until ctx ends. after is closed when the loop that had this name before has ended, or nil. unbuilt is why
// there is no probe to ask.
func (l *probeLoop) run(ctx context.Context, after <-chan struct{}, unbuilt error) {
	defer close(l.done)
	if after != nil {
		<-after
	}
	if unbuilt != nil {
		l.publish(func(state *jenner.ProbeState) { state.Message = unbuilt.Error() })
		return
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	if watcher, ok := l.probe.(Watcher); ok {
		watching.Go(func() { l.watch(ctx, watcher) })
	}
	next := time.Now().Add(phaseOf(l.plan.Probe.Every.Std()))
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for ctx.Err() == nil { // of several things that are ready, select takes any
		select {
		case <-ctx.Done():
			continue
		case <-l.wake:
		case <-l.hurry:
		case <-timer.C:
			next = l.following(next)
		}
		l.ask(ctx)
		timer.Reset(time.Until(next))
	}
	l.endSeries()
}

// phaseOf spreads the first questions, so that a hundred probes do not ask in the same millisecond for ever.
func phaseOf(every time.Duration) time.Duration {
	if every <= quickEvery {
		return rand.N(min(every, quickPhase))
	}
	return rand.N(min(every, maxProbePhase))
}

// following is the next time of the same rhythm that is still to come. Times that were missed are not made up for.
func (l *probeLoop) following(last time.Time) time.Time {
	every := l.plan.Probe.Every.Std()
	next := last.Add(every)
	if missed := time.Since(next); missed > 0 {
		next = next.Add((missed/every + 1) * every)
	}
	return next
}

// watch asks for an extra question whenever the probe knows of a moment worth it, at most one per extraEvery. While it
// cannot watch, as where nothing lives yet, it tries again after watchAgain.
func (l *probeLoop) watch(ctx context.Context, watcher Watcher) {
	for ctx.Err() == nil {
		pause := extraEvery
		if err := watcher.Watch(ctx, l.call()); err != nil {
			pause = min(l.plan.Probe.Every.Std(), watchAgain)
		} else {
			select {
			case l.wake <- struct{}{}:
			case <-ctx.Done():
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (l *probeLoop) call() ProbeCall {
	return ProbeCall{Service: *l.service.Load(), Target: l.plan.Target}
}

// ask puts the question once and counts the answer. It returns without an answer when ctx ends.
func (l *probeLoop) ask(ctx context.Context) {
	timeout := l.plan.Probe.Timeout.Std()
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	start := time.Now()
	answer := make(chan Result, 1)
	go func() { answer <- l.safely(limited) }()

	silence := time.NewTimer(l.patience(start))
	defer silence.Stop()
	for {
		select {
		case result := <-answer:
			if ctx.Err() == nil {
				l.take(inTime(limited, result, timeout), start, time.Now())
			}
			return
		case <-silence.C:
			l.quiet(fmt.Sprintf("no answer for %s", l.tally.silence))
		case <-ctx.Done():
			l.abandon(answer)
			return
		}
	}
}

// patience is how long the probe may go on without an answer before its status is unknown.
func (l *probeLoop) patience(now time.Time) time.Duration {
	if l.tally.status == jenner.ProbeUnknown {
		return l.tally.silence
	}
	return l.tally.known.Add(l.tally.silence).Sub(now)
}

// abandon waits a little for a probe that was asked to stop, and leaves it behind where it does not.
func (l *probeLoop) abandon(answer <-chan Result) {
	select {
	case <-answer:
	case <-time.After(lastPatience):
		l.logger.Warn("the probe does not heed its context and was left behind")
	}
}

// safely turns a panic into an answer: one broken probe must not end the program that heals all services.
func (l *probeLoop) safely(ctx context.Context) (result Result) {
	defer func() {
		if reason := recover(); reason != nil {
			l.logger.Error("the probe panicked", "reason", reason, "stack", string(debug.Stack()))
			result = Result{Outcome: Unknown, Message: fmt.Sprintf("the probe panicked: %v", reason)}
		}
	}()
	return l.probe.Probe(ctx, l.call())
}

// inTime makes a right answer that came too late a failed one.
func inTime(ctx context.Context, result Result, timeout time.Duration) Result {
	if result.Outcome == OK && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return Result{Outcome: Failed, Message: fmt.Sprintf("answered later than the timeout of %s", timeout)}
	}
	return result
}

// take counts one answer, stores it and tells it.
func (l *probeLoop) take(result Result, start, end time.Time) {
	if result.Outcome != OK && result.Outcome != Failed {
		l.tally.interrupted()
		l.quiet(result.Message)
		return
	}
	took := end.Sub(start)
	ok := result.Outcome == OK
	m := fast
	if slow := l.plan.Probe.Slow.Std(); !ok {
		m = failed
	} else if slow > 0 && took > slow {
		m = late
	}
	l.tally.answer(m, end)
	l.store(ok, took, end)
	l.publish(func(state *jenner.ProbeState) {
		if ok == state.LastOK {
			state.Streak++
		} else {
			state.Streak = 1
		}
		state.At, state.LastOK, state.Duration = end, ok, took
		if !ok {
			state.Message = result.Message
		}
	})
}

// quiet takes note that no answer came which says anything about the service.
func (l *probeLoop) quiet(why string) {
	l.tally.nothing(time.Now())
	l.endSeries()
	l.publish(func(state *jenner.ProbeState) { state.Streak, state.Message = 0, why })
}

func (l *probeLoop) store(ok bool, took time.Duration, at time.Time) {
	success := 0.0
	if ok {
		success = 1
	}
	l.last = later(at, l.last)
	l.append(
		jenner.Sample{Labels: l.success, Value: success, At: l.last},
		jenner.Sample{Labels: l.length, Value: took.Seconds(), At: l.last},
	)
	l.written = true
}

func (l *probeLoop) append(samples ...jenner.Sample) {
	if err := l.opts.Append(samples...); err != nil {
		l.logger.Error("a probe's answer could not be stored", "err", err)
	}
}

// publish changes the state and tells it, outside the lock.
func (l *probeLoop) publish(change func(*jenner.ProbeState)) {
	l.mu.Lock()
	change(&l.state)
	l.state.Status, l.state.Since = l.tally.status, l.tally.since
	state := l.state
	l.mu.Unlock()
	l.opts.OnState(state)
}

// endSeries marks the end of the series where they have points: the last answer must not be taken for the present.
func (l *probeLoop) endSeries() {
	if l.written {
		l.last = later(time.Now(), l.last)
		l.append(staleSamples(l.last, l.success, l.length)...)
		l.written = false
	}
}
