//go:build kube

package kubernetes

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

// verified marks the present revision of a workload.
func (g *ground) verified(target jenner.Target) {
	g.t.Helper()
	deed := g.deed("mark_verified", target, "{for: 1s}")
	g.until("it has served for a second", func() bool { return deed.make().(act.Checker).Check(g.t.Context(), deed.call) == nil })
	deed.must()
}

func TestMarkVerifiedConforms(t *testing.T) {
	conform(t, func(g *ground) actiontest.World {
		target := g.serving("shop", 1)
		make := g.made("mark_verified", kindDeployment, "{for: 1s}")
		g.until("it has served for a second", func() bool { return make().(act.Checker).Check(g.t.Context(), act.Call{Target: target}) == nil })
		return actiontest.World{Action: make, Call: act.Call{Target: target}, Meddle: func(t *testing.T) {
			sets, err := g.AppsV1().ReplicaSets(g.ns).List(t.Context(), metav1.ListOptions{})
			if err == nil {
				_, err = g.AppsV1().ReplicaSets(g.ns).Patch(t.Context(), sets.Items[0].Name, types.MergePatchType,
					[]byte(`{"metadata":{"annotations":{"`+verifiedAt+`":"2020-01-01T00:00:00Z"}}}`), metav1.PatchOptions{})
			}
			if err != nil {
				t.Fatal(err)
			}
		}}
	})
}

func TestOnlyWhatServesForLongIsMarked(t *testing.T) {
	g := newGround(t)
	target := g.serving("shop", 1)
	err := g.deed("mark_verified", target, "{}").refused("since", "only, and 10m are asked for")
	if jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("it may be tried again later: %v", err)
	}
	unready := g.unready("slow", 1)
	g.deed("mark_verified", unready, "{for: 1s}").refused("has not settled")
}

// The newest revision that was marked is gone back to, over one in between that nobody has seen healthy.
func TestEveryKindOfWorkloadRollsBackToWhatWasVerified(t *testing.T) {
	g := newGround(t)
	kinds := map[string]func(name string, template string) string{
		kindDeployment:  func(name, template string) string { return deployment(name, 1, template) },
		kindStatefulSet: func(name, template string) string { return statefulSet(name, 1, template) },
		kindDaemonSet:   daemonSet,
	}
	for kind, written := range kinds {
		name := "shop-" + kind
		target := g.target(kind, name)
		g.as("people", written(name, podOf(name, "v1")))
		g.settles(target)
		g.verified(target)
		for _, image := range []string{"v2", "bad"} {
			g.as("people", written(name, podOf(name, image)))
			g.settles(target)
		}
		deed := g.deed("rollback", target, "{wait: 80s}")
		deed.must()
		for _, pod := range g.alive(target) {
			if image := pod.Spec.Containers[0].Image; image != "jenner-test/app:v1" {
				t.Errorf("%s runs %s", pod.Name, image)
			}
		}
		if deed.undo(); g.rolled(target).Template.Spec.Containers[0].Image != "jenner-test/app:bad" {
			t.Errorf("%s: the undo did not give back the template of before", kind)
		}
	}
}
