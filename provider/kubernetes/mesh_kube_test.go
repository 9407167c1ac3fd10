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

var crds = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// meshKind makes the API server know a kind of Chaos Mesh: the same group, version and names, any content. Nothing of Chaos
// Mesh runs here; what its controllers would say, the test says.
func (w *world) meshKind(t *testing.T, kind string) {
	t.Helper()
	plural := strings.ToLower(kind)
	made := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + "." + meshGroup},
		"spec": map[string]any{"group": meshGroup, "scope": "Namespaced",
			"names": map[string]any{"kind": kind, "listKind": kind + "List", "plural": plural, "singular": plural},
			"versions": []any{map[string]any{"name": meshVersion, "served": true, "storage": true, "subresources": map[string]any{},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}}}
	if _, err := w.dynamic.Resource(crds).Create(t.Context(), made, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := w.dynamic.Resource(crds).Delete(ctx, made.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		w.eventually(t, "the kind is gone", func() bool {
			_, err := w.dynamic.Resource(crds).Get(ctx, made.GetName(), metav1.GetOptions{})
			return absent(err)
		})
	})
	w.eventually(t, "the kind is served", func() bool { return w.hasMesh(kind) == nil })
}

// meshController plays the controller of Chaos Mesh: it holds each fault by a finalizer, injects it, and lets it go once it
// has recovered it.
func (w *world) meshController(t *testing.T, kind string) {
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	all := w.dynamic.Resource(schema.GroupVersionResource{Group: meshGroup, Version: meshVersion, Resource: strings.ToLower(kind)}).Namespace(w.namespace)
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
	t.Cleanup(func() { end(); <-ended })
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
	shared := newWorld(t)
	shared.meshKind(t, "NetworkChaos")
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		w.meshController(t, "NetworkChaos")
		return w.faultWorld(t, "kubernetes.chaos_mesh", w.deployment(t, "shop", 1), meshParams)
	})
}

func TestChaosMeshThatIsNotInstalledIsRefused(t *testing.T) {
	w := newWorld(t)
	_, fault := made(t, "kubernetes.chaos_mesh", kindDeployment, strings.ReplaceAll(meshParams, "NetworkChaos", "TimeChaos"))
	_, err := fault().(chaos.Checkpointer).Checkpoint(t.Context(), chaos.Call{Record: jenner.FaultRecord{ID: "x", Target: w.deployment(t, "shop", 1)}})
	if err == nil || !strings.Contains(fmt.Sprint(err), "helm install chaos-mesh") {
		t.Errorf("without Chaos Mesh it says %v", err)
	}
}
