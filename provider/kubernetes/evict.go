package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
)

// podID is one pod, and not one of the same name that comes after it.
type podID struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid"`
	Node      string    `json:"node,omitempty"`
	Why       string    `json:"why,omitempty"` // it was chosen
}

func idOf(pod *corev1.Pod) podID {
	return podID{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Node: pod.Spec.NodeName, Why: podTrouble(pod)}
}

// ending is how pods are ended.
type ending struct {
	Grace    *int64 // seconds; the pod's own where nil
	Unasked  bool   // deleted, without asking the disruption budgets
	OnlySaid bool   // a dry run
}

// graceOf is a written grace period as the API has it. Zero is not said.
func graceOf(grace jenner.Duration) *int64 {
	if grace == 0 {
		return nil
	}
	seconds := int64((grace.Std() + time.Second - 1) / time.Second)
	return &seconds
}

// end asks for the end of exactly this pod. false where it is gone already.
func (c *cluster) end(ctx context.Context, pod podID, how ending) (bool, error) {
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}, GracePeriodSeconds: how.Grace}
	if how.OnlySaid {
		options.DryRun = []string{metav1.DryRunAll}
	}
	var err error
	doing := fmt.Sprintf("deleting pod %s/%s", pod.Namespace, pod.Name)
	if how.Unasked {
		err = c.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, options)
	} else {
		doing = fmt.Sprintf("evicting pod %s/%s", pod.Namespace, pod.Name)
		err = c.PolicyV1().Evictions(pod.Namespace).Evict(ctx, &policyv1.Eviction{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}, DeleteOptions: &options})
	}
	switch budget := budgetOf(err); {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err): // a conflict: another pod has the name by now
		return false, nil
	case budget != "":
		return false, &jenner.Error{Err: fmt.Errorf("%s: %w: %s", doing, errBudget, budget), Next: jenner.TryAgain}
	}
	return err == nil, told(err, doing)
}

// errBudget is why a pod is not ended now.
var errBudget = errors.New("a PodDisruptionBudget forbids it for now")

// budgetOf is what the API server says of the disruption budget that forbids an eviction; empty where it is not that.
func budgetOf(err error) string {
	var status apierrors.APIStatus
	if !apierrors.IsTooManyRequests(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return ""
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Type == policyv1.DisruptionBudgetCause {
			return strings.TrimSuffix(cause.Message, ".")
		}
	}
	return ""
}

// podState is what became of a pod.
type podState int

const (
	podThere  podState = iota
	podEnding          // it was asked to end, and has not yet
	podGone
)

// stateOf looks for exactly this pod.
func (c *cluster) stateOf(ctx context.Context, pod podID) (podState, error) {
	found, err := c.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return podGone, nil
	case err != nil:
		return podThere, told(err, fmt.Sprintf("reading pod %s/%s", pod.Namespace, pod.Name))
	case found.UID != pod.UID:
		return podGone, nil
	case found.DeletionTimestamp != nil:
		return podEnding, nil
	}
	return podThere, nil
}

// goneEvery is how often pods that were asked to end are looked for.
const goneEvery = 300 * time.Millisecond

// awaitGone waits until pods are gone.
func (c *cluster) awaitGone(ctx context.Context, pods []podID) error {
	tick := time.NewTicker(goneEvery)
	defer tick.Stop()
	for len(pods) > 0 {
		state, err := c.stateOf(ctx, pods[0])
		switch {
		case err != nil && ctx.Err() == nil && jenner.NextAfter(err) != jenner.TryAgain:
			return err
		case err == nil && state == podGone:
			pods = pods[1:]
			continue
		}
		select {
		case <-ctx.Done():
			return jenner.Permanent(fmt.Errorf("%d pods have not ended, pod %s/%s among them: %w", len(pods), pods[0].Namespace, pods[0].Name,
				context.Cause(ctx)), "")
		case <-tick.C:
		}
	}
	return nil
}
