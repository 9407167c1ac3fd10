package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

var autoscalerKinds = append(slices.Clone(workloadKinds), kindHPA)

func init() {
	Provider.Observer("autoscalers", "TooManyReplicas of a HorizontalPodAutoscaler at its maximum, and why one cannot scale",
		func() telemetry.Observer { return &ObserverAutoscalers{} }, autoscalerKinds...)
}

// ObserverAutoscalers tells what HorizontalPodAutoscalers say of themselves, to the workload that they scale and to targets
// of kind hpa: TooManyReplicas, where more would be needed than they may make, and FailedGetResourceMetric and its like,
// where they do not know what is needed. People are told of it in the morning, for nothing is broken by it alone.
type ObserverAutoscalers struct{}

// Observe watches until ctx ends.
func (*ObserverAutoscalers) Observe(ctx context.Context, services []jenner.Service, sink telemetry.Sink) error {
	return observeRealms(ctx, realmsOf(services, autoscalerKinds, sink), sink, observeAutoscalers)
}

// Reasons are the words for what autoscalers suffer from.
func (*ObserverAutoscalers) Reasons() []string {
	return []string{reasonTooMany, "FailedGetScale", "FailedUpdateScale", "FailedGetResourceMetric", "FailedGetContainerResourceMetric",
		"FailedGetPodsMetric", "FailedGetObjectMetric", "FailedGetExternalMetric", "InvalidSelector", "AmbiguousSelector", "InvalidMetricSourceType"}
}

// Rights are to list and watch the autoscalers.
func (*ObserverAutoscalers) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return rightsOf(target, theAutoscalers)
}

func observeAutoscalers(_ context.Context, v *view) {
	scalers := needs(v, theAutoscalers, "", func(h *autoscalingv2.HorizontalPodAutoscaler) []string { return []string{h.Name} })
	v.judge = func(key string, _ time.Time) ([]jenner.Condition, time.Time) {
		scaler, found := cached[*autoscalingv2.HorizontalPodAutoscaler](scalers, v.namespace, key)
		if !found {
			return nil, time.Time{}
		}
		return v.conditions(scalerFacts(scaler), func(one subject) bool { return isScaledBy(scaler, one) }), time.Time{}
	}
}

// isScaledBy tells whether the autoscaler is the subject, or scales it.
func isScaledBy(scaler *autoscalingv2.HorizontalPodAutoscaler, one subject) bool {
	if one.Target.Kind == kindHPA {
		return one.target.Object == scaler.Name
	}
	of := scaler.Spec.ScaleTargetRef
	return strings.EqualFold(of.Kind, one.Target.Kind) && of.Name == one.target.Object
}

// reasonTooMany is Kubernetes' word for more pods being needed than an autoscaler may make.
const reasonTooMany = "TooManyReplicas"

func scalerFacts(scaler *autoscalingv2.HorizontalPodAutoscaler) []fact {
	var states []fact
	for _, one := range scaler.Status.Conditions {
		s := fact{reason: one.Reason, object: kindHPA + "/" + scaler.Name, since: one.LastTransitionTime.Time,
			severity: jenner.SeverityTicket, value: float64(scaler.Status.CurrentReplicas)}
		switch {
		case one.Type == autoscalingv2.ScalingLimited && one.Status == corev1.ConditionTrue && one.Reason == reasonTooMany:
			s.summary = fmt.Sprintf("hpa %s is at its maximum of %d pods and would need more", scaler.Name, scaler.Spec.MaxReplicas)
		// One that scales to nothing on purpose is disabled, which is no trouble.
		case one.Type == autoscalingv2.ScalingActive && one.Status == corev1.ConditionFalse && one.Reason != "ScalingDisabled",
			one.Type == autoscalingv2.AbleToScale && one.Status == corev1.ConditionFalse:
			s.summary = fmt.Sprintf("hpa %s cannot scale%s", scaler.Name, saying(shortened(one.Message)))
		default:
			continue
		}
		states = append(states, s)
	}
	return states
}
