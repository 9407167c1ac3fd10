//go:build kube

package kubernetes

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

// onSpare makes a Deployment whose pods want to be on the spare node: only there, or there first.
func (g *ground) onSpare(app string, replicas int, only bool) jenner.Target {
	g.t.Helper()
	place := `affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, preference: {matchExpressions: ` +
		`[{key: kubernetes.io/hostname, operator: In, values: [` + spare + `]}]}}]}}, `
	if only {
		place = `nodeSelector: {kubernetes.io/hostname: ` + spare + `}, `
	}
	g.as("people", deployment(app, replicas, strings.Replace(podOf(app, "v1"), "containers:", place+"containers:", 1)))
	target := g.target(kindDeployment, app)
	g.settles(target)
	return target
}

// label picks the pods of one test, so that those of others stay where they are.
func (g *ground) label() string { return "app=" + g.ns }

func TestDrainConforms(t *testing.T) {
	conform(t, func(g *ground) actiontest.World {
		target := g.node()
		g.onSpare(g.ns, 1, true)
		return actiontest.World{Action: g.made("drain", kindNode, "{selector: "+g.label()+"}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) { g.meddle(target, `{"spec":{"unschedulable":null}}`) }}
	})
}

func TestADrainMovesPodsAsTheBudgetLetsIt(t *testing.T) {
	g := newGround(t)
	node := g.node()
	workload := g.onSpare(g.ns, 3, false)
	g.as("people", budget(g.ns, 2))
	deed := g.deed("drain", node, "{selector: "+g.label()+"}")
	deed.call.Allowed = map[string]int{unitPods: 1}
	var said []string
	var mu sync.Mutex
	deed.call.Host.Progress = func(text string) { mu.Lock(); said = append(said, text); mu.Unlock() }
	least := 3
	watched, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		for watched.Err() == nil {
			least = min(least, int(g.rolled(workload).Ready))
		}
	})
	result := deed.must()
	stop()
	watching.Wait()
	if least < 2 {
		t.Errorf("only %d pods served at one time, and the budget asks for 2", least)
	}
	for _, text := range said {
		if strings.Contains(text, "2 are ending") || strings.Contains(text, "3 are ending") {
			t.Errorf("%s, and one at a time was allowed", text)
		}
	}
	if !result.Changed || deed.happened() != act.HappenedDone || len(said) == 0 {
		t.Errorf("%+v, %s, %v", result, deed.happened(), said)
	}
	g.settles(workload)
	for _, pod := range g.alive(workload) {
		if pod.Spec.NodeName == spare {
			t.Errorf("%s is on the drained node", pod.Name)
		}
	}
	if deed.undo(); unschedulable.read(g.live(node).Object) != nil {
		t.Error("the node takes no pods after the undo")
	}
}

func TestADrainThatABudgetForbidsTakesItsMarkBack(t *testing.T) {
	g := newGround(t)
	node := g.node()
	g.onSpare(g.ns, 1, true)
	g.as("people", budget(g.ns, 1))
	deed := g.deed("drain", node, "{selector: "+g.label()+"}")
	if err := deed.checkpoint(); err != nil {
		t.Fatal(err)
	}
	g.until("the API server knows the budget", func() bool {
		said, err := deed.make().(act.DryRunner).DryRun(t.Context(), deed.call)
		return err == nil && strings.Contains(said.Summary, "1 of them when disruption budgets let them")
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	deed.call.Host.Progress = func(string) { cancel() } // it has tried
	_, err := deed.make().Do(ctx, deed.call)
	if err == nil || !strings.Contains(err.Error(), "was not drained, 0 of 1 pods went") || !strings.Contains(err.Error(), "PodDisruptionBudget") {
		t.Errorf("%v", err)
	}
	if unschedulable.read(g.live(node).Object) != nil {
		t.Error("the node takes no pods, and the drain failed")
	}
}

func TestADrainSparesWhatNobodyBringsBack(t *testing.T) {
	g := newGround(t)
	node := g.node()
	pod := strings.Replace(podOf(g.ns, "v1"), "{metadata: {", "{apiVersion: v1, kind: Pod, metadata: {name: lonely, ", 1)
	pod = strings.Replace(pod, "containers:", "nodeName: "+spare+", volumes: [{name: scratch, emptyDir: {}}], containers:", 1)
	g.as("people", strings.ReplaceAll(pod, "\n", " "))
	g.deed("drain", node, "{selector: "+g.label()+"}").refused("local storage", "say lose_local_data: true")
	g.deed("drain", node, "{selector: "+g.label()+", lose_local_data: true}").refused("declare no controller", "say alone: true")
	size, err := g.deed("drain", node, "{selector: "+g.label()+"}").make().(act.Sizer).Size(t.Context(), act.Call{Target: node})
	if err != nil || size.Unit != unitPods || size.Total < 1 || !size.Bounded {
		t.Errorf("%+v, %v", size, err)
	}
}
