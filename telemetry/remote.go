package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/jenner-heal/jenner"
)

// Remote asks one server that answers PromQL by Prometheus' HTTP API. It is safe for concurrent use.
//
// Questions are instant ones, at the server's own present, so that a clock that differs does no harm. The same question,
// asked again within a second, is not asked twice. At most eight are under way at the same time. A server that twice in a
// row gave no answer is left alone for a period; whoever asks meanwhile hears that at once.
type Remote struct {
	server jenner.Prometheus
	api    prometheus.API
	client *client
	log    *slog.Logger
	wrong  error // why it cannot be asked at all

	mu     sync.Mutex
	once   map[string]*asking
	swept  time.Time
	fresh  map[string]time.Time // selector to the time of the newest number that is known of it
	heard  map[string]time.Time // service to the time of the newest number that was heard of it
	health health
}

// NewRemote makes a remote and asks nothing yet. A URL or a file that cannot be used is told by every question.
func NewRemote(server jenner.Prometheus, logger *slog.Logger) *Remote {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	r := &Remote{server: server, log: logger.With("server", server.Name), once: map[string]*asking{}, fresh: map[string]time.Time{},
		heard: map[string]time.Time{}}
	r.health.since = time.Now()
	client, err := newClient(server)
	if err != nil {
		r.wrong = jenner.ForHuman(fmt.Errorf("server %s cannot be asked: %w", server.Name, err), "")
		return r
	}
	r.client, r.api = client, prometheus.NewAPI(client)
	return r
}

// Server is the document that it was made from.
func (r *Remote) Server() jenner.Prometheus { return r.server }

func (r *Remote) maxAge() time.Duration { return r.server.MaxAge.Or(jenner.DefaultServerMaxAge) }

func (r *Remote) every() time.Duration { return r.server.Every.Or(jenner.DefaultServerEvery) }

// Query evaluates PromQL now, with the meaning that Store.QueryAt gives to it. What is older than the server's max_age is no
// data: the server is asked to pass it over, and where it does not, an answer whose numbers are too old is no answer. An
// answer that the server itself calls incomplete is an error, for neither what it holds nor what it lacks is known then.
// The answer is shared with others who ask the same and must not be changed.
//
// Errors are 'could not ask': PromQL that the server refuses is permanent, with the server's own words; a server that does not
// answer in time, or at all, is retryable; one that wants other credentials is for a human.
func (r *Remote) Query(ctx context.Context, promql string) (jenner.Answer, error) {
	selectors, err := selectorsOf(promql)
	if err != nil {
		return jenner.Answer{}, jenner.Permanent(err, "")
	}
	answer, err := r.ask(ctx, promql)
	if err != nil || answer.NoData() {
		return answer, err
	}
	var newest time.Time
	for _, selector := range selectors {
		at, has, err := r.newest(ctx, selector)
		switch {
		case err != nil:
			return jenner.Answer{}, err
		case has && time.Since(at) > r.maxAge():
			r.log.Debug("an answer was made from numbers that are too old, which is no answer", "promql", promql,
				"of", selector.text, "age", time.Since(at))
			return jenner.Answer{}, nil
		case has && at.After(newest):
			newest = at
		}
	}
	r.hear(ctx, newest)
	return answer, nil
}

// HasData tells whether every metric that an expression reads has data now that is not older than max_age; see
// Store.HasData.
func (r *Remote) HasData(ctx context.Context, promql string) (bool, error) {
	selectors, err := selectorsOf(promql)
	if err != nil {
		return false, err
	}
	for _, selector := range selectors {
		if has, err := r.has(ctx, selector); err != nil || !has {
			return false, err
		}
	}
	return true, nil
}

func (r *Remote) has(ctx context.Context, selector selector) (bool, error) {
	at, has, err := r.look(ctx, selector)
	return has && time.Since(at) <= r.maxAge(), err
}

// newest is look, where an answer was made from a selector's numbers: what was found out about their age is believed until
// they would be too old, for until then numbers that are newer could make no difference. It does not tell whether there are
// numbers now, for a series may have ended since.
func (r *Remote) newest(ctx context.Context, selector selector) (time.Time, bool, error) {
	r.mu.Lock()
	at, known := r.fresh[selector.text]
	r.mu.Unlock()
	if known && time.Since(at) <= r.maxAge() {
		return at, true, nil
	}
	return r.look(ctx, selector)
}

// look asks when the newest number of a selector was taken, by our clock; false where there is none now.
func (r *Remote) look(ctx context.Context, selector selector) (at time.Time, has bool, err error) {
	now := time.Now()
	answer, err := r.ask(ctx, selector.age())
	if err != nil || answer.NoData() {
		return time.Time{}, false, err
	}
	age := time.Duration(answer.Samples[0].Value * float64(time.Second))
	if at = now.Add(-age); at.After(now) { // of the server's future, which no clock can have seen
		at = now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.fresh) >= maxSelectors {
		clear(r.fresh)
	}
	r.fresh[selector.text] = at
	return at, true, nil
}

// maxSelectors bounds what is remembered of selectors; all rule catalogues together have some hundreds.
const maxSelectors = 10_000

// hear remembers how new the newest number of a service is.
func (r *Remote) hear(ctx context.Context, at time.Time) {
	question, said := jenner.Asked(ctx)
	if !said || at.IsZero() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at.After(r.heard[question.Service]) {
		r.heard[question.Service] = at
	}
}

// Heard is when the newest number was taken that answered a question about a service, or, where none is asked about it, a
// question of rules that are about whatever service they find; zero where none did.
func (r *Remote) Heard(service string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, known := r.heard[service]; known {
		return at
	}
	return r.heard[""]
}

// put asks the server, once. answered tells whether the server had its say, whatever it said.
func (r *Remote) put(promql string) (answer jenner.Answer, answered bool, err error) {
	timeout := r.server.Timeout.Or(jenner.DefaultServerTimeout)
	ctx, cancel := context.WithTimeoutCause(context.Background(), timeout,
		fmt.Errorf("server %s gave no answer within %s", r.server.Name, timeout))
	defer cancel()
	now := time.Now()
	value, warnings, err := r.api.Query(ctx, promql, time.Time{}, prometheus.WithTimeout(timeout), prometheus.WithLookbackDelta(r.maxAge()))
	if err != nil {
		return jenner.Answer{}, spoke(err), r.told(ctx, promql, err)
	}
	if partial := incomplete(warnings); len(partial) > 0 {
		return jenner.Answer{}, true, jenner.Retryable(fmt.Errorf("server %s gave an incomplete answer to %s: %s", r.server.Name, promql,
			strings.Join(partial, "; ")), "")
	}
	answer, err = answerFrom(promql, value, now)
	return answer, true, err
}

// incomplete are the warnings that say that something is missing. What Prometheus says of an expression, it says with its own
// name in front; the answer is complete then.
func incomplete(warnings []string) []string {
	var partial []string
	for _, warning := range warnings {
		if !strings.HasPrefix(warning, "PromQL ") {
			partial = append(partial, warning)
		}
	}
	return partial
}

// spoke tells whether an error is what the server said of the question, and not that it could not be asked.
func spoke(err error) bool {
	var said *prometheus.Error
	if errors.As(err, &said) {
		return said.Type == prometheus.ErrBadData || said.Type == prometheus.ErrExec
	}
	return errors.Is(err, errPartial) || errors.Is(err, errTooLong)
}

// told makes an error of what the server said that tells what to do.
func (r *Remote) told(ctx context.Context, promql string, err error) error {
	var said *prometheus.Error
	switch cause := context.Cause(ctx); {
	case errors.As(err, &said):
	case cause != nil:
		return jenner.Retryable(fmt.Errorf("%w to %s", cause, promql), "")
	case errors.Is(err, errTooLong):
		return jenner.Permanent(fmt.Errorf("server %s: the answer to %s %w", r.server.Name, promql, err), "ask for fewer series")
	case errors.Is(err, errPartial):
		return jenner.Retryable(fmt.Errorf("server %s gave an incomplete answer to %s: %w", r.server.Name, promql, err), "")
	default:
		return jenner.Retryable(fmt.Errorf("server %s cannot be asked: %w", r.server.Name, err), "")
	}
	words := strings.TrimSpace(said.Msg + " " + cut(said.Detail))
	switch said.Type {
	case prometheus.ErrBadData, prometheus.ErrExec:
		return jenner.Permanent(fmt.Errorf("server %s refuses PromQL %s: %s", r.server.Name, promql, words), "")
	case prometheus.ErrClient:
		return jenner.ForHuman(fmt.Errorf("server %s refuses to be asked: %s", r.server.Name, words),
			"look at its url, its tenant and its credentials")
	case prometheus.ErrBadResponse:
		return jenner.ForHuman(fmt.Errorf("server %s does not answer as Prometheus does: %s", r.server.Name, words),
			"its url must be the address in front of /api/v1")
	}
	return jenner.Retryable(fmt.Errorf("server %s could not answer %s: %s", r.server.Name, promql, words), "")
}

// cut is a text of a server, as far as people read it.
func cut(text string) string {
	const most = 200
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// answerFrom is the answer as Store.QueryAt gives it.
func answerFrom(promql string, value model.Value, at time.Time) (jenner.Answer, error) {
	var answer jenner.Answer
	add := func(metric model.Metric, number model.SampleValue) {
		if math.IsNaN(float64(number)) {
			return
		}
		labels := make(map[string]string, len(metric))
		for name, value := range metric {
			labels[string(name)] = string(value)
		}
		answer.Samples = append(answer.Samples, jenner.Sample{Labels: labels, Value: float64(number), At: at})
	}
	switch v := value.(type) {
	case model.Vector:
		for _, one := range v {
			if one.Histogram != nil {
				return jenner.Answer{}, jenner.Permanent(errHistogram(promql), "")
			}
			add(one.Metric, one.Value)
		}
	case *model.Scalar:
		add(nil, v.Value)
	default:
		return jenner.Answer{}, jenner.Permanent(fmt.Errorf("PromQL %s: the answer is a %s, not numbers", promql, value.Type()), "")
	}
	return answer, nil
}
