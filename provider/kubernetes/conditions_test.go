package kubernetes

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner"
)

// readObject reads an object as an API server gives it.
func readObject[T any](t *testing.T, text string) *T {
	t.Helper()
	one := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), one); err != nil {
		t.Fatal(err)
	}
	return one
}

// shows compares what is told, and what the first summary says.
func shows(t *testing.T, facts []fact, again time.Time, want, says string) {
	t.Helper()
	if got := describe(facts, again); got != want {
		t.Errorf("told %q, want %q", got, want)
	} else if says != "" && !strings.Contains(facts[0].summary, says) {
		t.Errorf("it says %q, want %q", facts[0].summary, says)
	}
}

func TestNodeFacts(t *testing.T) {
	for name, c := range map[string]struct{ conditions, want, says string }{
		"well": {`[{type: Ready, status: "True"}, {type: MemoryPressure, status: "False"}]`, "", ""},
		"not ready": {`[{type: Ready, status: "False", reason: KubeletNotReady, message: PLEG is not healthy, lastTransitionTime: "2026-11-22T11:59:00Z"}]`,
			"NodeNotReady 11:59:00", "node n2 is not ready: KubeletNotReady: PLEG is not healthy"},
		"nobody knows": {`[{type: Ready, status: Unknown, reason: NodeStatusUnknown, lastTransitionTime: "2026-11-22T11:59:00Z"}]`,
			"NodeNotReady 11:59:00", "NodeStatusUnknown"},
		"under pressure": {`[{type: Ready, status: "True"}, {type: MemoryPressure, status: "True", message: kubelet has insufficient memory available, lastTransitionTime: "2026-11-22T11:58:00Z"},
  {type: PIDPressure, status: "True", lastTransitionTime: "2026-11-22T11:57:00Z"}, {type: DiskPressure, status: "Unknown"}]`,
			"MemoryPressure 11:58:00; PIDPressure 11:57:00", "node n2 has MemoryPressure: kubelet has insufficient memory available"},
		"without a network": {`[{type: NetworkUnavailable, status: "True", lastTransitionTime: "2026-11-22T11:58:00Z"}]`, "NetworkUnavailable 11:58:00", ""},
		"another condition": {`[{type: ReadonlyFilesystem, status: "True"}]`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			node := readObject[corev1.Node](t, "metadata: {name: n2, labels: {topology.kubernetes.io/zone: z2, other: x}}\nstatus: {conditions: "+c.conditions+"}")
			trimNode(node)
			facts := nodeFacts(node)
			shows(t, facts, time.Time{}, c.want, c.says)
			for _, one := range facts {
				wakes := one.reason == "NodeNotReady" || one.reason == "NetworkUnavailable"
				if one.object != "node/n2" || one.labels["zone"] != "z2" || one.labels["node"] != "n2" || wakes == (one.severity == jenner.SeverityTicket) {
					t.Errorf("told %+v", one)
				}
			}
		})
	}
}

func TestDeploymentFacts(t *testing.T) {
	for name, c := range map[string]struct{ conditions, want, says string }{
		"under way": {`[{type: Progressing, status: "True", reason: ReplicaSetUpdated}, {type: Available, status: "False"}]`, "", ""},
		"stuck": {`[{type: Progressing, status: "False", reason: ProgressDeadlineExceeded, message: ReplicaSet "web-2" has timed out progressing., lastTransitionTime: "2026-11-22T11:59:00Z"}]`,
			"ProgressDeadlineExceeded 11:59:00", `1 of 3 pods are of the newest template, 2 serve: ReplicaSet "web-2" has timed out`},
		"paused": {`[{type: Progressing, status: Unknown, reason: DeploymentPaused}]`, "", ""},
		"pods cannot be made": {`[{type: ReplicaFailure, status: "True", reason: FailedCreate, message: exceeded quota, lastTransitionTime: "2026-11-22T11:59:00Z"}]`,
			"FailedCreate 11:59:00", "pods of deployment web cannot be made or removed: exceeded quota"},
	} {
		t.Run(name, func(t *testing.T) {
			d := readObject[appsv1.Deployment](t, "metadata: {name: web}\nspec: {replicas: 3, selector: {}, template: {}}\nstatus: {updatedReplicas: 1, availableReplicas: 2, conditions: "+c.conditions+"}")
			trimDeployment(d)
			shows(t, deploymentFacts(d), time.Time{}, c.want, c.says)
		})
	}
}

// TestStuckRollouts: of what Kubernetes does not say it, a rollout is stuck when nothing became better for ten minutes.
func TestStuckRollouts(t *testing.T) {
	set := func(generation int64, current, update string, updated, ready int32) progress {
		s := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Generation: generation}, Status: appsv1.StatefulSetStatus{ObservedGeneration: generation,
			CurrentRevision: current, UpdateRevision: update, UpdatedReplicas: updated, ReadyReplicas: ready}}
		return progressOf(s)
	}
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	p := progress{}.next(set(1, "a", "b", 0, 3), at(0))
	facts, again := stuckFacts(kindStatefulSet, "db", p, at(1))
	shows(t, facts, again, "again 12:10:00", "")
	p = p.next(set(1, "a", "b", 1, 2), at(2)) // one of the new ones was made
	p = p.next(set(1, "a", "b", 1, 2), at(9))
	facts, again = stuckFacts(kindStatefulSet, "db", p, at(11))
	shows(t, facts, again, "again 12:12:00", "")
	facts, again = stuckFacts(kindStatefulSet, "db", p, at(12))
	shows(t, facts, again, "ProgressDeadlineExceeded 12:02:00", "the rollout of statefulset db does not get on")
	worse := p.next(set(1, "a", "b", 1, 1), at(13)) // that is no progress
	facts, _ = stuckFacts(kindStatefulSet, "db", worse, at(13))
	shows(t, facts, time.Time{}, "ProgressDeadlineExceeded 12:02:00", "")
	for name, next := range map[string]progress{"better": set(1, "a", "b", 1, 3), "another rollout": set(2, "a", "c", 0, 2)} {
		facts, again = stuckFacts(kindStatefulSet, "db", p.next(next, at(14)), at(14))
		if describe(facts, again) != "again 12:24:00" {
			t.Errorf("%s: %s", name, describe(facts, again))
		}
	}
	facts, again = stuckFacts(kindStatefulSet, "db", p.next(set(1, "b", "b", 3, 3), at(14)), at(60))
	shows(t, facts, again, "", "")

	daemons := func(updated int32) progress {
		return progressOf(&appsv1.DaemonSet{Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, UpdatedNumberScheduled: updated, NumberReady: 2}})
	}
	facts, _ = stuckFacts(kindDaemonSet, "agent", progress{}.next(daemons(2), at(0)), at(10))
	shows(t, facts, time.Time{}, "ProgressDeadlineExceeded 12:00:00", "2 of 3 pods are of the newest template, 2 serve")
	facts, _ = stuckFacts(kindDaemonSet, "agent", progress{}.next(daemons(3), at(0)), at(10))
	shows(t, facts, time.Time{}, "", "") // a pod that fails is no trouble of a rollout
}

func TestScalerFacts(t *testing.T) {
	for name, c := range map[string]struct{ conditions, want, says string }{
		"at its maximum": {`[{type: AbleToScale, status: "True", reason: ReadyForNewScale}, {type: ScalingActive, status: "True", reason: ValidMetricFound},
  {type: ScalingLimited, status: "True", reason: TooManyReplicas, lastTransitionTime: "2026-11-22T11:59:00Z"}]`,
			"TooManyReplicas 11:59:00", "hpa web is at its maximum of 5 pods and would need more"},
		"at its minimum":     {`[{type: ScalingLimited, status: "True", reason: TooFewReplicas}]`, "", ""},
		"at its speed limit": {`[{type: ScalingLimited, status: "True", reason: ScaleUpLimit}]`, "", ""},
		"without numbers": {`[{type: ScalingActive, status: "False", reason: FailedGetResourceMetric, message: no metrics known, lastTransitionTime: "2026-11-22T11:59:00Z"}]`,
			"FailedGetResourceMetric 11:59:00", "hpa web cannot scale: no metrics known"},
		"of nothing":       {`[{type: AbleToScale, status: "False", reason: FailedGetScale, lastTransitionTime: "2026-11-22T11:59:00Z"}]`, "FailedGetScale 11:59:00", "cannot scale"},
		"off, as intended": {`[{type: ScalingActive, status: "False", reason: ScalingDisabled}]`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := readObject[autoscalingv2.HorizontalPodAutoscaler](t, "metadata: {name: web}\nspec: {maxReplicas: 5, scaleTargetRef: {kind: Deployment, name: shop}}\nstatus: {currentReplicas: 5, desiredReplicas: 5, conditions: "+c.conditions+"}")
			trimAutoscaler(h)
			facts := scalerFacts(h)
			shows(t, facts, time.Time{}, c.want, c.says)
			for _, one := range facts {
				if one.severity != jenner.SeverityTicket || one.value != 5 || one.object != "hpa/web" {
					t.Errorf("told %+v", one)
				}
			}
		})
	}
	h := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	h.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "shop"}
	for target, want := range map[jenner.TargetRef]bool{{Kind: "hpa", Name: "web"}: true, {Kind: "hpa", Name: "shop"}: false,
		{Kind: "deployment", Name: "shop"}: true, {Kind: "deployment", Name: "web"}: false, {Kind: "statefulset", Name: "shop"}: false} {
		if got := isScaledBy(h, subject{Subject: jenner.Subject{Target: target}, target: &Target{Object: target.Name}}); got != want {
			t.Errorf("it concerns %s: %v", target, got)
		}
	}
}

func TestJobFacts(t *testing.T) {
	const failed = `- {metadata: {name: report-100}, status: {startTime: "2026-11-22T11:00:00Z", failed: 3, conditions: [{type: Failed, status: "True",
  reason: BackoffLimitExceeded, message: Job has reached the specified backoff limit, lastTransitionTime: "2026-11-22T11:05:00Z"}]}}
`
	for name, c := range map[string]struct {
		jobs    string
		longest time.Duration
		want    string
		says    string
	}{
		"done":   {`- {metadata: {name: report-100}, status: {startTime: "2026-11-22T11:00:00Z", completionTime: "2026-11-22T11:01:00Z"}}`, time.Minute, "", ""},
		"failed": {failed, 0, "BackoffLimitExceeded 11:05:00", "job report-100 failed: Job has reached the specified backoff limit"},
		"took too long": {`- {metadata: {name: report-100}, status: {startTime: "2026-11-22T11:00:00Z", conditions: [{type: Failed, status: "True", reason: DeadlineExceeded, lastTransitionTime: "2026-11-22T11:05:00Z"}]}}`,
			0, "DeadlineExceeded 11:05:00", ""},
		"about to fail": {`- {metadata: {name: report-100}, status: {startTime: "2026-11-22T11:00:00Z", conditions: [{type: FailureTarget, status: "True", reason: BackoffLimitExceeded}]}}`, 0, "", ""},
		"runs":          {`- {metadata: {name: report-100}, status: {startTime: "2026-11-22T11:30:00Z", active: 1}}`, 0, "", ""},
		"runs, and may": {`- {metadata: {name: report-100}, status: {startTime: "2026-11-22T11:30:00Z", active: 1}}`, time.Hour, "again 12:30:00", ""},
		"runs for too long": {`- {metadata: {name: report-100}, status: {startTime: "2026-11-22T11:30:00Z", active: 1}}`, 20 * time.Minute,
			"RunningTooLong 11:50:00", "job report-100 runs since 2026-11-22T11:30:00Z, and may for 20m"},
		"suspended":                              {`- {metadata: {name: report-100}, status: {startTime: "2026-11-22T11:30:00Z", conditions: [{type: Suspended, status: "True"}]}}`, time.Minute, "", ""},
		"not begun yet":                          {`- {metadata: {name: report-100}}`, time.Minute, "", ""},
		"is being deleted":                       {`- {metadata: {name: report-100, deletionTimestamp: "2026-11-22T11:59:00Z"}, status: {startTime: "2026-11-22T11:00:00Z", conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded}]}}`, 0, "", ""},
		"failed, and a later one was successful": {failed + `- {metadata: {name: report-200}, status: {startTime: "2026-11-22T11:10:00Z", completionTime: "2026-11-22T11:11:00Z"}}`, 0, "", ""},
		"failed, after an earlier one was successful": {failed + `- {metadata: {name: report-50}, status: {startTime: "2026-11-22T10:50:00Z", completionTime: "2026-11-22T11:30:00Z"}}`, 0,
			"BackoffLimitExceeded 11:05:00", ""},
		"failed, and a later one runs": {failed + `- {metadata: {name: report-200}, status: {startTime: "2026-11-22T11:10:00Z", active: 1}}`, 0, "BackoffLimitExceeded 11:05:00", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var jobs []*batchv1.Job
			for i := range *readObject[[]batchv1.Job](t, c.jobs) {
				job := (*readObject[[]batchv1.Job](t, c.jobs))[i]
				trimJob(&job)
				jobs = append(jobs, &job)
			}
			facts, again := jobFacts(jobs, c.longest, noon)
			shows(t, facts, again, c.want, c.says)
		})
	}
}

func TestClaimFacts(t *testing.T) {
	warned := []*corev1.Event{{Reason: "ProvisioningFailed", Message: `storageclass "fast" not found`, LastTimestamp: metav1.NewTime(noon.Add(-time.Minute)),
		InvolvedObject: corev1.ObjectReference{UID: "u-1"}}, {Reason: "Old", LastTimestamp: metav1.NewTime(noon.Add(-time.Hour)), InvolvedObject: corev1.ObjectReference{UID: "u-1"}},
		{Reason: "OfAnother", LastTimestamp: metav1.NewTime(noon), InvolvedObject: corev1.ObjectReference{UID: "u-0"}}}
	for name, c := range map[string]struct{ claim, want, says string }{
		"bound":   {`status: {phase: Bound}`, "", ""},
		"waits":   {`status: {phase: Pending}`, "ClaimPending 11:00:00", `pvc data has no volume: ProvisioningFailed: storageclass "fast" not found`},
		"is lost": {`status: {phase: Lost}`, "ClaimLost", "the volume of pvc data is gone"},
		"cannot grow": {`status: {phase: Bound, conditions: [{type: FileSystemResizePending, status: "True", message: Waiting for user to (re-)start a pod, lastTransitionTime: "2026-11-22T11:59:00Z"},
  {type: Resizing, status: "True"}]}`, "FileSystemResizePending 11:59:00", "not as large as it is to be: Waiting for user"},
	} {
		t.Run(name, func(t *testing.T) {
			claim := readObject[corev1.PersistentVolumeClaim](t, "metadata: {name: data, uid: u-1, creationTimestamp: \"2026-11-22T11:00:00Z\"}\n"+c.claim)
			trimClaim(claim)
			facts, again := claimFacts(claim, warned, noon)
			shows(t, facts, again, c.want, c.says)
		})
	}
	young := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(noon.Add(-time.Second))}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}}
	facts, again := claimFacts(young, nil, noon)
	shows(t, facts, again, "again 12:00:29", "")
}

// TestWhichPodsSuffer from what their node suffers from.
func TestWhichPodsSuffer(t *testing.T) {
	now := metav1.Now()
	ending := corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}}
	failed := corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed}}
	for _, c := range []struct {
		name, kind string
		pod        corev1.Pod
		suffers    bool
	}{
		{"one that serves", kindDeployment, corev1.Pod{}, true},
		{"one that has ended", kindDeployment, failed, false},
		{"one that is ending", kindDeployment, ending, false},
		{"one that is ending and whose name must be free first", kindStatefulSet, ending, true},
	} {
		if suffers(&c.pod, c.kind) != c.suffers {
			t.Errorf("%s of a %s: %v", c.name, c.kind, !c.suffers)
		}
	}
}
