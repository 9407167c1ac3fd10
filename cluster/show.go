package cluster

import (
	"context"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/jenner-heal/jenner"
)

// ShowOptions are what a Show is made from. All but Keep must be set.
type ShowOptions struct {
	Watched *Watched
	Docs    func() *jenner.Documents
	// Record gives an incident of the store, or jenner.ErrNotFound.
	Record func(ctx context.Context, id string) (jenner.Record, error)
	Logger *slog.Logger
	// Keep is how many ended incidents are kept as objects, the newest; 100 where zero.
	Keep int
}

// Show is what Jenner shows through the API server: the status of documents, incidents as objects, and an event for each
// decision. It takes everything at once and writes it in the background; what cannot be written is dropped and counted. It is
// safe for concurrent use.
type Show struct {
	ShowOptions
	conn    *Connection
	watched *Watched
	tally   *tally

	statuses  *queue[told]
	incidents *queue[jenner.Record]
	events    *queue[happening]
	mirror    mirror
	voice     voice
}

// How much may wait to be written. What is more is dropped, the oldest first.
const (
	roomStatuses  = 10_000 // no more than there are documents
	roomIncidents = 2_000
	roomEvents    = 500
)

// Show makes a show of one leading Jenner; it begins with Run.
func (c *Connection) Show(opts ShowOptions, t *Tally) *Show {
	if opts.Keep == 0 {
		opts.Keep = 100
	}
	s := &Show{ShowOptions: opts, conn: c, watched: opts.Watched, tally: t.tally}
	s.statuses = newQueue(whatStatus, roomStatuses, s.tally, opts.Logger, s.writeStatus)
	s.incidents = newQueue(whatIncidents, roomIncidents, s.tally, opts.Logger, s.writeIncident)
	s.events = newQueue(whatEvents, roomEvents, s.tally, opts.Logger, s.writeEvent)
	s.mirror.written = map[string]string{}
	s.tally.wait(whatStatus, s.statuses.length)
	s.tally.wait(whatIncidents, s.incidents.length)
	s.tally.wait(whatEvents, s.events.length)
	return s
}

// Tally are the numbers of everything in this package. It is a prometheus.Collector.
type Tally struct{ *tally }

// NewTally makes the numbers, all at 0.
func NewTally() *Tally { return &Tally{newTally()} }

var _ prometheus.Collector = (*Tally)(nil)

// Run writes until ctx ends. open are the incidents that go on; what objects are left of others that are shown as open is
// ended.
func (s *Show) Run(ctx context.Context, open []jenner.Record) {
	var all sync.WaitGroup
	all.Go(func() { s.statuses.run(ctx) })
	all.Go(func() {
		s.events.run(ctx)
		s.events.finish(context.WithoutCancel(ctx)) // unlike a state, what happened is not said anew by who leads next
	})
	all.Go(func() {
		if s.takeUp(ctx, open) {
			s.incidents.run(ctx)
		}
	})
	all.Wait()
}

// Committed hears of a change that is on disk.
func (s *Show) Committed(change jenner.Change) {
	if change.Record.Line != incidentLine {
		return
	}
	s.incidents.put(change.Record.ID, change.Record)
	s.hear(change)
}

// incidentLine is the line of incidents in the store.
const incidentLine = "incident"
