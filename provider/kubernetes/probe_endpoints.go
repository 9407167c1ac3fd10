package kubernetes

import (
	"context"
	"fmt"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("endpoints", "Has a Service enough endpoints that are ready?", func() telemetry.Probe { return &ProbeEndpoints{Min: 1} })
}

// ProbeEndpoints asks whether the Service of Kubernetes that leads to a target has endpoints that are ready: pods that get
// traffic. A pod may be ready and no endpoint, where the Service picks others.
type ProbeEndpoints struct {
	// Target is the name of the service's target, which says where the Service is; the only one of the kinds that have pods
	// where not said.
	Target string `json:"target,omitempty"`
	// Service is the name of the Service; that of the target's object where not said.
	Service string `json:"service,omitempty"`
	// Min is how many endpoints must be ready; 1 where not said.
	Min int `json:"min,omitempty"`

	waiter waiter
}

// Validate checks the parameters.
func (p *ProbeEndpoints) Validate() error {
	if p.Min < 1 {
		return fmt.Errorf("min is %d; write 1 or more", p.Min)
	}
	return nil
}

// Probe looks once.
func (p *ProbeEndpoints) Probe(ctx context.Context, call telemetry.ProbeCall) telemetry.Result {
	of, err := about(call.Service, p.Target, livingKinds)
	if err != nil {
		return unasked(err)
	}
	name := p.named(of)
	p.waiter.note(of, theSlices, of.target.Namespace+"/"+name)
	found, err := of.slices(ctx, name)
	if err == nil {
		err = p.judge(name, found)
	}
	return answer(ctx, err)
}

func (p *ProbeEndpoints) named(of asked) string {
	if p.Service != "" {
		return p.Service
	}
	return of.target.Object
}

func (p *ProbeEndpoints) judge(name string, found []*discoveryv1.EndpointSlice) error {
	all, ready := map[string]bool{}, map[string]bool{}
	for _, slice := range found {
		for i, endpoint := range slice.Endpoints {
			id := fmt.Sprintf("%s/%d", slice.Name, i)
			if endpoint.TargetRef != nil {
				id = string(endpoint.TargetRef.UID) // one pod may stand in several slices, one for each family of addresses
			}
			all[id] = true
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				ready[id] = true
			}
		}
	}
	switch {
	case len(found) == 0:
		return fmt.Errorf("service %s has no endpoints; is there one, and does it pick pods?", name)
	case len(ready) < p.Min:
		return fmt.Errorf("of %d endpoints of service %s %d are ready, at least %d must be", len(all), name, len(ready), p.Min)
	}
	return nil
}

func (a asked) slices(ctx context.Context, name string) ([]*discoveryv1.EndpointSlice, error) {
	if w := a.tower.peek(theSlices, a.realm.namespace); w != nil {
		return cachedBy[*discoveryv1.EndpointSlice](w, byLabel, a.target.Namespace+"/"+name), nil
	}
	list, err := a.cluster.DiscoveryV1().EndpointSlices(a.target.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.Set{discoveryv1.LabelServiceName: name}.String()})
	if err != nil {
		return nil, told(err, fmt.Sprintf("listing the endpoints of %s in %s", name, a.target.Namespace))
	}
	var found []*discoveryv1.EndpointSlice
	for i := range list.Items {
		found = append(found, &list.Items[i])
	}
	return found, nil
}

// Watch blocks until the endpoints change.
func (p *ProbeEndpoints) Watch(ctx context.Context, call telemetry.ProbeCall) error {
	of, err := about(call.Service, p.Target, livingKinds)
	if err != nil {
		return err
	}
	return p.waiter.wait(ctx, of, theSlices, of.target.Namespace+"/"+p.named(of))
}

// Rights are to look at the slices.
func (p *ProbeEndpoints) Rights(service jenner.Service, _ jenner.Target) ([]jenner.Right, error) {
	return onlyWatching(service, p.Target, theSlices)
}

// onlyWatching are the rights to list and watch a resource where the target is.
func onlyWatching(service jenner.Service, name string, r *watchable) ([]jenner.Right, error) {
	var rights []jenner.Right
	for _, target := range service.Targets {
		if name != "" && target.Name != name || !slices.Contains(livingKinds, target.Kind) {
			continue
		}
		t, err := decode(target)
		if err != nil {
			return nil, err
		}
		rights = append(rights, r.rights(t, "")...)
	}
	return rights, nil
}
