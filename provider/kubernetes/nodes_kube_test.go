//go:build kube

package kubernetes

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/jenner-heal/jenner"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
)

func TestFaultCordon(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		return newGround(t).nodeWorld("kubernetes.cordon", `{}`)
	})
}

func TestFaultDrain(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		app := "drained-" + jenner.Fingerprint(g.ns)
		// One pod on each node where that can be, and both on one while the other is drained.
		g.deployed(app, 2, func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.TopologySpreadConstraints = spread(app)
		})
		return g.nodeWorld("kubernetes.drain", fmt.Sprintf(`{"selector":"app=%s"}`, app))
	})
}

func TestFaultNodeStop(t *testing.T) {
	dir := os.Getenv("KUBELAB_DIR")
	if dir == "" {
		t.Fatal("this test stops a node of the lab: KUBELAB_DIR must name the lab's folder, as `make kubelab` prints")
	}
	lab := os.Getenv("KUBELAB")
	if lab == "" {
		lab = filepath.Join(dir, "kubelab")
	}
	passes(t, func(t *testing.T) faulttest.World {
		return newGround(t).nodeWorld("kubernetes.node_stop",
			fmt.Sprintf(`{"stop":[%q,"node","stop",%q],"start":[%q,"node","start",%q]}`, lab, spare, lab, spare))
	})
}

// nodeWorld is a world of the suite for a fault on the second node.
func (g *ground) nodeWorld(fault, params string) faulttest.World {
	g.t.Helper()
	world := g.faultWorld(fault, jenner.Target{Kind: kindNode, Name: spare}, params)
	world.Absent = jenner.Target{Kind: kindNode, Name: "node9"}
	return world
}
