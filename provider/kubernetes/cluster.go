package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jenner-heal/jenner"
)

// cluster is the connection to one API server, shared by everything that asks it. It is safe for concurrent use.
type cluster struct {
	kubernetes.Interface
	dynamic   dynamic.Interface
	config    *rest.Config
	namespace string // of the context
	asked     *atomic.Int64
}

// How hard one API server may be asked, and how long one question may take where its context does not say.
const (
	queriesPerSecond = 50
	queriesBurst     = 100
	queryPatience    = 30 * time.Second
)

// clusters are the connections by kubeconfig and context. They live as long as the process: the file of a context is read
// once, but tokens and certificates that it names are read again by the library when they change.
var clusters struct {
	sync.Mutex
	known map[[2]string]*cluster
}

// connect gives the connection to a cluster. Nothing is asked yet.
func connect(kubeconfig, named string) (*cluster, error) {
	clusters.Lock()
	defer clusters.Unlock()
	key := [2]string{kubeconfig, named}
	if known := clusters.known[key]; known != nil {
		return known, nil
	}
	config, namespace, err := configOf(kubeconfig, named)
	if err != nil {
		return nil, err
	}
	made, err := newCluster(config, namespace)
	if err != nil {
		return nil, err
	}
	if clusters.known == nil {
		clusters.known = map[[2]string]*cluster{}
	}
	clusters.known[key] = made
	return made, nil
}

func newCluster(config *rest.Config, namespace string) (*cluster, error) {
	c := &cluster{namespace: namespace, asked: &atomic.Int64{}}
	config = rest.CopyConfig(config)
	config.QPS, config.Burst, config.UserAgent = queriesPerSecond, queriesBurst, fieldManager
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return counting{next, c.asked} })
	var err error
	if c.Interface, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("the cluster cannot be talked to: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("the cluster cannot be talked to: %w", err)
	}
	c.config = config
	return c, nil
}

func configOf(kubeconfig, named string) (*rest.Config, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: named})
	config, err := loader.ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, "", errNoCluster
	case err != nil:
		return nil, "", fmt.Errorf("the kubeconfig cannot be used: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("the kubeconfig cannot be used: %w", err)
	}
	return config, namespace, nil
}

// counting counts the questions that are put to an API server.
type counting struct {
	next  http.RoundTripper
	asked *atomic.Int64
}

func (c counting) RoundTrip(request *http.Request) (*http.Response, error) {
	c.asked.Add(1)
	return c.next.RoundTrip(request)
}

// WrappedRoundTripper lets the library close idle connections.
func (c counting) WrappedRoundTripper() http.RoundTripper { return c.next }

// told makes an error of the API server one that says what happens next: busy and unreachable servers may be asked again,
// a conflict means that somebody else was faster, and a missing right is for people.
func told(err error, doing string) error {
	if err == nil {
		return nil
	}
	wrapped := fmt.Errorf("%s: %w", doing, err)
	var already *jenner.Error
	switch {
	case errors.As(err, &already):
		return wrapped
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return jenner.Permanent(wrapped, "give Jenner's service account this right: `jenner rbac` prints what the files need")
	case apierrors.IsConflict(err):
		return jenner.Retryable(wrapped, "somebody else changed it at the same time")
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(err.Error(), "would exceed context deadline"): // as the library's limiter says it
		return jenner.Retryable(wrapped, "")
	case apierrors.IsTooManyRequests(err), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsServiceUnavailable(err),
		apierrors.IsInternalError(err), utilnet.IsConnectionRefused(err), utilnet.IsConnectionReset(err), utilnet.IsTimeout(err):
		return jenner.Retryable(wrapped, "")
	}
	return jenner.Permanent(wrapped, "")
}
