package learn

import (
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/jenner-heal/jenner"
)

// The results of a remediation, as the label `result` says them.
const (
	resultPassed = "passed"
	resultFailed = "failed"
	resultUndone = "undone"
)

// seconds are the buckets of all durations, from a restart that takes moments to a night of work.
var seconds = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400}

// Metrics are Jenner's numbers about itself (R52), in a registry of their own. It is safe for concurrent use.
//
// Counters go on after a restart, for Load replays what is stored; false actions, opened breakers and refusals are not
// stored and begin at 0. The two ratios are NaN until there is something to divide by: no data is neither all good nor all
// bad.
type Metrics struct {
	registry *prometheus.Registry

	incidents    *prometheus.CounterVec
	remediations *prometheus.CounterVec
	escalations  prometheus.Counter
	falseActions prometheus.Counter
	rollbacks    prometheus.Counter
	judgements   *prometheus.CounterVec
	breakers     *prometheus.CounterVec
	refused      *prometheus.CounterVec
	toDetect     prometheus.Histogram
	toAct        prometheus.Histogram
	toRecover    prometheus.Histogram

	mu      sync.Mutex
	sums    sums
	sources Sources
}

// Sources are numbers that others count, read whenever somebody asks for the metrics. A nil one reads as 0.
type Sources struct {
	OpenIncidents func() int
	AlertsDropped func() uint64
	// AlertsDroppedByReason, where it is set, is shown in place of AlertsDropped, one series a reason. Reasons should be
	// there from the beginning, with 0: what rises from nothing is no rise to Prometheus.
	AlertsDroppedByReason func() map[string]uint64
	// AlertsReceived are the alerts that other systems told of, by receiver and by what became of them.
	AlertsReceived func() map[string]map[string]uint64
}

// sums are what the ratios and means are made of.
type sums struct {
	incidents, resolved, escalated, suppressed int
	acted, successes, rollbacks, falseActions  int
	detected, reacted, recovered               int
	detectTotal, reactTotal, recoverTotal      time.Duration
}

// Summary are the same numbers for a person. A ratio is nil, and a mean zero, where nothing was counted yet.
type Summary struct {
	Incidents      int           `json:"incidents"` // that ended
	Resolved       int           `json:"resolved"`
	Escalated      int           `json:"escalated"`
	Suppressed     int           `json:"suppressed"`
	Remediations   int           `json:"remediations"`
	Successes      int           `json:"successes"`
	Rollbacks      int           `json:"rollbacks"`
	FalseActions   int           `json:"false_actions"`
	SuccessRatio   *float64      `json:"success_ratio"`
	AutomatedRatio *float64      `json:"automated_ratio"`
	MeanToDetect   time.Duration `json:"mean_to_detect"`
	MeanToAct      time.Duration `json:"mean_to_act"`
	MeanToRecover  time.Duration `json:"mean_to_recover"`
}

// NewMetrics makes the metrics, all at their beginning.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry:     prometheus.NewRegistry(),
		incidents:    vector("jenner_incidents_total", "Incidents that ended, by their last phase.", "phase"),
		remediations: vector("jenner_remediations_total", "Incidents in which something was done, by the last runbook and how it came out.", "runbook", "result"),
		escalations:  counter("jenner_escalations_total", "Incidents that were handed to a human."),
		falseActions: counter("jenner_false_actions_total", "Actions that a drill found to be wrong, since the start."),
		rollbacks:    counter("jenner_rollbacks_total", "Incidents in which a run was undone for it did not help."),
		judgements:   vector("jenner_judgements_total", "Decisions that were scored afterwards, by what became clear about them.", "policy", "right"),
		breakers:     vector("jenner_breaker_opened_total", "How often the circuit breaker of a runbook opened, since the start.", "runbook"),
		refused:      vector("jenner_decisions_refused_total", "Decisions that stopped a proposed action, by the guard that asked for it, since the start.", "guard"),
		toDetect:     histogram("jenner_time_to_detect_seconds", "From the first firing alert to the incident."),
		toAct:        histogram("jenner_time_to_act_seconds", "From the incident to the first action."),
		toRecover:    histogram("jenner_time_to_recover_seconds", "From the incident to the health that was confirmed, of resolved incidents."),
	}
	m.registry.MustRegister(m.incidents, m.remediations, m.escalations, m.falseActions, m.rollbacks,
		m.judgements, m.breakers, m.refused, m.toDetect, m.toAct, m.toRecover,
		gauge("jenner_remediation_success_ratio", "Share of the incidents acted upon that were resolved.", m.successRatio),
		gauge("jenner_automated_ratio", "Share of the resolved and escalated incidents that an action resolved.", m.automatedRatio),
		gauge("jenner_open_incidents", "Incidents that have not ended.", m.open), drops{m}, received{m})
	for _, phase := range []jenner.Phase{jenner.PhaseResolved, jenner.PhaseEscalated, jenner.PhaseSuppressed} {
		m.incidents.WithLabelValues(string(phase)) // 0 is said, for a rate() needs a beginning
	}
	return m
}

func vector(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func histogram(name, help string) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: seconds})
}

func gauge(name, help string, read func() float64) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read)
}

// Watch takes over where the numbers come from that others count.
func (m *Metrics) Watch(sources Sources) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources = sources
}

// Load counts the stored outcomes. Call it once, before the first Observe: an outcome given twice counts twice.
func (m *Metrics) Load(outcomes []jenner.Outcome) {
	for _, outcome := range outcomes {
		m.Observe(outcome)
	}
}

// Observe counts one incident that has just ended.
func (m *Metrics) Observe(outcome jenner.Outcome) {
	m.incidents.WithLabelValues(string(outcome.Phase)).Inc()
	m.toDetect.Observe(outcome.ToDetect.Seconds())
	if outcome.Phase == jenner.PhaseEscalated {
		m.escalations.Inc()
	}
	if outcome.Undone {
		m.rollbacks.Inc()
	}
	if outcome.Acted {
		m.remediations.WithLabelValues(outcome.Runbook, result(outcome)).Inc()
		m.toAct.Observe(outcome.ToAct.Seconds())
	}
	if outcome.Phase == jenner.PhaseResolved {
		m.toRecover.Observe(outcome.ToRecover.Seconds())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sums.add(outcome)
}

func result(outcome jenner.Outcome) string {
	switch {
	case outcome.Success:
		return resultPassed
	case outcome.Undone:
		return resultUndone
	}
	return resultFailed
}

func (s *sums) add(outcome jenner.Outcome) {
	s.incidents++
	s.detected++
	s.detectTotal += outcome.ToDetect
	switch outcome.Phase {
	case jenner.PhaseResolved:
		s.resolved++
		s.recovered++
		s.recoverTotal += outcome.ToRecover
	case jenner.PhaseEscalated:
		s.escalated++
	case jenner.PhaseSuppressed:
		s.suppressed++
	}
	if outcome.Acted {
		s.acted++
		s.reacted++
		s.reactTotal += outcome.ToAct
	}
	if outcome.Success {
		s.successes++
	}
	if outcome.Undone {
		s.rollbacks++
	}
}

// FalseAction counts one action that a drill found to be wrong.
func (m *Metrics) FalseAction() {
	m.falseActions.Inc()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sums.falseActions++
}

// ObserveJudgement counts one decision that was scored. Those that are stored are to be counted once after a start, as
// outcomes are by Load.
func (m *Metrics) ObserveJudgement(judgement jenner.Judgement) {
	m.judgements.WithLabelValues(judgement.Policy, string(judgement.Right)).Inc()
}

// BreakerOpened counts one opening of a runbook's circuit breaker; that it stays open counts no more.
func (m *Metrics) BreakerOpened(runbook string) { m.breakers.WithLabelValues(runbook).Inc() }

// Refused counts one decision that did not let something be done, by the guard that stopped it.
func (m *Metrics) Refused(guard string) { m.refused.WithLabelValues(guard).Inc() }

// Handler serves the metrics in the formats that Prometheus reads.
func (m *Metrics) Handler(more ...prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(append(prometheus.Gatherers{m.registry}, more...), promhttp.HandlerOpts{})
}

// Summary is how things stand now.
func (m *Metrics) Summary() Summary {
	m.mu.Lock()
	s := m.sums
	m.mu.Unlock()
	return Summary{
		Incidents: s.incidents, Resolved: s.resolved, Escalated: s.escalated, Suppressed: s.suppressed,
		Remediations: s.acted, Successes: s.successes, Rollbacks: s.rollbacks, FalseActions: s.falseActions,
		SuccessRatio:   known(ratio(s.successes, s.acted)),
		AutomatedRatio: known(ratio(s.successes, s.resolved+s.escalated)),
		MeanToDetect:   mean(s.detectTotal, s.detected),
		MeanToAct:      mean(s.reactTotal, s.reacted),
		MeanToRecover:  mean(s.recoverTotal, s.recovered),
	}
}

func (m *Metrics) successRatio() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return ratio(m.sums.successes, m.sums.acted)
}

func (m *Metrics) automatedRatio() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return ratio(m.sums.successes, m.sums.resolved+m.sums.escalated)
}

func (m *Metrics) open() float64 {
	if count := m.watched().OpenIncidents; count != nil {
		return float64(count())
	}
	return 0
}

// drops are the alerts that were lost: one number, or one a reason, whichever the sources have.
type drops struct{ metrics *Metrics }

// Describe says nothing, which Prometheus takes as: the labels are not known beforehand.
func (drops) Describe(chan<- *prometheus.Desc) {}

// Collect reads the sources.
func (d drops) Collect(out chan<- prometheus.Metric) {
	const name, help = "jenner_alerts_dropped_total", "Alerts and changes of alerts that were lost, for there were too many or they could not be read."
	sources := d.metrics.watched()
	if sources.AlertsDroppedByReason != nil {
		desc := prometheus.NewDesc(name, help, []string{"reason"}, nil)
		for reason, count := range sources.AlertsDroppedByReason() {
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(count), reason)
		}
		return
	}
	var count uint64
	if sources.AlertsDropped != nil {
		count = sources.AlertsDropped()
	}
	out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, float64(count))
}

// received are the alerts that other systems told of.
type received struct{ metrics *Metrics }

// Describe says nothing, as that of drops does.
func (received) Describe(chan<- *prometheus.Desc) {}

// Collect reads the source.
func (r received) Collect(out chan<- prometheus.Metric) {
	read := r.metrics.watched().AlertsReceived
	if read == nil {
		return
	}
	desc := prometheus.NewDesc("jenner_alerts_received_total", "Alerts that other systems told of, by receiver and by what became of them.",
		[]string{"receiver", "result"}, nil)
	for receiver, results := range read() {
		for result, count := range results {
			out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(count), receiver, result)
		}
	}
}

func (m *Metrics) watched() Sources {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sources
}

func ratio(part, whole int) float64 {
	if whole == 0 {
		return math.NaN()
	}
	return float64(part) / float64(whole)
}

func known(ratio float64) *float64 {
	if math.IsNaN(ratio) {
		return nil
	}
	return &ratio
}

func mean(total time.Duration, count int) time.Duration {
	if count == 0 {
		return 0
	}
	return total / time.Duration(count)
}
