package kubernetes

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("wait_for_rollout", "Wait until all pods of a workload are of its newest template and serve", func() act.Action {
		return &WaitForRollout{Timeout: jenner.Duration(5 * time.Minute)}
	}, workloadKinds...)
}

// WaitForRollout watches a workload until its controller has seen the newest spec, all pods are of it and serve, and
// nothing of before is left. It fails at its timeout, and at once where the rollout goes no further by itself, with what
// is wrong with the pods.
type WaitForRollout struct {
	// Timeout is 5m where not said.
	Timeout jenner.Duration `json:"timeout,omitempty"`
	// StableFor is for how long it must stay so; once is enough where not said.
	StableFor jenner.Duration `json:"stable_for,omitempty"`
}

// rolledOut is the output.
type rolledOut struct {
	Replicas int32 `json:"replicas"`
	Updated  int32 `json:"updated"`
	Ready    int32 `json:"ready"`
}

// Validate checks the parameters.
func (w *WaitForRollout) Validate() error {
	if w.StableFor > w.Timeout && w.Timeout != 0 {
		return fmt.Errorf("stable_for %s is longer than timeout %s", w.StableFor, w.Timeout)
	}
	return nil
}

// ReadOnly marks that nothing is changed.
func (*WaitForRollout) ReadOnly() {}

// Do waits.
func (w *WaitForRollout) Do(ctx context.Context, call act.Call) (act.Result, error) {
	t, c, err := reach(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	r, err := c.awaitRollout(ctx, t, w.Timeout.Or(5*time.Minute), w.StableFor.Std(), call.Host.Progress)
	return act.Result{Summary: fmt.Sprintf("%s has settled: %s", t, r), Output: rolledOut{r.Replicas, r.Updated, r.Ready}}, err
}

// Rights are to read the workload and its pods.
func (*WaitForRollout) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	return append(t.rights("get"), t.right("list", "", "pods")), nil
}
