package kubernetes

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

// livingKinds are the kinds of targets that are to have pods at all times.
var livingKinds = append(slices.Clone(workloadKinds), kindPod)

func init() {
	Provider.Probe("alive", "Does at least one pod of the workload live?", func() telemetry.Probe { return &ProbeAlive{} }, livingKinds...)
}

// ProbeAlive asks whether at least one pod of the target lives: all of its containers run. One that runs and is not ready
// lives, as a process does that hangs; whether enough of them serve, the probe workload asks.
type ProbeAlive struct{ waiter waiter }

// Probe looks at the pods once.
func (p *ProbeAlive) Probe(ctx context.Context, call telemetry.ProbeCall) telemetry.Result {
	one, in, err := subjectOf(call.Service.Name, call.Target)
	if err != nil {
		return unasked(err)
	}
	of := asked{one, in}
	p.waiter.note(of, thePods, of.podKey())
	pods, err := of.itsPods(ctx)
	if err == nil && !slices.ContainsFunc(pods, podRuns) {
		err = noneRuns(of, pods)
	}
	return answer(ctx, err)
}

func noneRuns(of asked, pods []*corev1.Pod) error {
	if len(pods) == 0 {
		return fmt.Errorf("%s has no pod", of.Target)
	}
	return fmt.Errorf("none of the %d pods of %s runs: %s", len(pods), of.Target, troublesOf(pods))
}

// Watch blocks until something about the target's pods changes.
func (p *ProbeAlive) Watch(ctx context.Context, call telemetry.ProbeCall) error {
	one, in, err := subjectOf(call.Service.Name, call.Target)
	if err != nil {
		return err
	}
	of := asked{one, in}
	return p.waiter.wait(ctx, of, thePods, of.podKey())
}

// Rights are to look at the target's pods.
func (p *ProbeAlive) Rights(service jenner.Service, _ jenner.Target) ([]jenner.Right, error) {
	return probeRights(service, "", livingKinds, thePods)
}
