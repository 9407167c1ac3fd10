//go:build kube

package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
)

func TestMain(m *testing.M) { faulttest.Main(m, catalog.Merge(Provider).MakeFault) }

// world is a namespace of one test on the real cluster.
type world struct {
	*cluster
	namespace string
}

// patience is how long something in the cluster may take.
const patience = time.Minute

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Getenv("KUBECONFIG") == "" {
		t.Fatal("these tests need a real cluster: `make kubelab` starts one and prints the KUBECONFIG to set")
	}
	c, err := connect("", "")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{cluster: c, namespace: "jenner-fault-" + jenner.Fingerprint(t.Name(), time.Now().String())}
	_, err = c.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now := int64(0)
		ctx := context.WithoutCancel(t.Context())
		_ = c.CoreV1().Pods(w.namespace).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
		if err := c.CoreV1().Namespaces().Delete(ctx, w.namespace, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	w.eventually(t, "the namespace has a service account", func() bool {
		_, err := c.CoreV1().ServiceAccounts(w.namespace).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	})
	return w
}

func (w *world) eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s, and still not: %s\n%s", patience, what, w.story(t))
		}
		<-tick.C
	}
}

// story is what the cluster says of the namespace, for a test that failed.
func (w *world) story(t *testing.T) string {
	var text strings.Builder
	pods, err := w.CoreV1().Pods(w.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	for _, pod := range pods.Items {
		fmt.Fprintf(&text, "pod %s %s %s\n", pod.Name, pod.Status.Phase, jenner.Raw(pod.Status.ContainerStatuses))
	}
	events, err := w.CoreV1().Events(w.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	for _, event := range events.Items {
		fmt.Fprintf(&text, "%s %s: %s\n", event.InvolvedObject.Name, event.Reason, event.Message)
	}
	return text.String()
}

// template is a pod of the lab's own server.
func template(name string, env ...corev1.EnvVar) corev1.PodTemplateSpec {
	now := int64(0)
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{TerminationGracePeriodSeconds: &now, Containers: []corev1.Container{{Name: "web", Image: "jenner-test/app:v1",
			ImagePullPolicy: corev1.PullIfNotPresent, Env: env}}},
	}
}

// spread lets the pods of an app stand on different nodes, where they can.
func spread(app string) []corev1.TopologySpreadConstraint {
	return []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}}}
}

// deployment makes one and waits until its pods serve.
func (w *world) deployment(t *testing.T, name string, replicas int32, shape ...func(*appsv1.Deployment)) jenner.Target {
	t.Helper()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{Replicas: &replicas,
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}, Template: template(name)}}
	for _, change := range shape {
		change(d)
	}
	if _, err := w.AppsV1().Deployments(w.namespace).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	target := w.target(kindDeployment, name)
	w.serves(t, target)
	return target
}

// serves waits until a workload has settled.
func (w *world) serves(t *testing.T, target jenner.Target) {
	t.Helper()
	read, err := decode(target)
	if err != nil {
		t.Fatal(err)
	}
	w.eventually(t, target.Name+" serves", func() bool {
		now, err := w.workload(t.Context(), read)
		return err == nil && now.Settled
	})
}

// target is one as people write it.
func (w *world) target(kind, name string) jenner.Target {
	return jenner.Target{Kind: kind, Name: name, Params: jenner.Params{"namespace": jenner.Raw(w.namespace)}}
}

// selecting is a target of pods by labels.
func (w *world) selecting(selector string) jenner.Target {
	return jenner.Target{Kind: kindPod, Name: "pods", Params: jenner.Params{"namespace": jenner.Raw(w.namespace), "selector": jenner.Raw(selector)}}
}

// made is a fault with parameters as people write them.
func made(t *testing.T, name, kind, params string) (jenner.Params, func() chaos.Fault) {
	t.Helper()
	var read jenner.Params
	if err := json.Unmarshal([]byte(params), &read); err != nil {
		t.Fatal(err)
	}
	make := func() chaos.Fault {
		_, fault, err := catalog.Merge(Provider).MakeFault(name, kind, read)
		if err != nil {
			t.Fatal(err)
		}
		return fault
	}
	make()
	return read, make
}

// faultWorld is a world of the suite for a fault on a target.
func (w *world) faultWorld(t *testing.T, fault string, target jenner.Target, params string) faulttest.World {
	t.Helper()
	read, make := made(t, fault, target.Kind, params)
	absent := target
	absent.Name = "not-there"
	absent.Params = jenner.Params{"namespace": jenner.Raw(w.namespace)}
	return faulttest.World{Fault: make, Absent: absent,
		Record: jenner.FaultRecord{ID: "f-" + jenner.Fingerprint(w.namespace, fault), Drill: "d-test", Fault: fault, Params: read, Target: target}}
}

// passes runs the suite of the faults, and the one that kills the processes, each test in a fresh world.
func passes(t *testing.T, build func(t *testing.T) faulttest.World) {
	t.Helper()
	t.Run("suite", func(t *testing.T) { faulttest.Run(t, build) })
	t.Run("killed", func(t *testing.T) { faulttest.Killed(t, build) })
}

// cleaning is a context for what is done after a test.
func cleaning(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(t.Context()), patience)
}

func absent(err error) bool { return apierrors.IsNotFound(err) }
