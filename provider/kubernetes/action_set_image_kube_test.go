//go:build kube

package kubernetes

import (
	"strings"
	"testing"

	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

func TestSetImageConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(g *ground) actiontest.World {
		target := g.serving("shop", 1)
		return actiontest.World{Action: g.made("set_image", kindDeployment, "{images: {app: 'jenner-test/app:v2'}}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) {
				g.meddle(target, `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"jenner-test/app:bad"}]}}}}`)
			}}
	})
}

func TestAnImageIsSetInEveryKindOfWorkload(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.as("people", statefulSet("db", 1, podOf("db", "v1")))
	g.as("people", daemonSet("agent", podOf("agent", "v1")))
	for kind, name := range map[string]string{kindStatefulSet: "db", kindDaemonSet: "agent"} {
		target := g.target(kind, name)
		g.settles(target)
		g.deed("set_image", target, "{images: {app: 'jenner-test/app:v2'}, wait: 60s}").must()
		for _, pod := range g.alive(target) {
			if image := pod.Spec.Containers[0].Image; image != "jenner-test/app:v2" {
				t.Errorf("%s runs %s", pod.Name, image)
			}
		}
		g.deed("set_image", target, "{images: {web: 'jenner-test/app:v2'}}").refused(`no container "web"`, "it has app")
	}
}

func TestAWaitTellsWhyItIsStuck(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.serving("shop", 1)
	deed := g.deed("set_image", target, "{images: {app: 'jenner-test/app:crash'}, wait: 5s}")
	deed.refused("has not settled")
	g.until("it is told that the container crashes", func() bool {
		_, err := deed.make().Do(t.Context(), deed.call)
		return err != nil && strings.Contains(err.Error(), "has not settled") && strings.Contains(err.Error(), "app: CrashLoopBackOff")
	})
	if deed.happened() != act.HappenedDone {
		t.Error("the image was set, and is taken back only where that is known")
	}
	deed.undo()
	g.settles(target)
}
