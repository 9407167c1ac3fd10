package calendar

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

const (
	defaultEvery = 5 * time.Minute
	// lookEvery is how often it is looked whether a file has changed or a calendar is due.
	lookEvery = time.Second
	// leastPatience is how old a reading may be at least, whatever Every says.
	leastPatience = 15 * time.Minute
	// windowPast and windowAhead are around the time of a reading: its events are worked out in advance, so that asking
	// is cheap.
	windowPast, windowAhead = 24 * time.Hour, 8 * 24 * time.Hour
)

// Options are what a Reader needs. The zero Options are good.
type Options struct {
	Client *http.Client     // nil: one that gives up after 10 s and keeps to the proxy of the environment
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: nothing is logged
}

// Reader keeps what calendars plan. It is safe for concurrent use.
type Reader struct {
	client  *http.Client
	now     func() time.Time
	log     *slog.Logger
	changed chan struct{} // Set was called

	mu        sync.RWMutex
	calendars []*kept
}

// kept is what is known of one calendar. The fields below calendar are guarded by Reader.mu.
type kept struct {
	calendar jenner.Calendar

	busy    bool      // it is being read
	tried   time.Time // when it was last read, well or not; zero: never
	read    time.Time // when it was last read well; zero: never
	failure error     // of the last reading; nil: it was read well
	version version   // of what was read well

	plan   *plan // nil: never read well
	window window
}

// window is what a plan has around the time of a reading. It does not change.
type window struct {
	from, until time.Time
	events      []jenner.Planned // that overlap [from, until), sorted
	err         error            // why there are no events
}

// windowAround works out the events around a time. It is called without a lock, since it can take a while.
func (p *plan) windowAround(now time.Time) window {
	w := window{from: now.Add(-windowPast), until: now.Add(windowAhead)}
	w.events, w.err = p.between(w.from, w.until)
	return w
}

// New gives a reader without calendars.
func New(opts Options) *Reader {
	r := &Reader{client: opts.Client, now: opts.Now, log: opts.Logger, changed: make(chan struct{}, 1)}
	if r.client == nil {
		r.client = &http.Client{Timeout: 10 * time.Second}
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	return r
}

// Set says which calendars are in force. Those that stay the same, wherever they are written, keep what was read of them;
// the others are read at the next look, and at once while Run runs.
func (r *Reader) Set(calendars []jenner.Calendar) {
	r.mu.Lock()
	defer r.mu.Unlock()
	inForce := make([]*kept, 0, len(calendars))
	for _, calendar := range calendars {
		calendar.Source = jenner.Source{}
		inForce = append(inForce, r.same(calendar))
	}
	r.calendars = inForce
	select {
	case r.changed <- struct{}{}:
	default: // it is known already
	}
}

func (r *Reader) same(calendar jenner.Calendar) *kept {
	for _, k := range r.calendars {
		if reflect.DeepEqual(k.calendar, calendar) {
			return k
		}
	}
	return &kept{calendar: calendar}
}

// Run reads each calendar at once and again every Every, and a file also within about a second of its change. It returns
// when ctx ends and nothing is being read any more. A slow calendar does not hold up the others. Run is called once.
func (r *Reader) Run(ctx context.Context) {
	var reading sync.WaitGroup
	defer reading.Wait()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		for _, k := range r.idle() {
			reading.Go(func() { r.look(ctx, k) })
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-r.changed:
		}
	}
}

// Read reads each calendar now, once, for who has no use for Run. The error is what could not be read, all of it.
func (r *Reader) Read(ctx context.Context) error {
	var all []error
	for _, k := range r.inForce() {
		all = append(all, r.readNow(ctx, k))
	}
	return errors.Join(all...)
}

func (r *Reader) inForce() []*kept {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return append([]*kept(nil), r.calendars...)
}

// idle are the calendars to look at now: those of files, and those that are due. They are busy until they were looked at.
func (r *Reader) idle() []*kept {
	r.mu.Lock()
	defer r.mu.Unlock()
	var idle []*kept
	for _, k := range r.calendars {
		if !k.busy && (k.due(r.now()) || !isURL(k.calendar.ICS)) {
			k.busy = true
			idle = append(idle, k)
		}
	}
	return idle
}

// due also holds where the clock was set back.
func (k *kept) due(now time.Time) bool {
	return k.tried.IsZero() || now.Before(k.tried) || now.Sub(k.tried) >= k.every()
}

func (k *kept) every() time.Duration { return k.calendar.Every.Or(defaultEvery) }

// patience is how old a reading may be.
func (k *kept) patience() time.Duration { return max(3*k.every(), leastPatience) }

// look reads a calendar if it is due or its file has changed.
func (r *Reader) look(ctx context.Context, k *kept) {
	r.mu.RLock()
	read, known := k.due(r.now()), k.version
	r.mu.RUnlock()
	if !read {
		read = stamp(k.calendar) != known.file
	}
	if read {
		_ = r.readNow(ctx, k) // it is kept, logged and told as a gap
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	k.busy = false
}

// readNow reads a calendar and keeps what comes of it. What was read well before stays until something better comes.
func (r *Reader) readNow(ctx context.Context, k *kept) error {
	r.mu.RLock()
	before, read := k.version, k.plan
	r.mu.RUnlock()
	got, err := r.fetch(ctx, k.calendar, before)
	if err == nil && !got.unchanged {
		read, err = readPlan(k.calendar, got.raw)
	}
	now := r.now()
	var around window
	if err == nil {
		around = read.windowAround(now)
		err = around.err
	}
	if ctx.Err() != nil {
		return ctx.Err() // it was not the calendar that failed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	k.tried = now
	k.version.file = got.version.file // also of a bad file, which need not be read again each second
	if err == nil {
		k.read, k.plan, k.window = now, read, around
		if !got.unchanged {
			k.version = got.version
		}
	}
	r.tell(k, err)
	k.failure = err
	return err
}

// tell logs what has changed since the last reading.
func (r *Reader) tell(k *kept, err error) {
	switch {
	case err != nil && (k.failure == nil || k.failure.Error() != err.Error()):
		r.log.Error("a calendar cannot be read", "calendar", k.calendar.Name, "error", err)
	case err == nil && k.failure != nil:
		r.log.Info("a calendar can be read again", "calendar", k.calendar.Name)
	}
}
