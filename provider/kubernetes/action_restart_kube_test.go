//go:build kube

package kubernetes

import (
	"testing"

	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

func TestRestartConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(g *ground) actiontest.World {
		target := g.serving("shop", 1)
		return actiontest.World{Action: g.made("restart", kindDeployment, "{}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) {
				g.meddle(target, `{"spec":{"template":{"metadata":{"annotations":{"`+restartedAt+`":"2020-01-01T00:00:00Z"}}}}}`)
			}}
	})
}

func TestARestartReplacesEveryPod(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 2)
	before := map[string]bool{}
	for _, pod := range g.alive(target) {
		before[string(pod.UID)] = true
	}
	deed := g.deed("restart", target, "{wait: 60s}")
	if result := deed.must(); !result.Changed {
		t.Error("it says that nothing changed")
	}
	for _, pod := range g.alive(target) {
		if before[string(pod.UID)] || !podReady(&pod) {
			t.Errorf("pod %s is one of before, or does not serve", pod.Name)
		}
	}
	// The same call again, as after a crash, does nothing.
	result, err := deed.make().Do(t.Context(), deed.call)
	if err != nil || result.Changed || deed.happened() != act.HappenedDone {
		t.Errorf("again: %+v, %v", result, err)
	}
}
