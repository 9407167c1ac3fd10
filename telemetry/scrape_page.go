package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"github.com/jenner-heal/jenner"
)

// acceptPage prefers the older text format: it is the cheaper one to write and to read, and its newer brother's
// exemplars and units are not used here.
const acceptPage = "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"

// source is one page, or one provider's source, that is asked again and again, by one goroutine.
type source struct {
	id      sourceID
	store   *Store
	logger  *slog.Logger
	stop    context.CancelFunc
	done    chan struct{}
	service jenner.Service
	from    Source       // a provider's source; nil for a page
	client  *http.Client // of a page
	limit   int64
	fixed   map[string]string // labels of all its series

	body    bytes.Buffer
	symbols *labels.SymbolTable
	// series are those of the last good scrape, by the text of their line without the value: knowing a line again
	// saves parsing and sorting its labels.
	series   map[string]*scraped
	round    uint64
	up, took scraped
	last     time.Time // of the newest samples written
	failing  bool      // so that the log tells of the change, not of each failure
}

type scraped struct {
	ref    storage.SeriesRef
	labels labels.Labels
	seen   uint64 // the round in which it stood on the page
}

func (s *source) ownSeries() {
	s.symbols = labels.NewSymbolTable()
	if s.fixed == nil {
		s.fixed = map[string]string{}
	}
	s.fixed["service"], s.fixed["instance"] = s.id.service, s.id.instance
	own := func(name string) scraped {
		set := maps.Clone(s.fixed)
		set[model.MetricNameLabel] = name
		return scraped{labels: labels.FromMap(set)}
	}
	s.up, s.took = own("up"), own("scrape_duration_seconds")
}

// appender writes the samples of one round. After an error nothing of the round is worth believing.
type appender func(app storage.AppenderV2, at time.Time, newest map[storage.SeriesRef]int64) error

// ask gets the numbers once and gives what writes them.
func (s *source) ask(ctx context.Context) (appender, error) {
	if s.from != nil {
		return s.collect(ctx)
	}
	contentType, err := s.fetch(ctx)
	return func(app storage.AppenderV2, at time.Time, newest map[storage.SeriesRef]int64) error {
		return s.appendPage(app, contentType, at, newest)
	}, err
}

// scrape asks once and writes what came of it.
func (s *source) scrape(ctx context.Context) {
	start := time.Now()
	limited, cancel := context.WithTimeout(ctx, min(s.id.every, maxScrapeTimeout))
	samples, err := s.ask(limited)
	cancel()
	if ctx.Err() != nil {
		return // the source is being removed: how the request ended says nothing about the service
	}
	took, at := time.Since(start), s.next(start)
	if err == nil {
		err = s.store.transact(func(app storage.AppenderV2) (bool, error) {
			err := s.appendRound(app, samples, at, took)
			return err == nil, err
		})
	}
	if err != nil && !errors.Is(err, ErrClosed) {
		s.appendFailure(at, took)
	}
	s.tell(err)
}

// next is at, or the millisecond after the last samples where at is not later: a stale marker of the same millisecond
// would be dropped, and the series would not end.
func (s *source) next(at time.Time) time.Time {
	s.last = later(at, s.last)
	return s.last
}

// later is at, but at least a millisecond, which is how exactly the store knows the time, after last.
func later(at, last time.Time) time.Time {
	if soonest := last.Add(time.Millisecond); at.Before(soonest) {
		return soonest
	}
	return at
}

// tell logs when scraping begins to fail and when it works again.
func (s *source) tell(err error) {
	if err != nil && !s.failing {
		s.logger.Warn("the metrics source cannot be asked", "err", err)
	}
	if err == nil && s.failing {
		s.logger.Info("the metrics source can be asked again")
	}
	s.failing = err != nil
}

// fetch reads the page into s.body and returns its content type.
func (s *source) fetch(ctx context.Context) (contentType string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.id.url, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Accept", acceptPage)
	request.Header.Set("User-Agent", "jenner")
	response, err := s.client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GET %s: status %s, expected 200", s.id.url, response.Status)
	}
	s.body.Reset()
	read, err := s.body.ReadFrom(io.LimitReader(response.Body, s.limit+1))
	if err != nil {
		return "", fmt.Errorf("GET %s: reading the page: %w", s.id.url, err)
	}
	if read > s.limit {
		return "", fmt.Errorf("GET %s: the page is longer than the limit of %d bytes", s.id.url, s.limit)
	}
	return response.Header.Get("Content-Type"), nil
}

// appendRound writes every sample of a round, ends the series that were not in it, and says that all is up. After an
// error nothing of it is worth believing; the caller takes all of it back.
func (s *source) appendRound(app storage.AppenderV2, samples appender, at time.Time, took time.Duration) error {
	s.round++
	newest := make(map[storage.SeriesRef]int64, len(s.series))
	if err := samples(app, at, newest); err != nil {
		return err
	}
	return errors.Join(s.endVanished(app, at, newest), s.appendOwn(app, at, took, 1, newest))
}

// appendPage writes every sample of the page.
func (s *source) appendPage(app storage.AppenderV2, contentType string, at time.Time, newest map[storage.SeriesRef]int64) error {
	parser, err := textparse.New(s.body.Bytes(), contentType, s.symbols,
		textparse.ParserOptions{FallbackContentType: "text/plain"})
	if parser == nil {
		return fmt.Errorf("GET %s: %w", s.id.url, err)
	}
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("GET %s: %w", s.id.url, err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		line, _, v := parser.Series()
		one := s.known(line, parser)
		if one.labels.Get(model.MetricNameLabel) == "" {
			return fmt.Errorf("GET %s: sample %s has no name", s.id.url, one.labels)
		}
		if labels.Equal(one.labels, s.up.labels) || labels.Equal(one.labels, s.took.labels) {
			s.store.dropped.Add(1) // whether it is up is not the page's to say
			continue
		}
		if err := s.appendSample(app, one, at, v, newest); err != nil {
			return err
		}
	}
}

// known is the series of that line, from the last scrape or made from the parser's labels.
func (s *source) known(line []byte, parser textparse.Parser) *scraped {
	if one := s.series[string(line)]; one != nil {
		one.seen = s.round
		return one
	}
	var set labels.Labels
	parser.Labels(&set)
	builder := labels.NewBuilder(set)
	for name, ours := range s.fixed {
		if theirs := set.Get(name); theirs != "" {
			builder.Set("exported_"+name, theirs)
		}
		builder.Set(name, ours)
	}
	one := &scraped{labels: builder.Labels(), seen: s.round}
	s.series[string(line)] = one
	return one
}

func (s *source) appendSample(app storage.AppenderV2, one *scraped, at time.Time, v float64, newest map[storage.SeriesRef]int64) error {
	ref, err := s.store.appendOne(app, one.ref, one.labels, at.UnixMilli(), v, newest)
	if err != nil {
		return fmt.Errorf("series %s: %w", one.labels, err)
	}
	if ref != 0 {
		one.ref = ref
	}
	return nil
}

func (s *source) appendOwn(app storage.AppenderV2, at time.Time, took time.Duration, up float64, newest map[storage.SeriesRef]int64) error {
	return errors.Join(s.appendSample(app, &s.up, at, up, newest), s.appendSample(app, &s.took, at, took.Seconds(), newest))
}

// endVanished writes a stale marker for each series that was not on the page of this round, and forgets it.
func (s *source) endVanished(app storage.AppenderV2, at time.Time, newest map[storage.SeriesRef]int64) error {
	for line, one := range s.series {
		if one.seen == s.round {
			continue
		}
		if one.ref == 0 { // never stored; where the store refused it, it would refuse its end as well, for ever
			delete(s.series, line)
			continue
		}
		if err := s.appendSample(app, one, at, staleMarker, newest); err != nil {
			return err
		}
		delete(s.series, line)
	}
	return nil
}

// appendFailure says that the service is not up and ends all series of its page.
func (s *source) appendFailure(at time.Time, took time.Duration) {
	s.round++
	err := s.store.write(func(app storage.AppenderV2) error {
		newest := map[storage.SeriesRef]int64{}
		return errors.Join(s.endVanished(app, at, newest), s.appendOwn(app, at, took, 0, newest))
	})
	if err != nil && !errors.Is(err, ErrClosed) {
		s.logger.Error("a failed scrape could not be stored", "err", err)
	}
}

// end writes the stale markers of a source that is no longer scraped, `up` included: that nobody looks is no answer.
func (s *source) end() {
	at := s.next(time.Now())
	s.round++
	err := s.store.write(func(app storage.AppenderV2) error {
		newest := map[storage.SeriesRef]int64{}
		return errors.Join(s.endVanished(app, at, newest),
			s.appendSample(app, &s.up, at, staleMarker, newest), s.appendSample(app, &s.took, at, staleMarker, newest))
	})
	if err != nil && !errors.Is(err, ErrClosed) {
		s.logger.Error("the end of a metrics source could not be stored", "err", err)
	}
}

// staleMarker is the value by which Prometheus marks the end of a series: a certain kind of not-a-number.
var staleMarker = math.Float64frombits(value.StaleNaN)

// staleSamples end series at once; see Store.Append.
func staleSamples(at time.Time, series ...map[string]string) []jenner.Sample {
	samples := make([]jenner.Sample, len(series))
	for i, set := range series {
		samples[i] = jenner.Sample{Labels: set, Value: staleMarker, At: at}
	}
	return samples
}
