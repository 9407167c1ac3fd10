//go:build kube

package kubernetes

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

// postPatience is how long something in the cluster may take.
const postPatience = time.Minute

// post is a namespace of one test on the real cluster, and what is observed from there.
type post struct {
	*cluster
	*notebook
	t  *testing.T
	ns string
}

// newPost makes one, which is deleted with all that is in it when the test ends.
func newPost(t *testing.T) *post {
	t.Helper()
	if os.Getenv("KUBECONFIG") == "" {
		t.Fatal("these tests need a real cluster: `make kubelab` starts one and prints the KUBECONFIG to set")
	}
	c, err := connect("", "")
	if err != nil {
		t.Fatal(err)
	}
	p := &post{cluster: c, notebook: &notebook{}, t: t, ns: "jenner-obs-" + jenner.Fingerprint(t.Name(), time.Now().String())}
	_, err = c.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: p.ns}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now := int64(0)
		ctx := context.WithoutCancel(t.Context())
		_ = c.CoreV1().Pods(p.ns).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{})
		if err := c.CoreV1().Namespaces().Delete(ctx, p.ns, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	p.until("the namespace has a service account", func() bool {
		_, err := c.CoreV1().ServiceAccounts(p.ns).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	})
	return p
}

// contextOf is for what is taken away when the test has ended.
func contextOf(t *testing.T) context.Context { return context.WithoutCancel(t.Context()) }

func quantity(text string) resource.Quantity { return resource.MustParse(text) }

// until waits until something holds.
func (p *post) until(what string, holds func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(postPatience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited %s, and still not: %s\n%s\n%s", postPatience, what, p.notebook, p.state())
		}
		<-tick.C
	}
}

// state is what the cluster says of the namespace, for a test that failed.
func (p *post) state() string {
	var text strings.Builder
	pods, err := p.CoreV1().Pods(p.ns).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	for _, pod := range pods.Items {
		fmt.Fprintf(&text, "pod %s on %q: %s %s\n", pod.Name, pod.Spec.NodeName, pod.Status.Phase, jenner.Raw(pod.Status.ContainerStatuses))
	}
	events, err := p.CoreV1().Events(p.ns).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	for _, event := range events.Items {
		fmt.Fprintf(&text, "%s %s: %s\n", event.InvolvedObject.Name, event.Reason, event.Message)
	}
	return text.String()
}

// resourceOf are the resources of the kinds that tests write.
var resourceOf = map[string]schema.GroupVersionResource{
	"Deployment": {Group: "apps", Version: "v1", Resource: "deployments"}, "StatefulSet": {Group: "apps", Version: "v1", Resource: "statefulsets"},
	"DaemonSet": {Group: "apps", Version: "v1", Resource: "daemonsets"}, "ConfigMap": {Version: "v1", Resource: "configmaps"},
	"Secret": {Version: "v1", Resource: "secrets"}, "Pod": {Version: "v1", Resource: "pods"}, "Job": {Group: "batch", Version: "v1", Resource: "jobs"},
	"HorizontalPodAutoscaler": {Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
	"PersistentVolumeClaim":   {Version: "v1", Resource: "persistentvolumeclaims"}, "Service": {Version: "v1", Resource: "services"},
}

// apply applies objects, several to a text, as somebody of this name does.
func (p *post) apply(manager, text string) {
	p.t.Helper()
	for _, document := range strings.Split(text, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			p.t.Fatalf("%v\n%s", err, document)
		}
		to := p.dynamic.Resource(resourceOf[object.GetKind()]).Namespace(p.ns)
		if _, err := to.Apply(p.t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: manager, Force: true}); err != nil {
			p.t.Fatalf("%v\n%s", err, document)
		}
	}
}

func (p *post) remove(kind, name string) {
	p.t.Helper()
	if err := p.dynamic.Resource(resourceOf[kind]).Namespace(p.ns).Delete(p.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

// appOf is a Deployment of the lab's own server, with settings by environment variables.
func appOf(name string, replicas int, image string, env ...string) string {
	var list strings.Builder
	for _, one := range env {
		key, value, _ := strings.Cut(one, "=")
		fmt.Fprintf(&list, "{name: %s, value: %q}, ", key, value)
	}
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[2]d
  progressDeadlineSeconds: 10
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: app
        image: jenner-test/app:%[3]s
        imagePullPolicy: IfNotPresent
        env: [%[4]s]
        resources: {requests: {cpu: 5m, memory: 16Mi}, limits: {memory: 64Mi}}
        readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1, failureThreshold: 1}
`, name, replicas, image, list.String())
}

// service has one target, in the namespace of the test. The parameters are pairs.
func (p *post) service(kind, name string, params ...any) jenner.Service {
	target := jenner.Target{Kind: kind, Name: name, Params: jenner.Params{"namespace": jenner.Raw(p.ns)}}
	for i := 0; i+1 < len(params); i += 2 {
		target.Params[params[i].(string)] = jenner.Raw(params[i+1])
	}
	return jenner.Service{Name: name, Targets: []jenner.Target{target}}
}

// observe observes until the test ends, or until the returned function is called.
func (p *post) observe(observer telemetry.Observer, services ...jenner.Service) (stop func()) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- observer.Observe(ctx, services, p.notebook) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				p.t.Errorf("the observer ended: %v", err)
			}
		case <-time.After(postPatience):
			p.t.Error("the observer does not heed its context")
		}
	})
	p.t.Cleanup(stop)
	return stop
}

// holds tells whether a condition of that reason holds, of an object whose name begins so.
func (p *post) holds(reason, object string) bool {
	_, holds := p.condition(reason, object)
	return holds
}

// notebook is a sink that remembers.
type notebook struct {
	mu      sync.Mutex
	on      map[string]jenner.Condition
	course  []string
	changes []jenner.ChangeEvent
	synced  []jenner.Subject
	seen    []time.Time
	blind   map[string]error
}

func (n *notebook) Condition(c jenner.Condition) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id := c.Service + " " + c.Target.String() + " " + c.Reason + " " + c.Object
	if n.on == nil {
		n.on = map[string]jenner.Condition{}
	}
	n.course = append(n.course, fmt.Sprintf("%s %v %s since %s: %s %v", time.Now().Format("05.000"), c.On, id, c.Since.Format("05.000"), c.Summary, c.Labels))
	if n.on[id] = c; !c.On {
		delete(n.on, id)
	}
}

func (n *notebook) Changed(e jenner.ChangeEvent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changes = append(n.changes, e)
}

func (n *notebook) Synced(of ...jenner.Subject) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.synced = append(n.synced, of...)
}

func (n *notebook) Seen(of ...jenner.Subject) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen = append(n.seen, time.Now())
}

func (n *notebook) Blind(what string, why error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.blind == nil {
		n.blind = map[string]error{}
	}
	if n.blind[what] = why; why == nil {
		delete(n.blind, what)
	}
}

func (n *notebook) condition(reason, object string) (jenner.Condition, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.on {
		if c.Reason == reason && strings.HasPrefix(c.Object, object) {
			return c, true
		}
	}
	return jenner.Condition{}, false
}

func (n *notebook) isSynced(s jenner.Service) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.synced, jenner.Subject{Service: s.Name, Target: s.Targets[0].Ref()})
}

// change is the newest of that kind about that object.
func (n *notebook) change(kind jenner.ChangeKind, object string) (jenner.ChangeEvent, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range slices.Backward(n.changes) {
		if e.Kind == kind && e.Object == object {
			return e, true
		}
	}
	return jenner.ChangeEvent{}, false
}

func (n *notebook) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprintf("%s\nchanges %+v\nblind %v", strings.Join(n.course, "\n"), n.changes, n.blind)
}
