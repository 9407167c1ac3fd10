package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

var claimKinds = append(slices.Clone(havingPods), kindPVC)

func init() {
	Provider.Observer("claims", "ClaimPending and ClaimLost of PersistentVolumeClaims, and what keeps one from being made larger",
		func() telemetry.Observer { return &ObserverClaims{} }, claimKinds...)
}

// ObserverClaims tells of PersistentVolumeClaims that pods of a target use, and of those that are targets: ClaimPending
// where one has had no volume for half a minute, ClaimLost where its volume is gone, and the words of Kubernetes where it
// cannot be made larger. How full a volume is no API server knows; the kubelets do, so that is a rule: an alert on
// kubelet_volume_stats_available_bytes / kubelet_volume_stats_capacity_bytes.
type ObserverClaims struct{}

// Observe watches until ctx ends.
func (*ObserverClaims) Observe(ctx context.Context, services []jenner.Service, sink telemetry.Sink) error {
	return observeRealms(ctx, realmsOf(services, claimKinds, sink), sink, observeClaims)
}

// Reasons are the words for what claims suffer from.
func (*ObserverClaims) Reasons() []string {
	reasons := []string{reasonClaimPending, reasonClaimLost}
	for _, one := range resizeTroubles {
		reasons = append(reasons, string(one))
	}
	return reasons
}

// resizeTroubles are the conditions of claims that are bad where they hold.
var resizeTroubles = []corev1.PersistentVolumeClaimConditionType{corev1.PersistentVolumeClaimFileSystemResizePending,
	corev1.PersistentVolumeClaimControllerResizeError, corev1.PersistentVolumeClaimNodeResizeError}

// Rights are to list and watch claims, their warnings, and the pods that use them.
func (*ObserverClaims) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return rightsOf(target, theClaims, thePods, theClaimWarnings)
}

func observeClaims(_ context.Context, v *view) {
	claims := needs(v, theClaims, "", func(c *corev1.PersistentVolumeClaim) []string { return []string{c.Name} })
	pods := needs(v, thePods, "", claimsOf)
	warnings := adds(v, theClaimWarnings, "", func(e *corev1.Event) []string { return []string{e.InvolvedObject.Name} })
	v.judge = func(key string, now time.Time) ([]jenner.Condition, time.Time) {
		claim, found := cached[*corev1.PersistentVolumeClaim](claims, v.namespace, key)
		if !found {
			return nil, time.Time{}
		}
		about := cachedBy[*corev1.Event](warnings, byKeeper, keeperKey(v.namespace, keeper{"PersistentVolumeClaim", key}))
		states, again := claimFacts(claim, about, now)
		if len(states) == 0 {
			return nil, again
		}
		return v.conditions(states, func(one subject) bool { return one.uses(pods, key) }), again
	}
}

// claimsOf are the claims that a pod uses.
func claimsOf(pod *corev1.Pod) []string {
	var names []string
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim != nil {
			names = append(names, volume.PersistentVolumeClaim.ClaimName)
		}
	}
	return names
}

func (s subject) uses(pods *watched, claim string) bool {
	if s.Target.Kind == kindPVC {
		return s.target.Object == claim
	}
	return slices.ContainsFunc(s.theirs(pods), func(pod *corev1.Pod) bool { return slices.Contains(claimsOf(pod), claim) })
}

// The reasons that are told of claims. ClaimLost is the word of Kubernetes' events; for one that has no volume there are
// several, which the summary gives.
const (
	reasonClaimPending = "ClaimPending"
	reasonClaimLost    = "ClaimLost"
)

// claimPendingFor is how long a claim may have no volume: one is made when the first pod wants it.
const claimPendingFor = 30 * time.Second

func claimFacts(claim *corev1.PersistentVolumeClaim, warnings []*corev1.Event, now time.Time) (states []fact, again time.Time) {
	object := kindPVC + "/" + claim.Name
	switch claim.Status.Phase {
	case corev1.ClaimLost:
		states = append(states, fact{reason: reasonClaimLost, object: object, summary: fmt.Sprintf("the volume of pvc %s is gone", claim.Name)})
	case corev1.ClaimPending:
		if due := claim.CreationTimestamp.Add(claimPendingFor); now.Before(due) {
			return nil, due
		}
		newest, why := time.Time{}, ""
		for _, event := range warnings {
			if at, _ := lastOf(event); event.InvolvedObject.UID == claim.UID && at.After(newest) {
				newest, why = at, event.Reason+saying(event.Message)
			}
		}
		states = append(states, fact{reason: reasonClaimPending, object: object, since: claim.CreationTimestamp.Time,
			summary: fmt.Sprintf("pvc %s has no volume%s", claim.Name, saying(why))})
	}
	for _, one := range claim.Status.Conditions {
		if slices.Contains(resizeTroubles, one.Type) && one.Status == corev1.ConditionTrue {
			states = append(states, fact{reason: string(one.Type), object: object, since: one.LastTransitionTime.Time, severity: jenner.SeverityTicket,
				summary: fmt.Sprintf("pvc %s is not as large as it is to be%s", claim.Name, saying(shortened(one.Message)))})
		}
	}
	return states, again
}
