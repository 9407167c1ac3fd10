package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("workload", "Are enough pods of a workload ready, and have been for long enough?",
		func() telemetry.Probe { return &ProbeWorkload{} })
}

// ProbeWorkload asks whether enough pods of a Deployment, a StatefulSet, a DaemonSet or a selector are ready, with at_most,
// whether there are not too many of them, and, with stable_for, whether none of them was restarted and enough of them have
// been ready for that long.
type ProbeWorkload struct {
	// Target is the name of the service's target; the only one of these kinds where not said.
	Target string `json:"target,omitempty"`
	// MinReady is how many pods must be ready, as a count or a share of those that are wanted; all of them where not said.
	// A share rounds down, but never below one.
	MinReady *jenner.Limit `json:"min_ready,omitempty"`
	// AtMost is how many pods there may be, ready or not, before they cost more than was agreed; any number where not said.
	AtMost int `json:"at_most,omitempty"`
	// StableFor is for how long that must have been so without a restart; zero: since a moment is enough.
	StableFor jenner.Duration `json:"stable_for,omitempty"`

	waiter waiter
}

// Validate checks the parameters.
func (p *ProbeWorkload) Validate() error {
	if m := p.MinReady; m != nil && (m.Share != nil && m.Count != nil || m.Count != nil && *m.Count == 0) {
		return errors.New("min_ready is no minimum; write a count such as 2, or a share such as 80%")
	}
	if p.AtMost < 0 {
		return fmt.Errorf("at_most is %d; write a number of pods", p.AtMost)
	}
	return nil
}

// Probe looks once.
func (p *ProbeWorkload) Probe(ctx context.Context, call telemetry.ProbeCall) telemetry.Result {
	of, err := about(call.Service, p.Target, livingKinds)
	if err != nil {
		return unasked(err)
	}
	p.waiter.note(of, thePods, of.podKey())
	pods, err := of.itsPods(ctx)
	wants := len(pods)
	if err == nil && of.Target.Kind != kindPod {
		var w workload
		w, err = of.itself(ctx)
		wants = int(w.Replicas)
	}
	if err == nil {
		err = p.judge(of.Target, pods, wants, time.Now())
	}
	return answer(ctx, err)
}

// judge says what is not as it is to be.
func (p *ProbeWorkload) judge(target jenner.TargetRef, pods []*corev1.Pod, wants int, now time.Time) error {
	need := p.need(wants)
	ready, since := 0, 0
	var restarted []string
	for _, pod := range pods {
		if !podReady(pod) {
			continue
		}
		ready++
		if now.Sub(servesSince(pod)) >= p.StableFor.Std() {
			since++
		}
		if last := lastRestart(pod); p.StableFor > 0 && now.Sub(last) < p.StableFor.Std() {
			restarted = append(restarted, fmt.Sprintf("%s was restarted %s ago", pod.Name, jenner.Duration(now.Sub(last).Round(time.Second))))
		}
	}
	switch {
	case wants == 0 && target.Kind == kindPod:
		return fmt.Errorf("%s has no pod", target)
	case wants == 0:
		return fmt.Errorf("%s is to have no pods at all", target)
	case ready < need:
		text := fmt.Sprintf("%d pods of %s are ready, of %d at least %d must be", ready, target, wants, need)
		if troubles := troublesOf(pods); troubles != "" {
			text += ": " + troubles
		}
		return errors.New(text)
	case p.AtMost > 0 && len(pods) > p.AtMost:
		return fmt.Errorf("%s has %d pods, and %d are the most that there may be", target, len(pods), p.AtMost)
	case len(restarted) > 0:
		return fmt.Errorf("%s is not stable: %s", target, strings.Join(restarted, "; "))
	case since < need:
		return fmt.Errorf("%s is not stable: %d pods have been ready for %s, at least %d must have been", target, since, p.StableFor, need)
	}
	return nil
}

func (p *ProbeWorkload) need(wants int) int {
	switch {
	case p.MinReady == nil:
		return wants
	case p.MinReady.Count != nil:
		return *p.MinReady.Count
	}
	return p.MinReady.Of(wants)
}

// servesSince is when a pod became ready; now where it is not known.
func servesSince(pod *corev1.Pod) time.Time {
	if ready := podCondition(pod, corev1.PodReady); ready != nil {
		return ready.LastTransitionTime.Time
	}
	return time.Now()
}

// lastRestart is when a container of the pod was last started again; zero where none was.
func lastRestart(pod *corev1.Pod) time.Time {
	var last time.Time
	for _, status := range pod.Status.ContainerStatuses {
		if running := status.State.Running; running != nil && status.RestartCount > 0 && running.StartedAt.After(last) {
			last = running.StartedAt.Time
		}
	}
	return last
}

// Watch blocks until something about the pods changes.
func (p *ProbeWorkload) Watch(ctx context.Context, call telemetry.ProbeCall) error {
	of, err := about(call.Service, p.Target, livingKinds)
	if err != nil {
		return err
	}
	return p.waiter.wait(ctx, of, thePods, of.podKey())
}

// Rights are to look at the workload and its pods.
func (p *ProbeWorkload) Rights(service jenner.Service, _ jenner.Target) ([]jenner.Right, error) {
	return probeRights(service, p.Target, livingKinds, thePods)
}
