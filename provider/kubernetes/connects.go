package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/jenner-heal/jenner"
)

// The ways to a port of a pod.
const (
	wayDirect = "direct" // from this process
	wayServer = "server" // through the API server's proxy, which asks in HTTP whatever speaks there
)

// connectPatience is how long a connection may take to be accepted.
const connectPatience = time.Second

// waysThrough are the ways by the word that people write for them.
var waysThrough = map[string][]string{"": {wayDirect, wayServer}, throughPod: {wayDirect}, throughProxy: {wayServer}}

// wayTo finds a way on which all of the pods accept connections at present.
func (c *cluster) wayTo(ctx context.Context, through string, pods []corev1.Pod, port int32) (string, error) {
	var whys []error
	for _, way := range waysThrough[through] {
		why, err := c.refused(ctx, way, pods, port)
		if err == nil && why == "" {
			return way, nil
		}
		if err == nil {
			err = errors.New(why)
		}
		whys = append(whys, fmt.Errorf("%s: %w", way, err))
	}
	return "", jenner.Permanent(fmt.Errorf("port %d is not to be reached, so that nobody could see it cut off: %w", port, errors.Join(whys...)),
		"name a TCP port that the pods listen on")
}

// refused says which of the pods accepts no connection, and why; nothing where all of them do.
func (c *cluster) refused(ctx context.Context, way string, pods []corev1.Pod, port int32) (string, error) {
	for i := range pods {
		if why, err := c.connects(ctx, way, &pods[i], port); err != nil || why != "" {
			return "pod " + pods[i].Name + ": " + why, err
		}
	}
	return "", nil
}

// connects tries to connect to a pod. It says why it cannot; nothing where it can.
func (c *cluster) connects(ctx context.Context, way string, pod *corev1.Pod, port int32) (why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	if way == wayServer {
		return c.connectsThroughServer(ctx, pod, port)
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(port))))
	if err != nil {
		return err.Error(), nil
	}
	return "", connection.Close()
}

// unreached is how the API server's own answer begins where it cannot connect.
const unreached = "error trying to reach service: "

// connectsThroughServer lets the API server connect. Whatever the pod answers is an answer.
func (c *cluster) connectsThroughServer(ctx context.Context, pod *corev1.Pod, port int32) (string, error) {
	answer, err := c.CoreV1().RESTClient().Get().Namespace(pod.Namespace).Resource("pods").SubResource("proxy").
		Name(fmt.Sprintf("%s:%d", pod.Name, port)).MaxRetries(0).Do(ctx).Raw()
	switch {
	case err == nil:
		return "", nil
	case ctx.Err() != nil:
		return "no answer within " + connectPatience.String(), nil
	case apierrors.IsForbidden(err) && strings.Contains(string(answer), `"kind":"Status"`) && strings.Contains(string(answer), "pods/proxy"):
		// The server's own word, and not the pod's. The library's error does not hold it.
		said := apierrors.NewForbidden(corev1.Resource("pods/proxy"), pod.Name, errors.New("cannot get pods/proxy"))
		return "", told(said, "connecting to pod "+pod.Name+" through the API server")
	case strings.Contains(string(answer), unreached):
		_, why, _ := strings.Cut(string(answer), unreached)
		why, _, _ = strings.Cut(why, `"`)
		return why, nil
	}
	return "", nil
}
