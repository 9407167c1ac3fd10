//go:build kube

package scale

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jenner-heal/jenner/internal/lab"
)

// mark is the label of all that the benchmark makes, and the taint of its nodes.
const mark, marked = "jenner.dev/benchmark", "scale"

// ours picks what the benchmark has made.
var ours = metav1.ListOptions{LabelSelector: mark + "=" + marked}

// patience is how long one phase of the benchmark may take.
const patience = 8 * time.Minute

// world is the cluster with what the benchmark has put into it.
type world struct {
	name      string // in front of those of its namespaces and nodes: another run's leases are not waited for
	config    *rest.Config
	client    kubernetes.Interface
	kwok      *lab.Process
	workloads []workload
	perEach   int32
}

// workload is one Deployment, and the service that is watched by it.
type workload struct{ namespace, name string }

// newWorld reaches the cluster.
func newWorld(b *testing.B) *world {
	b.Helper()
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		b.Fatal("KUBECONFIG names no cluster; `make bench-kube` starts one, or `make kubelab` in another terminal")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		b.Fatal(err)
	}
	config.QPS, config.Burst = -1, -1 // the benchmark breaks as many pods as it likes
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	return &world{name: fmt.Sprintf("scale-%d", os.Getpid()), config: config, client: client}
}

// empty removes all that a benchmark has made, this one or one that was killed, the nodes last: kwok lets pods go as long as
// their node is there.
func (w *world) empty(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	namespaces, err := w.client.CoreV1().Namespaces().List(ctx, ours)
	if err != nil {
		b.Error(err)
		return
	}
	for _, namespace := range namespaces.Items {
		now := int64(0)
		w.complain(b, w.client.AppsV1().Deployments(namespace.Name).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
		w.complain(b, w.client.CoreV1().Namespaces().Delete(ctx, namespace.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
	}
	w.eventually(b, "the namespaces are gone", func(ctx context.Context) error {
		left, err := w.client.CoreV1().Namespaces().List(ctx, ours)
		if err == nil && len(left.Items) > 0 {
			err = fmt.Errorf("%d are left", len(left.Items))
		}
		return err
	})
	nodes, err := w.client.CoreV1().Nodes().List(ctx, ours)
	w.complain(b, err)
	for _, node := range nodes.Items {
		w.complain(b, w.client.CoreV1().Nodes().Delete(ctx, node.Name, metav1.DeleteOptions{}))
	}
}

func (w *world) complain(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Error(err)
	}
}

// eventually asks until there is no error, and tells now and then what is still missing.
func (w *world) eventually(b *testing.B, what string, ask func(context.Context) error) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick, told := time.NewTicker(500*time.Millisecond), time.Now()
	defer tick.Stop()
	for began := time.Now(); ; {
		err := ask(ctx)
		if err == nil {
			b.Logf("%s after %s", what, time.Since(began).Round(100*time.Millisecond))
			return
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		}
		select {
		case <-ctx.Done():
			b.Fatalf("%s: not within %s: %v", what, patience, err)
		case <-tick.C:
		}
	}
}

// fill makes the namespaces and in them the Deployments, whose pods the controllers and the scheduler make, and waits until
// all are available.
func (w *world) fill(b *testing.B, namespaces, workloads int, pods int32) {
	b.Helper()
	w.perEach = pods
	for i := range namespaces {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", w.name, i), Labels: map[string]string{mark: marked}}}
		if _, err := w.client.CoreV1().Namespaces().Create(b.Context(), namespace, metav1.CreateOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	making, ctx := errgroup.WithContext(b.Context())
	making.SetLimit(8)
	for i := range workloads {
		one := workload{fmt.Sprintf("%s-%d", w.name, i%namespaces), fmt.Sprintf("app-%d", i)}
		w.workloads = append(w.workloads, one)
		making.Go(func() error {
			_, err := w.client.AppsV1().Deployments(one.namespace).Create(ctx, deployment(one.name, pods), metav1.CreateOptions{})
			return err
		})
	}
	if err := making.Wait(); err != nil {
		b.Fatal(err)
	}
	w.whole(b)
}

// whole waits until all pods of all Deployments are available.
func (w *world) whole(b *testing.B) {
	b.Helper()
	w.eventually(b, "all pods are available", func(ctx context.Context) error {
		available, want := 0, len(w.workloads)*int(w.perEach)
		for namespace := range w.byNamespace() {
			list, err := w.client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
			if err != nil {
				return err
			}
			for _, one := range list.Items {
				available += int(one.Status.AvailableReplicas)
			}
		}
		if available != want {
			return errors.New(fmt.Sprint(available, " of ", want, " are"))
		}
		return nil
	})
}

func (w *world) byNamespace() map[string][]workload {
	all := map[string][]workload{}
	for _, one := range w.workloads {
		all[one.namespace] = append(all[one.namespace], one)
	}
	return all
}

// deployment is one as people write them: with limits, probes, environment and a volume, so that its pods are as large as usual
// ones.
func deployment(name string, pods int32) *appsv1.Deployment {
	label, grace := map[string]string{"app": name, mark: marked}, int64(0)
	tolerations := []corev1.Toleration{{Key: mark, Operator: corev1.TolerationOpExists}}
	for _, away := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		// Where the API server is busy kwok's word that a node lives comes late; its pods are not to be made anew for that.
		tolerations = append(tolerations, corev1.Toleration{Key: away, Operator: corev1.TolerationOpExists})
	}
	probe := &corev1.Probe{PeriodSeconds: 5, ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/app", "ready"}}}}
	container := corev1.Container{Name: "app", Image: "registry.example/shop/" + name + ":v1", ReadinessProbe: probe, LivenessProbe: probe,
		Ports:        []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}, {Name: "metrics", ContainerPort: 9090}},
		VolumeMounts: []corev1.VolumeMount{{Name: "scratch", MountPath: "/tmp"}}}
	for i := range 20 {
		container.Env = append(container.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", i), Value: "the value of a setting of " + name})
	}
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: label}, Spec: appsv1.DeploymentSpec{Replicas: &pods,
		Selector: &metav1.LabelSelector{MatchLabels: label},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: label}, Spec: corev1.PodSpec{
			NodeSelector: map[string]string{mark: marked}, Tolerations: tolerations,
			TerminationGracePeriodSeconds: &grace, Containers: []corev1.Container{container},
			Volumes: []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}}}}}
}
