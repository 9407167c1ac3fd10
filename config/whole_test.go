package config_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
)

func pointer[T any](value T) *T { return &value }

// Documents of every kind, as people would write them together, load as they stand and mean what they say.
func TestDocumentsOfEveryKindLoadAsTheyStand(t *testing.T) {
	docs := mustLoad(t, "testdata/whole.yaml").Documents
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	second, minute := jenner.Duration(time.Second), jenner.Duration(time.Minute)
	want := &jenner.Documents{
		Services: []jenner.Service{{
			Name: "checkout", Owner: "payments-team", Tier: 1, Environment: "production",
			DependsOn: []string{"payments", "inventory"},
			Targets: []jenner.Target{{Kind: "process", Name: "checkout", Dir: dir, Params: jenner.Params{
				"start": []byte(`"./shop checkout"`), "pidfile": []byte(`"run/checkout.pid"`)}}},
			Metrics: []jenner.MetricsSource{{Scrape: "http://127.0.0.1:8081/metrics", Every: second}},
			Probes: []jenner.Probe{{Name: "ready", Kind: "http", Every: second / 2, Timeout: 3 * second / 10,
				Params: jenner.Params{"url": []byte(`"http://127.0.0.1:8081/readyz"`)}}},
			SLOs: []jenner.SLO{{Name: "availability", Objective: 0.9990000000000001, Window: 30 * 24 * 60 * minute,
				Good: `sum(rate(http_requests_total{code!~"5.."}[1m]))`, Total: `sum(rate(http_requests_total[1m]))`}},
		}},
		Signatures: []jenner.Signature{{
			Name: "pool-exhausted", Cause: "connection-pool-exhaustion",
			Evidence: []jenner.EvidencePattern{
				{PromQL: "db_pool_in_use / db_pool_max > 0.9", Weight: 3},
				{Log: "timed out waiting for a connection", Weight: 2},
				{Dependency: "healthy", Weight: 1},
			},
		}},
		Runbooks: []jenner.Runbook{{
			Name:    "drain-idle-connections",
			Trigger: &jenner.Trigger{Alert: "db_connection_pool_utilization > 90%", Confidence: 0.9},
			Steps: []jenner.Step{
				{Name: "look", Action: "query_metrics",
					Params: jenner.Params{"metric": []byte(`"db_active_connections"`), "window": []byte(`"5m"`)}},
				{Name: "cut", Action: "terminate_connections",
					Params:      jenner.Params{"state": []byte(`"idle"`), "older_than": []byte(`"300s"`)},
					BlastRadius: jenner.BlastRadius{"max_connections": {Share: pointer(jenner.Share(0.15))}}},
				{Name: "settled", Action: "wait_for_metric", Params: jenner.Params{
					"metric": []byte(`"db_pool_utilization"`), "below": []byte(`"70%"`), "timeout": []byte(`"120s"`)}},
				{Name: "page", Action: "page_oncall", Condition: "settled.failed",
					Params: jenner.Params{"severity": []byte(`"high"`)}},
			},
		}},
		Policies: []jenner.Policy{{
			Name: "pool", IncidentType: "connection-pool-exhaustion", Services: jenner.Selector{Tier: []int{1, 2}},
			Runbooks: []string{"drain-idle-connections", "restart-one"}, Mode: jenner.ModeAuto,
			ConfidenceThreshold: 0.92, MaxAttempts: 2, CooldownAfterAction: 10 * minute, VerificationWindow: 5 * minute,
			RollbackIfFailed: true, RequiresProof: 30 * 24 * 60 * minute, EscalationChannel: "pagerduty-p1",
		}},
		Experiments: []jenner.Experiment{{
			Name: "checkout-crash", Hypothesis: "when checkout is killed it serves again within 5 s and no order is lost",
			Service: "checkout", Faults: []jenner.FaultSpec{{Fault: "kill", Target: "checkout"}},
			Expect: jenner.Expectation{DetectedWithin: 2 * second, Cause: "crashed", Runbook: "restart",
				RecoveredWithin: 5 * second},
			Control: true, Repeat: 5, AbortIf: []string{`probe("payments", "ready").failing_for > duration("10s")`},
		}},
	}
	if diff := cmp.Diff(want, docs, cmpopts.IgnoreTypes(jenner.Source{})); diff != "" {
		t.Errorf("the documents differ (-want +got):\n%s", diff)
	}
	if got := docs.Runbooks[0].Source; got != (jenner.Source{File: "testdata/whole.yaml", Line: 22}) {
		t.Errorf("the runbook stands at %+v, want testdata/whole.yaml:22", got)
	}
}

func TestShapesTellTheKind(t *testing.T) {
	docs := mustLoad(t, "testdata/shapes.yaml").Documents
	if len(docs.Runbooks) != 1 || docs.Runbooks[0].Name != "restart-one" || len(docs.Runbooks[0].Steps) != 2 {
		t.Errorf("a document with steps is a runbook; got %+v", docs.Runbooks)
	}
	want := []jenner.Policy{{
		Name: "database-connection-leak", IncidentType: "database-connection-leak", DetectionSignal: "db-connections-high",
		AutoExecute: pointer(true), ConfidenceThreshold: 0.92, MaxAttempts: 2,
		CooldownAfterAction: jenner.Duration(10 * time.Minute), VerificationWindow: jenner.Duration(5 * time.Minute),
		RollbackIfFailed: true, EscalationChannel: "pagerduty-p1",
	}}
	if diff := cmp.Diff(want, docs.Policies, cmpopts.IgnoreTypes(jenner.Source{})); diff != "" {
		t.Errorf("the policy differs (-want +got):\n%s", diff)
	}
	if mode := docs.Policies[0].EffectiveMode(); mode != jenner.ModeAuto {
		t.Errorf("auto_execute: true is mode %s, want auto", mode)
	}
}

// kubernetesForm writes a flat document in the Kubernetes form.
func kubernetesForm(kind, flat string) string {
	var name string
	var spec []string
	for _, line := range strings.Split(strings.TrimSpace(flat), "\n") {
		if rest, ok := strings.CutPrefix(line, "name: "); ok {
			name = rest
			continue
		}
		if !strings.HasPrefix(line, "kind: ") {
			spec = append(spec, "  "+line)
		}
	}
	return "apiVersion: jenner.dev/v1alpha1\nkind: " + strings.ToUpper(kind[:1]) + kind[1:] + "\nmetadata: {name: " + name +
		", labels: {team: a}}\nspec:\n" + strings.Join(spec, "\n") + "\n"
}

func TestBothFormsAreEqual(t *testing.T) {
	flat := map[string]string{
		"service": "kind: service\nname: checkout\nowner: a\ntier: 2\ntargets:\n- {kind: process, name: c, start: ./c}\n" +
			"probes:\n- {name: ready, http: {url: http://x}, every: 1s}",
		"signature":  "kind: signature\nname: s\ncause: crashed\nevidence:\n- {process: gone, weight: 2}",
		"runbook":    "kind: runbook\nname: r\nsteps:\n- {name: a, action: restart, retry: {attempts: 3}}",
		"policy":     "kind: policy\nname: p\nincident_type: crashed\nrunbooks: [r]\nmode: approve\nblast_radius: {max_targets: 15% 2}",
		"experiment": "kind: experiment\nname: e\nhypothesis: h\nservice: checkout\nfaults: [{fault: kill, target: c}]",
		"gameday":    "kind: gameday\nname: g\npeople: [ann]\nfaults: [{at: 5m, fault: kill, target: checkout, secret: true}]",
		"channel":    "kind: channel\nname: ops\nwebhook: {url: http://x}",
		"team":       "kind: team\nname: ops\nmembers: [ana, ben]",
		"calendar":   "kind: calendar\nname: plans\nics: http://x\neffect: freeze",
		"mapping":    "kind: mapping\nname: m\nrules:\n- {match: {app: x}, service: checkout}\n- {match: {app: y}, ignore: true}",
		"receiver":   "kind: receiver\nname: am\nfrom: alertmanager\nlocal: true\nalertmanager: {url: http://x, every: 5s}",
		"prometheus": "kind: prometheus\nname: main\nurl: http://x:9090\ntenant: a\nlabels: {cluster: b}\nmax_age: 1m",
		"catalogue": "kind: catalogue\ngroups:\n- name: g\n  interval: 30s\n  rules:\n  - {record: 'a:b', expr: sum(b)}\n" +
			"  - {alert: A, expr: b > 1, for: 5m, labels: {severity: critical}, annotations: {summary: '{{ $value }}'}}",
		"limits": "kind: limits\nmax_targets_at_once: 5",
	}
	if len(flat) != len(config.Kinds()) {
		t.Errorf("there are the kinds %v, and documents of %d", config.Kinds(), len(flat))
	}
	for kind, document := range flat {
		one, err := load(t, document)
		if err != nil {
			t.Errorf("flat %s: %v", kind, err)
			continue
		}
		other, err := load(t, kubernetesForm(kind, document))
		if err != nil {
			t.Errorf("%s in the Kubernetes form: %v", kind, err)
			continue
		}
		if cmp.Equal(one.Documents, &jenner.Documents{}) {
			t.Errorf("%s: nothing was loaded", kind)
		}
		ignored := cmp.Options{cmpopts.IgnoreTypes(jenner.Source{}), cmpopts.IgnoreFields(jenner.Target{}, "Dir"), cmpopts.IgnoreFields(jenner.Receiver{}, "Dir"),
			cmpopts.IgnoreFields(jenner.Calendar{}, "Dir"), cmpopts.IgnoreFields(jenner.Prometheus{}, "Dir"),
			cmpopts.IgnoreFields(jenner.GroupRule{}, "Line")}
		if diff := cmp.Diff(one.Documents, other.Documents, ignored); diff != "" {
			t.Errorf("%s: the forms differ (-flat +Kubernetes):\n%s", kind, diff)
		}
	}
}
