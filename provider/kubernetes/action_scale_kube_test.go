//go:build kube

package kubernetes

import (
	"fmt"
	"testing"

	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

func TestScaleConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(g *ground) actiontest.World {
		target := g.serving("shop", 1)
		return actiontest.World{Action: g.made("scale", kindDeployment, "{by: 1, ceiling: 3}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) { g.meddle(target, `{"spec":{"replicas":0}}`) }}
	})
}

func TestScaleKeepsToItsBounds(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 2)
	deed := g.deed("scale", target, "{by: 5, ceiling: 3, wait: 60s}")
	deed.must()
	if r := g.rolled(target); r.Replicas != 3 || r.Ready != 3 {
		t.Errorf("%d of %d pods", r.Ready, r.Replicas)
	}
	g.deed("scale", target, "{by: 1, ceiling: 3}").refused("it has 3 pods, and the ceiling is 3")
	g.deed("scale", target, "{by: -1, floor: 3}").refused("the floor is 3")
	g.deed("scale", target, "{to: 1, min_healthy: 2}").refused("3 of 3 pods serve; with 2 fewer, 2 may not be left")
	if size, err := deed.make().(act.Sizer).Size(t.Context(), deed.call); err != nil || size.Unit != unitPods {
		t.Errorf("%+v, %v", size, err)
	}
	// Somebody else scales it meanwhile: what they did stays.
	g.meddle(target, `{"spec":{"replicas":1}}`)
	if answer := deed.happened(); answer != act.HappenedDone {
		t.Errorf("it happened, whatever came after, and is said to be %s", answer)
	}
	if undone := deed.undo(); undone.Changed || g.rolled(target).Replicas != 1 {
		t.Errorf("the undo touched what somebody else had set: %+v", undone)
	}
}

func TestScaleLeavesAnAutoscalerItsWork(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 1)
	g.as("people", autoscaler("shop", 1, 4))
	g.deed("scale", target, "{to: 2}").refused(fmt.Sprintf("hpa %s/shop decides", g.ns), "set_bounds")
}

func autoscaler(name string, least, most int) string {
	return fmt.Sprintf("{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: %s}, spec: {minReplicas: %d, maxReplicas: %d, "+
		"scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %s}, metrics: [{type: Resource, resource: {name: cpu, "+
		"target: {type: Utilization, averageUtilization: 50}}}]}}", name, least, most, name)
}
