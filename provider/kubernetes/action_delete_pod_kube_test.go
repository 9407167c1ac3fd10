//go:build kube

package kubernetes

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

func TestDeletePodConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(g *ground) actiontest.World {
		return actiontest.World{Action: g.made("delete_pod", kindDeployment, "{and_ready: true}"), Call: act.Call{Target: g.serving("shop", 1)}}
	})
}

// unready makes a Deployment of which no pod ever serves.
func (g *ground) unready(name string, replicas int) jenner.Target {
	g.t.Helper()
	g.as("people", deployment(name, replicas, podOf(name, "v1", "NEVER_READY=1")))
	target := g.target(kindDeployment, name)
	g.until("the pods run", func() bool {
		running := 0
		for _, pod := range g.alive(target) {
			if pod.Status.Phase == corev1.PodRunning {
				running++
			}
		}
		return running == replicas
	})
	return target
}

func TestPodsThatServeAreSpared(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 2)
	g.deed("delete_pod", target, "{}").refused("none of 2 pods", "they serve")
	one := g.alive(target)[0]
	g.deed("delete_pod", target, "{pod: "+one.Name+", wait: 60s}").must()
	for _, pod := range g.alive(target) {
		if pod.Name == one.Name {
			t.Errorf("%s is still there", pod.Name)
		}
	}
	g.deed("delete_pod", target, "{pod: nobody}").refused("no pod nobody")
}

func TestTheBlastRadiusBoundsWhatIsDeleted(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.unready("shop", 3)
	deed := g.deed("delete_pod", target, "{count: 3}")
	deed.call.Allowed = map[string]int{unitPods: 1}
	result := deed.must()
	if got := len(result.Output.(endedPods).Pods); got != 1 {
		t.Errorf("%d pods were ended, and one was allowed: %s", got, result.Summary)
	}
}

// The pods of a StatefulSet keep their names. One that came since is another one, and stays.
func TestAPodOfTheSameNameIsAnotherOne(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.as("people", statefulSet("db", 1, podOf("db", "v1")))
	target := g.target(kindStatefulSet, "db")
	g.settles(target)
	for _, params := range []string{"{and_ready: true}", "{and_ready: true, ignore_budgets: true}"} {
		deed := g.deed("delete_pod", target, params)
		if err := deed.checkpoint(); err != nil {
			t.Fatal(err)
		}
		old := g.alive(target)[0]
		if err := g.CoreV1().Pods(g.ns).Delete(t.Context(), old.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		g.until("another pod has the name", func() bool {
			now := g.alive(target)
			return len(now) == 1 && now[0].UID != old.UID
		})
		if answer := deed.happened(); answer != act.HappenedDone {
			t.Errorf("%s: the pod is gone, and it is said to be %s", params, answer)
		}
		before := g.alive(target)[0].UID
		result, err := deed.make().Do(t.Context(), deed.call)
		if err != nil || result.Changed || g.alive(target)[0].UID != before {
			t.Errorf("%s: %+v, %v", params, result, err)
		}
	}
}

func TestABudgetForbidsAnEviction(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 1)
	g.as("people", budget("shop", 1))
	deed := g.deed("delete_pod", target, "{and_ready: true}")
	g.until("the budget is known to the API server", func() bool {
		_, err := deed.do()
		return err != nil && strings.Contains(err.Error(), "shop needs 1 healthy pods")
	})
	err := deed.refused("PodDisruptionBudget", "shop needs 1 healthy pods")
	if jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("a budget forbids for now, and not for ever: %v", err)
	}
	if _, err := deed.make().(act.DryRunner).DryRun(t.Context(), deed.call); err == nil || !strings.Contains(err.Error(), "PodDisruptionBudget") {
		t.Errorf("the dry run says %v", err)
	}
	g.deed("delete_pod", target, "{and_ready: true, ignore_budgets: true}").must()
}

func TestAPodThatNobodyReplacesIsSpared(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.as("people", strings.Replace(strings.Replace(podOf("lonely", "v1"), "{metadata: {", "{apiVersion: v1, kind: Pod, metadata: {name: lonely, ", 1), "\n", " ", -1))
	target := g.target(kindPod, "lonely")
	g.deed("delete_pod", target, "{}").refused("nobody would replace it", "alone: true")
	g.deed("delete_pod", target, "{alone: true, wait: 60s}").must()
}

func budget(app string, least int) string {
	return "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: " + app + "}, spec: {minAvailable: " + jsonOf(least) +
		", selector: {matchLabels: {app: " + app + "}}}}"
}
