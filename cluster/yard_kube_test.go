//go:build kube

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner/internal/await"
)

// yard is a namespace of one test on the real API server.
type yard struct {
	*Connection
	t *testing.T
}

// newYard makes one, with the custom resources defined. It is deleted when the test ends; the definitions stay, for others use
// the same server.
func newYard(t *testing.T) *yard {
	t.Helper()
	if os.Getenv("KUBECONFIG") == "" {
		t.Fatal("these tests need a real cluster: `make kubelab` starts one and prints the KUBECONFIG to set")
	}
	conn, err := Connect(Place{Namespace: "jenner-inside-" + random()})
	if err != nil {
		t.Fatal(err)
	}
	y := &yard{Connection: conn, t: t}
	_, err = conn.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: conn.Namespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), conn.Namespace, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	y.define()
	return y
}

// define applies the definitions and waits until they are served.
func (y *yard) define() {
	y.t.Helper()
	crds, err := CRDs()
	if err != nil {
		y.t.Fatal(err)
	}
	definitions := y.Dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	force := true
	for _, crd := range crds {
		raw, err := YAML(crd)
		if err == nil {
			_, err = definitions.Patch(y.t.Context(), crd.Name, types.ApplyYAMLPatchType, raw, metav1.PatchOptions{FieldManager: "jenner-test", Force: &force})
		}
		if err != nil {
			y.t.Fatal(err)
		}
	}
	y.until("the custom resources are served", func() bool {
		for _, k := range append(documents, incidents) {
			if _, err := y.Dynamic.Resource(k.resource()).Namespace(y.Namespace).List(y.t.Context(), metav1.ListOptions{Limit: 1}); err != nil {
				return false
			}
		}
		return true
	})
}

// until waits until something holds.
func (y *yard) until(what string, holds func() bool) {
	y.t.Helper()
	await.Every(y.t, 20*time.Millisecond, what, holds)
}

// apply applies a document: KIND NAME, and its spec in YAML.
func (y *yard) apply(name, spec string) error {
	y.t.Helper()
	word, name, _ := strings.Cut(name, " ")
	var content any
	if err := yaml.Unmarshal([]byte(spec), &content); err != nil {
		y.t.Fatal(err)
	}
	k := documentKind(word)
	raw, err := json.Marshal(map[string]any{"apiVersion": Group + "/" + Version, "kind": k.name(), "metadata": map[string]any{"name": name}, "spec": content})
	if err != nil {
		y.t.Fatal(err)
	}
	force := true
	_, err = y.Dynamic.Resource(k.resource()).Namespace(y.Namespace).Patch(y.t.Context(), name, types.ApplyPatchType, raw,
		metav1.PatchOptions{FieldManager: "people", Force: &force})
	return err
}

func (y *yard) mustApply(name, spec string) {
	y.t.Helper()
	if err := y.apply(name, spec); err != nil {
		y.t.Fatal(err)
	}
}

// get reads a document.
func (y *yard) get(name string) *unstructured.Unstructured {
	y.t.Helper()
	word, name, _ := strings.Cut(name, " ")
	object, err := y.Dynamic.Resource(documentKind(word).resource()).Namespace(y.Namespace).Get(y.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		y.t.Fatal(err)
	}
	return object
}

// standing is REASON: MESSAGE of a document's condition, as kubectl shows it.
func (y *yard) standing(name string) string {
	y.t.Helper()
	conditions := statusOf(y.get(name)).Conditions
	if len(conditions) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: %s", conditions[0].Reason, conditions[0].Message)
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
