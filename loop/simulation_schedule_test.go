package loop_test

import (
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// schedule is the scheduler of a simulation. Only one goroutine runs at a time: the one that has the token. A task gives
// it back when it waits for time to pass and when it ends. What is due at the same virtual instant runs in an order that
// the seed chooses, so that a seed is one history, whatever Go's own scheduler does.
type schedule struct {
	chance *rand.Rand
	events events
	count  int
	back   chan struct{} // the token
	parked []*task       // in the order in which they parked
}

// event is something that happens at a time. Of those at the same time the smaller order comes first.
type event struct {
	at    time.Time
	order uint32
	count int
	do    func()
}

type events []event

func (e events) Len() int      { return len(e) }
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(one any) { *e = append(*e, one.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	one := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return one
}

func (e events) Less(i, j int) bool {
	switch {
	case !e[i].at.Equal(e[j].at):
		return e[i].at.Before(e[j].at)
	case e[i].order != e[j].order:
		return e[i].order < e[j].order
	}
	return e[i].count < e[j].count
}

func newSchedule(chance *rand.Rand) *schedule {
	return &schedule{chance: chance, back: make(chan struct{})}
}

// at lets something happen at a time; what has passed already is now.
func (s *schedule) at(when time.Time, do func()) {
	if now := time.Now(); when.Before(now) {
		when = now
	}
	s.count++
	heap.Push(&s.events, event{when, s.chance.Uint32(), s.count, do})
}

// in lets something happen after a while.
func (s *schedule) in(after time.Duration, do func()) { s.at(time.Now().Add(after), do) }

// next lets the next thing happen, after the time until then has passed; false where there is nothing.
func (s *schedule) next() bool {
	if len(s.events) == 0 {
		return false
	}
	one := heap.Pop(&s.events).(event)
	letPass(time.Until(one.at))
	one.do()
	return true
}

// task is a goroutine that takes turns with all others.
type task struct {
	resume  chan struct{}
	waits   context.Context // while it is parked: what ends the wait early
	parks   int             // how often it has parked
	killed  bool            // the program that it belongs to is gone
	carried bool            // what it waited for comes about all the same
}

type taskKey struct{}

// start runs a task until it parks for the first time, or ends.
func (s *schedule) start(ctx context.Context, work func(ctx context.Context)) {
	t := &task{resume: make(chan struct{})}
	go func() {
		work(context.WithValue(ctx, taskKey{}, t))
		s.back <- struct{}{}
	}()
	<-s.back
}

// wait parks the task that ctx belongs to: for a time, for ever where it is negative, or until ctx ends. It stands in
// for the waiting of the fake world's effects.
func (s *schedule) wait(ctx context.Context, d time.Duration) error {
	t, until := ctx.Value(taskKey{}).(*task), time.Time{}
	wakes, limited := ctx.Deadline()
	if d >= 0 {
		until = time.Now().Add(d)
		if !limited || until.Before(wakes) {
			wakes, limited = until, true
		}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case t.killed:
		return errDead
	}
	t.waits, t.carried = ctx, false
	t.parks++
	s.parked = append(s.parked, t)
	if limited {
		s.wake(t, wakes)
	}
	s.back <- struct{}{}
	<-t.resume
	// A deadline at this very instant may have ended ctx already, or not yet; what was waited for comes first.
	cause := context.Cause(ctx)
	switch {
	case t.carried && d >= 0:
		return nil
	case t.killed:
		return errDead
	case cause != nil && !errors.Is(cause, context.DeadlineExceeded):
		return cause
	case d >= 0 && !time.Now().Before(until):
		return nil
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// wake lets a parked task go on at a time, if it is parked still.
func (s *schedule) wake(t *task, when time.Time) {
	parks := t.parks
	s.at(when, func() {
		if t.waits != nil && t.parks == parks {
			s.goOn(t)
		}
	})
}

// cancelled wakes the parked tasks whose wait has been ended.
func (s *schedule) cancelled() {
	for _, t := range s.parked {
		if t.waits.Err() != nil {
			s.wake(t, time.Now())
		}
	}
}

// kill ends all parked tasks. Of what some of them waited for, it may come about all the same.
func (s *schedule) kill() {
	for len(s.parked) > 0 {
		t := s.parked[0]
		t.killed, t.carried = true, s.chance.IntN(2) == 0
		s.goOn(t)
	}
}

// goOn gives the token to a parked task until it parks again, or ends.
func (s *schedule) goOn(t *task) {
	t.waits = nil
	for i, one := range s.parked {
		if one == t {
			s.parked = append(s.parked[:i:i], s.parked[i+1:]...)
			break
		}
	}
	t.resume <- struct{}{}
	<-s.back
}
