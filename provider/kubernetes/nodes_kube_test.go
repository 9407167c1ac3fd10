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

// secondNode is the node that tests may break.
const secondNode = "node2"

func TestFaultCordon(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		return newWorld(t).nodeWorld(t, "kubernetes.cordon", `{}`)
	})
}

func TestFaultDrain(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		app := "drained-" + jenner.Fingerprint(w.namespace)
		// One pod on each node where that can be, and both on one while the other is drained.
		w.deployment(t, app, 2, func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.TopologySpreadConstraints = spread(app)
		})
		return w.nodeWorld(t, "kubernetes.drain", fmt.Sprintf(`{"selector":"app=%s"}`, app))
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
		return newWorld(t).nodeWorld(t, "kubernetes.node_stop",
			fmt.Sprintf(`{"stop":[%q,"node","stop",%q],"start":[%q,"node","start",%q]}`, lab, secondNode, lab, secondNode))
	})
}

// nodeWorld is a world of the suite for a fault on the second node.
func (w *world) nodeWorld(t *testing.T, fault, params string) faulttest.World {
	t.Helper()
	world := w.faultWorld(t, fault, jenner.Target{Kind: kindNode, Name: secondNode}, params)
	world.Absent = jenner.Target{Kind: kindNode, Name: "node9"}
	return world
}
