//go:build kube

package kubernetes

import (
	"strings"
	"testing"

	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

func TestWaitForRolloutConforms(t *testing.T) {
	conform(t, func(g *ground) actiontest.World {
		target := g.serving("shop", 1)
		return actiontest.World{Action: g.made("wait_for_rollout", kindDeployment, "{timeout: 60s}"), Call: act.Call{Target: target}, Already: true,
			Block: func(*testing.T) func() bool {
				g.as("people", deployment("shop", 1, podOf("shop", "v1", "NEVER_READY=1")))
				g.until("the rollout goes on", func() bool { return !g.rolled(target).Settled })
				return func() bool { return true }
			}}
	})
}

func TestAWaitEndsWhereARolloutIsStuck(t *testing.T) {
	g := newGround(t)
	template := podOf("shop", "v1", "NEVER_READY=1")
	g.as("people", strings.Replace(deployment("shop", 1, template), "progressDeadlineSeconds: 30", "progressDeadlineSeconds: 2", 1))
	g.deed("wait_for_rollout", g.target(kindDeployment, "shop"), "{timeout: 80s}").refused("is stuck: it made no progress", "1 of 1 pods are of the newest template, 0 ready")
	g.as("people", strings.Replace(deployment("paused", 1, podOf("paused", "v1")), "replicas: 1", "paused: true, replicas: 1", 1))
	g.deed("wait_for_rollout", g.target(kindDeployment, "paused"), "{timeout: 80s}").refused("is stuck: it is paused")
}
