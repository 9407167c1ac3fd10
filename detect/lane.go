package detect

import (
	"context"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

const (
	// DefaultGroupEvery is how often the groups of catalogues that name no interval are evaluated over Jenner's own numbers.
	DefaultGroupEvery = 5 * time.Second
	// recordEvery is how far apart the numbers of a recorded series may be there: it is no data when it is older than the
	// store's lookback.
	recordEvery = 3 * time.Second
	// laneWorkers is how many groups are evaluated at the same time over one server.
	laneWorkers = 4
)

// lane is all that is asked of one server, or of Jenner's own numbers.
type lane struct {
	engine *Engine
	server string
	groups []*group
	slis   []*sliWatch
	every  time.Duration // between two samples of the SLIs

	sampled time.Time

	mu    sync.Mutex
	stop  context.CancelFunc // of the evaluation under way; nil: there is none
	done  chan struct{}
	ended bool
}

// group are rules that are evaluated one after the other.
type group struct {
	rules []*rule
	every time.Duration // zero: at each look
	due   time.Time
}

// lanesOf sorts the rules and SLIs by what they are asked of. Jenner's own numbers come first.
func (e *Engine) lanesOf(docs *jenner.Documents) []*lane {
	own := &lane{engine: e, every: sampleEvery}
	lanes := []*lane{own}
	of := map[string]*lane{"": own}
	for _, server := range docs.Prometheus {
		of[server.Name] = &lane{engine: e, server: server.Name, every: server.Every.Or(jenner.DefaultServerEvery)}
		lanes = append(lanes, of[server.Name])
	}
	together := map[string]*group{}
	for _, r := range e.rules {
		lane := of[r.server]
		if r.follows != "" {
			lane = own // the board is asked, and nobody else
		}
		every := lane.every
		switch {
		case r.of != nil:
			every = r.of.every(lane.server != "", lane.every)
		case lane.server == "":
			every = 0
		}
		if r.of != nil && together[r.of.group] != nil {
			one := together[r.of.group]
			one.rules, one.every = append(one.rules, r), min(one.every, every)
			continue
		}
		one := &group{rules: []*rule{r}, every: every}
		if r.of != nil {
			together[r.of.group] = one
		}
		lane.groups = append(lane.groups, one)
	}
	for _, watch := range e.slis {
		of[watch.server].slis = append(of[watch.server].slis, watch)
	}
	return lanes
}

// look evaluates what is due, one after the other.
func (l *lane) look(ctx context.Context) {
	l.evaluate(ctx, 1)
}

// begin evaluates what is due beside what the caller does, if the last time is over.
func (l *lane) begin(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil || l.ended {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	l.stop, l.done = stop, done
	go func() {
		defer close(done)
		l.evaluate(ctx, laneWorkers)
		stop()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.stop = nil
	}()
}

// end breaks off what is under way and returns when it is over. Nothing begins any more.
func (l *lane) end() {
	l.mu.Lock()
	l.ended = true
	done := l.done
	if l.stop != nil {
		l.stop()
	}
	l.mu.Unlock()
	if done != nil {
		<-done
	}
}

// evaluate evaluates the groups that are due, so many at the same time, and then samples the SLIs.
func (l *lane) evaluate(ctx context.Context, workers int) {
	now := l.engine.now()
	var due []func()
	for _, group := range l.groups {
		if now.Before(group.due) {
			continue
		}
		group.due = now.Add(group.every)
		due = append(due, func() {
			for _, rule := range group.rules {
				if ctx.Err() == nil {
					l.engine.evaluate(ctx, rule)
				}
			}
		})
	}
	if l.sampled.IsZero() || now.Sub(l.sampled) >= l.every {
		l.sampled = now
		for _, watch := range l.slis {
			due = append(due, func() {
				if ctx.Err() == nil {
					l.engine.sample(ctx, watch)
				}
			})
		}
	}
	each(due, workers)
}

// each does all, so many at the same time, and returns when all are done.
func each(all []func(), workers int) {
	if workers < 2 {
		for _, do := range all {
			do()
		}
		return
	}
	var working sync.WaitGroup
	slots := make(chan struct{}, workers)
	for _, do := range all {
		slots <- struct{}{}
		working.Go(func() {
			do()
			<-slots
		})
	}
	working.Wait()
}
