//go:build kube

package kubernetes

import (
	"strings"
	"testing"

	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

func TestWaitForRolloutConforms(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	g := newGround(t)
	template := podOf("shop", "v1", "NEVER_READY=1")
	g.as("people", strings.Replace(deployment("shop", 1, template), "progressDeadlineSeconds: 30", "progressDeadlineSeconds: 2", 1))
	g.deed("wait_for_rollout", g.target(kindDeployment, "shop"), "{timeout: 80s}").refused("is stuck: it made no progress", "1 of 1 pods are of the newest template, 0 ready")
	g.as("people", strings.Replace(deployment("paused", 1, podOf("paused", "v1")), "replicas: 1", "paused: true, replicas: 1", 1))
	g.deed("wait_for_rollout", g.target(kindDeployment, "paused"), "{timeout: 80s}").refused("is stuck: it is paused")
}

// TestWaitingAsksOnlyWhenSomethingChanged: there may be many who wait at the same time, and none is to keep the API server busy.
func TestWaitingAsksOnlyWhenSomethingChanged(t *testing.T) {
	g := newGround(t)
	target := g.serving("shop", 2)
	ours, err := connect("", "") // which counts for everybody in this process: nothing else runs meanwhile
	if err != nil {
		t.Fatal(err)
	}
	on, err := ours.tower()
	if err != nil {
		t.Fatal(err)
	}
	pods, workloads := on.hold(thePods, g.ns, ""), on.hold(theDeployments, g.ns, "")
	defer pods.release()
	defer workloads.release()
	g.until("both are watched", func() bool { return on.peek(thePods, g.ns) != nil && on.peek(theDeployments, g.ns) != nil })
	before := ours.asked.Load()
	g.deed("wait_for_rollout", target, "{timeout: 60s, stable_for: 6s}").must()
	if asked := ours.asked.Load() - before; asked > 6 { // it looks twelve times; others of this process ask whether the API server lives
		t.Errorf("the API server was asked %d times while nothing changed", asked)
	}
	deed := g.deed("delete_pod", target, "{and_ready: true}")
	before = ours.asked.Load()
	for range 20 {
		size, err := deed.make().(act.Sizer).Size(t.Context(), deed.call)
		if err != nil || size.Want != 1 || size.Total != 2 {
			t.Fatalf("the size is %+v, %v", size, err)
		}
	}
	if asked := ours.asked.Load() - before; asked > 4 {
		t.Errorf("the API server was asked %d times for the size", asked)
	}
}
