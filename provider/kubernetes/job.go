package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
)

// jobEnd is how a Job stands.
type jobEnd int

const (
	jobRuns jobEnd = iota
	jobDone
	jobFailed
)

// endOf tells how a Job stands, and why it failed.
func endOf(job *batchv1.Job) (jobEnd, string) {
	for _, condition := range job.Status.Conditions {
		if condition.Status != corev1.ConditionTrue {
			continue
		}
		switch condition.Type {
		case batchv1.JobComplete:
			return jobDone, ""
		case batchv1.JobFailed:
			return jobFailed, strings.TrimSpace(condition.Reason + " " + condition.Message)
		}
	}
	return jobRuns, ""
}

// unchained takes from a Job what ties its pods to it, so that a Job like it can be made.
func unchained(job *batchv1.Job) (map[string]string, batchv1.JobSpec) {
	spec := *job.Spec.DeepCopy()
	if spec.ManualSelector == nil || !*spec.ManualSelector {
		spec.Selector = nil
	}
	for _, key := range jobLabels {
		delete(spec.Template.Labels, key)
	}
	spec.Suspend = nil
	labels := map[string]string{}
	for key, value := range job.Labels {
		labels[key] = value
	}
	for _, key := range jobLabels {
		delete(labels, key)
	}
	return labels, spec
}

// jobLabels are those that the API server gives to the pods of a Job.
var jobLabels = []string{batchv1.ControllerUidLabel, batchv1.JobNameLabel, "controller-uid", "job-name"}

// nameFor is a name for what is made for a call: the same one each time the call is made, also after a crash.
func nameFor(prefix, key string) string {
	const most = 63 // of a label, which the pods of a Job carry its name in
	tail := "-" + jenner.Fingerprint(strings.TrimSuffix(key, "/undo"))[:8]
	return strings.TrimRight(prefix[:min(len(prefix), most-len(tail))], "-.") + tail
}

// jobEvery is how often a Job is looked at that is waited for.
const jobEvery = 500 * time.Millisecond

// errJobFailed is why a Job that was waited for is no success.
var errJobFailed = errors.New("it failed")

// awaitJob waits until a Job has ended. The error of one that failed holds the end of what it logged.
func (c *cluster) awaitJob(ctx context.Context, namespace, name string, progress func(string)) error {
	tick := time.NewTicker(jobEvery)
	defer tick.Stop()
	var said string
	for {
		job, err := c.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case err != nil && ctx.Err() == nil && jenner.NextAfter(told(err, "")) != jenner.TryAgain:
			return told(err, fmt.Sprintf("reading job %s/%s", namespace, name))
		case err != nil: // it may pass
		default:
			end, why := endOf(job)
			if end == jobDone {
				return nil
			}
			if end == jobFailed {
				return fmt.Errorf("job %s/%s: %w: %s%s", namespace, name, errJobFailed, why, c.lastWords(ctx, job))
			}
			if text := fmt.Sprintf("job %s: %d pods run, %d failed", name, job.Status.Active, job.Status.Failed); text != said && progress != nil {
				progress(text)
				said = text
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("job %s/%s has not ended: %w%s", namespace, name, context.Cause(ctx), c.lastWords(ctx, &batchv1.Job{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}))
		case <-tick.C:
		}
	}
}

// How much of what a Job logged is told.
const (
	lastLines = 20
	lastBytes = 4096
)

// lastWords is the end of what the newest pod of a Job logged, or why it did not even start.
func (c *cluster) lastWords(ctx context.Context, job *batchv1.Job) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), becausePatience)
	defer cancel()
	pods, err := c.CoreV1().Pods(job.Namespace).List(ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job.Name})
	if err != nil || len(pods.Items) == 0 {
		return ""
	}
	newest := pods.Items[0]
	for _, pod := range pods.Items[1:] {
		if pod.CreationTimestamp.After(newest.CreationTimestamp.Time) {
			newest = pod
		}
	}
	if why := podTrouble(&newest); why != "" && newest.Status.Phase == corev1.PodPending {
		return "; " + why
	}
	lines, bytes := int64(lastLines), int64(lastBytes)
	var words []string
	for _, container := range newest.Spec.Containers {
		raw, err := c.CoreV1().Pods(job.Namespace).GetLogs(newest.Name, &corev1.PodLogOptions{Container: container.Name, TailLines: &lines,
			LimitBytes: &bytes}).DoRaw(ctx)
		if text := strings.TrimSpace(string(raw)); err == nil && text != "" {
			words = append(words, fmt.Sprintf("%s logged: %s", container.Name, text))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "; " + strings.Join(words, "; ")
}

// deleteJob deletes exactly this Job, and its pods after it. false where it is gone already.
func (c *cluster) deleteJob(ctx context.Context, namespace, name string, uid types.UID, dry bool) (bool, error) {
	after := metav1.DeletePropagationBackground
	options := metav1.DeleteOptions{PropagationPolicy: &after, Preconditions: &metav1.Preconditions{UID: &uid}}
	if dry {
		options.DryRun = []string{metav1.DryRunAll}
	}
	err := c.BatchV1().Jobs(namespace).Delete(ctx, name, options)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return false, nil
	}
	return err == nil, told(err, fmt.Sprintf("deleting job %s/%s", namespace, name))
}

// job reads the Job that a target names.
func (c *cluster) job(ctx context.Context, t *Target) (*batchv1.Job, error) {
	job, err := c.BatchV1().Jobs(t.Namespace).Get(ctx, t.Object, metav1.GetOptions{})
	return job, told(err, "reading "+t.String())
}
