package learn_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/learn"
)

// page is what Prometheus would read, by series.
func page(t *testing.T, m *learn.Metrics) map[string]string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != 200 {
		t.Fatalf("the answer is %d: %s", answer.Code, answer.Body)
	}
	series := map[string]string{}
	for line := range strings.Lines(answer.Body.String()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			series[name] = value
		}
	}
	return series
}

func expect(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
}

func outcomes() []jenner.Outcome {
	healed := jenner.Outcome{Phase: jenner.PhaseResolved, Runbook: "restart", Acted: true, Success: true,
		ToDetect: time.Second, ToAct: 2 * time.Second, ToRecover: 4 * time.Second}
	slower := healed
	slower.ToRecover = 8 * time.Second
	return []jenner.Outcome{
		healed, slower,
		{Phase: jenner.PhaseResolved, ToDetect: time.Second, ToRecover: 3 * time.Second}, // by itself
		{Phase: jenner.PhaseEscalated, Runbook: "restart", Acted: true, Undone: true, ToAct: 5 * time.Second},
		{Phase: jenner.PhaseEscalated, Runbook: "failover", Acted: true},
		{Phase: jenner.PhaseSuppressed},
	}
}

func TestMetricsOfOutcomes(t *testing.T) {
	m := learn.NewMetrics()
	all := outcomes()
	m.Load(all[:3])
	for _, outcome := range all[3:] {
		m.Observe(outcome)
	}
	m.FalseAction()
	open := 7
	m.Watch(learn.Sources{OpenIncidents: func() int { return open }, AlertsDropped: func() uint64 { return 42 }})
	expect(t, page(t, m), map[string]string{
		`jenner_incidents_total{phase="resolved"}`:                      "3",
		`jenner_incidents_total{phase="escalated"}`:                     "2",
		`jenner_incidents_total{phase="suppressed"}`:                    "1",
		`jenner_remediations_total{result="passed",runbook="restart"}`:  "2",
		`jenner_remediations_total{result="undone",runbook="restart"}`:  "1",
		`jenner_remediations_total{result="failed",runbook="failover"}`: "1",
		`jenner_remediation_success_ratio`:                              "0.5", // 2 of 4 that were acted upon
		`jenner_automated_ratio`:                                        "0.4", // 2 of 5 that were not suppressed
		`jenner_escalations_total`:                                      "2",
		`jenner_false_actions_total`:                                    "1",
		`jenner_rollbacks_total`:                                        "1",
		`jenner_open_incidents`:                                         "7",
		`jenner_alerts_dropped_total`:                                   "42",
		`jenner_time_to_detect_seconds_count`:                           "6",
		`jenner_time_to_act_seconds_count`:                              "4",
		`jenner_time_to_act_seconds_sum`:                                "9",
		`jenner_time_to_recover_seconds_count`:                          "3",
		`jenner_time_to_recover_seconds_sum`:                            "15",
		`jenner_time_to_recover_seconds_bucket{le="5"}`:                 "2",
	})
	got := m.Summary()
	if got.Incidents != 6 || got.Resolved != 3 || got.Escalated != 2 || got.Suppressed != 1 || got.Remediations != 4 ||
		got.Successes != 2 || got.Rollbacks != 1 || got.FalseActions != 1 || *got.SuccessRatio != 0.5 ||
		*got.AutomatedRatio != 0.4 || got.MeanToRecover != 5*time.Second || got.MeanToAct != 9*time.Second/4 {
		t.Errorf("the summary is %+v", got)
	}
}

func TestL8NothingDoneIsNeitherSuccessNorFailure(t *testing.T) {
	m := learn.NewMetrics()
	expect(t, page(t, m), map[string]string{
		`jenner_remediation_success_ratio`:         "NaN",
		`jenner_automated_ratio`:                   "NaN",
		`jenner_incidents_total{phase="resolved"}`: "0",
		`jenner_open_incidents`:                    "0",
		`jenner_alerts_dropped_total`:              "0",
	})
	raw, err := json.Marshal(m.Summary())
	if err != nil || !strings.Contains(string(raw), `"success_ratio":null`) {
		t.Errorf("the summary is %s, %v", raw, err)
	}
}

func TestMetricsOfDecisions(t *testing.T) {
	m := learn.NewMetrics()
	for _, right := range []jenner.Rightness{jenner.RightDecision, jenner.RightDecision, jenner.WrongDecision} {
		m.ObserveJudgement(jenner.Judgement{Policy: "crashes", Right: right})
	}
	m.ObserveJudgement(jenner.Judgement{Policy: "pool", Right: jenner.UnknownDecision})
	m.BreakerOpened("restart")
	m.Refused("cooldown")
	m.Refused("cooldown")
	m.Refused("hold")
	expect(t, page(t, m), map[string]string{
		`jenner_judgements_total{policy="crashes",right="right"}`: "2",
		`jenner_judgements_total{policy="crashes",right="wrong"}`: "1",
		`jenner_judgements_total{policy="pool",right="unknown"}`:  "1",
		`jenner_breaker_opened_total{runbook="restart"}`:          "1",
		`jenner_decisions_refused_total{guard="cooldown"}`:        "2",
		`jenner_decisions_refused_total{guard="hold"}`:            "1",
	})
}

// TestL20DroppedAlertsSayWhy: the reasons take the place of the plain number, for a sum over both would count twice.
func TestL20DroppedAlertsSayWhy(t *testing.T) {
	m := learn.NewMetrics()
	slow := uint64(0)
	m.Watch(learn.Sources{AlertsDropped: func() uint64 { return 42 },
		AlertsDroppedByReason: func() map[string]uint64 { return map[string]uint64{"full": 40, "slow": slow} }})
	page(t, m)
	slow = 2
	got := page(t, m)
	expect(t, got, map[string]string{
		`jenner_alerts_dropped_total{reason="full"}`: "40",
		`jenner_alerts_dropped_total{reason="slow"}`: "2",
	})
	if plain, there := got["jenner_alerts_dropped_total"]; there {
		t.Errorf("besides the reasons there is a plain number, %s", plain)
	}
}
