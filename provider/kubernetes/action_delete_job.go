package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("delete_job", "Delete a Job that has ended, and its pods", func() act.Action { return &DeleteJob{} }, kindJob)
}

// DeleteJob deletes a Job, and its pods after it. One that still runs is refused, unless running says so. It has no undo:
// made anew, the Job would run again.
type DeleteJob struct {
	// Running deletes a Job that has not ended too.
	Running bool `json:"running,omitempty"`
}

// jobID is the checkpoint.
type jobID struct {
	Name string    `json:"name"`
	UID  types.UID `json:"uid"`
}

// Check refuses a Job that runs.
func (d *DeleteJob) Check(ctx context.Context, call act.Call) error {
	t, c, err := reach(call.Target)
	if err != nil {
		return err
	}
	job, err := c.job(ctx, t)
	if err != nil {
		return err
	}
	if end, _ := endOf(job); end == jobRuns && !d.Running {
		return jenner.Permanent(fmt.Errorf("%s has not ended, %d of its pods run", t, job.Status.Active), "say running: true if it is to be stopped")
	}
	return nil
}

// Checkpoint keeps which Job is meant.
func (d *DeleteJob) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	t, c, err := reach(call.Target)
	if err != nil {
		return nil, err
	}
	job, err := c.job(ctx, t)
	if err != nil {
		return nil, err
	}
	return jenner.Raw(jobID{job.Name, job.UID}), nil
}

// Happened is done where this Job is gone, or goes.
func (d *DeleteJob) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	kept, err := keptIn[jobID](call.Checkpoint)
	if err != nil {
		return act.HappenedUnknown, err
	}
	t, c, err := reach(call.Target)
	if err != nil {
		return act.HappenedUnknown, err
	}
	job, err := c.job(ctx, t)
	switch {
	case apierrors.IsNotFound(err):
		return act.HappenedDone, nil
	case err != nil:
		return act.HappenedUnknown, err
	case job.UID != kept.UID || job.DeletionTimestamp != nil:
		return act.HappenedDone, nil
	}
	return act.HappenedNot, nil
}

// Do deletes it.
func (d *DeleteJob) Do(ctx context.Context, call act.Call) (act.Result, error) {
	return d.do(ctx, call, false)
}

// DryRun asks the API server.
func (d *DeleteJob) DryRun(ctx context.Context, call act.Call) (act.Result, error) {
	return d.do(ctx, call, true)
}

func (d *DeleteJob) do(ctx context.Context, call act.Call, dry bool) (act.Result, error) {
	kept, err := keptIn[jobID](call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	t, c, err := reach(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	deleted, err := c.deleteJob(ctx, t.Namespace, kept.Name, kept.UID, dry)
	result := act.Result{Summary: fmt.Sprintf("%s is deleted", t), Changed: deleted, Output: kept}
	if err == nil && !deleted {
		result.Summary = fmt.Sprintf("%s is gone already", t)
	}
	return result, err
}

// Rights are to read and delete the Job.
func (*DeleteJob) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	return t.rights("get", "delete"), nil
}
