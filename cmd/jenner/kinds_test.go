package main

import (
	"strings"
	"testing"
)

// TestFaultsAreRefusedOnOtherKinds: `jenner check` refuses what could not be injected anyway, by the verb and by the full name.
func TestFaultsAreRefusedOnOtherKinds(t *testing.T) {
	for _, c := range []struct{ fault, kind, works string }{
		{"disk_full", "process", "disk"},
		{"host.disk_full", "process", "disk"},
		{"host.cpu", "disk", "host, process"},
		{"file.drift", "nginx", "file, gitfile"},
		{"network.loss", "process", "network"},
		{"dns.wrong", "http", "dns"},
		{"http.latency", "process", "http"},
		{"process.kill", "pod", "process"},
		{"kubernetes.kill", "node", "deployment, statefulset, daemonset, pod"},
		{"kubernetes.scale_to_zero", "daemonset", "deployment, statefulset"},
		{"drain", "pod", "node"},
		{"config_drift", "deployment", "configmap"},
	} {
		_, err := providers.Fault(c.fault, c.kind)
		if err == nil || !strings.HasSuffix(err.Error(), "it works on: "+c.works) {
			t.Errorf("%s on %s: %v; want that it works on %s", c.fault, c.kind, err, c.works)
		}
	}
	for fault, kinds := range map[string][]string{"file.drift": {"file", "gitfile"}, "cpu": {"host", "process", "pod"}, "kill": {"process", "pod"}} {
		for _, kind := range kinds {
			if _, err := providers.Fault(fault, kind); err != nil {
				t.Errorf("%s on %s: %v", fault, kind, err)
			}
		}
	}
	if _, err := providers.Action("set_flag", "gitfile"); err == nil {
		t.Error("set_flag works on a file that is kept in Git, whose owner would put it back")
	}
}
