package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
)

// The marks by which workloads say of which service they are. What stands in annotations may stand on any of its workloads.
const (
	LabelService          = "jenner.dev/service"     // the name of the service
	AnnotationDependsOn   = "jenner.dev/depends-on"  // a,b
	AnnotationOwner       = "jenner.dev/owner"       // the team that answers for it
	AnnotationTier        = "jenner.dev/tier"        // 1 matters most
	AnnotationEnvironment = "jenner.dev/environment" // production, staging …
	AnnotationDescription = "jenner.dev/description"
)

// labelled is a workload that says of which service it is.
type labelled struct {
	kind string
	metav1.ObjectMeta
}

// String is `deployment shop/checkout`.
func (m labelled) String() string { return m.kind + " " + m.Namespace + "/" + m.Name }

// Discover finds services by the label jenner.dev/service of Deployments, StatefulSets and DaemonSets: each of them is a
// target of the service that its label names, under its own name, or, where two have the same, as NAME.KIND or
// NAME.NAMESPACE. Annotations of the workloads say the rest; they may stand on any of a service's workloads, but no two may
// contradict each other. The services come by name, with all that is written in them in the same order each time.
//
// kubeconfig and contextName are those of a target: empty, they mean what the environment says. Without namespaces all of
// the cluster is looked through. Services that contradict themselves are left out; the error names all of them, beside those
// that are right. Another error means that nothing could be looked at. It may be called concurrently.
func Discover(ctx context.Context, kubeconfig, contextName string, namespaces []string) ([]jenner.Service, error) {
	c, err := connect(kubeconfig, contextName)
	if err != nil {
		return nil, jenner.Permanent(fmt.Errorf("services cannot be discovered: %w", err), "")
	}
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	var found []labelled
	for _, namespace := range namespaces {
		more, err := c.labelled(ctx, namespace)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	reaches := jenner.Params{}
	if kubeconfig != "" {
		reaches["kubeconfig"] = jenner.Raw(kubeconfig)
	}
	if contextName != "" {
		reaches["context"] = jenner.Raw(contextName)
	}
	return servicesOf(found, reaches)
}

// labelled lists the workloads of a namespace that have the label.
func (c *cluster) labelled(ctx context.Context, namespace string) ([]labelled, error) {
	var found []labelled
	having := metav1.ListOptions{LabelSelector: LabelService}
	deployments, err := c.AppsV1().Deployments(namespace).List(ctx, having)
	if err != nil {
		return nil, told(err, "discovering services among the deployments")
	}
	for _, one := range deployments.Items {
		found = append(found, labelled{kindDeployment, one.ObjectMeta})
	}
	sets, err := c.AppsV1().StatefulSets(namespace).List(ctx, having)
	if err != nil {
		return nil, told(err, "discovering services among the statefulsets")
	}
	for _, one := range sets.Items {
		found = append(found, labelled{kindStatefulSet, one.ObjectMeta})
	}
	daemons, err := c.AppsV1().DaemonSets(namespace).List(ctx, having)
	if err != nil {
		return nil, told(err, "discovering services among the daemonsets")
	}
	for _, one := range daemons.Items {
		found = append(found, labelled{kindDaemonSet, one.ObjectMeta})
	}
	return found, nil
}

// servicesOf puts the workloads of each service together. reaches are the parameters that say where the cluster is.
func servicesOf(found []labelled, reaches jenner.Params) ([]jenner.Service, error) {
	slices.SortFunc(found, func(a, b labelled) int {
		return cmp.Or(cmp.Compare(a.Labels[LabelService], b.Labels[LabelService]), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.kind, b.kind))
	})
	var services []jenner.Service
	var wrong []error
	for len(found) > 0 {
		name := found[0].Labels[LabelService]
		end := slices.IndexFunc(found, func(m labelled) bool { return m.Labels[LabelService] != name })
		if end < 0 {
			end = len(found)
		}
		service, err := serviceOf(name, found[:end], reaches)
		if err != nil {
			wrong = append(wrong, err)
		} else {
			services = append(services, service)
		}
		found = found[end:]
	}
	if err := errors.Join(wrong...); err != nil {
		return services, jenner.ForHuman(err, "correct the annotations")
	}
	return services, nil
}

func serviceOf(name string, workloads []labelled, reaches jenner.Params) (jenner.Service, error) {
	service := jenner.Service{Name: name}
	if name == "" {
		return service, fmt.Errorf("the label %s of %s is empty", LabelService, workloads[0])
	}
	said := map[string]string{}
	by := map[string]labelled{}
	for _, one := range workloads {
		for _, annotation := range []string{AnnotationOwner, AnnotationTier, AnnotationEnvironment, AnnotationDescription} {
			value := strings.TrimSpace(one.Annotations[annotation])
			if value == "" {
				continue
			}
			if before, twice := said[annotation]; twice && before != value {
				return service, fmt.Errorf("service %s: %s is %q on %s and %q on %s", name, annotation, before, by[annotation], value, one)
			}
			said[annotation], by[annotation] = value, one
		}
		for dependency := range strings.SplitSeq(one.Annotations[AnnotationDependsOn], ",") {
			if dependency = strings.TrimSpace(dependency); dependency != "" && !slices.Contains(service.DependsOn, dependency) {
				service.DependsOn = append(service.DependsOn, dependency)
			}
		}
		service.Targets = append(service.Targets, targetOf(one, workloads, reaches))
	}
	slices.Sort(service.DependsOn)
	service.Owner, service.Environment, service.Description = said[AnnotationOwner], said[AnnotationEnvironment], said[AnnotationDescription]
	if tier := said[AnnotationTier]; tier != "" {
		number, err := strconv.Atoi(tier)
		if err != nil || number < 1 {
			return service, fmt.Errorf("service %s: %s is %q on %s; write 1 or more", name, AnnotationTier, tier, by[AnnotationTier])
		}
		service.Tier = number
	}
	return service, nil
}

// targetOf is the target that a workload is. Where it shares its name with others of the service, what differs is added.
func targetOf(one labelled, all []labelled, reaches jenner.Params) jenner.Target {
	target := jenner.Target{Kind: one.kind, Name: one.Name, Params: jenner.Params{"namespace": jenner.Raw(one.Namespace), "object": jenner.Raw(one.Name)}}
	for key, value := range reaches {
		target.Params[key] = value
	}
	kind, namespace := false, false
	for _, other := range all {
		if other.Name == one.Name {
			kind = kind || other.kind != one.kind
			namespace = namespace || other.Namespace != one.Namespace
		}
	}
	if kind {
		target.Name += "." + one.kind
	}
	if namespace {
		target.Name += "." + one.Namespace
	}
	return target
}
