// Package cluster is Jenner inside of Kubernetes: documents that are custom resources, their status, incidents and decisions
// that kubectl shows, the lease by which one of several Jenners acts, and the rights that all of it needs.
//
// It is for Jenner's own objects at the API server. It is not for the workloads that are observed, healed and broken: those
// are provider/kubernetes. What it writes for people is told as well as it can be and never holds up the line: where the API
// server is slow or away, it is dropped and counted.
package cluster

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jenner-heal/jenner"
)

// The names under which Jenner is known to an API server.
const (
	Group   = "jenner.dev"
	Version = "v1alpha1"
	manager = "jenner" // the field manager, and who events are by
)

// Connection is Jenner's own connection to the API server it runs at. It is safe for concurrent use.
type Connection struct {
	kubernetes.Interface
	Dynamic   dynamic.Interface
	Config    *rest.Config
	Namespace string // of the pod, or of the context
}

// Place says which API server is meant, as whom, and where on it Jenner lives.
type Place struct {
	Kubeconfig string // KUBECONFIG, ~/.kube/config or the pod's service account where empty
	Context    string // the kubeconfig's current one where empty
	Namespace  string // that of the context or of the pod where empty
	As         string // somebody else, whose rights are meant: system:serviceaccount:NAMESPACE:NAME
}

// How hard Jenner may ask for its own purposes. What it observes and heals has connections of its own.
const (
	queriesPerSecond = 20
	queriesBurst     = 40
)

// Connect makes a connection. Nothing is asked yet.
func Connect(place Place) (*Connection, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = place.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: place.Context})
	config, err := loader.ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, jenner.Permanent(errors.New("nobody says how the cluster is reached"),
			"set KUBECONFIG, write --kubeconfig, or run Jenner in a pod with a service account")
	case err != nil:
		return nil, jenner.Permanent(fmt.Errorf("the kubeconfig cannot be used: %w", err), "")
	}
	if place.Namespace == "" {
		if place.Namespace, _, err = loader.Namespace(); err != nil {
			return nil, jenner.Permanent(fmt.Errorf("the kubeconfig cannot be used: %w", err), "")
		}
	}
	if place.As != "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: place.As}
	}
	return newConnection(config, place.Namespace)
}

func newConnection(config *rest.Config, namespace string) (*Connection, error) {
	c := &Connection{Config: rest.CopyConfig(config), Namespace: namespace}
	c.Config.QPS, c.Config.Burst, c.Config.UserAgent = queriesPerSecond, queriesBurst, manager
	var err error
	if c.Interface, err = kubernetes.NewForConfig(c.Config); err != nil {
		return nil, fmt.Errorf("the cluster cannot be talked to: %w", err)
	}
	if c.Dynamic, err = dynamic.NewForConfig(c.Config); err != nil {
		return nil, fmt.Errorf("the cluster cannot be talked to: %w", err)
	}
	return c, nil
}

// Identity names this process among all Jenners: the pod's name, and something that a restart of its container changes.
func Identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "jenner"
	}
	return fmt.Sprintf("%s_%d_%s", strings.ToLower(host), os.Getpid(), random())
}
