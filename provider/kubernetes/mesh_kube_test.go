//go:build kube

package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
)

// meshKind makes the API server know a kind of Chaos Mesh. Nothing of Chaos Mesh runs here; what its controllers would say,
// the test says.
func (g *ground) meshKind(kind string) {
	g.t.Helper()
	g.served(meshOf(kind), kind)
	g.until("the kind is known to the fault", func() bool { return g.hasMesh(kind) == nil })
}

func meshOf(kind string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: meshGroup, Version: meshVersion, Resource: strings.ToLower(kind)}
}

// meshController plays the controller of Chaos Mesh: it holds each fault by a finalizer, injects it, and lets it go once it
// has recovered it.
func (g *ground) meshController(kind string) {
	ctx, end := context.WithCancel(g.t.Context())
	ended := make(chan struct{})
	all := g.dynamic.Resource(meshOf(kind)).Namespace(g.ns)
	go func() {
		defer close(ended)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			list, err := all.List(ctx, metav1.ListOptions{})
			for i := 0; err == nil && i < len(list.Items); i++ {
				one := &list.Items[i]
				if !meshStep(one) {
					continue
				}
				_, _ = all.Update(ctx, one, metav1.UpdateOptions{}) // a conflict is tried again with the next look
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	g.t.Cleanup(func() { end(); <-ended })
}

// meshStep is what Chaos Mesh does next with a fault.
func meshStep(one *unstructured.Unstructured) bool {
	const finalizer = meshGroup + "/records"
	state := func(injected, recovered string) {
		_ = unstructured.SetNestedSlice(one.Object, []any{
			map[string]any{"type": meshSelected, "status": "True"},
			map[string]any{"type": meshInjected, "status": injected},
			map[string]any{"type": meshRecovered, "status": recovered}}, "status", "conditions")
	}
	switch {
	case one.GetDeletionTimestamp() == nil && len(one.GetFinalizers()) == 0:
		one.SetFinalizers([]string{finalizer})
	case one.GetDeletionTimestamp() == nil && !condition(one, meshInjected):
		state("True", "False")
	case one.GetDeletionTimestamp() != nil && !condition(one, meshRecovered) && len(one.GetFinalizers()) > 0:
		state("False", "True")
	case one.GetDeletionTimestamp() != nil && len(one.GetFinalizers()) > 0:
		var left []string
		for _, name := range one.GetFinalizers() {
			if name != finalizer {
				left = append(left, name)
			}
		}
		if len(left) == len(one.GetFinalizers()) {
			return false
		}
		one.SetFinalizers(left)
	default:
		return false
	}
	return true
}

const meshParams = `{"kind":"NetworkChaos","spec":{"action":"delay","delay":{"latency":"10ms"}}}`

func TestFaultChaosMesh(t *testing.T) {
	newGround(t).meshKind("NetworkChaos") // serial, for the whole cluster has that kind then
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		g.meshController("NetworkChaos")
		return g.faultWorld("kubernetes.chaos_mesh", g.deployed("shop", 1), meshParams)
	})
}

func TestChaosMeshThatIsNotInstalledIsRefused(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	_, fault := made(t, "kubernetes.chaos_mesh", kindDeployment, strings.ReplaceAll(meshParams, "NetworkChaos", "TimeChaos"))
	_, err := fault().(chaos.Checkpointer).Checkpoint(t.Context(), chaos.Call{Record: jenner.FaultRecord{ID: "x", Target: g.deployed("shop", 1)}})
	if err == nil || !strings.Contains(fmt.Sprint(err), "helm install chaos-mesh") {
		t.Errorf("without Chaos Mesh it says %v", err)
	}
}
