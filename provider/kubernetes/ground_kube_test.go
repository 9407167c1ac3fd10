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
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/strict"
)

// groundPatience is how long something in the cluster may take.
const groundPatience = 90 * time.Second

// ground is a namespace of one test on the real cluster, for actions.
type ground struct {
	*cluster
	t *testing.T
	// ns is the namespace.
	ns string
}

// newGround makes one, which is deleted with all that is in it when the test ends.
func newGround(t *testing.T) *ground {
	t.Helper()
	if os.Getenv("KUBECONFIG") == "" {
		t.Fatal("these tests need a real cluster: `make kubelab` starts one and prints the KUBECONFIG to set")
	}
	c, err := connect("", "")
	if err != nil {
		t.Fatal(err)
	}
	g := &ground{cluster: c, t: t, ns: "jenner-act-" + jenner.Fingerprint(t.Name(), time.Now().String())}
	_, err = c.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: g.ns}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now := int64(0)
		ctx := context.WithoutCancel(t.Context())
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

// until waits until something holds.
func (g *ground) until(what string, holds func() bool) {
	g.t.Helper()
	deadline := time.Now().Add(groundPatience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			g.t.Fatalf("waited %s, and still not: %s\n%s", groundPatience, what, g.told())
		}
		<-tick.C
	}
}

// told is what the cluster says of the namespace, for a test that failed.
func (g *ground) told() string {
	var text strings.Builder
	pods, err := g.CoreV1().Pods(g.ns).List(g.t.Context(), metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	for _, pod := range pods.Items {
		fmt.Fprintf(&text, "pod %s on %q: %s, %s\n", pod.Name, pod.Spec.NodeName, pod.Status.Phase, podTrouble(&pod))
	}
	events, err := g.CoreV1().Events(g.ns).List(g.t.Context(), metav1.ListOptions{})
	if err != nil {
		return err.Error()
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
	"CronJob":                 {Group: "batch", Version: "v1", Resource: "cronjobs"},
	"PodDisruptionBudget":     {Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"},
	"Service":                 {Version: "v1", Resource: "services"},
}

// as applies objects, several to a text, as somebody of this name does.
func (g *ground) as(manager, text string) {
	g.t.Helper()
	for _, document := range strings.Split(text, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			g.t.Fatal(err)
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
	t, c, err := reach(target)
	if err != nil {
		g.t.Fatal(err)
	}
	to, err := c.resource(t)
	if err == nil {
		_, err = to.Patch(g.t.Context(), t.Object, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"})
	}
	if err != nil {
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

// rolled reads a workload.
func (g *ground) rolled(target jenner.Target) rollout {
	g.t.Helper()
	t, c, err := reach(target)
	if err != nil {
		g.t.Fatal(err)
	}
	r, err := c.rollout(g.t.Context(), t)
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

// serving makes a Deployment of the first version and waits until its pods serve.
func (g *ground) serving(name string, replicas int) jenner.Target {
	g.t.Helper()
	g.as("people", deployment(name, replicas, podOf(name, "v1")))
	target := g.target(kindDeployment, name)
	g.settles(target)
	return target
}

func (g *ground) settles(target jenner.Target) {
	g.t.Helper()
	g.until(target.Name+" has settled", func() bool { return g.rolled(target).Settled })
}

// pods are those of a workload that are not ending.
func (g *ground) alive(target jenner.Target) []corev1.Pod {
	g.t.Helper()
	t, c, err := reach(target)
	if err != nil {
		g.t.Fatal(err)
	}
	all, err := c.pods(g.t.Context(), t)
	if err != nil {
		g.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil })
}

// live reads an object.
func (g *ground) live(target jenner.Target) *unstructured.Unstructured {
	g.t.Helper()
	t, c, err := reach(target)
	if err != nil {
		g.t.Fatal(err)
	}
	object, err := c.object(g.t.Context(), t)
	if err != nil {
		g.t.Fatal(err)
	}
	return object
}

// made decodes an action's parameters as people write them.
func (g *ground) made(name, kind, params string) func() act.Action {
	g.t.Helper()
	var read jenner.Params
	if err := yaml.Unmarshal([]byte(params), &read); err != nil {
		g.t.Fatal(err)
	}
	names := catalog.Names{Catalog: catalog.Merge(Provider)}
	if _, problems, err := names.Action(name, kind, read); err != nil || len(problems) > 0 {
		g.t.Fatal(name, params, err, problems)
	}
	return func() act.Action {
		entry, _ := catalog.Merge(Provider).Action(name, kind)
		action := entry.New()
		if err := strict.Decode(read, action); err != nil {
			g.t.Fatal(err)
		}
		return action
	}
}

// deed is one effect as the executor brings it about.
type deed struct {
	g    *ground
	make func() act.Action
	call act.Call
}

// deed prepares an effect, with a key of its own.
func (g *ground) deed(name string, target jenner.Target, params string) *deed {
	g.t.Helper()
	return &deed{g, g.made(name, target.Kind, params), act.Call{Key: "k-" + jenner.Fingerprint(name, params, time.Now().String()), Target: target}}
}

// do checks, takes the checkpoint and brings the effect about.
func (d *deed) do() (act.Result, error) {
	if checker, can := d.make().(act.Checker); can {
		if err := checker.Check(d.g.t.Context(), d.call); err != nil {
			return act.Result{}, err
		}
	}
	if err := d.checkpoint(); err != nil {
		return act.Result{}, err
	}
	ctx, cancel := context.WithTimeout(d.g.t.Context(), groundPatience)
	defer cancel()
	return d.make().Do(ctx, d.call)
}

func (d *deed) checkpoint() error {
	keeper, can := d.make().(act.Checkpointer)
	if !can {
		return nil
	}
	raw, err := keeper.Checkpoint(d.g.t.Context(), d.call)
	d.call.Checkpoint = raw
	return err
}

// must is do, where nothing may go wrong.
func (d *deed) must() act.Result {
	d.g.t.Helper()
	result, err := d.do()
	if err != nil {
		d.g.t.Fatalf("%v\n%s", err, d.g.told())
	}
	d.g.t.Log(result.Summary)
	return result
}

func (d *deed) undo() act.Result {
	d.g.t.Helper()
	result, err := d.make().(act.Undoer).Undo(d.g.t.Context(), d.call)
	if err != nil {
		d.g.t.Fatal(err)
	}
	d.g.t.Log(result.Summary)
	return result
}

func (d *deed) happened() act.Happened {
	d.g.t.Helper()
	answer, err := d.make().(act.Resolver).Happened(d.g.t.Context(), d.call)
	if err != nil {
		d.g.t.Fatal(err)
	}
	return answer
}

// refused wants an error that says something.
func (d *deed) refused(says ...string) error {
	d.g.t.Helper()
	result, err := d.do()
	if err == nil {
		d.g.t.Fatalf("it was done: %s", result.Summary)
	}
	for _, want := range says {
		if !strings.Contains(err.Error(), want) {
			d.g.t.Errorf("it says %q, want %q", err, want)
		}
	}
	return err
}

// conform runs the suite of the actions, each test in a fresh namespace.
func conform(t *testing.T, build func(g *ground) actiontest.World) {
	t.Helper()
	actiontest.Run(t, func(t *testing.T) actiontest.World { return build(newGround(t)) })
}

// is tells whether a resource was not found, for tests that wait for an end.
func isGone(err error) bool { return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) }

// jsonOf is a value as a JSON text.
func jsonOf(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
