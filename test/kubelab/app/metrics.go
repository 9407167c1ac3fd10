package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// buckets are the upper bounds of the histogram, in seconds.
var buckets = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5}

// metrics are what Prometheus reads; see its text format 0.0.4. It may be used concurrently.
type metrics struct {
	version string
	orders  atomic.Int64

	mu       sync.Mutex
	requests map[int]int64 // by code
	within   []int64       // by bucket, not summed up
	sum      float64       // seconds
	total    int64
}

func newMetrics(version string) *metrics {
	return &metrics{version: version, requests: map[int]int64{200: 0, 500: 0, 503: 0}, within: make([]int64, len(buckets))}
}

func (m *metrics) count(code int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests[code]++
	m.sum += took.Seconds()
	m.total++
	if i, _ := slices.BinarySearch(buckets, took.Seconds()); i < len(buckets) {
		m.within[i]++
	}
}

func (m *metrics) write(w io.Writer, ready bool, work *work) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fmt.Fprintf(w, "# TYPE app_info gauge\napp_info{version=%q} 1\n", m.version)
	fmt.Fprintln(w, "# TYPE app_requests_total counter")
	errors := int64(0)
	for _, code := range slices.Sorted(maps.Keys(m.requests)) {
		fmt.Fprintf(w, "app_requests_total{code=\"%d\"} %d\n", code, m.requests[code])
		if code >= 500 {
			errors += m.requests[code]
		}
	}
	fmt.Fprintf(w, "# TYPE app_errors_total counter\napp_errors_total %d\n", errors)
	fmt.Fprintf(w, "# TYPE app_orders_total counter\napp_orders_total %d\n", m.orders.Load())
	fmt.Fprintln(w, "# TYPE app_request_duration_seconds histogram")
	sum := int64(0)
	for i, bound := range buckets {
		sum += m.within[i]
		fmt.Fprintf(w, "app_request_duration_seconds_bucket{le=\"%g\"} %d\n", bound, sum)
	}
	fmt.Fprintf(w, "app_request_duration_seconds_bucket{le=\"+Inf\"} %d\n", m.total)
	fmt.Fprintf(w, "app_request_duration_seconds_sum %g\napp_request_duration_seconds_count %d\n", m.sum, m.total)
	is := map[bool]int{true: 1}
	fmt.Fprintf(w, "# TYPE app_ready gauge\napp_ready %d\n", is[ready])
	taken, done, lost := work.counts()
	fmt.Fprintf(w, "# TYPE app_work_in_flight gauge\napp_work_in_flight %d\n", taken-done)
	fmt.Fprintf(w, "# TYPE app_work_lost_total counter\napp_work_lost_total %d\n", lost)
}
