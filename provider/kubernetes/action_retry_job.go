package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("retry_job", "Make a new Job like one that failed", func() act.Action { return &RetryJob{Suffix: "retry", Times: 3} }, kindJob)
}

// RetryJob makes a new Job from the spec of one that failed, with its labels and its owner, under a name that ends in the
// suffix and a word of its own. The failed one stays; take it away with delete_job. Not more than so many are made of one
// Job, and not while one of them runs. The undo deletes the new Job and its pods; what it did stays.
type RetryJob struct {
	// Suffix is put behind the name; retry where not said.
	Suffix string `json:"suffix,omitempty"`
	// Times is how often one Job is retried at most; 3 where not said.
	Times int `json:"times,omitempty"`
	// Wait is how long the new Job may take; where not said, nobody waits for it.
	Wait jenner.Duration `json:"wait,omitempty"`
}

// retryOf is the label of a new Job that holds the name of the first one.
const retryOf = "jenner.dev/retry-of"

// manual is the annotation by which a CronJob knows that a Job was not made on schedule.
const manual = "cronjob.kubernetes.io/instantiate"

// retriedJob is the checkpoint.
type retriedJob struct {
	Of  types.UID `json:"of"`
	New string    `json:"new"` // its name
}

// Validate checks the parameters.
func (r *RetryJob) Validate() error {
	if r.Times < 1 {
		return fmt.Errorf("times is %d; write 1 or more", r.Times)
	}
	if said := validation.IsDNS1123Label(r.Suffix); len(said) > 0 {
		return fmt.Errorf("suffix %q is no part of a name: %s", r.Suffix, said[0])
	}
	return nil
}

func firstOf(job *batchv1.Job) string {
	if first := job.Labels[retryOf]; first != "" {
		return first
	}
	return job.Name
}

// Check refuses a Job that has not failed, and one that was retried often enough or is being retried.
func (r *RetryJob) Check(ctx context.Context, call act.Call) error {
	t, c, err := reach(call.Target)
	if err != nil {
		return err
	}
	job, err := c.job(ctx, t)
	if err != nil {
		return err
	}
	if end, _ := endOf(job); end != jobFailed {
		return jenner.Permanent(fmt.Errorf("%s has not failed: %d pods run, %d succeeded", t, job.Status.Active, job.Status.Succeeded), "")
	}
	others, err := c.BatchV1().Jobs(t.Namespace).List(ctx, metav1.ListOptions{LabelSelector: retryOf + "=" + firstOf(job)})
	if err != nil {
		return told(err, fmt.Sprintf("listing the retries of %s", t))
	}
	count := 0
	for _, other := range others.Items {
		if other.Name == nameFor(t.Object+"-"+r.Suffix, call.Key) {
			continue // it is this very retry, which a crash came after
		}
		if end, _ := endOf(&other); end == jobRuns {
			return jenner.Permanent(fmt.Errorf("%s is being retried by job %s", t, other.Name), "")
		}
		count++
	}
	if count >= r.Times {
		return jenner.Permanent(fmt.Errorf("%s was retried %d times, and %d are the most", t, count, r.Times), "find out why it fails")
	}
	return nil
}

// Checkpoint keeps which Job failed, and the name of the new one.
func (r *RetryJob) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	t, c, err := reach(call.Target)
	if err != nil {
		return nil, err
	}
	job, err := c.job(ctx, t)
	if err != nil {
		return nil, err
	}
	return jenner.Raw(retriedJob{job.UID, nameFor(t.Object+"-"+r.Suffix, call.Key)}), nil
}

// made finds the new Job, or nil where there is none.
func (r *RetryJob) made(ctx context.Context, call act.Call) (*Target, *cluster, *batchv1.Job, error) {
	t, c, err := reach(call.Target)
	if err != nil {
		return nil, nil, nil, err
	}
	name := nameFor(t.Object+"-"+r.Suffix, call.Key)
	if len(call.Checkpoint) > 0 {
		kept, err := keptIn[retriedJob](call.Checkpoint)
		if err != nil {
			return nil, nil, nil, err
		}
		name = kept.New
	}
	job, err := c.BatchV1().Jobs(t.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return t, c, nil, nil
	}
	return t, c, job, told(err, fmt.Sprintf("reading job %s/%s", t.Namespace, name))
}

// Fingerprint is the new Job.
func (r *RetryJob) Fingerprint(ctx context.Context, call act.Call) (string, error) {
	_, _, job, err := r.made(ctx, call)
	if err != nil || job == nil || job.DeletionTimestamp != nil {
		return jenner.Fingerprint("none"), err
	}
	return jenner.Fingerprint(job.Name, string(job.UID)), nil
}

// Happened is done where the new Job is there.
func (r *RetryJob) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	_, _, job, err := r.made(ctx, call)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case job == nil:
		return act.HappenedNot, nil
	}
	return act.HappenedDone, nil
}

// Do makes the new Job.
func (r *RetryJob) Do(ctx context.Context, call act.Call) (act.Result, error) {
	result, err := r.create(ctx, call, false)
	if err != nil || r.Wait == 0 {
		return result, err
	}
	t, c, err := reach(call.Target)
	if err != nil {
		return result, err
	}
	patience, cancel := context.WithTimeoutCause(ctx, r.Wait.Std(), fmt.Errorf("not within %s", r.Wait))
	defer cancel()
	if err := c.awaitJob(patience, t.Namespace, result.Output.(retriedJob).New, call.Host.Progress); err != nil {
		return result, jenner.Permanent(err, "")
	}
	result.Summary += ", and it succeeded"
	return result, nil
}

// DryRun asks the API server.
func (r *RetryJob) DryRun(ctx context.Context, call act.Call) (act.Result, error) {
	return r.create(ctx, call, true)
}

func (r *RetryJob) create(ctx context.Context, call act.Call, dry bool) (act.Result, error) {
	kept, err := keptIn[retriedJob](call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	t, c, err := reach(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	failed, err := c.job(ctx, t)
	if err != nil {
		return act.Result{}, err
	}
	if failed.UID != kept.Of {
		return act.Result{}, jenner.Permanent(fmt.Errorf("%s is another one by now", t), "")
	}
	options := metav1.CreateOptions{FieldManager: fieldManager}
	if dry {
		options.DryRun = []string{metav1.DryRunAll}
	}
	_, err = c.BatchV1().Jobs(t.Namespace).Create(ctx, likeFailed(failed, kept.New, call.Key), options)
	result := act.Result{Summary: fmt.Sprintf("%s is done again by job %s", t, kept.New), Changed: true, Output: kept}
	if apierrors.IsAlreadyExists(err) { // made by this very call: the name is made of its key
		result.Changed, err = false, nil
	}
	return result, told(err, "making a job like "+t.String())
}

// likeFailed is the new Job.
func likeFailed(failed *batchv1.Job, name, key string) *batchv1.Job {
	labels, spec := unchained(failed)
	labels[retryOf] = firstOf(failed)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: failed.Namespace, Labels: labels, Annotations: map[string]string{lastAction: key},
		OwnerReferences: failed.OwnerReferences}, Spec: spec}
	if owner := metav1.GetControllerOf(failed); owner != nil && owner.Kind == "CronJob" {
		job.Annotations[manual] = "manual"
	}
	return job
}

// Undo deletes the new Job.
func (r *RetryJob) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	t, c, job, err := r.made(ctx, call)
	switch {
	case err != nil:
		return act.Result{}, err
	case job == nil || job.DeletionTimestamp != nil:
		return act.Result{Summary: fmt.Sprintf("the job that did %s again is gone", t)}, nil
	}
	deleted, err := c.deleteJob(ctx, job.Namespace, job.Name, job.UID, false)
	return act.Result{Summary: fmt.Sprintf("job %s is deleted; what it did stays", job.Name), Changed: deleted}, err
}

// Rights are to read, make and delete Jobs, and to read the logs of their pods.
func (r *RetryJob) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	var list []jenner.Right
	for _, verb := range []string{"get", "list", "create", "delete"} {
		list = append(list, t.right(verb, "batch", "jobs"))
	}
	if r.Wait != 0 {
		list = append(list, t.right("list", "", "pods"), t.right("get", "", "pods/log"))
	}
	return list, nil
}
