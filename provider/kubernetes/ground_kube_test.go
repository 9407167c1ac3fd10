//go:build kube

package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// Most of these tests only wait for the cluster, and so run at the same time, each in a namespace of its own. Those stay
// serial, and are alone then, that take nodes out of the traffic, change what belongs to the whole cluster, sweep (which looks
// into all namespaces), or count how often this process asks the API server.

func TestMain(m *testing.M) { faulttest.Main(m, catalog.Merge(Provider).MakeFault) }

// ground is a namespace of one test on the real cluster.
type ground struct {
	*cluster // a connection of its own: what the test looks at counts for nobody, and lets nobody else wait
	t        *testing.T
	ns       string
	also     func() string // what else there is to tell when a test failed; may be nil
}

// newGround makes one, which is deleted with all that is in it when the test ends.
func newGround(t *testing.T) *ground {
	t.Helper()
	if os.Getenv("KUBECONFIG") == "" {
		t.Fatal("these tests need a real cluster: `make kubelab` starts one and prints the KUBECONFIG to set")
	}
	config, namespace, err := configOf("", "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCluster(config, namespace)
	if err != nil {
		t.Fatal(err)
	}
	g := &ground{cluster: c, t: t, ns: "jenner-test-" + jenner.Fingerprint(t.Name(), time.Now().String())}
	_, err = c.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: g.ns}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now := int64(0)
		ctx := afterwards(t)
		_ = c.CoreV1().Pods(g.ns).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
		if err := c.CoreV1().Namespaces().Delete(ctx, g.ns, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	g.until("the namespace has a service account", func() bool {
		_, err := c.CoreV1().ServiceAccounts(g.ns).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	})
	return g
}

// of is the same namespace, for a part of the test.
func (g *ground) of(t *testing.T) *ground { return &ground{cluster: g.cluster, t: t, ns: g.ns} }

// afterwards is a context for what is taken away when a test has ended. It begins when it is asked for.
func afterwards(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), await.Patience)
	t.Cleanup(cancel)
	return ctx
}

// until waits until something holds.
func (g *ground) until(what string, holds func() bool) {
	g.t.Helper()
	came := false
	defer func() {
		if !came {
			g.t.Log(g.told())
		}
	}()
	await.Every(g.t, 100*time.Millisecond, what, holds)
	came = true
}

// told is what the cluster says of the namespace, for a test that failed.
func (g *ground) told() string {
	var text strings.Builder
	if g.also != nil {
		fmt.Fprintln(&text, g.also())
	}
	ctx := afterwards(g.t)
	pods, err := g.CoreV1().Pods(g.ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return text.String() + err.Error()
	}
	for _, pod := range pods.Items {
		fmt.Fprintf(&text, "pod %s on %q: %s, %s\n", pod.Name, pod.Spec.NodeName, pod.Status.Phase,
			jenner.Raw(slices.Concat(pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses)))
	}
	events, err := g.CoreV1().Events(g.ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return text.String() + err.Error()
	}
	for _, event := range events.Items {
		fmt.Fprintf(&text, "%s %s: %s\n", event.InvolvedObject.Name, event.Reason, event.Message)
	}
	return text.String()
}

// kindsOf are the resources of the kinds that tests write.
var kindsOf = map[string]schema.GroupVersionResource{
	"Deployment":              servedAs[kindDeployment],
	"StatefulSet":             servedAs[kindStatefulSet],
	"DaemonSet":               servedAs[kindDaemonSet],
	"ConfigMap":               servedAs[kindConfigMap],
	"Pod":                     servedAs[kindPod],
	"Job":                     servedAs[kindJob],
	"HorizontalPodAutoscaler": servedAs[kindHPA],
	"PersistentVolumeClaim":   servedAs[kindPVC],
	"CronJob":                 {Group: "batch", Version: "v1", Resource: "cronjobs"},
	"PodDisruptionBudget":     {Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"},
	"Secret":                  {Version: "v1", Resource: "secrets"},
	"Service":                 {Version: "v1", Resource: "services"},
}

// as applies objects, several to a text, as somebody of this name does.
func (g *ground) as(manager, text string) {
	g.t.Helper()
	for _, document := range strings.Split(text, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			g.t.Fatalf("%v\n%s", err, document)
		}
		to := g.dynamic.Resource(kindsOf[object.GetKind()]).Namespace(g.ns)
		if _, err := to.Apply(g.t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: manager, Force: true}); err != nil {
			g.t.Fatalf("%v\n%s", err, document)
		}
	}
}

// meddle patches an object as somebody else does.
func (g *ground) meddle(target jenner.Target, patch string) {
	g.t.Helper()
	to, err := g.resource(g.decoded(target))
	if err == nil {
		_, err = to.Patch(g.t.Context(), g.decoded(target).Object, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"})
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

// remove deletes an object.
func (g *ground) remove(kind, name string) {
	g.t.Helper()
	if err := g.dynamic.Resource(kindsOf[kind]).Namespace(g.ns).Delete(g.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		g.t.Fatal(err)
	}
}

// podOf is the template of pods of the lab's own server, with settings by environment variables.
func podOf(app, image string, env ...string) string {
	var list strings.Builder
	for _, one := range env {
		name, value, _ := strings.Cut(one, "=")
		fmt.Fprintf(&list, "{name: %s, value: %q}, ", name, value)
	}
	return fmt.Sprintf(`{metadata: {labels: {app: %s}}, spec: {terminationGracePeriodSeconds: 1, containers: [{name: app, image: "jenner-test/app:%s",
    imagePullPolicy: IfNotPresent, env: [%s], resources: {requests: {cpu: 5m, memory: 16Mi}, limits: {memory: 64Mi}},
    readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}}]}}`, app, image, list.String())
}

// deployment is a Deployment as people write it.
func deployment(name string, replicas int, template string) string {
	return fmt.Sprintf("{apiVersion: apps/v1, kind: Deployment, metadata: {name: %s}, spec: {replicas: %d, progressDeadlineSeconds: 30, "+
		"selector: {matchLabels: {app: %s}}, template: %s}}", name, replicas, name, template)
}

// statefulSet and daemonSet likewise.
func statefulSet(name string, replicas int, template string) string {
	return fmt.Sprintf("{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: %s}, spec: {replicas: %d, serviceName: %s, "+
		"selector: {matchLabels: {app: %s}}, template: %s}}", name, replicas, name, name, template)
}

func daemonSet(name, template string) string {
	return fmt.Sprintf("{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: %s}, spec: {selector: {matchLabels: {app: %s}}, template: %s}}",
		name, name, template)
}

// target is one as people write it.
func (g *ground) target(kind, name string) jenner.Target {
	return jenner.Target{Kind: kind, Name: name, Params: jenner.Params{"namespace": jenner.Raw(g.ns)}}
}

func (g *ground) decoded(target jenner.Target) *Target {
	g.t.Helper()
	read, err := decode(target)
	if err != nil {
		g.t.Fatal(err)
	}
	return read
}

// serving makes a Deployment of the first version and waits until its pods serve.
func (g *ground) serving(name string, replicas int) jenner.Target {
	g.t.Helper()
	g.as("people", deployment(name, replicas, podOf(name, "v1")))
	target := g.target(kindDeployment, name)
	g.settles(target)
	return target
}

// settles waits until a workload has settled.
func (g *ground) settles(target jenner.Target) {
	g.t.Helper()
	read := g.decoded(target)
	g.until(target.Name+" has settled", func() bool {
		now, err := g.workload(g.t.Context(), read)
		return err == nil && now.Settled
	})
}

// rolled reads a workload.
func (g *ground) rolled(target jenner.Target) rollout {
	g.t.Helper()
	r, err := g.rollout(g.t.Context(), g.decoded(target))
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

// alive are the pods of a workload that are not ending.
func (g *ground) alive(target jenner.Target) []corev1.Pod {
	g.t.Helper()
	all, err := g.pods(g.t.Context(), g.decoded(target))
	if err != nil {
		g.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil })
}

// live reads an object.
func (g *ground) live(target jenner.Target) *unstructured.Unstructured {
	g.t.Helper()
	object, err := g.object(g.t.Context(), g.decoded(target))
	if err != nil {
		g.t.Fatal(err)
	}
	return object
}

// served makes the API server know a kind of somebody else's, with any content and without its controllers, until the test
// ends. The whole cluster has it then: tests that need one stay serial.
func (g *ground) served(api schema.GroupVersionResource, kind string) {
	g.t.Helper()
	name := api.GroupResource().String()
	made := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": name},
		"spec": map[string]any{"group": api.Group, "scope": "Namespaced",
			"names": map[string]any{"kind": kind, "listKind": kind + "List", "plural": api.Resource, "singular": strings.ToLower(kind)},
			"versions": []any{map[string]any{"name": api.Version, "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}}}
	all := g.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if _, err := all.Create(g.t.Context(), made, metav1.CreateOptions{FieldManager: "people"}); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		ctx := afterwards(g.t)
		if err := all.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			g.t.Error(err)
		}
		g.until("nothing is left of "+kind, func() bool {
			_, err := all.Get(ctx, name, metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
	})
	g.until("the API server serves "+kind, func() bool {
		known, err := g.Discovery().ServerResourcesForGroupVersion(api.GroupVersion().String())
		if err != nil || !slices.ContainsFunc(known.APIResources, func(one metav1.APIResource) bool { return one.Name == api.Resource }) {
			return false
		}
		_, err = g.dynamic.Resource(api).Namespace(g.ns).List(g.t.Context(), metav1.ListOptions{})
		return err == nil
	})
}

// jsonOf is a value as a JSON text.
func jsonOf(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
