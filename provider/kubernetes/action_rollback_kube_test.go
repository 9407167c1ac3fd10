//go:build kube

package kubernetes

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

// released is a Deployment of which a second version came after the first had served.
func (g *ground) released(image string) jenner.Target {
	g.t.Helper()
	target := g.serving("shop", 1)
	g.as("people", deployment("shop", 1, podOf("shop", image)))
	g.until("the controller has seen it", func() bool {
		on, err := look(g.t.Context(), act.Call{Target: target})
		if err != nil {
			return false
		}
		all, err := on.revisions(g.t.Context(), g.rolled(target))
		return err == nil && len(all) == 2
	})
	return target
}

func TestRollbackConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(g *ground) actiontest.World {
		target := g.released("v2")
		g.settles(target)
		return actiontest.World{Action: g.made("rollback", kindDeployment, "{to_revision: 1}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) {
				g.meddle(target, `{"spec":{"template":{"metadata":{"labels":{"who":"somebody"}}}}}`)
			}}
	})
}

func TestARollbackDoesNotGuess(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.released("v2")
	g.settles(target)
	g.deed("rollback", target, "{}").refused("of 1 earlier revisions none is known to have been healthy", "to_revision", "mark_verified")
	g.deed("rollback", target, "{to_revision: 9}").refused("there is no revision 9", "[2 1]")
}

// What a stuck rollout has left of the old pods has served for a while and still does, and that is seen.
func TestARollbackSeesTheOldPodsOfAStuckRollout(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.released("crash")
	g.deed("rollback", target, "{healthy_for: 1h}").refused("none is known to have been healthy")
	deed := g.deed("rollback", target, "{healthy_for: 1s, wait: 60s}")
	g.until("the old pod has served for a second", func() bool { return deed.make().(act.Checker).Check(t.Context(), deed.call) == nil })
	deed.must()
	if image := g.alive(target)[0].Spec.Containers[0].Image; image != "jenner-test/app:v1" {
		t.Errorf("it runs %s", image)
	}
}

// Two Deployments may have the same labels; the revisions of the other one are none of this one's.
func TestOtherRevisionsAreNotGoneBackTo(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 1)
	g.as("people", strings.Replace(deployment("shop", 0, podOf("shop", "v2")), "metadata: {name: shop}", "metadata: {name: other}", 1))
	g.until("both have a revision", func() bool {
		sets, err := g.AppsV1().ReplicaSets(g.ns).List(t.Context(), metav1.ListOptions{})
		return err == nil && len(sets.Items) == 2
	})
	on, err := look(t.Context(), act.Call{Target: target})
	if err != nil {
		t.Fatal(err)
	}
	all, err := on.revisions(t.Context(), g.rolled(target))
	if err != nil || len(all) != 1 || !strings.HasPrefix(all[0].object.GetName(), "shop-") {
		t.Errorf("%v, %v", all, err)
	}
}

// A mark is copied with other annotations, from a Deployment to its next ReplicaSet and back by kubectl. A copy says nothing.
func TestACopiedMarkIsNoMark(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 1)
	g.verified(target)
	sets, err := g.AppsV1().ReplicaSets(g.ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g.meddle(target, `{"metadata":{"annotations":{"`+verifiedAt+`":"`+sets.Items[0].Annotations[verifiedAt]+`"}}}`)
	for _, image := range []string{"bad", "v2"} {
		g.as("people", deployment("shop", 1, podOf("shop", image)))
		g.settles(target)
	}
	if says := g.deed("rollback", target, "{}").must().Summary; !strings.Contains(says, "→ revision 1 ") {
		t.Errorf("%s; want revision 1, for the others only have a copy of its mark", says)
	}
}
