package kubernetes

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Observer("jobs", "BackoffLimitExceeded, DeadlineExceeded and what else ends a Job, and RunningTooLong",
		func() telemetry.Observer { return &ObserverJobs{} }, kindJob)
}

// ObserverJobs tells of Jobs that failed, in Kubernetes' own word for why, and of those that run for longer than their
// target's longest says: RunningTooLong. A target is the Job of that name, or all Jobs of the CronJob of that name. That a
// Job failed is over when the Job is gone or is run anew, and for a CronJob's also when a later one was successful.
type ObserverJobs struct{}

// Observe watches until ctx ends.
func (*ObserverJobs) Observe(ctx context.Context, services []jenner.Service, sink telemetry.Sink) error {
	return observeRealms(ctx, realmsOf(services, []string{kindJob}, sink), sink, observeJobs)
}

// Reasons are the words for why Jobs fail.
func (*ObserverJobs) Reasons() []string {
	return []string{batchv1.JobReasonBackoffLimitExceeded, batchv1.JobReasonDeadlineExceeded, batchv1.JobReasonPodFailurePolicy,
		batchv1.JobReasonFailedIndexes, batchv1.JobReasonMaxFailedIndexesExceeded, reasonTooLong}
}

// Rights are to list and watch Jobs.
func (*ObserverJobs) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	return rightsOf(target, theJobs)
}

// observeJobs looks at all Jobs of one CronJob together: the later ones say whether the earlier ones matter.
func observeJobs(_ context.Context, v *view) {
	jobs := needs(v, theJobs, "", func(job *batchv1.Job) []string {
		var keys []string
		for _, one := range v.subjects {
			if one.isJob(job.Name) {
				keys = append(keys, one.Service+"/"+one.Target.Name)
			}
		}
		return keys
	})
	v.judge = func(key string, now time.Time) ([]jenner.Condition, time.Time) {
		var list []jenner.Condition
		var again time.Time
		for _, one := range v.subjects {
			if key != one.Service+"/"+one.Target.Name {
				continue
			}
			var theirs []*batchv1.Job
			for _, job := range cachedAll[*batchv1.Job](jobs) {
				if job.Namespace == v.namespace && one.isJob(job.Name) {
					theirs = append(theirs, job)
				}
			}
			states, next := jobFacts(theirs, one.target.Longest.Std(), now)
			for _, s := range states {
				list = append(list, s.of(one))
			}
			again = earlier(again, next)
		}
		return list, again
	}
}

// reasonTooLong is Jenner's own word: Kubernetes has none for a Job that may run for ever and does.
const reasonTooLong = "RunningTooLong"

// jobFacts are the conditions that hold of Jobs that do the same work one after the other. longest is how long one may
// run; zero: for ever.
func jobFacts(jobs []*batchv1.Job, longest time.Duration, now time.Time) (states []fact, again time.Time) {
	var healed time.Time // when the last one that was successful began
	for _, job := range jobs {
		if job.Status.CompletionTime != nil && job.Status.StartTime != nil && job.Status.StartTime.After(healed) {
			healed = job.Status.StartTime.Time
		}
	}
	for _, job := range jobs {
		if job.DeletionTimestamp != nil || job.Status.StartTime == nil {
			continue
		}
		started := job.Status.StartTime.Time
		s := fact{object: kindJob + "/" + job.Name, value: float64(job.Status.Failed)}
		failed := jobCondition(job, batchv1.JobFailed)
		switch {
		case failed != nil && !started.Before(healed):
			s.reason, s.since = failed.Reason, failed.LastTransitionTime.Time
			s.summary = fmt.Sprintf("job %s failed%s", job.Name, saying(shortened(failed.Message)))
		case failed != nil || job.Status.CompletionTime != nil || jobCondition(job, batchv1.JobSuspended) != nil || longest == 0:
			continue
		case now.Before(started.Add(longest)):
			again = earlier(again, started.Add(longest))
			continue
		default:
			s.reason, s.since = reasonTooLong, started.Add(longest)
			s.summary = fmt.Sprintf("job %s runs since %s, and may for %s", job.Name, started.UTC().Format(time.RFC3339), jenner.Duration(longest))
		}
		states = append(states, s)
	}
	return states, again
}

// jobCondition is the condition of that kind where it holds.
func jobCondition(job *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	for i, one := range job.Status.Conditions {
		if one.Type == kind && one.Status == corev1.ConditionTrue {
			return &job.Status.Conditions[i]
		}
	}
	return nil
}
