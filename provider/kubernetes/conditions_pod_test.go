package kubernetes

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner"
)

// noon is when the pods of these tests are looked at.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// podLooks are pods as an API server gives them, and what is told of them at noon.
var podLooks = []struct {
	name   string
	status string // and spec, in YAML
	told   string // reasons that were told before
	want   string // REASON since; … and when to look again
	says   string // stands in the first summary
}{
	{"ready", `status: {phase: Running, conditions: [{type: ContainersReady, status: "True", lastTransitionTime: "2026-11-22T11:00:02Z"}],
  containerStatuses: [{name: app, ready: true, started: true, restartCount: 0, state: {running: {startedAt: "2026-11-22T11:00:00Z"}}}]}`, "", "", ""},

	{"crash loop", `status: {phase: Running, containerStatuses: [{name: app, ready: false, started: false, restartCount: 4,
  state: {waiting: {reason: CrashLoopBackOff, message: back-off 1m20s restarting failed container=app}},
  lastState: {terminated: {exitCode: 3, reason: Error, message: no such table, startedAt: "2026-11-22T11:59:00Z", finishedAt: "2026-11-22T11:59:02Z"}}}]}`,
		"", "CrashLoopBackOff", "container app of pod web-1 was restarted 4 times; it last ended with exit code 3 (Error) after 2s: no such table"},
	{"a program that is not there", `status: {phase: Running, containerStatuses: [{name: app, ready: false, started: false, restartCount: 1,
  state: {waiting: {reason: CrashLoopBackOff, message: back-off 10s restarting failed container=app}},
  lastState: {terminated: {exitCode: 128, reason: StartError, message: no such file, startedAt: "1970-01-01T00:00:00Z", finishedAt: "2026-11-22T11:59:02Z"}}}]}`,
		"", "CrashLoopBackOff", "it last ended with exit code 128 (StartError): no such file"},
	{"between two crashes, as was told", `status: {phase: Running, conditions: [{type: ContainersReady, status: "True", lastTransitionTime: "2026-11-22T11:59:58Z"}],
  containerStatuses: [{name: app, ready: true, started: true, restartCount: 2, state: {running: {startedAt: "2026-11-22T11:59:57Z"}},
  lastState: {terminated: {exitCode: 3, reason: Error, finishedAt: "2026-11-22T11:59:56Z"}}}]}`,
		"CrashLoopBackOff", "CrashLoopBackOff again 12:00:58", "was restarted 2 times"},
	{"between two crashes, after being kept back", `status: {phase: Running, containerStatuses: [{name: app, ready: true, started: true, restartCount: 3,
  state: {running: {startedAt: "2026-11-22T11:59:50Z"}}, lastState: {terminated: {exitCode: 3, reason: Error, finishedAt: "2026-11-22T11:59:30Z"}}}]}`,
		"", "CrashLoopBackOff again 12:00:50", ""},
	{"after one crash", `status: {phase: Running, containerStatuses: [{name: app, ready: true, started: true, restartCount: 1,
  state: {running: {startedAt: "2026-11-22T11:59:57Z"}}, lastState: {terminated: {exitCode: 3, reason: Error, finishedAt: "2026-11-22T11:59:56Z"}}}]}`, "", "", ""},
	{"runs again, not ready yet", `status: {phase: Running, containerStatuses: [{name: app, ready: false, started: true, restartCount: 3,
  state: {running: {startedAt: "2026-11-22T11:59:50Z"}}, lastState: {terminated: {exitCode: 3, finishedAt: "2026-11-22T11:59:30Z"}}}]}`,
		"CrashLoopBackOff", "CrashLoopBackOff again 12:00:50", ""},
	{"calm for a minute", `status: {phase: Running, conditions: [{type: ContainersReady, status: "True", lastTransitionTime: "2026-11-22T11:59:00Z"}],
  containerStatuses: [{name: app, ready: true, started: true, restartCount: 3, state: {running: {startedAt: "2026-11-22T11:58:50Z"}},
  lastState: {terminated: {exitCode: 3, finishedAt: "2026-11-22T11:58:30Z"}}}]}`, "CrashLoopBackOff", "", ""},
	{"an init container that got through at last", `status: {phase: Running, initContainerStatuses: [{name: init, ready: true, restartCount: 3,
  state: {terminated: {exitCode: 0, reason: Completed, finishedAt: "2026-11-22T11:59:58Z"}}, lastState: {terminated: {exitCode: 1, finishedAt: "2026-11-22T11:59:28Z"}}}]}`,
		"CrashLoopBackOff", "", ""},
	{"an init container in the loop", `status: {phase: Pending, initContainerStatuses: [{name: init, restartCount: 2, state: {waiting: {reason: CrashLoopBackOff}}}],
  containerStatuses: [{name: app, state: {waiting: {reason: PodInitializing}}}]}`, "", "CrashLoopBackOff", "container init"},

	{"killed for its memory", `status: {phase: Running, containerStatuses: [{name: app, ready: false, restartCount: 0,
  state: {terminated: {exitCode: 137, reason: OOMKilled, finishedAt: "2026-11-22T11:59:59Z"}}}]}`,
		"", "OOMKilled 11:59:59", "used more memory than it may"},
	{"killed for its memory, and runs again", `status: {phase: Running, conditions: [{type: ContainersReady, status: "True", lastTransitionTime: "2026-11-22T11:59:30Z"}],
  containerStatuses: [{name: app, ready: true, started: true, restartCount: 1, state: {running: {startedAt: "2026-11-22T11:59:20Z"}},
  lastState: {terminated: {exitCode: 137, reason: OOMKilled, finishedAt: "2026-11-22T11:59:19Z"}}}]}`,
		"", "OOMKilled 11:59:19 again 12:00:30", "1 restarts so far"},
	{"killed for its memory an hour ago", `status: {phase: Running, conditions: [{type: ContainersReady, status: "True", lastTransitionTime: "2026-11-22T11:00:30Z"}],
  containerStatuses: [{name: app, ready: true, started: true, restartCount: 1, state: {running: {startedAt: "2026-11-22T11:00:20Z"}},
  lastState: {terminated: {exitCode: 137, reason: OOMKilled, finishedAt: "2026-11-22T11:00:19Z"}}}]}`, "", "", ""},
	{"killed for its memory again and again", `status: {phase: Running, containerStatuses: [{name: app, ready: false, restartCount: 2,
  state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled, finishedAt: "2026-11-22T11:59:59Z"}}}]}`,
		"", "CrashLoopBackOff; OOMKilled 11:59:59", "(OOMKilled)"},
	{"killed for its memory, and not restarted", `status: {phase: Failed, containerStatuses: [{name: app,
  state: {terminated: {exitCode: 137, reason: OOMKilled, finishedAt: "2026-11-22T11:55:00Z"}}}]}`, "", "OOMKilled 11:55:00 again 12:05:00", "is not restarted"},
	{"killed for its memory long ago, and not restarted", `status: {phase: Failed, containerStatuses: [{name: app,
  state: {terminated: {exitCode: 137, reason: OOMKilled, finishedAt: "2026-11-22T11:50:00Z"}}}]}`, "", "", ""},

	{"no image", `status: {phase: Pending, conditions: [{type: PodScheduled, status: "True", lastTransitionTime: "2026-11-22T11:00:00Z"}],
  containerStatuses: [{name: app, state: {waiting: {reason: ImagePullBackOff, message: 'Back-off pulling image "shop:v9"'}}}]}`,
		"", "ImagePullBackOff", `the image of container app of pod web-1 cannot be pulled: Back-off pulling image "shop:v9"`},
	{"no image, just now", `status: {phase: Pending, containerStatuses: [{name: app, state: {waiting: {reason: ErrImagePull, message: not found}}}]}`,
		"ImagePullBackOff", "ImagePullBackOff", "not found"},
	{"no such image here", `status: {phase: Pending, containerStatuses: [{name: app, state: {waiting: {reason: ErrImageNeverPull}}}]}`,
		"", "ErrImageNeverPull", "container app of pod web-1 waits"},
	{"no configuration", `status: {phase: Pending, containerStatuses: [{name: app, state: {waiting: {reason: CreateContainerConfigError, message: configmap "web" not found}}}]}`,
		"", "CreateContainerConfigError", `configmap "web" not found`},

	{"not ready any more", `status: {phase: Running, conditions: [{type: ContainersReady, status: "False", lastTransitionTime: "2026-11-22T11:59:58Z"}],
  containerStatuses: [{name: app, ready: false, started: true, state: {running: {startedAt: "2026-11-22T11:00:00Z"}}}]}`,
		"", "Unhealthy 11:59:58", "container app of pod web-1 is not ready any more: Readiness probe failed: HTTP 503"},
	{"not ready yet", `status: {phase: Running, conditions: [{type: ContainersReady, status: "False", lastTransitionTime: "2026-11-22T11:59:30Z"}],
  containerStatuses: [{name: app, ready: false, started: true, state: {running: {startedAt: "2026-11-22T11:59:30Z"}}}]}`, "", "again 12:00:30", ""},
	{"never ready", `status: {phase: Running, conditions: [{type: ContainersReady, status: "False", lastTransitionTime: "2026-11-22T11:58:30Z"}],
  containerStatuses: [{name: app, ready: false, started: true, state: {running: {startedAt: "2026-11-22T11:58:30Z"}}}]}`,
		"", "Unhealthy 11:58:30", "was started and did not become ready: Readiness probe failed: HTTP 503"},
	{"slow to become ready, as is allowed", `spec: {containers: [{name: app, readinessProbe: {initialDelaySeconds: 60, periodSeconds: 10, failureThreshold: 6}}]}
status: {phase: Running, conditions: [{type: ContainersReady, status: "False", lastTransitionTime: "2026-11-22T11:58:30Z"}],
  containerStatuses: [{name: app, ready: false, started: true, state: {running: {startedAt: "2026-11-22T11:58:30Z"}}}]}`, "", "again 12:00:30", ""},
	{"starts up", `status: {phase: Running, conditions: [{type: ContainersReady, status: "False", lastTransitionTime: "2026-11-22T11:00:00Z"}],
  containerStatuses: [{name: app, ready: false, started: false, state: {running: {startedAt: "2026-11-22T11:00:00Z"}}}]}`, "", "", ""},
	{"on a node that is gone", `status: {phase: Running, conditions: [{type: Ready, status: "False", lastTransitionTime: "2026-11-22T11:59:00Z"},
  {type: ContainersReady, status: "True", lastTransitionTime: "2026-11-22T11:00:00Z"}],
  containerStatuses: [{name: app, ready: true, started: true, state: {running: {startedAt: "2026-11-22T11:00:00Z"}}}]}`, "", "", ""},

	{"no node takes it", `status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable,
  message: '0/2 nodes are available: 2 Insufficient memory.', lastTransitionTime: "2026-11-22T11:59:50Z"}]}`,
		"", "Unschedulable 11:59:50", "no node takes pod web-1: 0/2 nodes are available"},
	{"no node takes it, just now", `status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable,
  lastTransitionTime: "2026-11-22T11:59:58Z"}]}`, "", "again 12:00:03", ""},
	{"held back on purpose", `status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: SchedulingGated,
  lastTransitionTime: "2026-11-22T11:00:00Z"}]}`, "", "", ""},
	{"does not start", `status: {phase: Pending, conditions: [{type: PodScheduled, status: "True", lastTransitionTime: "2026-11-22T11:57:00Z"}],
  containerStatuses: [{name: app, state: {waiting: {reason: ContainerCreating}}}]}`, "", "Pending 11:57:00", "has a node and does not start: Unhealthy: Readiness"},
	{"is being started", `status: {phase: Pending, conditions: [{type: PodScheduled, status: "True", lastTransitionTime: "2026-11-22T11:59:00Z"}],
  containerStatuses: [{name: app, state: {waiting: {reason: ContainerCreating}}}]}`, "", "again 12:01:00", ""},

	{"evicted", `status: {phase: Failed, reason: Evicted, message: 'The node was low on resource: memory.',
  conditions: [{type: DisruptionTarget, status: "True", reason: TerminationByKubelet, lastTransitionTime: "2026-11-22T11:58:00Z"}]}`,
		"", "Evicted 11:58:00 again 12:08:00", "pod web-1 failed: The node was low on resource: memory."},
	{"evicted, nobody says when", `status: {phase: Failed, reason: Evicted}`, "", "Evicted 12:00:00 again 12:10:00", ""},
	{"evicted, told a while ago", `status: {phase: Failed, reason: Evicted}`, "Evicted", "Evicted 11:59:00 again 12:09:00", ""},
	{"evicted long ago", `status: {phase: Failed, reason: Evicted,
  conditions: [{type: DisruptionTarget, status: "True", lastTransitionTime: "2026-11-22T11:50:00Z"}]}`, "", "", ""},
	{"failed by itself", `status: {phase: Failed, containerStatuses: [{name: app, state: {terminated: {exitCode: 1, reason: Error}}}]}`, "", "", ""},
	{"done", `status: {phase: Succeeded, containerStatuses: [{name: app, state: {terminated: {exitCode: 0, reason: Completed}}}]}`, "", "", ""},
	{"is being deleted", `metadata: {deletionTimestamp: "2026-11-22T11:59:00Z"}
status: {phase: Running, conditions: [{type: ContainersReady, status: "False", lastTransitionTime: "2026-11-22T11:59:01Z"}],
  containerStatuses: [{name: app, ready: false, started: true, state: {running: {startedAt: "2026-11-22T11:00:00Z"}}}]}`, "", "", ""},
}

// unreadable is an event of a readiness check that fails.
var unreadable = &corev1.Event{Reason: "Unhealthy", Message: "Readiness probe failed: HTTP 503", Count: 3, LastTimestamp: metav1.NewTime(noon.Add(-time.Second))}

func TestPodFacts(t *testing.T) {
	for _, c := range podLooks {
		t.Run(c.name, func(t *testing.T) {
			pod := readPod(t, c.status)
			trimPod(pod) // what is dropped must not be missed
			facts, again := podFacts(podLook{pod: pod, now: noon, warnings: []*corev1.Event{unreadable}, since: func(reason string) time.Time {
				if strings.Contains(c.told, reason) {
					return noon.Add(-time.Minute)
				}
				return time.Time{}
			}})
			if got := describe(facts, again); got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
			for _, one := range facts {
				if one.object != "pod/web-1" {
					t.Errorf("%s is told of %s", one.reason, one.object)
				}
			}
			if c.says != "" && !strings.Contains(facts[0].summary, c.says) {
				t.Errorf("it says %q, want %q", facts[0].summary, c.says)
			}
		})
	}
}

// describe is `REASON since; REASON again at`.
func describe(facts []fact, again time.Time) string {
	var parts []string
	for _, one := range facts {
		text := one.reason
		if !one.since.IsZero() {
			text += " " + one.since.UTC().Format(time.TimeOnly)
		}
		parts = append(parts, text)
	}
	text := strings.Join(parts, "; ")
	if !again.IsZero() {
		text = strings.TrimSpace(text + " again " + again.UTC().Format(time.TimeOnly))
	}
	return text
}

func readPod(t *testing.T, text string) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict([]byte(text), pod); err != nil {
		t.Fatal(err)
	}
	pod.Name, pod.Namespace, pod.UID = "web-1", "shop", "u-1"
	return pod
}

// TestLivenessWarnings: a liveness check that failed more than once is told for a minute, of the container that it is about,
// and not of one that was started since.
func TestLivenessWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(event *corev1.Event)
		want   string
	}{
		"twice":                {func(*corev1.Event) {}, "Unhealthy again 12:00:50"},
		"once":                 {func(e *corev1.Event) { e.Count = 1 }, ""},
		"a minute ago":         {func(e *corev1.Event) { e.LastTimestamp = metav1.NewTime(noon.Add(-time.Minute)) }, ""},
		"before the restart":   {func(e *corev1.Event) { e.LastTimestamp = metav1.NewTime(noon.Add(-2 * time.Hour)) }, ""},
		"of another container": {func(e *corev1.Event) { e.InvolvedObject.FieldPath = "spec.containers{proxy}" }, ""},
		"of readiness":         {func(e *corev1.Event) { e.Message = "Readiness probe failed: 503" }, ""},
		"as a series": {func(e *corev1.Event) {
			e.Count, e.LastTimestamp, e.Series = 0, metav1.Time{}, series(2, -20*time.Second)
		}, "Unhealthy again 12:00:40"},
		"as a series, but once": {func(e *corev1.Event) { e.Series = series(1, -20*time.Second) }, ""},
		"as a new kind of event": {func(e *corev1.Event) {
			e.LastTimestamp, e.EventTime = metav1.Time{}, metav1.NewMicroTime(noon.Add(-10*time.Second))
		}, "Unhealthy again 12:00:50"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := readPod(t, `status: {phase: Running, containerStatuses: [{name: app, ready: true, started: true, state: {running: {startedAt: "2026-11-22T11:00:00Z"}}}]}`)
			event := &corev1.Event{Reason: "Unhealthy", Message: "Liveness probe failed: timeout", Count: 2, LastTimestamp: metav1.NewTime(noon.Add(-10 * time.Second)),
				InvolvedObject: corev1.ObjectReference{FieldPath: "spec.containers{app}"}}
			c.change(event)
			trimEvent(event)
			facts, again := podFacts(podLook{pod: pod, now: noon, warnings: []*corev1.Event{event}, since: func(string) time.Time { return time.Time{} }})
			if got := describe(facts, again); got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
		})
	}
}

func series(count int32, ago time.Duration) *corev1.EventSeries {
	return &corev1.EventSeries{Count: count, LastObservedTime: metav1.NewMicroTime(noon.Add(ago))}
}

// TestOldWarningsExplainNothing: what an event said before the container was started is not why it is not ready now.
func TestOldWarningsExplainNothing(t *testing.T) {
	pod := readPod(t, `status: {phase: Running, conditions: [{type: ContainersReady, status: "False", lastTransitionTime: "2026-11-22T11:59:58Z"}],
  containerStatuses: [{name: app, ready: false, started: true, state: {running: {startedAt: "2026-11-22T11:59:50Z"}}}]}`)
	old := unreadable.DeepCopy()
	old.LastTimestamp = metav1.NewTime(noon.Add(-time.Minute))
	facts, _ := podFacts(podLook{pod: pod, now: noon, warnings: []*corev1.Event{old}, since: func(string) time.Time { return time.Time{} }})
	if len(facts) != 1 || strings.Contains(facts[0].summary, "503") {
		t.Errorf("told %+v", facts)
	}
}

// TestPendingWaitsUntilMorning: nobody is woken for a pod that takes long to start.
func TestPendingWaitsUntilMorning(t *testing.T) {
	for _, c := range podLooks {
		facts, _ := podFacts(podLook{pod: readPod(t, c.status), now: noon, since: func(string) time.Time { return time.Time{} }})
		for _, one := range facts {
			if ticket := one.severity == jenner.SeverityTicket; ticket != (one.reason == reasonPending) {
				t.Errorf("%s: the severity of %s is %q", c.name, one.reason, one.severity)
			}
		}
	}
}
