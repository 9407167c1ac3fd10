package kubernetes

import (
	"errors"
	"fmt"

	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	for kind, doc := range map[string]string{
		kindDeployment:  "A Deployment",
		kindStatefulSet: "A StatefulSet",
		kindDaemonSet:   "A DaemonSet",
		kindPod:         "A pod, or with a selector the pods that it picks",
		kindNode:        "A node",
		kindJob:         "A Job",
		kindHPA:         "A HorizontalPodAutoscaler",
		kindPVC:         "A PersistentVolumeClaim",
		kindConfigMap:   "A ConfigMap",
		kindSecret:      "A Secret, of which it is told when it was changed and when its certificate ends; what is in it is never kept",
		kindHelm:        "A release of Helm",
	} {
		Provider.Target(kind, doc, func() any { return &Target{} })
	}
}

// Target is an object of a cluster. A Target is not changed after it was decoded and may be read concurrently.
type Target struct {
	// Namespace is where the object lives; that of the context where not said, and of no meaning for a node.
	Namespace string `json:"namespace,omitempty"`
	// Object is the object's own name; the name of the target where not said.
	Object string `json:"object,omitempty"`
	// Selector picks pods by labels, for targets of kind pod: `app=checkout`.
	Selector string `json:"selector,omitempty"`
	// Kubeconfig is the file that says how the cluster is reached; where not said, KUBECONFIG, ~/.kube/config, or the pod
	// that Jenner itself runs in. A relative path starts from the folder of the file that declares the target.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// Longest is how long a Job may run, for targets of kind job; for ever where not said.
	Longest jenner.Duration `json:"longest,omitempty"`
	// Desired is a file with manifests, of which the one of this object says how it is to be: where the object differs in a
	// field that stands there, that is told. A relative path starts from the folder of the file that declares the target.
	Desired string `json:"desired,omitempty"`
	// Revision reads the manifest as it is committed in the Git working copy that it lies in: HEAD, a branch, a commit. The
	// file itself where not said.
	Revision string `json:"revision,omitempty"`
	// Context is the context of the kubeconfig; its current one where not said.
	Context string `json:"context,omitempty"`

	ref jenner.TargetRef
}

// Validate checks what can be checked without asking the cluster.
func (t *Target) Validate() error {
	if t.Namespace != "" {
		if said := validation.ValidateNamespaceName(t.Namespace, false); len(said) > 0 {
			return fmt.Errorf("namespace %q is none: %s", t.Namespace, said[0])
		}
	}
	if t.Revision != "" && (t.Desired == "" || strings.HasPrefix(t.Revision, "-")) {
		return fmt.Errorf("revision %q is of no manifest; write desired as well, and a branch or a commit", t.Revision)
	}
	if _, err := labels.Parse(t.Selector); err != nil {
		return fmt.Errorf("selector %q cannot be read: %w; write it like app=checkout", t.Selector, err)
	}
	return nil
}

// decode reads a target's parameters.
func decode(written jenner.Target) (*Target, error) {
	if !slices.Contains(Provider.Kinds, written.Kind) {
		return nil, jenner.Permanent(fmt.Errorf("target %q is no object of Kubernetes", written.Ref()), "")
	}
	t := &Target{}
	if err := strict.Decode(written.Params, t); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", written.Ref(), err), "")
	}
	if err := t.Validate(); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", written.Ref(), err), "")
	}
	if t.Selector != "" && written.Kind != kindPod {
		return nil, jenner.Permanent(fmt.Errorf("target %s has a selector", written.Ref()), "only a target of kind pod may have one")
	}
	if t.Longest != 0 && written.Kind != kindJob {
		return nil, jenner.Permanent(fmt.Errorf("target %s has a longest time", written.Ref()), "only a target of kind job may have one")
	}
	if t.Object == "" {
		t.Object = written.Name
	}
	for _, path := range []*string{&t.Kubeconfig, &t.Desired} {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(written.Dir, *path)
		}
	}
	t.ref = written.Ref()
	return t, nil
}

// reach decodes a target and connects to its cluster. The Target's namespace is set from then on.
func reach(written jenner.Target) (*Target, *cluster, error) {
	t, err := decode(written)
	if err != nil {
		return nil, nil, err
	}
	c, err := connect(t.Kubeconfig, t.Context)
	if err != nil {
		return nil, nil, jenner.Permanent(fmt.Errorf("target %s: %w", t.ref, err), "")
	}
	if t.Namespace == "" {
		t.Namespace = c.namespace
	}
	return t, c, nil
}

var errNoCluster = errors.New("nobody says how the cluster is reached; write kubeconfig in the target, set KUBECONFIG, or run Jenner in a pod")
