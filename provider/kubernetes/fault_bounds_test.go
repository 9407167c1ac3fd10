package kubernetes

import (
	"encoding/json"
	"testing"
)

// TestBoundsOfBefore: only a number of pods that the autoscaler would not have made before is a witness.
func TestBoundsOfBefore(t *testing.T) {
	bound := func(name, was string) delta {
		return delta{Path: []string{"spec", name}, Was: json.RawMessage(was)}
	}
	for _, c := range []struct {
		name    string
		was     []delta
		pods    int32
		allowed bool
	}{
		{"more than the largest", []delta{bound("minReplicas", "2"), bound("maxReplicas", "4")}, 5, false},
		{"the largest", []delta{bound("minReplicas", "2"), bound("maxReplicas", "4")}, 4, true},
		{"fewer than the least", []delta{bound("minReplicas", "2"), bound("maxReplicas", "4")}, 1, false},
		{"the least was not said", []delta{{Path: []string{"spec", "minReplicas"}}}, 1, true},
		{"only the least was changed", []delta{bound("minReplicas", "2")}, 9, true},
	} {
		if allowed := (altered{Changes: c.was}).allowed(c.pods); allowed != c.allowed {
			t.Errorf("%s: %d pods allowed %v", c.name, c.pods, allowed)
		}
	}
}

// TestBoundsThatAreNone are refused before anything is asked.
func TestBoundsThatAreNone(t *testing.T) {
	for _, f := range []FaultBounds{{}, {Min: 3, Max: 2}, {Min: 1, Max: 11}, {Min: 1, Max: 3, MaxPods: 2}} {
		if err := f.Validate(); err == nil {
			t.Errorf("%+v is taken", f)
		}
	}
	for _, f := range []FaultBounds{{Min: 1, Max: 1}, {Min: 8, Max: 10}, {Min: 12, Max: 12, MaxPods: 12}} {
		if err := f.Validate(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
