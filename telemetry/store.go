package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/jenner-heal/jenner"
)

// The defaults of Options.
const (
	DefaultRetention     = 24 * time.Hour
	DefaultLookbackDelta = 10 * time.Second
)

// blockRange is how much time one block on disk holds at first. Samples stay in memory for up to one and a half block
// ranges; Prometheus' own two hours would cost eight times the memory and the replay after a crash.
const blockRange = 15 * time.Minute

// ErrClosed is the error of everything that is asked of a Store after Close.
var ErrClosed = errors.New("the metrics store is closed")

// Options are the choices of a Store.
type Options struct {
	// Retention is how long samples are kept; DefaultRetention where zero. Whole blocks are deleted, so samples may
	// live up to a tenth longer.
	Retention time.Duration
	// LookbackDelta is how old the newest sample of a series may be to count as its value now; DefaultLookbackDelta
	// where zero. Prometheus takes 5 minutes, for scrapes every 15 s to 60 s. Here a scrape comes every second or so:
	// ten missed ones are enough to say that there is no data. Series that are known to have ended are marked stale
	// and end at once. Scraper.Set raises it where somebody scrapes or probes less often than every 3.3 s.
	LookbackDelta time.Duration
	// Logger hears of trouble; nothing is logged where it is nil.
	Logger *slog.Logger
}

// Store keeps series on disk and answers PromQL over them: the Prometheus TSDB and query engine, embedded. It is safe
// for concurrent use.
type Store struct {
	db       *tsdb.DB
	engine   *promql.Engine
	lookback atomic.Int64 // nanoseconds
	base     time.Duration
	dropped  atomic.Uint64

	// use is held for reading by whoever works on db, and for writing by Close: a query that reads a chunk of a file
	// that Close unmapped would end the program.
	use    sync.RWMutex
	closed bool
}

// Open opens the store in dir and makes dir where it is missing. What a killed program had written is replayed from
// the write-ahead log. A directory that another running program has open is an error.
func Open(dir string, opts Options) (*Store, error) {
	if opts.Retention < 0 || opts.LookbackDelta < 0 {
		return nil, fmt.Errorf("metrics store %s: retention %s and lookback %s must not be negative",
			dir, opts.Retention, opts.LookbackDelta)
	}
	retention := max(jenner.Duration(opts.Retention).Or(DefaultRetention), blockRange)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("metrics store: %w", err)
	}
	logger := quieter(opts.Logger)
	db, err := tsdb.Open(dir, logger, nil, databaseOptions(retention), nil)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("metrics store %s: another running program has it open; stop it, or use another data directory: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("metrics store %s: %w", dir, err)
	}
	s := &Store{db: db, base: jenner.Duration(opts.LookbackDelta).Or(DefaultLookbackDelta)}
	s.lookback.Store(int64(s.base))
	s.engine = promql.NewEngine(promql.EngineOpts{
		Logger:        logger,
		MaxSamples:    1_000_000, // 16 bytes each: one question may hold 16 MB at most
		Timeout:       10 * time.Second,
		LookbackDelta: s.base,
		Parser:        promqlParser,
		// The step of a subquery that names none, [5m:]. Series have a point every second or so.
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Second.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
	})
	return s, nil
}

var promqlParser = parser.NewParser(parser.Options{})

func databaseOptions(retention time.Duration) *tsdb.Options {
	o := tsdb.DefaultOptions()
	o.RetentionDuration = retention.Milliseconds()
	o.MinBlockDuration = blockRange.Milliseconds()
	o.MaxBlockDuration = max(retention/10, blockRange).Milliseconds()
	o.WALSegmentSize = 16 << 20 // Prometheus' 128 MB is for millions of series
	o.WALCompression = compression.Snappy
	o.StripeSize = 1 << 10 // of the table of series; 1<<14 takes 3 MB and suits a hundred thousand series
	o.HeadChunksWriteBufferSize = 256 << 10
	o.WALReplayConcurrency = 1 // the log is small, and others need the processors while Jenner starts
	return o
}

// Append stores samples; the metric's name is the label __name__. A sample that is older than the newest one of its
// series, or of the same millisecond, is dropped and counted (see Dropped). A sample without name or time is an error,
// and so is a full disk; the other samples of the call are stored all the same where that is possible.
func (s *Store) Append(samples ...jenner.Sample) error {
	return s.write(func(app storage.AppenderV2) error {
		var wrong []error
		newest := make(map[storage.SeriesRef]int64, len(samples))
		for _, sample := range samples {
			if sample.Labels[model.MetricNameLabel] == "" || sample.At.IsZero() {
				wrong = append(wrong, fmt.Errorf("sample %v: it needs the label __name__ and a time", sample.Labels))
				continue
			}
			set := labels.FromMap(sample.Labels)
			if _, err := s.appendOne(app, 0, set, sample.At.UnixMilli(), sample.Value, newest); err != nil {
				return errors.Join(append(wrong, fmt.Errorf("sample %s: %w", set, err))...)
			}
		}
		return errors.Join(wrong...)
	})
}

// appendOne appends one value and returns the series' reference, or 0 where the value was dropped and counted. newest
// is what this commit already holds: the TSDB would drop a duplicate within one commit without a word. ref may be 0.
func (s *Store) appendOne(app storage.AppenderV2, ref storage.SeriesRef, set labels.Labels, at int64, value float64,
	newest map[storage.SeriesRef]int64,
) (storage.SeriesRef, error) {
	ref, err := app.Append(ref, set, 0, at, value, nil, nil, storage.AOptions{RejectOutOfOrder: true})
	switch {
	case err == nil:
		if last, again := newest[ref]; again && at <= last {
			s.dropped.Add(1)
			return 0, nil
		}
		newest[ref] = at
		return ref, nil
	case errors.Is(err, storage.ErrOutOfOrderSample), errors.Is(err, storage.ErrDuplicateSampleForTimestamp),
		errors.Is(err, storage.ErrOutOfBounds), errors.Is(err, storage.ErrTooOldSample):
		s.dropped.Add(1)
		return 0, nil
	default:
		return 0, err
	}
}

// write runs fill on a fresh transaction and commits it. What fill appended is committed also where fill has an error,
// for one bad sample is no reason to lose the others.
func (s *Store) write(fill func(storage.AppenderV2) error) error {
	return s.transact(func(app storage.AppenderV2) (bool, error) { return true, fill(app) })
}

// transact runs fill on a fresh transaction, and commits or rolls back as fill says.
func (s *Store) transact(fill func(storage.AppenderV2) (commit bool, err error)) error {
	s.use.RLock()
	defer s.use.RUnlock()
	if s.closed {
		return ErrClosed
	}
	app := s.db.AppenderV2(context.Background())
	commit, err := fill(app)
	end := app.Commit
	if !commit {
		end = app.Rollback
	}
	if endErr := end(); endErr != nil {
		return errors.Join(err, fmt.Errorf("metrics store %s: %w", s.db.Dir(), endErr))
	}
	return err
}

// Dropped is how many samples were dropped since Open because they were out of order or of a time already taken.
func (s *Store) Dropped() uint64 { return s.dropped.Load() }

// LookbackDelta is the one in force.
func (s *Store) LookbackDelta() time.Duration { return time.Duration(s.lookback.Load()) }

// suit makes the lookback at least three times the slowest period at which series get their points.
func (s *Store) suit(slowest time.Duration) {
	s.lookback.Store(int64(max(s.base, 3*min(slowest, math.MaxInt64/3))))
}

// Close waits for questions and appends under way, and closes the files. A second Close does nothing.
func (s *Store) Close() error {
	s.use.Lock()
	defer s.use.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return errors.Join(s.engine.Close(), s.db.Close())
}
