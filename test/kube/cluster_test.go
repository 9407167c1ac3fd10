//go:build kube

package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jenner-heal/jenner/internal/await"
)

// place is a namespace of a test's own.
type place struct {
	kubernetes.Interface
	config    *rest.Config
	namespace string
}

// connect reaches the cluster. The place has no namespace yet.
func connect(t *testing.T) *place {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		t.Fatal("KUBECONFIG names no cluster; `make e2e-kube` starts one, or `make kubelab` in another terminal")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &place{Interface: client, config: config}
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := connect(t)
	namespaces := p.CoreV1().Namespaces()
	made, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "kube-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.namespace = made.Name
	t.Cleanup(func() {
		if err := namespaces.Delete(context.Background(), made.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		p.gone(t, made.Name)
	})
	return p
}

// gone waits for a namespace that is being deleted.
func (p *place) gone(t *testing.T, namespace string) {
	t.Helper()
	eventually(t, "the namespace "+namespace+" goes", func(ctx context.Context) error {
		_, err := p.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("it is still there"), err)
	})
}

// eventually asks until there is no error; it fails the test where there still is one when patience ends.
func eventually(t *testing.T, what string, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), await.Patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := ask(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			last = err // that of an attempt that was broken off says nothing
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s: %v", what, await.Patience, errors.Join(last, err))
		case <-tick.C:
		}
	}
}

// app makes a Deployment of the test workload and a Service in front of it, both called name, and waits for all pods to
// be available. change may be nil.
func (p *place) app(t *testing.T, name string, replicas int32, change func(*corev1.PodSpec)) {
	t.Helper()
	p.start(t, name, replicas, change)
	p.available(t, name)
}

func (p *place) start(t *testing.T, name string, replicas int32, change func(*corev1.PodSpec)) {
	t.Helper()
	label := map[string]string{"app": name}
	grace := int64(2)
	pod := corev1.PodSpec{TerminationGracePeriodSeconds: &grace, Containers: []corev1.Container{{
		Name: "app", Image: "jenner-test/app:v1", ImagePullPolicy: corev1.PullNever,
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
		ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromString("http")}}},
	}}}
	if change != nil {
		change(&pod)
	}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{Replicas: &replicas,
		Selector: &metav1.LabelSelector{MatchLabels: label},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: label}, Spec: pod}}}
	if _, err := p.AppsV1().Deployments(p.namespace).Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Selector: label,
		Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("http")}}}}
	if _, err := p.CoreV1().Services(p.namespace).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (p *place) available(t *testing.T, name string) {
	t.Helper()
	eventually(t, "all pods of "+name+" are available", func(ctx context.Context) error {
		deployment, err := p.AppsV1().Deployments(p.namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got, want := deployment.Status.AvailableReplicas, *deployment.Spec.Replicas; got != want {
			return fmt.Errorf("%d of %d are", got, want)
		}
		return nil
	})
}

// pods are those of an app.
func (p *place) pods(ctx context.Context, name string) ([]corev1.Pod, error) {
	list, err := p.CoreV1().Pods(p.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
	if err == nil && len(list.Items) == 0 {
		err = fmt.Errorf("%s has no pods", name)
	}
	return list.Items, err
}

// onePod is the first pod of an app.
func (p *place) onePod(t *testing.T, name string) corev1.Pod {
	t.Helper()
	pods, err := p.pods(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return pods[0]
}

// clusterIP is the address of a Service.
func (p *place) clusterIP(t *testing.T, name string) string {
	t.Helper()
	service, err := p.CoreV1().Services(p.namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return service.Spec.ClusterIP
}

// fast does not wait long for what does not answer, and takes a connection for each request.
var fast = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ask sends a request and returns the answer's text; another code than 200 is an error.
func ask(ctx context.Context, method, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return "", err
	}
	response, err := fast.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return string(body), err
}
