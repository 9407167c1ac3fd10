package kubernetes

import (
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/release"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/catalog"
)

func TestParametersOfActions(t *testing.T) {
	names := catalog.Names{Catalog: catalog.Merge(Provider)}
	for _, c := range []struct{ action, kind, params, want string }{
		{"restart", kindDeployment, "{}", ""},
		{"restart", kindDeployment, "{wait: 5m}", ""},
		{"restart", kindPod, "{}", "does not work on a target of kind pod"},
		{"scale", kindDeployment, "{to: 3}", ""},
		{"scale", kindDeployment, "{}", "write to or by"},
		{"scale", kindDeployment, "{to: 3, by: 1}", "and not both"},
		{"scale", kindDeployment, "{by: 1}", "ceiling is missing"},
		{"scale", kindDeployment, "{to: 0}", "write a lower floor"},
		{"scale", kindDeployment, "{to: 0, floor: 0}", ""},
		{"scale", kindDeployment, "{to: 9, ceiling: 5}", "the ceiling 5"},
		{"scale", kindDeployment, "{by: 1, floor: 5, ceiling: 4}", "below the floor"},
		{"scale", kindDaemonSet, "{to: 1}", "does not work"},
		{"delete_pod", kindPod, "{}", ""},
		{"delete_pod", kindDeployment, "{count: 0}", "write 1 or more"},
		{"delete_pod", kindDeployment, "{pod: x, and_ready: true}", "pod names the one pod"},
		{"rollback", kindStatefulSet, "{to_revision: -1}", "to_revision is -1"},
		{"set_image", kindDeployment, "{images: {app: v2}}", ""},
		{"set_image", kindDeployment, "{images: {}}", "images is missing"},
		{"set_image", kindDeployment, "{images: {app: 'a b'}}", "is no image"},
		{"raise_limit", kindDeployment, "{factor: 1.5, ceiling: 1Gi}", ""},
		{"raise_limit", kindDeployment, "{factor: 1.5}", "ceiling"},
		{"raise_limit", kindDeployment, "{factor: 1, ceiling: 1Gi}", "more than 1"},
		{"raise_limit", kindDeployment, "{factor: 2, step: 1Mi, ceiling: 1Gi}", "not both"},
		{"raise_limit", kindDeployment, "{step: lots, ceiling: 1Gi}", `step "lots" is no amount`},
		{"raise_limit", kindDeployment, "{step: 1Mi, ceiling: 1Gi, resource: disk}", "write memory or cpu"},
		{"raise_limit", kindDeployment, "{step: 1Mi, ceiling: 1Gi, times: 0}", "write 1 or more"},
		{"patch", kindConfigMap, "{patch: {data: {a: b}}}", ""},
		{"patch", kindConfigMap, "{patch: [], type: merge}", "is a mapping"},
		{"patch", kindConfigMap, "{patch: {}, type: json}", "a list of operations"},
		{"patch", kindConfigMap, "{patch: {}, type: apply}", "write [json merge strategic]"},
		{"patch", kindHelm, "{patch: {}}", "does not work"},
		{"revert_drift", kindConfigMap, "{}", ""},
		{"revert_drift", kindConfigMap, "{file: a.yaml, revision: --exec}", "revision"},
		{"revert_drift", kindConfigMap, "{file: a.yaml, take_from: ['[']}", "is no pattern"},
		{"drain", kindNode, "{selector: 'a in'}", "cannot be read"},
		{"retry_job", kindJob, "{suffix: Not_A_Name}", "is no part of a name"},
		{"retry_job", kindJob, "{times: 0}", "write 1 or more"},
		{"run_hook", kindDeployment, "{}", "write one of from, image and template"},
		{"run_hook", kindDeployment, "{image: a, from: job/b}", "write one of"},
		{"run_hook", kindDeployment, "{from: deployment/b}", "write cronjob/NAME or job/NAME"},
		{"run_hook", kindDeployment, "{template: {spec: {container: []}}}", `unknown field "spec.container"`},
		{"run_hook", kindDeployment, "{template: {spec: {}}}", "template has no containers"},
		{"run_hook", kindDeployment, "{image: a, env: {1A: b}}", "is no name of a variable"},
		{"run_hook", kindDeployment, "{image: a, namespace: A_B}", "namespace"},
		{"wait_for_rollout", kindDeployment, "{timeout: 1m, stable_for: 2m}", "longer than timeout"},
		{"set_bounds", kindHPA, "{}", "write min, max or both"},
		{"set_bounds", kindHPA, "{min: 3, max: 2}", "min is 3 and max 2"},
		{"rollback_release", kindHelm, "{to_revision: -1}", "to_revision is -1"},
		{"mark_verified", kindHelm, "{for: 1h}", ""},
		{"cordon", kindNode, "{}", ""},
		{"uncordon", kindNode, "{hard: true}", "hard"},
	} {
		var params jenner.Params
		if err := yaml.Unmarshal([]byte(c.params), &params); err != nil {
			t.Fatal(err)
		}
		_, problems, err := names.Action(c.action, c.kind, params)
		var said []string
		for _, problem := range problems {
			said = append(said, problem.Message)
		}
		if err != nil {
			said = append(said, err.Error())
		}
		if got := strings.Join(said, "; "); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s on %s with %s: %q, want %q", c.action, c.kind, c.params, got, c.want)
		}
	}
}

// TestWhatDriftIsRevertedTo: the step's file goes before the target's manifest, and nobody guesses where there is neither.
func TestWhatDriftIsRevertedTo(t *testing.T) {
	for _, c := range []struct {
		desired, at, file, revision string
		want                        string
	}{
		{"", "", "a.yaml", "", "a.yaml"},
		{"", "", "a.yaml", "HEAD", "a.yaml at HEAD"},
		{"/b.yaml", "", "", "", "/b.yaml"},
		{"/b.yaml", "main", "", "", "/b.yaml at main"},
		{"/b.yaml", "main", "", "v1", "/b.yaml at v1"},
		{"/b.yaml", "main", "a.yaml", "", "a.yaml"},
		{"", "", "", "HEAD", "nobody says how configmap shop/it is to be"},
		{"", "", "", "", "nobody says how configmap shop/it is to be"},
	} {
		target := &Target{Desired: c.desired, Revision: c.at, Namespace: "shop", Object: "it", ref: jenner.TargetRef{Kind: kindConfigMap, Name: "it"}}
		from, err := (&RevertDrift{File: c.file, Revision: c.revision}).source(target)
		got := from.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) || err != nil && jenner.NextAfter(err) != jenner.NeverMind {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestHowManyPodsAreAwayAtOnce(t *testing.T) {
	deployment := func(spec string) string { return "{metadata: {generation: 1}, spec: " + spec + "}" }
	const selector = "selector: {matchLabels: {app: a}}, "
	for _, c := range []struct {
		kind, object string
		want         int
		stuck        string
	}{
		{kindDeployment, deployment("{" + selector + "replicas: 8, strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 25%}}}"), 2, ""},
		{kindDeployment, deployment("{" + selector + "replicas: 3, strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 25%}}}"), 1, ""},
		{kindDeployment, deployment("{" + selector + "replicas: 3, strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 9}}}"), 3, ""},
		{kindDeployment, deployment("{" + selector + "replicas: 3, strategy: {type: Recreate}}"), 3, ""},
		{kindDeployment, deployment("{" + selector + "replicas: 0, strategy: {type: RollingUpdate, rollingUpdate: {}}}"), 0, ""},
		{kindDeployment, deployment("{" + selector + "strategy: {type: Recreate}, paused: true}"), 1, "paused"},
		{kindDeployment, "{metadata: {generation: 1}, spec: {" + selector + "}, status: {observedGeneration: 1, conditions: [{type: Progressing, " +
			"status: 'False', reason: ProgressDeadlineExceeded}]}}", 1, "no progress"},
		{kindDeployment, "{metadata: {generation: 2}, spec: {" + selector + "}, status: {observedGeneration: 1, conditions: [{type: Progressing, " +
			"status: 'False', reason: ProgressDeadlineExceeded}]}}", 1, ""},
		{kindStatefulSet, deployment("{" + selector + "replicas: 5, updateStrategy: {type: RollingUpdate}}"), 1, ""},
		{kindStatefulSet, deployment("{" + selector + "replicas: 5, updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 40%}}}"), 2, ""},
		{kindStatefulSet, deployment("{" + selector + "replicas: 5, updateStrategy: {type: OnDelete}}"), 1, "OnDelete"},
		{kindDaemonSet, "{spec: {" + selector + "updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 50%}}}, status: {desiredNumberScheduled: 6}}", 3, ""},
		{kindDaemonSet, "{spec: {" + selector + "updateStrategy: {type: OnDelete}}, status: {desiredNumberScheduled: 6}}", 1, "OnDelete"},
	} {
		r, err := rolloutOf(c.kind, &unstructured.Unstructured{Object: object(t, c.object)})
		if err != nil || r.AtOnce != c.want || (c.stuck == "") != (r.Stuck == "") || !strings.Contains(r.Stuck, c.stuck) {
			t.Errorf("%s %s: %d at once, stuck %q, %v; want %d, %q", c.kind, c.object, r.AtOnce, r.Stuck, err, c.want, c.stuck)
		}
	}
	if _, err := rolloutOf(kindDeployment, &unstructured.Unstructured{Object: object(t, "{spec: {selector: {}}}")}); err == nil {
		t.Error("a workload with an empty selector would have every pod")
	}
}

func TestScaleKeepsWithinItsBounds(t *testing.T) {
	to := func(n int32) *int32 { return &n }
	for _, c := range []struct {
		scale           Scale
		replicas, ready int32
		want            int32
		err             string
	}{
		{Scale{To: to(5), Floor: 1}, 3, 3, 5, ""},
		{Scale{To: to(3), Floor: 1}, 3, 3, 3, ""},
		{Scale{By: 2, Floor: 1, Ceiling: 4}, 3, 3, 4, ""},
		{Scale{By: 2, Floor: 1, Ceiling: 4}, 4, 4, 0, "the ceiling is 4"},
		{Scale{By: 2, Floor: 1, Ceiling: 4}, 6, 6, 0, "the ceiling is 4"}, // never fewer where more was asked for
		{Scale{By: -2, Floor: 2}, 3, 3, 2, ""},
		{Scale{By: -2, Floor: 2}, 2, 2, 0, "the floor is 2"},
		{Scale{By: -1, Floor: 1, MinHealthy: 2}, 4, 2, 0, "2 may not be left"},
		{Scale{By: -1, Floor: 1, MinHealthy: 2}, 4, 3, 3, ""},
		{Scale{By: 1, Floor: 1, Ceiling: 9, MinHealthy: 9}, 4, 0, 5, ""}, // more pods harm nobody
	} {
		got, err := c.scale.replicas(rollout{workload: workload{Replicas: c.replicas, Ready: c.ready}})
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v of %d with %d ready: %d, %v; want %d, %q", c.scale, c.replicas, c.ready, got, err, c.want, c.err)
		}
	}
}

func TestARaiseIsRoundedUpAndHeldByTheCeiling(t *testing.T) {
	for _, c := range []struct {
		raise                RaiseLimit
		limit, ceiling, want string
	}{
		{RaiseLimit{Resource: "memory", Factor: 1.5}, "100Mi", "1Gi", "150Mi"},
		{RaiseLimit{Resource: "memory", Factor: 1.1}, "101Mi", "1Gi", "112Mi"},
		{RaiseLimit{Resource: "memory", Factor: 4}, "512Mi", "1Gi", "1Gi"},
		{RaiseLimit{Resource: "memory", Step: "128Mi"}, "128Mi", "1Gi", "256Mi"},
		{RaiseLimit{Resource: "cpu", Factor: 1.5}, "250m", "2", "375m"},
		{RaiseLimit{Resource: "cpu", Factor: 1.001}, "100m", "2", "101m"},
		{RaiseLimit{Resource: "cpu", Step: "500m"}, "1", "2", "1500m"},
	} {
		got := c.raise.raised(resource.MustParse(c.limit), resource.MustParse(c.ceiling))
		if got.String() != c.want {
			t.Errorf("%+v of %s: %s, want %s", c.raise, c.limit, got.String(), c.want)
		}
	}
}

func TestL6RaisesCountWithinAWhile(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := RaiseLimit{Resource: "memory", Times: 2, Within: jenner.Duration(24 * time.Hour)}
	raises := []raise{{"app", "memory", "1Mi", "2Mi", at.Add(-25 * time.Hour)}, {"app", "memory", "2Mi", "3Mi", at.Add(-23 * time.Hour)},
		{"app", "cpu", "1", "2", at}, {"proxy", "memory", "1Mi", "2Mi", at}}
	if err := r.mayAgain(raises, "app", at); err != nil {
		t.Errorf("one of four counts: %v", err)
	}
	if err := r.mayAgain(append(raises, raise{"app", "memory", "3Mi", "4Mi", at}), "app", at); err == nil || !strings.Contains(err.Error(), "raised 2 times since 2026-02-28 13:00:00, from 2Mi") {
		t.Errorf("two count: %v", err)
	}
	if _, err := raisesOf("not JSON"); err == nil {
		t.Error("a note that cannot be read is taken for none")
	}
}

func TestWhichPodGoesFirst(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	pod := func(name string, ready corev1.ConditionStatus, since time.Time) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(since)}, Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: ready, LastTransitionTime: metav1.NewTime(since)}}}}
	}
	old, young := pod("old", corev1.ConditionFalse, at), pod("young", corev1.ConditionFalse, at.Add(time.Minute))
	serves := pod("serves", corev1.ConditionTrue, at.Add(-time.Hour))
	for _, c := range []struct{ first, second corev1.Pod }{{old, young}, {young, serves}, {old, serves}} {
		if longestUnready(c.first, c.second) >= 0 || longestUnready(c.second, c.first) <= 0 {
			t.Errorf("%s must go before %s", c.first.Name, c.second.Name)
		}
	}
	ending := old
	ending.DeletionTimestamp = &metav1.Time{Time: at}
	finished := old
	finished.Status.Phase = corev1.PodSucceeded
	for name, c := range map[string]struct {
		delete DeletePod
		pod    corev1.Pod
		one    string
		want   bool
	}{
		"unready":         {DeletePod{}, old, "", true},
		"serves":          {DeletePod{}, serves, "", false},
		"serves, meant":   {DeletePod{AndReady: true}, serves, "", true},
		"named":           {DeletePod{}, serves, "serves", true},
		"not named":       {DeletePod{}, old, "serves", false},
		"ending":          {DeletePod{}, ending, "old", false},
		"finished":        {DeletePod{}, finished, "", false},
		"not for long":    {DeletePod{UnreadyFor: jenner.Duration(1 << 62)}, old, "", false},
		"for long enough": {DeletePod{UnreadyFor: jenner.Duration(time.Second)}, old, "", true},
	} {
		if got := c.delete.meant(&c.pod, c.one); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAMarkIsOfOneRevision(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if got := revisionVerified("shop-1", revisionMark("shop-1", at)); !got.Equal(at) {
		t.Errorf("it was seen %s", got)
	}
	for _, c := range []struct{ name, mark string }{{"shop-2", revisionMark("shop-1", at)}, {"shop-1", ""}, {"shop-1", "shop-1"}, {"shop-1", "shop-1 yesterday"}} {
		if got := revisionVerified(c.name, c.mark); !got.IsZero() {
			t.Errorf("%s with %q was seen %s", c.name, c.mark, got)
		}
	}
	one := &release.Release{Version: 3, Labels: map[string]string{verifiedAt: releaseMark(3, at)}}
	if got := releaseVerified(one); !got.Equal(at) {
		t.Errorf("it was seen %s", got)
	}
	one.Version = 4
	if got := releaseVerified(one); !got.IsZero() {
		t.Errorf("a mark that was handed on counts: %s", got)
	}
}

func TestARollbackOfOursIsKnownAgain(t *testing.T) {
	kept := rolledRelease{From: 5, To: 3}
	for said, want := range map[string]bool{"Rollback to 3": true, "Rollback to 30": false, "Upgrade complete": false, "Broken off: Rollback to 3; no": true,
		"Broken off: Rollback to 31; no": false} {
		for version, after := range map[int]bool{5: false, 6: true} {
			last := &release.Release{Version: version, Info: &release.Info{Description: said}}
			if got := kept.ours(last); got != (want && after) {
				t.Errorf("revision %d, %q: %v", version, said, got)
			}
		}
	}
}

func TestNamesAreMadeOfTheKey(t *testing.T) {
	long := strings.Repeat("x", 70)
	if a, b := nameFor("import-retry", "k1"), nameFor("import-retry", "k1/undo"); a != b || !strings.HasPrefix(a, "import-retry-") {
		t.Errorf("%s and %s are the same call", a, b)
	}
	if nameFor("a", "k1") == nameFor("a", "k2") {
		t.Error("two calls have one name")
	}
	if got := nameFor(long, "k1"); len(got) != 63 {
		t.Errorf("%s has %d letters", got, len(got))
	}
}

func TestAJobLikeAnotherIsNotTiedToIt(t *testing.T) {
	yes := true
	failed := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "import-1", Labels: map[string]string{"team": "shop", "job-name": "import-1"},
		OwnerReferences: []metav1.OwnerReference{{Kind: "CronJob", Name: "import", Controller: &yes}}},
		Spec: batchv1.JobSpec{Selector: &metav1.LabelSelector{}, Suspend: &yes, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{
			"app": "import", "controller-uid": "u", batchv1.ControllerUidLabel: "u", batchv1.JobNameLabel: "import-1"}}}}}
	made := likeFailed(failed, "import-1-retry-x", "k1")
	if made.Spec.Selector != nil || made.Spec.Suspend != nil || len(made.Spec.Template.Labels) != 1 || len(failed.Spec.Template.Labels) != 4 {
		t.Errorf("%+v of %+v", made.Spec, failed.Spec)
	}
	if made.Labels["team"] != "shop" || made.Labels[retryOf] != "import-1" || made.Labels["job-name"] != "" || made.Annotations[manual] != "manual" ||
		made.Annotations[lastAction] != "k1" || len(made.OwnerReferences) != 1 {
		t.Errorf("%+v", made.ObjectMeta)
	}
	if again := likeFailed(made, "y", "k2"); again.Labels[retryOf] != "import-1" {
		t.Errorf("the retry of a retry is one of %s", again.Labels[retryOf])
	}
}

func TestWhoHoldsAField(t *testing.T) {
	held := holders([]metav1.StatusCause{{Type: metav1.CauseTypeFieldManagerConflict, Message: `conflict with "kube-controller-manager" with subresource "scale" using apps/v1`,
		Field: ".spec.replicas"}, {Message: "?"}})
	if len(held) != 2 || held[0] != (holder{"kube-controller-manager", ".spec.replicas"}) || held[1].manager != "somebody" {
		t.Errorf("%+v", held)
	}
	drift := RevertDrift{TakeFrom: []string{"auto*"}}
	for manager, want := range map[string]bool{"kubectl-edit": true, "kubectl": true, "jenner": true, "autopilot": true, "kube-controller-manager": false,
		"somebody": false, "": false} {
		if got := drift.takes(manager); got != want {
			t.Errorf("the fields of %q: %v", manager, got)
		}
	}
}

func TestWhyAPodDoesNotServe(t *testing.T) {
	for name, c := range map[string]struct{ pod, want string }{
		"it serves":       {"{conditions: [{type: Ready, status: 'True'}]}", ""},
		"it loops":        {"{containerStatuses: [{name: app, state: {waiting: {reason: CrashLoopBackOff}}}]}", "app: CrashLoopBackOff"},
		"it starts":       {"{containerStatuses: [{name: app, state: {waiting: {reason: ContainerCreating}}}]}", ""},
		"its init waits":  {"{initContainerStatuses: [{name: init, state: {waiting: {reason: ErrImagePull}}}], containerStatuses: [{name: app, state: {waiting: {reason: PodInitializing}}}]}", "init: ErrImagePull"},
		"it ended before": {"{containerStatuses: [{name: app, restartCount: 3, state: {running: {}}, lastState: {terminated: {reason: OOMKilled}}}]}", "app: ended 3 times, last with OOMKilled"},
		"it has no place": {"{conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: 0/2 nodes}]}", "Unschedulable: 0/2 nodes"},
		"nobody can tell": {"{}", ""},
	} {
		var pod corev1.Pod
		if err := yaml.Unmarshal([]byte("{status: "+c.pod+"}"), &pod); err != nil {
			t.Fatal(err)
		}
		if got := podTrouble(&pod); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestTheWorkloadsOfAManifest(t *testing.T) {
	helm := &Target{Namespace: "shop", Kubeconfig: "/k", ref: jenner.TargetRef{Kind: kindHelm, Name: "shop"}}
	list, err := helm.workloadsIn("---\n# Source: a\nkind: Service\nmetadata: {name: a}\n---\nkind: Deployment\nmetadata: {name: b}\n---\n\n---\nkind: DaemonSet\nmetadata: {name: c, namespace: kube-system}\n")
	if err != nil || len(list) != 2 || list[0].String() != "deployment shop/b" || list[1].String() != "daemonset kube-system/c" || list[1].Kubeconfig != "/k" {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := helm.workloadsIn("a: b: c"); err == nil {
		t.Error("what cannot be read holds no workloads")
	}
}

func TestEndOfAJob(t *testing.T) {
	for condition, want := range map[string]jobEnd{"{type: Complete, status: 'True'}": jobDone, "{type: Failed, status: 'True'}": jobFailed,
		"{type: Failed, status: 'False'}": jobRuns, "{type: SuccessCriteriaMet, status: 'True'}": jobRuns, "{type: FailureTarget, status: 'True'}": jobRuns} {
		var job batchv1.Job
		if err := yaml.Unmarshal([]byte("{status: {conditions: ["+condition+"]}}"), &job); err != nil {
			t.Fatal(err)
		}
		if got, _ := endOf(&job); got != want {
			t.Errorf("%s: %d, want %d", condition, got, want)
		}
	}
	if appsv1.ControllerRevisionHashLabelKey != uniqueLabel(kindDaemonSet) || uniqueLabel(kindDeployment) != "pod-template-hash" {
		t.Error("the pods of a revision are known by other labels")
	}
}

// TestMarksThatDoNotCountAreTold, for a pipeline may write them in another form than is needed.
func TestMarksThatDoNotCountAreTold(t *testing.T) {
	marked := func(name, mark string, current bool) revision {
		one := revision{Number: 3, Current: current, object: &unstructured.Unstructured{Object: object(t, "{metadata: {name: "+name+"}}")}}
		one.object.SetAnnotations(map[string]string{verifiedAt: mark})
		one.Verified = revisionVerified(name, mark)
		return one
	}
	for _, c := range []struct {
		one  revision
		want string
	}{
		{marked("shop-1", "2026-03-01T09:30:00Z", false), `; the mark "2026-03-01T09:30:00Z" of revision 3 (shop-1) does not count: "shop-1 `},
		{marked("shop-1", "shop-2 2026-03-01T09:30:00Z", false), `; the mark "shop-2 2026-`},
		{marked("shop-1", "shop-1 yesterday", false), `; the mark "shop-1 yesterday"`},
		{marked("shop-1", "shop-1 2026-03-01T09:30:00Z", false), ""},
		{marked("shop-1", "true", true), ""}, // nobody goes back to the present one
		{marked("shop-1", "", false), ""},
	} {
		if got := idleMarks([]revision{c.one}); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%v: %q, want %q", c.one.object.GetAnnotations(), got, c.want)
		}
	}
}
