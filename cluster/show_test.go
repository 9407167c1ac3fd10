package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/lab"
)

// count reads one of a tally's numbers while others write them.
func (t *tally) count(of map[string]float64, what string) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return of[what]
}

// TestNothingIsHeldUpByAnAPIServerThatIsAway: the line hands over as much as it likes; what is too much is dropped and counted.
func TestNothingIsHeldUpByAnAPIServerThatIsAway(t *testing.T) {
	port, err := lab.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := newConnection(&rest.Config{Host: fmt.Sprintf("http://127.0.0.1:%d", port)}, "jenner")
	if err != nil {
		t.Fatal(err)
	}
	show := conn.Show(ShowOptions{Watched: conn.watched(WatchOptions{}), Docs: func() *jenner.Documents { return &jenner.Documents{} },
		Logger: slog.New(slog.DiscardHandler), Record: func(context.Context, string) (jenner.Record, error) { return jenner.Record{}, jenner.ErrNotFound }}, NewTally())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); show.Run(ctx, nil) }()
	for i := range 2 * roomIncidents {
		record := sick(jenner.PhaseEscalated, true)
		record.ID, record.Updated = fmt.Sprintf("i-%d", i), time.Now()
		show.Committed(jenner.Change{Record: record})
	}
	for what, room := range map[string]int{whatIncidents: roomIncidents, whatEvents: roomEvents} {
		lost := show.tally.count(show.tally.lost, what)
		if want := float64(2*roomIncidents - room - 1); lost < want || show.tally.count(show.tally.wrote, what) != 0 {
			t.Errorf("of %d %s %v are counted as dropped, want %v at least", 2*roomIncidents, what, lost, want)
		}
	}
	if show.incidents.length() > roomIncidents || show.events.length() > roomEvents {
		t.Errorf("%d incidents and %d events wait", show.incidents.length(), show.events.length())
	}
	cancel()
	<-ended
}
