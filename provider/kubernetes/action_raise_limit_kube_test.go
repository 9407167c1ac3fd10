//go:build kube

package kubernetes

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

func TestRaiseLimitConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(g *ground) actiontest.World {
		target := g.serving("shop", 1)
		return actiontest.World{Action: g.made("raise_limit", kindDeployment, "{factor: 1.5, ceiling: 128Mi}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) {
				g.meddle(target, `{"metadata":{"annotations":{"`+raisedNote+`":null}}}`)
			}}
	})
}

// TestL6TheThirdRaiseIsRefused: a container that leaks would otherwise get more and more, each time with success.
func TestL6TheThirdRaiseIsRefused(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 1)
	for _, want := range []string{"96Mi", "144Mi"} {
		g.deed("raise_limit", target, "{factor: 1.5, ceiling: 1Gi}").must()
		limit := g.rolled(target).Template.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory]
		if limit.String() != want {
			t.Errorf("the limit is %s, want %s", limit.String(), want)
		}
	}
	g.deed("raise_limit", target, "{factor: 1.5, ceiling: 1Gi}").refused("was raised 2 times", "from 64Mi", "find the leak")
	g.deed("raise_limit", target, "{factor: 1.5, ceiling: 100Mi}").refused("has 144Mi of memory, and the ceiling is 100Mi")
	g.deed("raise_limit", target, "{step: 100m, ceiling: '1', resource: cpu}").refused("has no limit of cpu")
}
