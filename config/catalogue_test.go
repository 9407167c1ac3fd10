package config_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
)

const plainCatalogue = `groups:
- name: kubernetes-apps
  interval: 1m
  labels: {team: platform}
  rules:
  - record: 'a:b:sum'
    expr: |
      sum without (pod) (b)
    labels: {tier: 1}
  - alert: A
    expr: 1
    for: 1y2w
    keep_firing_for: 5m
    labels: {severity: critical, gold: true}
    annotations: &texts {summary: '{{ $labels.pod }}'}
  - {alert: B, expr: up, annotations: *texts}
- name: empty
  rules: []
`

// TestACatalogueIsReadAsPrometheusReadsIt: with whatever YAML allows, numbers as texts included.
func TestACatalogueIsReadAsPrometheusReadsIt(t *testing.T) {
	loaded := mustLoad(t, write(t, t.TempDir(), "apps.rules.yml", plainCatalogue))
	texts := map[string]string{"summary": "{{ $labels.pod }}"}
	want := []jenner.RuleGroup{
		{Name: "kubernetes-apps", Interval: jenner.Duration(time.Minute), Labels: map[string]string{"team": "platform"}, Rules: []jenner.GroupRule{
			{Record: "a:b:sum", Expr: "sum without (pod) (b)\n", Labels: map[string]string{"tier": "1"}, Line: 6},
			{Alert: "A", Expr: "1", For: jenner.Duration((365 + 14) * 24 * time.Hour), KeepFiringFor: jenner.Duration(5 * time.Minute),
				Labels: map[string]string{"severity": "critical", "gold": "true"}, Annotations: texts, Line: 10},
			{Alert: "B", Expr: "up", Annotations: texts, Line: 16},
		}},
		{Name: "empty"},
	}
	found := loaded.Documents.Catalogues
	if len(found) != 1 || found[0].Name != "apps.rules" {
		t.Fatalf("got %+v", found)
	}
	if diff := cmp.Diff(want, found[0].Groups); diff != "" {
		t.Error(diff)
	}
	if problems := loaded.Check(names); len(problems) > 0 {
		t.Error(problems)
	}
}

// TestAPrometheusRule: the same rules as an object of a cluster, with all that a cluster adds to it.
func TestAPrometheusRule(t *testing.T) {
	object := "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: apps\n  uid: 7\n  labels: {prometheus: k8s}\n" +
		"status: {x: y}\nspec:\n  " + strings.ReplaceAll(strings.TrimSuffix(plainCatalogue, "\n"), "\n", "\n  ") + "\n"
	object = strings.Replace(object, "interval: 1m", "interval: 1m\n    partial_response_strategy: abort", 1)
	loaded := mustLoad(t, write(t, t.TempDir(), "object.yaml", "kind: team\nname: a\nmembers: [b]\n---\n"+object+"---\n"+plainCatalogue))
	catalogues := loaded.Documents.Catalogues
	if len(catalogues) != 2 || catalogues[0].Name != "apps" || catalogues[1].Name != "object" {
		t.Fatalf("got %+v", catalogues)
	}
	ignoreLines := cmp.Comparer(func(a, b jenner.GroupRule) bool {
		a.Line, b.Line = 0, 0
		return jenner.Hash(a) == jenner.Hash(b)
	})
	if diff := cmp.Diff(catalogues[0].Groups, catalogues[1].Groups, ignoreLines); diff != "" {
		t.Errorf("the forms differ (-object +plain):\n%s", diff)
	}
	text, err := os.ReadFile(catalogues[0].Source.File)
	if err != nil {
		t.Fatal(err)
	}
	if line := strings.Split(string(text), "\n")[catalogues[0].Groups[0].Rules[1].Line-1]; !strings.Contains(line, "alert: A") {
		t.Errorf("the rule A is said to stand on the line %q", line)
	}
}

// TestTheAlertsOfCataloguesAreKnown to signatures, triggers and policies, as are those about a server.
func TestTheAlertsOfCataloguesAreKnown(t *testing.T) {
	document := plainCatalogue + `---
kind: prometheus
name: main
url: http://x
default: true
service: metrics
---
kind: service
name: metrics
---
kind: signature
name: s
cause: c
evidence: [{alert: A}, {alert: telemetry-down}, {alert: a:b:sum}]
`
	loaded, err := load(t, document)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, problem := range loaded.Check(names) {
		said = append(said, problem.Message)
	}
	if len(said) != 1 || !strings.Contains(said[0], `nothing raises the alert "a:b:sum"`) {
		t.Errorf("the problems are %q", said)
	}
}

func TestTheSchemaOfAPrometheusRule(t *testing.T) {
	for document, want := range map[string]bool{
		"groups: [{name: a, rules: [{alert: A, expr: up}]}]":          true,
		"groups: [{name: a, rules: [{alert: A}]}]":                    false,
		"groups: [{name: a, rules: [{alert: A, expr: up, line: 3}]}]": false,
		"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: a, uid: b}\nspec: {groups: [{name: a, rules: []}]}":                          true,
		"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: a}\nspec: {group: []}":                                                       false,
		"apiVersion: jenner.dev/v1alpha1\nkind: Catalogue\nmetadata: {name: a}\nspec: {groups: [{name: a, rules: [{record: 'a:b', expr: up, labels: {c: d}}]}]}\n": true,
	} {
		if err := resolved(t, "catalogue").Validate(values(t, document)[0]); (err == nil) != want {
			t.Errorf("%q: fits is %v (%v), want %v", document, err == nil, err, want)
		}
		if _, err := load(t, document); (err == nil) != want {
			t.Errorf("%q: Load says %v, want %v", document, err, want)
		}
	}
	if !slices.Contains(config.Kinds(), "catalogue") {
		t.Error("catalogue is no kind")
	}
}
