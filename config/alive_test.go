package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jenner-heal/jenner/config"
)

// flock is a service with one target of a kind, whose runbook waits for a probe and whose other runbook has a trigger.
const flock = `
kind: service
name: flock
targets: [{kind: KIND, name: it}]
---
kind: runbook
name: wake
trigger: {alert: ALERT}
steps:
- {name: again, action: herd.restart, target: it}
- {name: lives, action: wait_for_probe, params: {probe: alive, timeout: 5s}}
---
kind: signature
name: lost
cause: lost
evidence:
- {probe: alive, is: failing}
- {alert: ALERT}
---
kind: policy
name: flock
incident_type: lost
runbooks: [wake]
mode: recommend
`

// TestWhatLivesHasTheProbeAlive: of whatever kind, without writing it; what does not live has none. Conditions that a
// system tells of by itself are alerts that nobody writes.
func TestWhatLivesHasTheProbeAlive(t *testing.T) {
	for _, c := range []struct {
		kind, alert string
		want        []string // what the problems are about
	}{
		{"sheep", "Hungry", nil},
		{"sheep", "process-gone", nil},
		{"fence", "Hungry", []string{`"alive"`, `"alive"`}},
		{"fence", "process-gone", []string{`"process-gone"`, `"alive"`, `"alive"`}},
		{"sheep", "Hungri", []string{`"Hungri"; did you mean "Hungry"?`}},
	} {
		t.Run(c.kind+" "+c.alert, func(t *testing.T) {
			text := strings.NewReplacer("KIND", c.kind, "ALERT", c.alert).Replace(flock)
			problems := mustLoad(t, write(t, t.TempDir(), "flock.yaml", text)).Check(names)
			var unmet []string
			for _, want := range c.want {
				i := slices.IndexFunc(problems, func(p config.Problem) bool { return strings.Contains(p.Message, want) })
				if i < 0 {
					unmet = append(unmet, want)
					continue
				}
				problems = slices.Delete(problems, i, i+1)
			}
			if len(unmet) > 0 || len(problems) > 0 {
				t.Errorf("not told: %q; told beside it: %v", unmet, problems)
			}
		})
	}
}

// TestNoProbeMayBeCalledAlive where a target has one of that name; elsewhere it is a name like any other.
func TestNoProbeMayBeCalledAlive(t *testing.T) {
	for kind, refused := range map[string]bool{"sheep": true, "fence": false} {
		text := "kind: service\nname: flock\ntargets: [{kind: " + kind + ", name: it}]\nprobes:\n- {name: alive, http: {url: http://x}}\n"
		problems := mustLoad(t, write(t, t.TempDir(), "flock.yaml", text)).Check(names)
		if got := len(problems) > 0; got != refused {
			t.Errorf("a probe called alive of a %s: %v", kind, problems)
		}
	}
}
