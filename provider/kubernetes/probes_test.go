package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

// serving is a pod that is ready since, and whose container was restarted at a time; zero: never.
func serving(t *testing.T, name string, since, restarted time.Duration) *corev1.Pod {
	running := fmt.Sprintf("{running: {startedAt: %q}}, restartCount: 0", noon.Add(-time.Hour).Format(time.RFC3339))
	if restarted > 0 {
		running = fmt.Sprintf("{running: {startedAt: %q}}, restartCount: 2", noon.Add(-restarted).Format(time.RFC3339))
	}
	pod := readObject[corev1.Pod](t, fmt.Sprintf(`status: {phase: Running, conditions: [{type: Ready, status: "True", lastTransitionTime: %q}], containerStatuses: [{name: app, ready: true, state: %s}]}`,
		noon.Add(-since).Format(time.RFC3339), running))
	pod.Name = name
	return pod
}

func waits(t *testing.T, name, reason string) *corev1.Pod {
	pod := readObject[corev1.Pod](t, "status: {phase: Pending, containerStatuses: [{name: app, state: {waiting: {reason: "+reason+"}}}]}")
	pod.Name = name
	return pod
}

func TestProbeWorkloadJudges(t *testing.T) {
	old, young, shaky, broken := serving(t, "old", time.Hour, 0), serving(t, "young", 10*time.Second, 0), serving(t, "shaky", time.Hour, 20*time.Second), waits(t, "broken", "CrashLoopBackOff")
	count := func(n int) *jenner.Limit { return &jenner.Limit{Count: &n} }
	share := func(s float64) *jenner.Limit { part := jenner.Share(s); return &jenner.Limit{Share: &part} }
	for name, c := range map[string]struct {
		probe *ProbeWorkload
		pods  []*corev1.Pod
		wants int
		says  string // nothing: it is well
	}{
		"all ready":           {&ProbeWorkload{}, []*corev1.Pod{old, young}, 2, ""},
		"one is broken":       {&ProbeWorkload{}, []*corev1.Pod{old, broken}, 2, "1 pods of deployment/web are ready, of 2 at least 2 must be: broken: CrashLoopBackOff"},
		"one is not there":    {&ProbeWorkload{}, []*corev1.Pod{old}, 2, "1 pods of deployment/web are ready, of 2 at least 2 must be"},
		"one is enough":       {&ProbeWorkload{MinReady: count(1)}, []*corev1.Pod{old, broken}, 2, ""},
		"as many as agreed":   {&ProbeWorkload{AtMost: 2}, []*corev1.Pod{old, young}, 2, ""},
		"more than agreed":    {&ProbeWorkload{AtMost: 1}, []*corev1.Pod{old, young}, 2, "deployment/web has 2 pods, and 1 are the most that there may be"},
		"half is enough":      {&ProbeWorkload{MinReady: share(0.5)}, []*corev1.Pod{old, broken}, 2, ""},
		"more than half":      {&ProbeWorkload{MinReady: share(0.7)}, []*corev1.Pod{old, broken, broken}, 3, "1 pods of deployment/web are ready, of 3 at least 2 must be"},
		"not for long enough": {&ProbeWorkload{StableFor: jenner.Duration(time.Minute)}, []*corev1.Pod{old, young}, 2, "not stable: 1 pods have been ready for 1m, at least 2 must have been"},
		"stable enough":       {&ProbeWorkload{StableFor: jenner.Duration(time.Minute), MinReady: count(1)}, []*corev1.Pod{old, young}, 2, ""},
		"restarted":           {&ProbeWorkload{StableFor: jenner.Duration(time.Minute), MinReady: count(1)}, []*corev1.Pod{old, shaky}, 2, "not stable: shaky was restarted 20s ago"},
		"restarted before":    {&ProbeWorkload{StableFor: jenner.Duration(10 * time.Second)}, []*corev1.Pod{old, shaky}, 2, ""},
		"scaled to nothing":   {&ProbeWorkload{}, nil, 0, "is to have no pods at all"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.probe.judge(jenner.TargetRef{Kind: "deployment", Name: "web"}, c.pods, c.wants, noon)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %v, want %q", err, c.says)
			}
		})
	}
}

func TestPodRuns(t *testing.T) {
	lives, hangs, waiting := serving(t, "a", time.Hour, 0), serving(t, "b", time.Hour, 0), waits(t, "c", "ContainerCreating")
	hangs.Status.ContainerStatuses[0].Ready = false
	half := serving(t, "d", time.Hour, 0)
	half.Status.ContainerStatuses = append(half.Status.ContainerStatuses, corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}})
	ending := serving(t, "e", time.Hour, 0)
	ending.DeletionTimestamp = &ending.Status.Conditions[0].LastTransitionTime
	for pod, want := range map[*corev1.Pod]bool{lives: true, hangs: true, waiting: false, half: false, ending: false, {}: false} {
		if podRuns(pod) != want {
			t.Errorf("pod %s lives: %v", pod.Name, !want)
		}
	}
}

func TestTroublesOf(t *testing.T) {
	ended := readObject[corev1.Pod](t, "metadata: {name: e}\nstatus: {phase: Failed, containerStatuses: [{name: app, state: {terminated: {exitCode: 3, reason: Error}}}]}")
	unready := serving(t, "u", time.Hour, 0)
	unready.Status.Conditions[0].Status = corev1.ConditionFalse
	homeless := readObject[corev1.Pod](t, "metadata: {name: h}\nstatus: {phase: Pending, conditions: [{type: PodScheduled, status: \"False\", reason: Unschedulable}]}")
	if got, want := troublesOf([]*corev1.Pod{serving(t, "s", time.Hour, 0), ended, unready, homeless}), "e: Error, exit code 3; u: not ready; h: Unschedulable"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	if got := troublesOf([]*corev1.Pod{ended, ended, ended, ended, ended}); !strings.HasSuffix(got, "and 2 more") || strings.Count(got, "exit code") != 3 {
		t.Errorf("of many it says %q", got)
	}
}

func TestProbeEndpointsJudges(t *testing.T) {
	yes, no := true, false
	endpoint := func(uid string, ready *bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{TargetRef: &corev1.ObjectReference{UID: types.UID(uid)}, Conditions: discoveryv1.EndpointConditions{Ready: ready}}
	}
	slice := func(name string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
		s := &discoveryv1.EndpointSlice{Endpoints: endpoints}
		s.Name = name
		trimSlice(s)
		return s
	}
	for name, c := range map[string]struct {
		slices []*discoveryv1.EndpointSlice
		says   string
	}{
		"enough":                 {[]*discoveryv1.EndpointSlice{slice("a", endpoint("1", &yes), endpoint("2", &no)), slice("b", endpoint("3", nil))}, ""},
		"too few":                {[]*discoveryv1.EndpointSlice{slice("a", endpoint("1", &yes), endpoint("2", &no))}, "of 2 endpoints of service web 1 are ready, at least 2 must be"},
		"one pod twice":          {[]*discoveryv1.EndpointSlice{slice("ipv4", endpoint("1", &yes)), slice("ipv6", endpoint("1", &yes))}, "of 1 endpoints of service web 1 are ready"},
		"none":                   {nil, "service web has no endpoints"},
		"outside of the cluster": {[]*discoveryv1.EndpointSlice{slice("a", discoveryv1.Endpoint{}, discoveryv1.Endpoint{})}, ""},
	} {
		err := (&ProbeEndpoints{Min: 2}).judge("web", c.slices)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: it says %v, want %q", name, err, c.says)
		}
	}
}

// TestAnswer: that nobody could be asked is no failure of what was asked about.
func TestAnswer(t *testing.T) {
	pods := corev1.Resource("pods")
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want telemetry.Outcome
	}{
		"well":            {t.Context(), nil, telemetry.OK},
		"not well":        {t.Context(), errors.New("2 of 3"), telemetry.Failed},
		"not there":       {t.Context(), told(apierrors.NewNotFound(pods, "web"), "reading"), telemetry.Failed},
		"not allowed":     {t.Context(), told(apierrors.NewForbidden(pods, "web", nil), "reading"), telemetry.Unknown},
		"too busy":        {t.Context(), told(apierrors.NewTooManyRequestsError(""), "reading"), telemetry.Unknown},
		"no way there":    {t.Context(), told(errors.New("dial tcp: no route to host"), "reading"), telemetry.Unknown},
		"the API is late": {late, told(context.DeadlineExceeded, "reading"), telemetry.Unknown},
		"the pod is late": {late, fmt.Errorf("asking the pod: %w", context.DeadlineExceeded), telemetry.Failed},
	} {
		if got := answer(c.ctx, c.err); got.Outcome != c.want || (got.Message == "") != (c.err == nil) {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}

func TestProbePodHTTPJudges(t *testing.T) {
	for name, c := range map[string]struct {
		probe  ProbePodHTTP
		status int
		says   string
	}{
		"well":             {ProbePodHTTP{}, 204, ""},
		"an error":         {ProbePodHTTP{}, 503, "status 503, expected 2xx: no database"},
		"a redirect":       {ProbePodHTTP{}, 301, "status 301"},
		"as expected":      {ProbePodHTTP{ExpectStatus: []int{301, 503}}, 503, ""},
		"another":          {ProbePodHTTP{ExpectStatus: []int{301, 503}}, 200, "status 200, expected 301 503"},
		"with words":       {ProbePodHTTP{BodyContains: "database"}, 200, ""},
		"with other words": {ProbePodHTTP{BodyContains: "ok"}, 200, `the body does not contain "ok"`},
	} {
		err := c.probe.judge(c.status, "no database")
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestWrongProbes(t *testing.T) {
	zero, one, half := 0, 1, jenner.Share(0.5)
	for name, probe := range map[string]telemetry.Validator{
		"at least none":          &ProbeWorkload{MinReady: &jenner.Limit{Count: &zero}},
		"a minimum of two kinds": &ProbeWorkload{MinReady: &jenner.Limit{Count: &one, Share: &half}},
		"no endpoints":           &ProbeEndpoints{},
		"no command":             &ProbeExec{},
		"an empty command":       &ProbeExec{Command: []string{""}},
		"no port":                &ProbePodHTTP{Path: "/"},
		"no path":                &ProbePodHTTP{Port: 80, Path: "x"},
		"an odd path":            &ProbePodHTTP{Port: 80, Path: "/%zz"},
		"an odd way":             &ProbePodHTTP{Port: 80, Path: "/", Through: "node"},
		"an odd status":          &ProbePodHTTP{Port: 80, Path: "/", ExpectStatus: []int{20}},
	} {
		if probe.Validate() == nil {
			t.Errorf("%s: %+v is allowed", name, probe)
		}
	}
	for name, probe := range map[string]telemetry.Validator{"workload": &ProbeWorkload{}, "endpoints": &ProbeEndpoints{Min: 1},
		"exec": &ProbeExec{Command: []string{"true"}}, "pod_http": &ProbePodHTTP{Port: 80, Path: "/x?y=1", Through: "pod"}} {
		if err := probe.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
