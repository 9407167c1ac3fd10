//go:build kube

package kubernetes

import (
	"strings"
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
	t.Parallel()
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
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 1)
	err := g.deed("mark_verified", target, "{}").refused("since", "only, and 10m are asked for")
	if jenner.NextAfter(err) != jenner.TryAgain {
		t.Errorf("it may be tried again later: %v", err)
	}
	unready := g.unready("slow", 1)
	g.deed("mark_verified", unready, "{for: 1s}").refused("has not settled")
}

// Between the look and the mark another release came, of which nobody has seen anything.
func TestAMarkThatCameTooLate(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 1)
	deed := g.deed("mark_verified", target, "{for: 1s}")
	healthy := func() bool { return deed.make().(act.Checker).Check(t.Context(), deed.call) == nil }
	g.until("it has served for a second", healthy)
	if err := deed.checkpoint(); err != nil {
		t.Fatal(err)
	}
	g.as("people", deployment("shop", 1, podOf("shop", "bad")))
	g.until("the next release was seen", func() bool { return g.live(target).GetAnnotations()[deploymentRevision] == "2" })
	g.settles(target)
	g.until("the next release has served for a second", healthy)
	if result, err := deed.make().Do(t.Context(), deed.call); err == nil || !strings.Contains(err.Error(), "has revision 2 by now") {
		t.Errorf("%+v, %v", result, err)
	}
}

// The newest revision that was marked is gone back to, over one in between that nobody has seen healthy.
func TestEveryKindOfWorkloadRollsBackToWhatWasVerified(t *testing.T) {
	t.Parallel()
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
