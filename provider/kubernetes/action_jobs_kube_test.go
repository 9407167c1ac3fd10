//go:build kube

package kubernetes

import (
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

// job is a Job whose one pod runs a command of the lab's image.
func job(name, more string, args ...string) string {
	return fmt.Sprintf("{apiVersion: batch/v1, kind: Job, metadata: {name: %s, labels: {team: shop}}, spec: {backoffLimit: 0, %s template: {spec: {"+
		"restartPolicy: Never, terminationGracePeriodSeconds: 0, containers: [{name: work, image: 'jenner-test/app:v1', imagePullPolicy: IfNotPresent, args: %s}]}}}}",
		name, more, jsonOf(args))
}

// failed makes a Job and waits until it has failed.
func (g *ground) failed(name string) jenner.Target {
	g.t.Helper()
	g.as("people", job(name, "", "job", "--fail-times", "9"))
	target := g.target(kindJob, name)
	g.until("the job has failed", func() bool {
		job, err := g.BatchV1().Jobs(g.ns).Get(g.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return false
		}
		end, _ := endOf(job)
		return end == jobFailed
	})
	return target
}

func TestRetryJobConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(g *ground) actiontest.World {
		target := g.failed("import")
		return actiontest.World{Action: g.made("retry_job", kindJob, "{}"), Call: act.Call{Target: target}, Meddle: func(t *testing.T) {
			policy := metav1.DeletePropagationBackground
			if err := g.BatchV1().Jobs(g.ns).DeleteCollection(t.Context(), metav1.DeleteOptions{PropagationPolicy: &policy},
				metav1.ListOptions{LabelSelector: retryOf + "=import"}); err != nil {
				t.Fatal(err)
			}
		}}
	})
}

func TestDeleteJobConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(g *ground) actiontest.World {
		return actiontest.World{Action: g.made("delete_job", kindJob, "{}"), Call: act.Call{Target: g.failed("import")}}
	})
}

func TestAJobIsRetriedSoOftenAndNoMore(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.failed("import")
	deed := g.deed("retry_job", target, "{times: 1, wait: 60s}")
	deed.refused("it failed", "work logged")
	if deed.happened() != act.HappenedDone {
		t.Error("the new job was made")
	}
	g.deed("retry_job", target, "{times: 1}").refused("was retried 1 times", "find out why")
	made, err := g.BatchV1().Jobs(g.ns).List(t.Context(), metav1.ListOptions{LabelSelector: retryOf + "=import,team=shop"})
	if err != nil || len(made.Items) != 1 || !strings.HasPrefix(made.Items[0].Name, "import-retry-") {
		t.Errorf("%v, %v", made, err)
	}
	deed.undo()
	g.until("the new job is gone", func() bool {
		_, err := g.BatchV1().Jobs(g.ns).Get(t.Context(), made.Items[0].Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func TestARetryThatSucceeds(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.failed("import")
	// What made it fail is gone: as the template cannot be changed, the state that it reads is.
	g.as("people", job("fine", "", "job", "--takes", "1s"))
	g.deed("retry_job", g.target(kindJob, "fine"), "{}").refused("has not failed")
	g.deed("delete_job", target, "{}").must()
	g.as("people", job("long", "", "job", "--hang"))
	g.deed("delete_job", g.target(kindJob, "long"), "{}").refused("has not ended", "running: true")
	g.deed("delete_job", g.target(kindJob, "long"), "{running: true}").must()
}

func TestRunHookConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(g *ground) actiontest.World {
		g.as("people", "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}")
		return actiontest.World{Action: g.made("run_hook", kindConfigMap, "{template: "+hookTemplate("job", "--takes", "200ms")+"}"),
			Call: act.Call{Target: g.target(kindConfigMap, "settings"), Step: "drain orders"}}
	})
}

func hookTemplate(args ...string) string {
	return fmt.Sprintf("{spec: {terminationGracePeriodSeconds: 0, containers: [{name: work, image: 'jenner-test/app:v1', imagePullPolicy: IfNotPresent, args: %s}]}}",
		jsonOf(args))
}

func TestAHookTellsWhatWentWrong(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.target(kindDeployment, "shop")
	g.deed("run_hook", target, "{template: "+hookTemplate("job", "--fail-times", "9")+"}").refused("it failed", "work logged")
	stopped := g.deed("run_hook", target, "{timeout: 3s, template: "+hookTemplate("job", "--hang")+"}")
	stopped.refused("has not ended: not within 3s")
	_, namespace, name, err := stopped.make().(*RunHook).place(stopped.call)
	if err != nil {
		t.Fatal(err)
	}
	g.until("the hook was stopped", func() bool {
		_, err := g.BatchV1().Jobs(namespace).Get(t.Context(), name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	g.deed("run_hook", target, "{from: cronjob/nobody}").refused("cronjob " + g.ns + "/nobody")
}

// A hook that runs when Jenner dies is waited for by the next one, and not begun a second time.
func TestAHookIsBegunOnce(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.as("people", strings.Replace(strings.Replace(job("cleanup", "", "job", "--takes", "1s"), "kind: Job", "kind: CronJob", 1),
		"spec: {backoffLimit: 0,", "spec: {schedule: '0 0 1 1 *', suspend: true, jobTemplate: {spec: {backoffLimit: 0,", 1)+"}}")
	deed := g.deed("run_hook", g.target(kindDeployment, "shop"), "{from: cronjob/cleanup, keep: 5m}")
	hook := deed.make().(*RunHook)
	if _, err := hook.make(t.Context(), deed.call, false); err != nil {
		t.Fatal(err)
	}
	if answer := deed.happened(); answer != act.HappenedNot {
		t.Errorf("it runs, and is said to be %s", answer)
	}
	deed.must()
	if answer := deed.happened(); answer != act.HappenedDone {
		t.Errorf("it succeeded, and is said to be %s", answer)
	}
	jobs, err := g.BatchV1().Jobs(g.ns).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(jobs.Items) != 1 {
		t.Errorf("%d jobs, %v", len(jobs.Items), err)
	}
}
