package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("pod_http", "Does every ready pod of a workload answer by HTTP?", func() telemetry.Probe { return &ProbePodHTTP{Path: "/"} })
}

// The ways to a pod.
const (
	throughPod   = "pod"
	throughProxy = "proxy"
)

// ProbePodHTTP asks each pod of the target that is ready for one path, at its own address: pods that serve, as Kubernetes
// has it, and do not answer. Where no pod is ready there is nobody to ask, which is failed.
type ProbePodHTTP struct {
	// Target is the name of the service's target; the only one of the kinds that have pods where not said.
	Target string `json:"target,omitempty"`
	// Port is the port of the pods.
	Port int `json:"port"`
	// Path is what is asked for, with a query where there is one; / where not said.
	Path string `json:"path,omitempty"`
	// ExpectStatus are the right status codes; any from 200 to 299 where not said.
	ExpectStatus []int `json:"expect_status,omitempty"`
	// BodyContains must stand in the first MiB of the answer.
	BodyContains string `json:"body_contains,omitempty"`
	// MinOK is how many of the ready pods must answer rightly, as a count or a share; all of them where not said.
	MinOK *jenner.Limit `json:"min_ok,omitempty"`
	// Through is the way to the pods: pod, over the pod network, or proxy, through the API server. Where not said, pod where
	// Jenner itself runs in a pod of the cluster, and proxy elsewhere.
	Through string `json:"through,omitempty"`
}

// Validate checks the parameters.
func (p *ProbePodHTTP) Validate() error {
	switch {
	case p.Port < 1 || p.Port > 65535:
		return fmt.Errorf("port %d is none; write 1 to 65535", p.Port)
	case !strings.HasPrefix(p.Path, "/"):
		return fmt.Errorf("path %q does not begin with a slash", p.Path)
	case p.Through != "" && p.Through != throughPod && p.Through != throughProxy:
		return fmt.Errorf("through is %q; write pod or proxy", p.Through)
	}
	if _, err := http.NewRequest(http.MethodGet, "http://pod"+p.Path, nil); err != nil {
		return fmt.Errorf("path %q: %w", p.Path, err)
	}
	for _, status := range p.ExpectStatus {
		if status < 100 || status > 599 {
			return fmt.Errorf("expect_status: %d is no HTTP status; write 100 to 599", status)
		}
	}
	return nil
}

// Probe asks all ready pods once, at the same time.
func (p *ProbePodHTTP) Probe(ctx context.Context, call telemetry.ProbeCall) telemetry.Result {
	of, err := about(call.Service, p.Target, livingKinds)
	if err != nil {
		return unasked(err)
	}
	pods, err := of.readyPods(ctx)
	if err == nil {
		err = p.every(ctx, of, pods)
	}
	return answer(ctx, err)
}

// podsAsked is how many pods are asked at the same time.
const podsAsked = 16

func (p *ProbePodHTTP) every(ctx context.Context, of asked, pods []*corev1.Pod) error {
	answers, tokens := make([]error, len(pods)), make(chan struct{}, podsAsked)
	ended := make(chan struct{})
	for i, pod := range pods {
		go func() {
			tokens <- struct{}{}
			answers[i] = p.ask(ctx, of, pod)
			<-tokens
			ended <- struct{}{}
		}()
	}
	for range pods {
		<-ended
	}
	var bad []string
	for i, err := range answers {
		var unknown *jenner.Error
		if errors.As(err, &unknown) {
			return err // nobody was asked
		}
		if err != nil {
			bad = append(bad, pods[i].Name+": "+err.Error())
		}
	}
	need, right := len(pods), len(pods)-len(bad)
	if p.MinOK != nil {
		need = p.MinOK.Of(len(pods))
	}
	if right >= need {
		return nil
	}
	if more := len(bad) - troublesTold; more > 0 {
		bad = append(bad[:troublesTold], fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%d of %d ready pods of %s answer rightly, at least %d must: %s", right, len(pods), of.Target, need, strings.Join(bad, "; "))
}

// inPod tells whether this program runs in a pod of the cluster that the target is in.
func inPod(t *Target) bool {
	return os.Getenv("KUBERNETES_SERVICE_HOST") != "" && t.Kubeconfig == "" && os.Getenv("KUBECONFIG") == ""
}

func (p *ProbePodHTTP) ask(ctx context.Context, of asked, pod *corev1.Pod) error {
	if p.Through == throughProxy || p.Through == "" && !inPod(of.target) {
		return p.askProxy(ctx, of, pod)
	}
	address := net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(p.Port))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+p.Path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", fieldManager)
	// As the kubelet does: no proxy, a new connection each time, and a redirect is an answer.
	client := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	status, body, err := exchange(client, request)
	if err != nil {
		return err
	}
	return p.judge(status, body)
}

// askProxy lets the API server ask. That it cannot be reached, or does not let Jenner ask, is no answer of the pod's; that it
// cannot reach the pod is.
func (p *ProbePodHTTP) askProxy(ctx context.Context, of asked, pod *corev1.Pod) error {
	path, query, _ := strings.Cut(p.Path, "?")
	to := of.cluster.CoreV1().RESTClient().Get().Resource("pods").Namespace(pod.Namespace).
		Name(pod.Name + ":" + strconv.Itoa(p.Port)).SubResource("proxy").Suffix(path).URL()
	to.RawQuery = query
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(of.cluster.config)
	if err != nil {
		return jenner.Permanent(err, "")
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	status, body, err := exchange(&own, request)
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return err // who does not answer is not known, and the API server does answer others
	case err != nil:
		return jenner.Retryable(err, "")
	case (status == http.StatusForbidden || status == http.StatusUnauthorized) && strings.Contains(body, `"kind":"Status"`):
		said := apierrors.NewGenericServerResponse(status, http.MethodGet, corev1.Resource("pods"), pod.Name, body, 0, true)
		return told(said, "asking a pod through the API server")
	}
	return p.judge(status, body)
}

// podBody is how much of an answer is read, in bytes.
const podBody = 1 << 20

func exchange(client *http.Client, request *http.Request) (status int, body string, err error) {
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, podBody))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return 0, "", fmt.Errorf("reading the answer: %w", err)
	}
	return response.StatusCode, string(raw), nil
}

func (p *ProbePodHTTP) judge(status int, body string) error {
	right, expected := status/100 == 2, "2xx"
	if len(p.ExpectStatus) > 0 {
		right, expected = slices.Contains(p.ExpectStatus, status), strings.Trim(fmt.Sprint(p.ExpectStatus), "[]")
	}
	switch {
	case !right:
		return fmt.Errorf("status %d, expected %s%s", status, expected, saying(shortened(body)))
	case !strings.Contains(body, p.BodyContains):
		return fmt.Errorf("status %d, but the body does not contain %q", status, p.BodyContains)
	}
	return nil
}

// Rights are to look at the target's pods, and to reach them through the API server where that is the way.
func (p *ProbePodHTTP) Rights(service jenner.Service, _ jenner.Target) ([]jenner.Right, error) {
	if p.Through == throughPod {
		return probeRights(service, p.Target, livingKinds, thePods)
	}
	return withPods(service, p.Target, "get", "proxy")
}
