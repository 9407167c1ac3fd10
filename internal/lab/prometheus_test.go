package lab

import (
	"strings"
	"testing"
)

func TestPrometheusStartsReloadsAndEnds(t *testing.T) {
	prometheus, err := StartPrometheus(limited(t), t.TempDir(), "rule_files: [a.yml]\n", map[string]string{"a.yml": "groups: []\n"})
	if err != nil {
		t.Fatal(err)
	}
	first := prometheus.Process()
	if err := prometheus.Write("rule_files: [a.yml]\n", map[string]string{"a.yml": "groups: [{name: a, rules: [{alert: B, expr: ')'}]}]\n"}); err != nil {
		t.Fatal(err)
	}
	if err := prometheus.Reload(limited(t)); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("rules that cannot be read were loaded: %v", err)
	}
	if err := prometheus.Write("rule_files: []\n", nil); err != nil {
		t.Fatal(err)
	}
	if err := prometheus.Reload(limited(t)); err != nil {
		t.Error(err)
	}
	if err := prometheus.Kill(); err != nil {
		t.Error(err)
	}
	if err := prometheus.Start(limited(t)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := prometheus.Stop(); err != nil {
			t.Error(err)
		}
	}
	ended(t, first, prometheus.Port)
	ended(t, prometheus.Process(), prometheus.Port)
}

func TestPrometheusThatDoesNotStart(t *testing.T) {
	_, err := StartPrometheus(limited(t), t.TempDir(), "rule_fles: []\n", nil)
	if err == nil || !strings.Contains(err.Error(), "rule_fles") {
		t.Errorf("the error is %v", err)
	}
}
