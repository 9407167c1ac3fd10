//go:build kube

package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

func TestNodesAreReady(t *testing.T) {
	p := newPlace(t)
	nodes, err := p.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(nodes.Items) < 2 {
		t.Errorf("there are %d nodes; what happens when one is lost cannot be told with fewer than two", len(nodes.Items))
	}
	zones := map[string]bool{}
	for _, node := range nodes.Items {
		if err := ready(node); err != nil {
			t.Error(err)
		}
		zones[node.Labels[corev1.LabelTopologyZone]] = true
	}
	if len(zones) != len(nodes.Items) || zones[""] {
		t.Errorf("each node is to be a zone of its own; the zones are %v", zones)
	}
}

func ready(node corev1.Node) error {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("node %s is not ready: %v", node.Name, node.Status.Conditions)
}

func TestAnAppIsReachedThroughItsService(t *testing.T) {
	p := newPlace(t)
	p.app(t, "web", 2, nil)
	url := "http://" + p.clusterIP(t, "web")
	eventually(t, "the Service answers the host", func(ctx context.Context) error {
		body, err := ask(ctx, "GET", url)
		if err == nil && body != "v1\n" {
			err = fmt.Errorf("it answers %q", body)
		}
		return err
	})
	// Ready only while it reaches the other by name: through DNS, its Service and the network of pods.
	p.app(t, "client", 2, needs("web:80"))
}

// needs makes the app unready while it does not reach something.
func needs(what string) func(*corev1.PodSpec) {
	return func(pod *corev1.PodSpec) { set(pod, "NEEDS", what) }
}

func set(pod *corev1.PodSpec, name, value string) {
	pod.Containers[0].Env = append(pod.Containers[0].Env, corev1.EnvVar{Name: name, Value: value})
}

func TestACrashRestartsTheContainer(t *testing.T) {
	p := newPlace(t)
	p.app(t, "web", 1, nil)
	pod := p.onePod(t, "web")
	// The connection ends with the process, so that an error is the right answer.
	if body, err := ask(t.Context(), "POST", "http://"+pod.Status.PodIP+":8080/crash"); err == nil && body != "" {
		t.Fatalf("the crash answers %q", body)
	}
	p.restarted(t, "web", func(ended *corev1.ContainerStateTerminated) bool { return ended.ExitCode == 3 })
	p.available(t, "web")
}

// restarted waits for a pod's container to have run again after it ended in a certain way.
func (p *place) restarted(t *testing.T, name string, as func(*corev1.ContainerStateTerminated) bool) {
	t.Helper()
	eventually(t, "the container has ended and runs again", func(ctx context.Context) error {
		pods, err := p.pods(ctx, name)
		if err != nil {
			return err
		}
		for _, status := range pods[0].Status.ContainerStatuses {
			if ended := status.LastTerminationState.Terminated; status.RestartCount > 0 && ended != nil && as(ended) {
				return nil
			}
		}
		return fmt.Errorf("its state is %+v", pods[0].Status.ContainerStatuses)
	})
}

func TestAContainerAboveItsMemoryLimitIsKilled(t *testing.T) {
	p := newPlace(t)
	p.start(t, "web", 1, func(pod *corev1.PodSpec) {
		set(pod, "LEAK_MB_PER_S", "50")
		pod.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("48Mi")}
	})
	p.restarted(t, "web", func(ended *corev1.ContainerStateTerminated) bool { return ended.Reason == "OOMKilled" })
}

func TestAPodAboveItsStorageLimitIsEvicted(t *testing.T) {
	p := newPlace(t)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "large"}, Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{
		Name: "app", Image: "jenner-test/app:v1", ImagePullPolicy: corev1.PullNever, Args: []string{"burn", "--cores=0", "--disk=/tmp/large", "--disk-mb=20", "--for=10m"},
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("5Mi")}}}}}}
	if _, err := p.CoreV1().Pods(p.namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod is evicted", func(ctx context.Context) error {
		found, err := p.CoreV1().Pods(p.namespace).Get(ctx, "large", metav1.GetOptions{})
		if err == nil && found.Status.Reason != "Evicted" {
			err = fmt.Errorf("its state is %+v", found.Status)
		}
		return err
	})
}

func TestLogsAndExec(t *testing.T) {
	p := newPlace(t)
	p.app(t, "web", 1, nil)
	pod := p.onePod(t, "web")
	logs, err := p.CoreV1().Pods(p.namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
	if err != nil || !strings.Contains(string(logs), "version v1 starts") {
		t.Errorf("the log is %q, %v", logs, err)
	}
	request := p.CoreV1().RESTClient().Post().Resource("pods").Namespace(p.namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: []string{"/app", "nonsense"}, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(p.config, "GET", request.URL().String())
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	err = executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stderr: &said})
	var ended interface{ ExitStatus() int }
	if !errors.As(err, &ended) || ended.ExitStatus() != 2 || !strings.Contains(said.String(), "there is no command") {
		t.Errorf("exec ends with %v and says %q", err, said.String())
	}
}

// TestANetworkPolicyHolds: traffic stops while nobody may reach the app, for clients in the cluster and for the host,
// and goes on when the policy lets one of them through.
func TestANetworkPolicyHolds(t *testing.T) {
	p := newPlace(t)
	p.app(t, "web", 2, nil)
	p.app(t, "client", 1, needs("web:80"))
	url := "http://" + p.clusterIP(t, "web")
	policies := p.NetworkingV1().NetworkPolicies(p.namespace)
	policy, err := policies.Create(t.Context(), &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: networkingv1.NetworkPolicySpec{PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the host does not reach it", func(ctx context.Context) error {
		if _, err := ask(ctx, "GET", url); err == nil {
			return errors.New("it answers")
		}
		return nil
	})
	eventually(t, "the client does not reach it", func(ctx context.Context) error {
		deployment, err := p.AppsV1().Deployments(p.namespace).Get(ctx, "client", metav1.GetOptions{})
		if err == nil && deployment.Status.ReadyReplicas > 0 {
			err = errors.New("it is ready")
		}
		return err
	})
	policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{
		{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "client"}}}}}}
	if _, err := policies.Update(t.Context(), policy, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	p.available(t, "client")
	if _, err := ask(t.Context(), "GET", url); err == nil {
		t.Error("the host reaches what only the client may")
	}
}
