package cluster

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jenner-heal/jenner"
)

// known are the kinds of targets that are objects of Kubernetes and can have events.
var known = map[string]struct {
	resource schema.GroupVersionResource
	kind     string
	global   bool // it has no namespace
}{
	"deployment":  {schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, "Deployment", false},
	"statefulset": {schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}, "StatefulSet", false},
	"daemonset":   {schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"}, "DaemonSet", false},
	"pod":         {schema.GroupVersionResource{Version: "v1", Resource: "pods"}, "Pod", false},
	"node":        {schema.GroupVersionResource{Version: "v1", Resource: "nodes"}, "Node", true},
	"job":         {schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}, "Job", false},
	"hpa":         {schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}, "HorizontalPodAutoscaler", false},
	"pvc":         {schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}, "PersistentVolumeClaim", false},
	"configmap":   {schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, "ConfigMap", false},
}

// regarding is what an event is about: the target, where it is an object of this cluster, else the service's custom resource,
// else the incident.
func (s *Show) regarding(ctx context.Context, h happening) (corev1.ObjectReference, error) {
	if service, ok := s.Docs().Service(h.service); ok {
		if target, has := service.TargetNamed(h.target.Name); has {
			if reference, ok := s.conn.target(ctx, target); ok {
				return reference, nil
			}
		}
	}
	if object, ok := s.watched.reference("Service", h.service); ok {
		return corev1.ObjectReference{APIVersion: object.GetAPIVersion(), Kind: object.GetKind(), Namespace: object.GetNamespace(),
			Name: object.GetName(), UID: object.GetUID()}, nil
	}
	reference := corev1.ObjectReference{APIVersion: Group + "/" + Version, Kind: incidents.name(), Namespace: s.conn.Namespace, Name: h.incident}
	object, err := s.incidentObjects().Get(ctx, h.incident, metav1.GetOptions{})
	if err != nil && !refused(err) {
		return reference, err
	}
	if err == nil {
		reference.UID = object.GetUID()
	}
	return reference, nil
}

// target finds the object of a target: its UID is what `kubectl describe` looks for. False: it is none of this cluster, or it
// cannot be read.
func (c *Connection) target(ctx context.Context, target jenner.Target) (corev1.ObjectReference, bool) {
	of, is := known[target.Kind]
	if !is || text(target, "kubeconfig") != "" || text(target, "context") != "" || text(target, "selector") != "" {
		return corev1.ObjectReference{}, false
	}
	reference := corev1.ObjectReference{APIVersion: of.resource.GroupVersion().String(), Kind: of.kind, Namespace: text(target, "namespace"),
		Name: text(target, "object")}
	if reference.Name == "" {
		reference.Name = target.Name
	}
	switch {
	case of.global:
		reference.Namespace = ""
	case reference.Namespace == "":
		reference.Namespace = c.Namespace
	}
	object, err := c.Dynamic.Resource(of.resource).Namespace(reference.Namespace).Get(ctx, reference.Name, metav1.GetOptions{})
	if err != nil {
		return reference, false
	}
	reference.UID = object.GetUID()
	return reference, true
}

func text(target jenner.Target, param string) string {
	var value string
	if json.Unmarshal(target.Params[param], &value) != nil {
		return ""
	}
	return value
}
