package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/jenner-heal/jenner"
)

// The limits of a scrape.
const (
	DefaultEvery     = time.Second // of a metrics source and of a probe
	DefaultBodyLimit = 10 << 20    // bytes of one page
	maxScrapeTimeout = 10 * time.Second
	maxScrapePhase   = 500 * time.Millisecond
)

// ScraperOptions are the parts of a Scraper. Store must be set.
type ScraperOptions struct {
	Store     *Store
	BodyLimit int64 // bytes of one page; DefaultBodyLimit where zero. A longer page is a failed scrape.
	// Build makes the source that a service's document names by its key. Without it there are pages only. It is called at
	// every Set and must touch nothing.
	Build  func(service jenner.Service, metrics jenner.MetricsSource) (Source, error)
	Logger *slog.Logger
}

// Scraper fetches the metrics pages of services, and the numbers of their other sources, into a Store. It is safe for
// concurrent use.
//
// The pages are read with Prometheus' parser, but the loop is Jenner's own, for four reasons. Prometheus' scrape
// manager resolves the machine's full name by DNS whenever its configuration changes, so a reload hangs in the very
// incidents Jenner is for; it takes its configuration only as the text of a whole Prometheus file; it starts a changed
// target on the next tick of a poll and at a hash of its name within the interval; and it leaves the series of a
// removed service without stale markers. What it would do better, hundreds of targets and native histograms, is not
// needed on one machine. The cost per scrape is the same: both know a series again by the text of its line.
type Scraper struct {
	opts ScraperOptions

	mu      sync.Mutex
	closed  bool
	sources map[sourceID]*source
	running sync.WaitGroup
}

// sourceID is the content of a source: one whose content stays the same is kept at a reload.
type sourceID struct {
	service, url, instance string
	kind, content          string // of a provider's source, in place of the url; content is what the files say of it
	labels                 string // that the files add, as one text
	every                  time.Duration
}

// origin is where a source's numbers come from, beside what its id tells.
type origin struct {
	service jenner.Service
	from    Source // nil for a page
	labels  map[string]string
}

// NewScraper makes a scraper that fetches nothing yet.
func NewScraper(opts ScraperOptions) *Scraper {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.BodyLimit == 0 {
		opts.BodyLimit = DefaultBodyLimit
	}
	return &Scraper{opts: opts, sources: map[sourceID]*source{}}
}

// Set says which services there are. New sources start within half a second, unchanged ones go on undisturbed, and the
// series of removed ones end at once. Sources that cannot be scraped (no http URL, named twice) are an error; all
// others run.
//
// Each source is asked every Every, with a timeout of the same length but 10 s at most. Its samples get the labels
// service=NAME and instance=HOST:PORT, a further source of the same service at the same host and port
// instance=HOST:PORT/PATH, and the labels that the files add. A label of the page that bears the name of one of these is kept
// as exported_service, exported_instance and so on. Timestamps of the page are not honoured: what counts is when it was seen. Each scrape also writes
// `up` (1, or 0 where it failed) and `scrape_duration_seconds`; series that vanished, and after a failure all series of
// the page, end at once instead of after the lookback. Samples of a page that bear the names of these two are dropped and
// counted (see Store.Dropped).
func (s *Scraper) Set(services []jenner.Service) error {
	wanted, slowest, err := s.sourcesOf(services)
	s.opts.Store.suit(slowest)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.Join(err, errors.New("the scraper is closed"))
	}
	// ended tells of each series name whose it was, for the next owner must not write before the last has ended.
	ended := map[[2]string]<-chan struct{}{}
	for id, one := range s.sources {
		if _, stays := wanted[id]; !stays {
			one.stop()
			ended[[2]string{id.service, id.instance}] = one.done
			delete(s.sources, id)
		}
	}
	for id, of := range wanted {
		if s.sources[id] == nil {
			s.sources[id] = s.start(id, of, ended[[2]string{id.service, id.instance}])
		}
	}
	return err
}

func (s *Scraper) start(id sourceID, of origin, after <-chan struct{}) *source {
	ctx, stop := context.WithCancel(context.Background())
	one := &source{
		id: id, store: s.opts.Store, limit: s.opts.BodyLimit, service: of.service, from: of.from, fixed: maps.Clone(of.labels),
		logger: s.opts.Logger.With("service", id.service, "url", id.url),
		stop:   stop, done: make(chan struct{}), series: map[string]*scraped{},
	}
	if of.from != nil {
		one.logger = s.opts.Logger.With("service", id.service, "source", id.kind, "instance", id.instance)
	} else {
		one.client = &http.Client{Transport: &http.Transport{
			DialContext: (&net.Dialer{}).DialContext,
			// One connection that is kept: a scrape asks for numbers and does not test connecting, as a probe does.
			MaxIdleConnsPerHost: 1,
			DisableCompression:  true, // costs more than it saves on one machine
		}}
	}
	one.ownSeries()
	s.running.Go(func() { one.run(ctx, after) })
	return one
}

// Close stops all scrapes, ends their series, and waits until that is done. A second Close does nothing.
func (s *Scraper) Close() {
	s.mu.Lock()
	s.closed = true
	for id, one := range s.sources {
		one.stop()
		delete(s.sources, id)
	}
	s.mu.Unlock()
	s.running.Wait()
}

// sourcesOf are the sources that can be asked, and the slowest period of anything that writes series.
func (s *Scraper) sourcesOf(services []jenner.Service) (wanted map[sourceID]origin, slowest time.Duration, err error) {
	wanted = map[sourceID]origin{}
	var wrong []error
	for _, service := range services {
		for _, probe := range service.Probes {
			slowest = max(slowest, probe.Every.Or(DefaultEvery))
		}
		instances, seen := map[string]bool{}, map[string]bool{}
		for _, metrics := range service.Metrics {
			id, of, more, err := s.sourceOf(service, metrics)
			if content := id.url + id.content; err == nil && seen[content] {
				err = errors.New("it stands there twice; remove one")
			} else {
				seen[content] = true
			}
			if err != nil {
				wrong = append(wrong, fmt.Errorf("service %s: metrics source %q: %w", service.Name, metrics.Scrape+metrics.Kind, err))
				continue
			}
			if instances[id.instance] {
				id.instance += more // else both sources would write the same series `up`
			}
			instances[id.instance] = true
			slowest = max(slowest, id.every)
			wanted[id] = of
		}
	}
	return wanted, slowest, errors.Join(wrong...)
}

// sourceOf is one source. more is what tells its instance from another one at the same place.
func (s *Scraper) sourceOf(service jenner.Service, metrics jenner.MetricsSource) (id sourceID, of origin, more string, err error) {
	id = sourceID{service: service.Name, every: metrics.Every.Or(DefaultEvery), labels: labels.FromMap(metrics.Labels).String()}
	of.labels = metrics.Labels
	switch {
	case metrics.Kind != "" && metrics.Scrape == "":
		id.kind = metrics.Kind
		// Its settings may name targets, whatever the key under which they do.
		id.content = jenner.Hash([]any{metrics.Kind, metrics.Params, service.Targets})
		of.service = service
		of.from, id.instance, err = s.build(service, metrics)
		return id, of, "/" + metrics.Kind + "-" + id.content[:min(8, len(id.content))], err
	case metrics.Scrape == "" || metrics.Kind != "":
		return id, of, "", errNoSource
	}
	page, err := url.Parse(metrics.Scrape)
	if err == nil && (page.Scheme != "http" && page.Scheme != "https" || page.Host == "") {
		err = errors.New("write http://HOST:PORT/PATH")
	}
	if err != nil {
		return id, of, "", err
	}
	id.url, id.instance = metrics.Scrape, hostPort(page)
	return id, of, page.RequestURI(), nil
}

func hostPort(page *url.URL) string {
	if page.Port() != "" {
		return page.Host
	}
	port := map[string]string{"http": "80", "https": "443"}[page.Scheme]
	return net.JoinHostPort(page.Hostname(), port)
}

// run scrapes until ctx ends. after is closed when the source that wrote the same series before has ended, or nil.
func (s *source) run(ctx context.Context, after <-chan struct{}) {
	defer close(s.done)
	defer s.letGo()
	if after != nil {
		<-after
	}
	phase := time.NewTimer(rand.N(min(s.id.every, maxScrapePhase)))
	defer phase.Stop()
	select {
	case <-ctx.Done():
		return
	case <-phase.C:
	}
	tick := time.NewTicker(s.id.every)
	defer tick.Stop()
	for {
		s.scrape(ctx)
		select {
		case <-ctx.Done():
			s.end()
			return
		case <-tick.C:
		}
	}
}
