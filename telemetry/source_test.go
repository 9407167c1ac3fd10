package telemetry

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
)

// gauge is a source whose numbers can be changed while it is asked.
type gauge struct {
	mu      sync.Mutex
	samples []Sample
	err     error
	hangs   bool
	asked   int
	closed  int
}

func (g *gauge) Collect(ctx context.Context, call SourceCall) ([]Sample, error) {
	g.mu.Lock()
	hangs, samples, err := g.hangs, g.samples, g.err
	g.asked++
	g.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return samples, nil // as one that does not look whether it is too late
	}
	if call.Service.Name != "db" {
		return nil, errors.New("it was not told whose it is")
	}
	return samples, err
}

func (*gauge) Instance(SourceCall) (string, error) { return "127.0.0.1:5432", nil }

func (g *gauge) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed++
}

func (g *gauge) set(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
}

func (g *gauge) seen() (asked, closed int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked, g.closed
}

func gauging(t *testing.T, store *Store, from Source) *Scraper {
	t.Helper()
	scraper := NewScraper(ScraperOptions{Store: store, Build: func(_ jenner.Service, metrics jenner.MetricsSource) (Source, error) {
		if metrics.Kind != "gauge" {
			return nil, errors.New("unknown source " + metrics.Kind)
		}
		return from, nil
	}})
	t.Cleanup(scraper.Close)
	return scraper
}

func gauged(name string, kinds ...string) jenner.Service {
	service := jenner.Service{Name: name}
	for _, kind := range kinds {
		service.Metrics = append(service.Metrics, jenner.MetricsSource{Kind: kind, Every: jenner.Duration(10 * time.Millisecond)})
	}
	return service
}

func TestSource(t *testing.T) {
	store, from := open(t, hour), &gauge{samples: []Sample{
		{Name: "connections", Labels: map[string]string{"state": "idle", "service": "theirs"}, Value: 7}, {Name: "waiting", Value: 1},
		{Name: "up", Value: 5},
	}}
	scraper := gauging(t, store, from)
	if err := scraper.Set([]jenner.Service{gauged("db", "gauge")}); err != nil {
		t.Fatal(err)
	}
	own := " instance:127.0.0.1:5432 service:db"
	becomes(t, store, "connections", "map[__name__:connections exported_service:theirs"+own+" state:idle]=7")
	becomes(t, store, "up", "map[__name__:up"+own+"]=1")

	from.set(func() { from.samples = []Sample{{Name: "connections", Value: 9}} }) // one is gone, one has other labels
	becomes(t, store, "connections", "map[__name__:connections"+own+"]=9")
	becomes(t, store, "waiting", "")

	from.set(func() { from.err = errors.New("no route") })
	becomes(t, store, "up", "map[__name__:up"+own+"]=0")
	becomes(t, store, "connections", "")
	from.set(func() { from.err = nil })
	becomes(t, store, "connections", "map[__name__:connections"+own+"]=9")

	from.set(func() { from.hangs = true })
	becomes(t, store, "up", "map[__name__:up"+own+"]=0")
	from.set(func() { from.hangs = false; from.samples = []Sample{{Name: "no name"}} })
	becomes(t, store, "connections", "")
	if err := scraper.Set(nil); err != nil {
		t.Fatal(err)
	}
	becomes(t, store, `{service="db"}`, "")
	scraper.Close()
	if _, closed := from.seen(); closed != 1 {
		t.Errorf("the source was closed %d times", closed)
	}
}

func TestAChangedTargetMakesTheSourceAnew(t *testing.T) {
	store, from := open(t, hour), &gauge{samples: []Sample{{Name: "connections", Value: 7}}}
	scraper := gauging(t, store, from)
	service := gauged("db", "gauge")
	for _, change := range []struct {
		what   string
		how    func()
		closed int
	}{
		{"nothing", func() {}, 0},
		{"the description", func() { service.Description = "another text" }, 0},
		{"a target", func() { service.Targets = []jenner.Target{{Kind: "postgres", Name: "db"}} }, 1},
	} {
		change.how()
		if err := scraper.Set([]jenner.Service{service}); err != nil {
			t.Fatal(err)
		}
		before, _ := from.seen()
		await.True(t, "the source to be asked after "+change.what, func() bool { asked, _ := from.seen(); return asked > before })
		if _, closed := from.seen(); closed != change.closed {
			t.Errorf("after a change of %s it was closed %d times, want %d", change.what, closed, change.closed)
		}
	}
}

func TestSourcesThatCannotBeAsked(t *testing.T) {
	store, from := open(t, hour), &gauge{samples: []Sample{{Name: "connections", Value: 7}}}
	scraper := gauging(t, store, from)
	both := gauged("both", "gauge")
	both.Metrics[0].Scrape = "http://127.0.0.1:1/"
	err := scraper.Set([]jenner.Service{gauged("db", "gauge", "gauge"), gauged("wrong", "nothing"), gauged("neither", ""), both})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{"service db", "stands there twice", "unknown source nothing", "service neither", "service both", "write scrape"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	becomes(t, store, "sum(connections)", "map[]=7")
	pages := NewScraper(ScraperOptions{Store: store})
	t.Cleanup(pages.Close)
	if err := pages.Set([]jenner.Service{gauged("db", "gauge")}); err == nil || !strings.Contains(err.Error(), "gauge") {
		t.Errorf("a scraper without Build says %v", err)
	}
}
