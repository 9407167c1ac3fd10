package cluster

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// tally counts what was written to the API server and what was not.
type tally struct {
	mu      sync.Mutex
	wrote   map[string]float64
	lost    map[string]float64
	waiting map[string]func() int
	leading atomic.Bool
}

func newTally() *tally {
	t := &tally{wrote: map[string]float64{}, lost: map[string]float64{}, waiting: map[string]func() int{}}
	for _, what := range []string{whatStatus, whatIncidents, whatEvents} {
		t.wrote[what], t.lost[what] = 0, 0 // what rises from nothing is no rise to Prometheus
	}
	return t
}

// What is written to the API server.
const (
	whatStatus    = "status"
	whatIncidents = "incidents"
	whatEvents    = "events"
)

func (t *tally) written(what string) { t.add(t.wrote, what) }
func (t *tally) dropped(what string) { t.add(t.lost, what) }

func (t *tally) wait(what string, length func() int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting[what] = length
}

func (t *tally) add(to map[string]float64, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	to[what]++
}

var (
	writtenDesc = prometheus.NewDesc("jenner_kubernetes_written_total", "What was shown through the API server: status of documents, incidents, events.", []string{"what"}, nil)
	droppedDesc = prometheus.NewDesc("jenner_kubernetes_dropped_total", "What should have been shown and was not, for there was too much of it or it was refused.", []string{"what"}, nil)
	waitingDesc = prometheus.NewDesc("jenner_kubernetes_waiting", "What is still to be shown.", []string{"what"}, nil)
	leadingDesc = prometheus.NewDesc("jenner_leader", "1 while this Jenner holds the lease and acts, 0 while it stands by.", nil, nil)
)

// Describe is part of prometheus.Collector.
func (t *tally) Describe(to chan<- *prometheus.Desc) {
	to <- writtenDesc
	to <- droppedDesc
	to <- waitingDesc
	to <- leadingDesc
}

// Collect is part of prometheus.Collector.
func (t *tally) Collect(to chan<- prometheus.Metric) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, count := range t.wrote {
		to <- prometheus.MustNewConstMetric(writtenDesc, prometheus.CounterValue, count, what)
	}
	for what, count := range t.lost {
		to <- prometheus.MustNewConstMetric(droppedDesc, prometheus.CounterValue, count, what)
	}
	for what, length := range t.waiting {
		to <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(length()), what)
	}
	leading := 0.0
	if t.leading.Load() {
		leading = 1
	}
	to <- prometheus.MustNewConstMetric(leadingDesc, prometheus.GaugeValue, leading)
}
