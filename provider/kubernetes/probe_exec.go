package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("exec", "Does a command inside a pod end with exit code 0?", func() telemetry.Probe { return &ProbeExec{} })
}

// ProbeExec runs a command inside the pod of the target that has been ready for longest, or in every ready pod. Exit code 0
// is OK, any other is failed; a command that is not there, too. What it writes to its standard output in one pod is its
// answer, without blanks around it, the first 16 KiB. Where no pod is ready there is nobody to ask, which is failed.
//
// A command that does not end is left behind in the pod: an API server cannot end it. Let it have a time limit of its own.
type ProbeExec struct {
	// Target is the name of the service's target; the only one of the kinds that have pods where not said.
	Target string `json:"target,omitempty"`
	// Command is the program and its arguments, each as it stands: there is no shell.
	Command []string `json:"command"`
	// Container is the container's name; the pod's first where not said.
	Container string `json:"container,omitempty"`
	// EveryPod asks all ready pods.
	EveryPod bool `json:"every_pod,omitempty"`
}

// Validate checks the parameters.
func (p *ProbeExec) Validate() error {
	if len(p.Command) == 0 || p.Command[0] == "" {
		return errors.New(`command is empty; write the program and its arguments as a list, such as ["/bin/check", "-q"]`)
	}
	return nil
}

// Probe runs the command once.
func (p *ProbeExec) Probe(ctx context.Context, call telemetry.ProbeCall) telemetry.Result {
	of, err := about(call.Service, p.Target, livingKinds)
	if err != nil {
		return unasked(err)
	}
	pods, err := of.readyPods(ctx)
	if err != nil {
		return answer(ctx, err)
	}
	if !p.EveryPod {
		pods = pods[:1]
	}
	var said string
	for _, pod := range pods {
		if said, err = p.in(ctx, of, pod); err != nil {
			break
		}
	}
	result := answer(ctx, err)
	if result.Outcome == telemetry.OK && len(pods) == 1 {
		result.Answer = said
	}
	return result
}

// readyPods are the pods that serve, the one that has been ready for longest first; an error where there is none.
func (a asked) readyPods(ctx context.Context) ([]*corev1.Pod, error) {
	pods, err := a.itsPods(ctx)
	if err != nil {
		return nil, err
	}
	ready := slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool { return !podReady(p) })
	if len(ready) == 0 {
		return nil, noneReady(a, pods)
	}
	slices.SortStableFunc(ready, func(a, b *corev1.Pod) int { return servesSince(a).Compare(servesSince(b)) })
	return ready, nil
}

func noneReady(of asked, pods []*corev1.Pod) error {
	if len(pods) == 0 {
		return fmt.Errorf("%s has no pod", of.Target)
	}
	return fmt.Errorf("none of the %d pods of %s is ready: %s", len(pods), of.Target, troublesOf(pods))
}

// execAnswer is how much of an answer is kept, in bytes.
const execAnswer = 16 << 10

func (p *ProbeExec) in(ctx context.Context, of asked, pod *corev1.Pod) (said string, err error) {
	container := p.Container
	if container == "" && len(pod.Spec.Containers) > 0 {
		container = pod.Spec.Containers[0].Name
	}
	request := of.cluster.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: container, Command: p.Command, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	stream, err := remotecommand.NewSPDYExecutor(of.cluster.config, http.MethodPost, request.URL())
	if err != nil {
		return "", jenner.Permanent(err, "")
	}
	var out, problems head
	err = stream.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &out, Stderr: &problems})
	var code exec.CodeExitError
	switch {
	case err == nil:
		return strings.TrimSpace(out.String()), nil
	case errors.As(err, &code):
		return "", fmt.Errorf("%s in pod %s ended with exit code %d%s", p.Command[0], pod.Name, code.Code, saying(shortened(problems.String()+out.String())))
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s in pod %s: %w", p.Command[0], pod.Name, err)
	case strings.Contains(err.Error(), "container"), strings.Contains(err.Error(), "exec failed"):
		return "", fmt.Errorf("%s cannot be run in pod %s: %w", p.Command[0], pod.Name, err)
	}
	return "", told(err, fmt.Sprintf("running %s in pod %s/%s", p.Command[0], pod.Namespace, pod.Name))
}

// head keeps the beginning of what is written to it.
type head struct{ bytes.Buffer }

// Write never fails.
func (h *head) Write(p []byte) (int, error) {
	_, _ = h.Buffer.Write(p[:min(len(p), max(0, execAnswer-h.Len()))])
	return len(p), nil
}

// Rights are to look at the target's pods and to run commands in them.
func (p *ProbeExec) Rights(service jenner.Service, _ jenner.Target) ([]jenner.Right, error) {
	return withPods(service, p.Target, "create", "exec")
}

// withPods are the rights to look at pods and to reach into them by a subresource.
func withPods(service jenner.Service, name, verb, subresource string) ([]jenner.Right, error) {
	rights, err := probeRights(service, name, livingKinds, thePods)
	if err != nil {
		return nil, err
	}
	for _, one := range slices.Clone(rights) {
		if one.Verb == "list" && one.Resource == thePods.name {
			one.Verb, one.Resource = verb, thePods.name+"/"+subresource
			rights = append(rights, one)
		}
	}
	return rights, nil
}
