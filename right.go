package jenner

import (
	"cmp"
	"strings"
)

// Right is one thing that must be allowed to Jenner by the API server of a Kubernetes cluster, as its access control says
// it: this verb on this resource.
type Right struct {
	Verb     string `json:"verb"`            // get, list, watch, create, update, patch, delete
	Group    string `json:"group,omitempty"` // of the API; empty: the core group
	Resource string `json:"resource"`        // in the plural, with the subresource: deployments, deployments/scale, pods/eviction
	// Namespace is where; that of the connection where not said.
	Namespace string `json:"namespace,omitempty"`
	// Clusterwide says that the resource has no namespace, or that those of all namespaces are meant. Namespace is empty then.
	Clusterwide bool `json:"clusterwide,omitempty"`
	// Name is the one object that is meant; all of them where not said. Names of objects that are yet to be created, and of
	// those that are listed or watched, cannot be told to an API server: leave them out.
	Name string `json:"name,omitempty"`
	// Kubeconfig and Context say which cluster, as a target does; empty: the one that Jenner's own connection leads to.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	Context    string `json:"context,omitempty"`
}

// NeedsRights is the optional half of whatever asks an API server: of an action, a fault, a probe, a source, an observer
// and the parameters of a kind of target. It has its parameters when it is asked.
type NeedsRights interface {
	// Rights are all that it needs for the target, which belongs to the service: to do it, to take it back, to look before
	// and after. An observer is asked for each target that it is about, a probe or a source with no target but with the
	// service whose document it stands in. Nothing is asked of any server. Right.Namespace may be left empty where neither
	// the target nor the parameters say it. The error is that the target or the parameters cannot be read.
	Rights(service Service, target Target) ([]Right, error)
}

// String is `patch deployments.apps/checkout in shop`.
func (r Right) String() string {
	var text strings.Builder
	text.WriteString(r.Verb + " " + r.Resource)
	if r.Group != "" {
		text.WriteString("." + r.Group)
	}
	if r.Name != "" {
		text.WriteString("/" + r.Name)
	}
	switch {
	case r.Clusterwide:
		text.WriteString(" in the whole cluster")
	case r.Namespace != "":
		text.WriteString(" in " + r.Namespace)
	}
	return text.String()
}

// Compare orders rights by cluster, place, group, resource, name and verb.
func (r Right) Compare(other Right) int {
	wide := func(right Right) int {
		if right.Clusterwide {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(r.Kubeconfig, other.Kubeconfig), cmp.Compare(r.Context, other.Context), cmp.Compare(wide(r), wide(other)),
		cmp.Compare(r.Namespace, other.Namespace), cmp.Compare(r.Group, other.Group), cmp.Compare(r.Resource, other.Resource),
		cmp.Compare(r.Name, other.Name), cmp.Compare(r.Verb, other.Verb))
}
