package kubernetes

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jenner-heal/jenner"
)

// The reasons that are told of pods, in the words of Kubernetes. Besides these, a container that waits for another reason
// than to be created, and a pod that failed as a whole, are told in the word that Kubernetes gives.
const (
	reasonCrashLoop     = "CrashLoopBackOff"
	reasonOOMKilled     = "OOMKilled"
	reasonImagePull     = "ImagePullBackOff"
	reasonUnhealthy     = "Unhealthy"
	reasonUnschedulable = corev1.PodReasonUnschedulable
	reasonPending       = string(corev1.PodPending)
)

// How long states must last, and how long they are told after they were seen.
const (
	// calmFor is how long a container must have been ready until what it went through is over: between two crashes, and
	// after being killed for its memory, it looks well for a moment.
	calmFor = time.Minute
	// backedOff is how long a container was kept from starting at least, where it was kept at all.
	backedOff = 5 * time.Second
	// unschedulableFor gives the scheduler, and whatever adds nodes, a moment.
	unschedulableFor = 5 * time.Second
	// pendingFor is how long a pod that was given a node may take to start its containers.
	pendingFor = 2 * time.Minute
	// unreadyFor is how long a container that was never ready since it started may take at least.
	unreadyFor = time.Minute
	// warningFor is how long a failed liveness check is told after the last one.
	warningFor = time.Minute
	// failedFor is how long it is told that a pod has failed as a whole, which others have replaced.
	failedFor = 10 * time.Minute
)

// podLook is one look at a pod.
type podLook struct {
	pod *corev1.Pod
	// warnings are the events of failing checks about it.
	warnings []*corev1.Event
	// since is when a reason began to be told of it; zero where it is not.
	since func(reason string) time.Time
	now   time.Time

	states []fact
	again  time.Time
}

// podFacts are the conditions that hold of a pod, and when to look again though nothing changes. A pod that is being
// deleted or has done its work has none. The labels are for the caller to add to.
func podFacts(look podLook) ([]fact, time.Time) {
	pod := look.pod
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded {
		return nil, time.Time{}
	}
	if pod.Status.Phase == corev1.PodFailed {
		look.failed()
		return look.states, look.again
	}
	for _, status := range pod.Status.InitContainerStatuses {
		look.container(status)
	}
	for _, status := range pod.Status.ContainerStatuses {
		look.container(status)
	}
	for i := range pod.Status.ContainerStatuses {
		look.unhealthy(pod.Status.ContainerStatuses[i])
	}
	look.placed()
	return look.states, look.again
}

func (l *podLook) add(reason string, since time.Time, restarts int32, container, text string, about ...any) {
	one := fact{reason: reason, object: "pod/" + l.pod.Name, since: since, summary: fmt.Sprintf(text, about...), value: float64(restarts)}
	if container != "" {
		one.labels = map[string]string{"container": container}
	}
	l.states = append(l.states, one)
}

// until adds a state that ends by itself, unless it has ended already.
func (l *podLook) until(end time.Time, add func()) {
	if l.now.Before(end) {
		l.again = earlier(l.again, end)
		add()
	}
}

// after adds a state that must last until a time, unless it has not lasted yet.
func (l *podLook) after(begin time.Time, add func()) {
	if l.now.Before(begin) {
		l.again = earlier(l.again, begin)
		return
	}
	add()
}

func (l *podLook) container(status corev1.ContainerStatus) {
	l.waiting(status)
	l.crashLoop(status)
	l.oomKilled(status)
}

// waiting tells why a container does not start. ErrImagePull and ImagePullBackOff take turns while an image cannot be had,
// so both are told in the second word.
func (l *podLook) waiting(status corev1.ContainerStatus) {
	waiting := status.State.Waiting
	if waiting == nil {
		return
	}
	switch waiting.Reason {
	case "", "ContainerCreating", "PodInitializing", reasonCrashLoop:
	case reasonImagePull, "ErrImagePull":
		l.add(reasonImagePull, time.Time{}, status.RestartCount, status.Name, "the image of container %s of pod %s cannot be pulled%s",
			status.Name, l.pod.Name, saying(waiting.Message))
	default:
		l.add(waiting.Reason, time.Time{}, status.RestartCount, status.Name, "container %s of pod %s waits%s",
			status.Name, l.pod.Name, saying(waiting.Message))
	}
}

func saying(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

// crashLoop holds while a container is kept from starting because it ended too often, and between that and the next end.
func (l *podLook) crashLoop(status corev1.ContainerStatus) {
	last := lastEnd(status)
	inLoop := status.State.Waiting != nil && status.State.Waiting.Reason == reasonCrashLoop
	if !inLoop && !l.keptBack(status) {
		return
	}
	if !inLoop {
		calm, ready := l.calm(status)
		if ready && !l.now.Before(calm) {
			return
		}
		if ready {
			l.again = earlier(l.again, calm)
		}
	}
	how := "ended"
	if last != nil {
		how = howItEnded(last)
	}
	l.add(reasonCrashLoop, time.Time{}, status.RestartCount, status.Name, "container %s of pod %s was restarted %d times; it %s",
		status.Name, l.pod.Name, status.RestartCount, how)
}

// keptBack tells that a container which does not wait at present was in the loop a moment ago: it was told so, or it was
// kept from starting for a while after it ended.
func (l *podLook) keptBack(status corev1.ContainerStatus) bool {
	if !l.since(reasonCrashLoop).IsZero() && status.RestartCount > 0 {
		return true
	}
	last := status.LastTerminationState.Terminated
	return status.State.Running != nil && last != nil && status.RestartCount > 1 &&
		status.State.Running.StartedAt.Sub(last.FinishedAt.Time) >= backedOff
}

// calm is when a container that is ready has been so for long enough. One that ended as it was to end has no more to do.
func (l *podLook) calm(status corev1.ContainerStatus) (when time.Time, ready bool) {
	if end := status.State.Terminated; end != nil && end.ExitCode == 0 {
		return end.FinishedAt.Time, true
	}
	if !status.Ready || status.State.Running == nil {
		return time.Time{}, false
	}
	since := status.State.Running.StartedAt.Time
	if all := podCondition(l.pod, corev1.ContainersReady); all != nil && all.Status == corev1.ConditionTrue && all.LastTransitionTime.After(since) {
		since = all.LastTransitionTime.Time
	}
	return since.Add(calmFor), true
}

func lastEnd(status corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	if status.State.Terminated != nil {
		return status.State.Terminated
	}
	return status.LastTerminationState.Terminated
}

// howItEnded says how a container ended: `last ended with exit code 1 (Error) after 2s: no such table`.
func howItEnded(end *corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("last ended with exit code %d", end.ExitCode)
	if end.Signal != 0 {
		text = fmt.Sprintf("was last ended by signal %d", end.Signal)
	}
	if end.Reason != "" {
		text += " (" + end.Reason + ")"
	}
	if end.StartedAt.Unix() > 0 && end.FinishedAt.Unix() > 0 { // one that could not be started has the beginning of 1970
		text += " after " + jenner.Duration(end.FinishedAt.Sub(end.StartedAt.Time)).String()
	}
	return text + saying(end.Message)
}

// oomKilled holds until the container has been ready again for a while, or has ended otherwise.
func (l *podLook) oomKilled(status corev1.ContainerStatus) {
	end := lastEnd(status)
	if end == nil || end.Reason != reasonOOMKilled {
		return
	}
	add := func() {
		l.add(reasonOOMKilled, end.FinishedAt.Time, status.RestartCount, status.Name,
			"container %s of pod %s was killed because it used more memory than it may, %d restarts so far", status.Name, l.pod.Name, status.RestartCount)
	}
	if calm, ready := l.calm(status); ready {
		l.until(calm, add)
		return
	}
	add()
}

// unhealthy holds while a container runs and is not ready although it was, or although it had time to become so; and a while
// after its liveness check failed more than once.
func (l *podLook) unhealthy(status corev1.ContainerStatus) {
	running := status.State.Running
	if running == nil || status.Started != nil && !*status.Started {
		return // it starts up, and the kubelet says itself when that takes too long
	}
	started := running.StartedAt.Time
	if !status.Ready {
		was := podCondition(l.pod, corev1.ContainersReady)
		if was != nil && was.Status != corev1.ConditionTrue && was.LastTransitionTime.Sub(started) > time.Second {
			l.add(reasonUnhealthy, was.LastTransitionTime.Time, status.RestartCount, status.Name, "container %s of pod %s is not ready any more%s",
				status.Name, l.pod.Name, saying(l.warning("Readiness", started)))
			return
		}
		l.after(started.Add(max(unreadyFor, l.timeToReady(status.Name))), func() {
			l.add(reasonUnhealthy, started, status.RestartCount, status.Name, "container %s of pod %s was started and did not become ready%s",
				status.Name, l.pod.Name, saying(l.warning("Readiness", started)))
		})
		return
	}
	for _, event := range l.warnings {
		at, count := lastOf(event)
		if !strings.HasPrefix(event.Message, "Liveness") || count < 2 || at.Before(started) || !concerns(event, status.Name) {
			continue
		}
		l.until(at.Add(warningFor), func() {
			l.add(reasonUnhealthy, time.Time{}, status.RestartCount, status.Name, "container %s of pod %s: %s", status.Name, l.pod.Name, event.Message)
		})
	}
}

// timeToReady is what the readiness check itself gives the container.
func (l *podLook) timeToReady(container string) time.Duration {
	for _, one := range l.pod.Spec.Containers {
		if one.Name == container && one.ReadinessProbe != nil {
			check := one.ReadinessProbe
			return time.Duration(check.InitialDelaySeconds+check.FailureThreshold*check.PeriodSeconds) * time.Second
		}
	}
	return 0
}

// warning is what the newest event says of a check since a time.
func (l *podLook) warning(check string, since time.Time) string {
	newest, text := since.Add(-time.Second), ""
	for _, event := range l.warnings {
		if at, _ := lastOf(event); strings.HasPrefix(event.Message, check) && at.After(newest) {
			newest, text = at, event.Message
		}
	}
	return text
}

// concerns tells whether an event is about the container. One that does not say is about any.
func concerns(event *corev1.Event, container string) bool {
	return event.InvolvedObject.FieldPath == "" || event.InvolvedObject.FieldPath == "spec.containers{"+container+"}"
}

// lastOf is when an event happened last, and how often it did.
func lastOf(event *corev1.Event) (at time.Time, count int32) {
	if event.Series != nil {
		return event.Series.LastObservedTime.Time, event.Series.Count
	}
	at, count = event.LastTimestamp.Time, max(event.Count, 1)
	if at.IsZero() {
		at = event.EventTime.Time
	}
	return at, count
}

// placed tells that no node takes the pod, or that it does not start although one did.
func (l *podLook) placed() {
	scheduled := podCondition(l.pod, corev1.PodScheduled)
	if scheduled == nil || l.pod.Status.Phase != corev1.PodPending {
		return
	}
	since := scheduled.LastTransitionTime.Time
	switch {
	case scheduled.Status == corev1.ConditionFalse && scheduled.Reason == reasonUnschedulable:
		l.after(since.Add(unschedulableFor), func() {
			l.add(reasonUnschedulable, since, 0, "", "no node takes pod %s%s", l.pod.Name, saying(scheduled.Message))
		})
	case scheduled.Status == corev1.ConditionTrue && len(l.states) == 0:
		l.after(since.Add(pendingFor), func() {
			l.add(reasonPending, since, 0, "", "pod %s has a node and does not start%s", l.pod.Name, saying(l.startWarning(since)))
			l.states[len(l.states)-1].severity = jenner.SeverityTicket
		})
	}
}

// startWarning is the newest warning of any kind since a time.
func (l *podLook) startWarning(since time.Time) string {
	newest, text := since.Add(-time.Second), ""
	for _, event := range l.warnings {
		if at, _ := lastOf(event); at.After(newest) {
			newest, text = at, event.Reason+saying(event.Message)
		}
	}
	return text
}

// failed tells why the pod ended as a whole: Evicted, Preempting, NodeAffinity, DeadlineExceeded … or that a container of
// it, which is not started again, was killed for its memory. The object may be left there for days.
func (l *podLook) failed() {
	if reason := l.pod.Status.Reason; reason != "" {
		since := l.now
		if known := l.since(reason); !known.IsZero() {
			since = known
		}
		if target := podCondition(l.pod, corev1.DisruptionTarget); target != nil {
			since = target.LastTransitionTime.Time
		}
		l.until(since.Add(failedFor), func() {
			l.add(reason, since, 0, "", "pod %s failed%s", l.pod.Name, saying(l.pod.Status.Message))
		})
	}
	for _, status := range l.pod.Status.ContainerStatuses {
		if end := status.State.Terminated; end != nil && end.Reason == reasonOOMKilled {
			l.until(end.FinishedAt.Add(failedFor), func() {
				l.add(reasonOOMKilled, end.FinishedAt.Time, status.RestartCount, status.Name,
					"container %s of pod %s was killed because it used more memory than it may, and is not restarted", status.Name, l.pod.Name)
			})
		}
	}
}

func podCondition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i, one := range pod.Status.Conditions {
		if one.Type == kind {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}
