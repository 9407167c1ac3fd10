package detect

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/jenner-heal/jenner"
)

// The defaults of NewSteady, and what its formula is made of.
const (
	DefaultWindow     = time.Minute
	DefaultMinSamples = 5
	DefaultFloor      = 0.01

	// Deviations is how many standard deviations a normal number may be away from the mean. By Chebyshev's inequality
	// at most 1/16 of the values of any distribution is further away, and 0.006 % of a normal one.
	Deviations = 4
	// Leeway is the share of the mean that a normal number may be away from it, however little it varied meanwhile: a
	// short quiet baseline says little about how far a healthy service strays.
	Leeway = 0.5
)

// Bounds are what is normal for one SLI. Low and High belong to what is normal; a side that is open is
// ∓math.MaxFloat64, for JSON has no infinity. Mean, Deviation, N and LearnedAt are zero where nothing was learned.
type Bounds struct {
	Service   string    `json:"service"`
	SLI       string    `json:"sli"`
	Low       float64   `json:"low"`
	High      float64   `json:"high"`
	Learned   bool      `json:"learned"` // false: declared
	N         int       `json:"n"`
	LearnedAt time.Time `json:"learned_at,omitzero"`
	Mean      float64   `json:"mean"`
	Deviation float64   `json:"deviation"` // the standard deviation of the sample (n−1)
}

// Holds tells whether a value is normal.
func (b Bounds) Holds(value float64) bool { return b.Low <= value && value <= b.High }

// SteadyOptions say how the baseline is taken.
type SteadyOptions struct {
	Window     time.Duration // how long a baseline takes at least; DefaultWindow where zero
	MinSamples int           // how many samples it needs at least; DefaultMinSamples where zero, never below 2
	Floor      float64       // the least distance of a bound from the mean, in the SLI's unit; DefaultFloor where zero
}

// Steady knows what is normal for each SLI: as declared, or learned from a baseline (R8).
//
// A baseline is the first Window of samples, at least MinSamples of them, in which nothing fired. The bounds are
//
//	mean ± max(Deviations · deviation, Leeway · |mean|, Floor)
//
// A declared bound wins over learned ones, and leaves the side that is not declared open: who writes `below: 500ms` has
// said which direction is bad, and a service that does better than ever is not out of order.
//
// Learned bounds stay until Relearn. They do not follow the service, for a service that gets slowly worse would take
// its own definition of normal along.
//
// Steady is safe for concurrent use.
type Steady struct {
	opts SteadyOptions

	mu       sync.Mutex
	declared map[string]jenner.SLI // by sliKey
	learning map[string]*baseline
	learned  map[string]keptBounds
}

// baseline is a baseline in the making, by Welford's method, which stays exact where values are large and close.
type baseline struct {
	since    time.Time
	n        int
	mean, m2 float64
}

// keptBounds are learned bounds with the question they answer: another question needs other bounds.
type keptBounds struct {
	Bounds
	PromQL string `json:"promql"`
}

// NewSteady knows nothing yet.
func NewSteady(opts SteadyOptions) *Steady {
	if opts.Window <= 0 {
		opts.Window = DefaultWindow
	}
	if opts.MinSamples <= 0 {
		opts.MinSamples = DefaultMinSamples
	}
	opts.MinSamples = max(opts.MinSamples, 2) // one sample has no deviation
	if opts.Floor <= 0 {
		opts.Floor = DefaultFloor
	}
	return &Steady{
		opts: opts, declared: map[string]jenner.SLI{}, learning: map[string]*baseline{}, learned: map[string]keptBounds{},
	}
}

func sliKey(service, sli string) string { return service + "\x00" + sli }

// Set takes over which SLIs there are. What was learned about one stays while its PromQL is the same.
func (s *Steady) Set(docs *jenner.Documents) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.declared
	s.declared = map[string]jenner.SLI{}
	for _, service := range docs.Services {
		for _, sli := range service.SLIs {
			s.declared[sliKey(service.Name, sli.Name)] = sli
		}
	}
	for key := range s.learning {
		if s.declared[key].PromQL != before[key].PromQL {
			delete(s.learning, key)
		}
	}
	for key, kept := range s.learned {
		if s.declared[key].PromQL != kept.PromQL {
			delete(s.learned, key)
		}
	}
}

// Observe takes one value of an SLI into its baseline; call it only while no alert of the service fires. Values of an
// SLI that has bounds already, and values that are no numbers, change nothing.
func (s *Steady) Observe(service, sli string, value float64, at time.Time) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := sliKey(service, sli)
	if _, learned := s.learned[key]; learned {
		return
	}
	taken := s.learning[key]
	if taken == nil {
		taken = &baseline{since: at}
		s.learning[key] = taken
	}
	taken.n++
	delta := value - taken.mean
	taken.mean += delta / float64(taken.n)
	taken.m2 += delta * (value - taken.mean)
	if taken.n < s.opts.MinSamples || at.Sub(taken.since) < s.opts.Window {
		return
	}
	delete(s.learning, key)
	s.learned[key] = keptBounds{Bounds: s.bounds(service, sli, taken, at), PromQL: s.declared[key].PromQL}
}

func (s *Steady) bounds(service, sli string, taken *baseline, at time.Time) Bounds {
	deviation := math.Sqrt(max(taken.m2, 0) / float64(taken.n-1))
	distance := max(Deviations*deviation, Leeway*math.Abs(taken.mean), s.opts.Floor)
	return Bounds{
		Service: service, SLI: sli, Learned: true, N: taken.n, LearnedAt: at, Mean: taken.mean, Deviation: deviation,
		Low:  max(taken.mean-distance, -math.MaxFloat64),
		High: min(taken.mean+distance, math.MaxFloat64),
	}
}

// Disturbed begins the unfinished baselines of a service anew, for something of it fired meanwhile.
func (s *Steady) Disturbed(service string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.learning {
		if ofService(key, service) {
			delete(s.learning, key)
		}
	}
}

// Relearn forgets what was learned about a service and begins anew.
func (s *Steady) Relearn(service string) {
	s.Disturbed(service)
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.learned {
		if ofService(key, service) {
			delete(s.learned, key)
		}
	}
}

func ofService(key, service string) bool {
	return len(key) > len(service) && key[:len(service)+1] == service+"\x00"
}

// Bounds are what is normal for an SLI; false where nothing is declared and nothing learned yet.
func (s *Steady) Bounds(service, sli string) (Bounds, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.boundsOf(service, s.declared[sliKey(service, sli)], sli)
}

func (s *Steady) boundsOf(service string, written jenner.SLI, sli string) (Bounds, bool) {
	if written.Below == nil && written.Above == nil {
		kept, learned := s.learned[sliKey(service, sli)]
		return kept.Bounds, learned
	}
	declared := Bounds{Service: service, SLI: sli, Low: -math.MaxFloat64, High: math.MaxFloat64}
	if written.Above != nil {
		declared.Low = float64(*written.Above)
	}
	if written.Below != nil {
		declared.High = float64(*written.Below)
	}
	return declared, true
}

// Check holds each SLI of the service against its bounds, in the order they are written: passed within them, failed
// outside, inconclusive where there is no data or there are no bounds (its Saw is then jenner.NoBounds).
func (s *Steady) Check(service jenner.Service, t jenner.Telemetry, ctx context.Context) []jenner.Check {
	checks := make([]jenner.Check, 0, len(service.SLIs))
	for _, sli := range service.SLIs {
		check := jenner.Check{Kind: jenner.CheckSLI, Name: "sli " + sli.Name, Outcome: jenner.Inconclusive, Saw: jenner.NoBounds}
		s.mu.Lock()
		bounds, known := s.boundsOf(service.Name, sli, sli.Name)
		s.mu.Unlock()
		if known {
			check.Outcome, check.Saw = hold(ctx, t, service.Name, sli, bounds)
		}
		checks = append(checks, check)
	}
	return checks
}

func hold(ctx context.Context, t jenner.Telemetry, service string, sli jenner.SLI, bounds Bounds) (jenner.CheckOutcome, string) {
	value, err := measure(ctx, t, service, sli)
	if err != nil {
		return jenner.Inconclusive, err.Error()
	}
	saw := fmt.Sprintf("%.4g, normal is %s", value, bounds.text())
	if bounds.Holds(value) {
		return jenner.Passed, saw
	}
	return jenner.Failed, saw
}

func (b Bounds) text() string {
	switch {
	case b.Low == -math.MaxFloat64:
		return fmt.Sprintf("up to %g", b.High)
	case b.High == math.MaxFloat64:
		return fmt.Sprintf("%g or more", b.Low)
	}
	return fmt.Sprintf("%g to %g", b.Low, b.High)
}

// measure asks for the SLI's present value. Every error means that there is no data, never that the service is bad.
func measure(ctx context.Context, t jenner.Telemetry, service string, sli jenner.SLI) (float64, error) {
	ctx = jenner.Asking(ctx, jenner.Question{Service: service})
	answer, err := t.Query(ctx, forService(sli.PromQL, service))
	switch {
	case err != nil:
		return 0, fmt.Errorf("could not ask: %w", err)
	case answer.NoData():
		return 0, errNoData
	case len(answer.Samples) > 1:
		return 0, fmt.Errorf("%w: %d series where one number is needed; put sum(), max() or the like around the PromQL",
			errManySeries, len(answer.Samples))
	}
	value := answer.Samples[0].Value
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, errNoData // 0/0: no traffic, which is neither good nor bad
	}
	return value, nil
}

// Export gives what was learned, as JSON, so that it survives a restart. Unfinished baselines are not kept.
func (s *Steady) Export() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]keptBounds, 0, len(s.learned))
	for _, kept := range s.learned {
		list = append(list, kept)
	}
	sort.Slice(list, func(i, j int) bool {
		return sliKey(list[i].Service, list[i].SLI) < sliKey(list[j].Service, list[j].SLI)
	})
	raw, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("the learned steady bounds cannot be written: %w", err)
	}
	return raw, nil
}

// sensible tells whether the bounds can have been learned. A name with a NUL would be another one's sliKey.
func (k keptBounds) sensible() bool {
	return k.Service != "" && k.SLI != "" && !strings.Contains(k.Service+k.SLI, "\x00") &&
		k.Learned && k.N >= 0 && k.Deviation >= 0 && k.Low <= k.High
}

// Import takes over what Export gave. It may be called before or after Set; bounds of an SLI whose PromQL has changed
// are forgotten by Set. Where raw cannot be read nothing changes, and everything is learned anew.
func (s *Steady) Import(raw []byte) error {
	var list []keptBounds
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("the kept steady bounds cannot be read, so they are learned anew: %w", err)
	}
	for _, kept := range list {
		if !kept.sensible() {
			return fmt.Errorf("the kept steady bounds of %q/%q make no sense, so all are learned anew", kept.Service, kept.SLI)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kept := range list {
		key := sliKey(kept.Service, kept.SLI)
		if sli, written := s.declared[key]; len(s.declared) > 0 && (!written || sli.PromQL != kept.PromQL) {
			continue
		}
		s.learned[key] = kept
		delete(s.learning, key)
	}
	return nil
}
