package kubernetes

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
)

// Release says how a fault that is a bad release comes to the pods.
type Release struct {
	// Container is the container that is changed; the only one where not said.
	Container string `json:"container,omitempty"`
	// AtOnce lets a Deployment end all its old pods before it makes new ones, so that the service is really down. Where not
	// set, its own strategy decides, which mostly keeps the old pods as long as no new one serves.
	AtOnce bool `json:"at_once,omitempty"`
	// MaxPods is how many pods the workload may have at most; 10 where not said.
	MaxPods int `json:"max_pods,omitempty"`
}

// Validate checks the cap.
func (r *Release) Validate() error { return (&Victims{MaxPods: r.MaxPods}).Validate() }

// container finds the container that is meant.
func (r *Release) container(w workload) (string, error) {
	names := make([]string, 0, len(w.Template.Spec.Containers))
	for _, container := range w.Template.Spec.Containers {
		if container.Name == r.Container {
			return r.Container, nil
		}
		names = append(names, container.Name)
	}
	if r.Container == "" && len(names) == 1 {
		return names[0], nil
	}
	return "", fmt.Errorf("container %q is none of its containers; they are %s", r.Container, strings.Join(names, ", "))
}

// pathOf is the path of a container in a workload.
func pathOf(container string) []string {
	return []string{"spec", "template", "spec", "containers", "name=" + container}
}

// with adds to the changes what lets them come at once.
func (r *Release) with(t *Target, changes ...delta) ([]delta, error) {
	if !r.AtOnce {
		return changes, nil
	}
	if t.ref.Kind != kindDeployment {
		return nil, fmt.Errorf("at_once is for deployments; a %s ends its pods one after the other", t.ref.Kind)
	}
	strategy, err := setting(appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}, "spec", "strategy")
	return append(changes, strategy), err
}
