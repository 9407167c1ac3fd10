package shop

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// httpMetrics count the work of a role. Probes and scrapes are not work: were they counted, a shop that serves nobody
// would look busy, and one asked often whether it is ready would look broken.
type httpMetrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newHTTPMetrics(registry *prometheus.Registry) *httpMetrics {
	m := &httpMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total", Help: "Requests answered.",
		}, []string{"code", "method", "path"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "Time from a request's arrival to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"path"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_in_flight_requests", Help: "Requests being answered now.",
		}),
	}
	registry.MustRegister(m.requests, m.duration, m.inFlight)
	return m
}

// around counts what next does for one route.
func (m *httpMetrics) around(method, path string, next http.HandlerFunc) http.HandlerFunc {
	for _, code := range []string{"200", "502"} {
		m.requests.WithLabelValues(code, method, path) // starts at 0, so the first failure is a rise and not a new series
	}
	duration := m.duration.WithLabelValues(path)
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		m.inFlight.Inc()
		defer m.inFlight.Dec()
		recorder := &statusRecorder{ResponseWriter: w, code: http.StatusOK}
		next(recorder, r)
		duration.Observe(time.Since(start).Seconds())
		m.requests.WithLabelValues(strconv.Itoa(recorder.code), method, path).Inc()
	}
}

// statusRecorder remembers the status code that went out.
type statusRecorder struct {
	http.ResponseWriter
	code int
}

func (r *statusRecorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

func newCounter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func newGaugeFunc(name, help string, value func() int) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
}
