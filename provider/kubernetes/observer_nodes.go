package kubernetes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

var nodeObserverKinds = append(slices.Clone(havingPods), kindNode)

func init() {
	Provider.Observer("nodes", "NodeNotReady, MemoryPressure, DiskPressure, PIDPressure and NetworkUnavailable of the nodes that pods of a target run on, and of nodes that are targets",
		func() telemetry.Observer { return &ObserverNodes{} }, nodeObserverKinds...)
}

// ObserverNodes tells what Kubernetes says of nodes: to each target that has pods there, and to targets of kind node. Each
// condition is about one node, node/NAME, with the labels node and zone; its value is how many pods of the target are there.
type ObserverNodes struct{}

// Observe watches until ctx ends.
func (*ObserverNodes) Observe(ctx context.Context, services []jenner.Service, sink telemetry.Sink) error {
	return observeRealms(ctx, realmsOf(services, nodeObserverKinds, sink), sink, observeNodes)
}

// Reasons are the words for what nodes have.
func (*ObserverNodes) Reasons() []string {
	reasons := []string{reasonNodeNotReady}
	for _, one := range troubles {
		reasons = append(reasons, string(one))
	}
	return reasons
}

// Rights are to list and watch nodes, and the pods on them.
func (*ObserverNodes) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	if target.Kind == kindNode {
		return rightsOf(target, theNodes)
	}
	return rightsOf(target, theNodes, thePods)
}

func observeNodes(_ context.Context, v *view) {
	nodes := needs(v, theNodes, "", func(node *corev1.Node) []string { return []string{node.Name} })
	var pods *watched
	if v.namespace != "" {
		pods = needs(v, thePods, "", func(pod *corev1.Pod) []string { return []string{pod.Spec.NodeName} })
	}
	v.judge = func(key string, _ time.Time) ([]jenner.Condition, time.Time) {
		node, found := cached[*corev1.Node](nodes, "", key)
		if !found {
			return nil, time.Time{}
		}
		states := nodeFacts(node)
		if len(states) == 0 {
			return nil, time.Time{}
		}
		var list []jenner.Condition
		for _, one := range v.subjects {
			there, concerned := 0, one.Target.Kind == kindNode && one.target.Object == key
			if pods != nil {
				there = podsOn(pods, v.namespace, key, one)
				concerned = there > 0
			}
			if !concerned {
				continue
			}
			for _, s := range states {
				told := s.of(one)
				if pods != nil {
					told.Value, told.Summary = float64(there), fmt.Sprintf("%s; pods of %s there: %d", s.summary, one.Target, there)
				}
				list = append(list, told)
			}
		}
		return list, time.Time{}
	}
}

// podsOn counts the pods of a subject on a node that suffer from its trouble.
func podsOn(pods *watched, namespace, node string, one subject) int {
	there := 0
	for _, pod := range cachedBy[*corev1.Pod](pods, byNode, node) {
		if pod.Namespace == namespace && one.has(pod) && suffers(pod, one.Target.Kind) {
			there++
		}
	}
	return there
}

// suffers tells whether the trouble of its node is trouble for a pod's workload. One that has ended is none. One that is
// ending, as it does for as long as a node is away, is replaced elsewhere already, unless its name and its storage must be free
// first, as a StatefulSet has it.
func suffers(pod *corev1.Pod, kind string) bool {
	ended := pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
	return !ended && (pod.DeletionTimestamp == nil || kind == kindStatefulSet)
}

// reasonNodeNotReady is the word of Kubernetes' events for a node whose condition Ready does not hold.
const reasonNodeNotReady = "NodeNotReady"

// troubles are the conditions of nodes that are bad where they hold.
var troubles = []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure, corev1.NodeNetworkUnavailable}

// nodeFacts are the conditions that hold of a node. Of pressure somebody is told in the morning: Kubernetes itself takes
// pods from the node, and what comes of it is told of the pods.
func nodeFacts(node *corev1.Node) []fact {
	var states []fact
	labels := map[string]string{"node": node.Name}
	if zone := node.Labels[corev1.LabelTopologyZone]; zone != "" {
		labels["zone"] = zone
	}
	for _, one := range node.Status.Conditions {
		s := fact{object: "node/" + node.Name, since: one.LastTransitionTime.Time, labels: maps.Clone(labels)}
		switch {
		case one.Type == corev1.NodeReady && one.Status != corev1.ConditionTrue:
			s.reason, s.summary = reasonNodeNotReady, fmt.Sprintf("node %s is not ready%s", node.Name, saying(one.Reason+saying(one.Message)))
		case slices.Contains(troubles, one.Type) && one.Status == corev1.ConditionTrue:
			s.reason, s.summary = string(one.Type), fmt.Sprintf("node %s has %s%s", node.Name, one.Type, saying(one.Message))
			if one.Type != corev1.NodeNetworkUnavailable {
				s.severity = jenner.SeverityTicket
			}
		default:
			continue
		}
		states = append(states, s)
	}
	return states
}
