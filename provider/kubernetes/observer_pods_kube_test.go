//go:build kube

package kubernetes

import (
	"testing"

	"github.com/jenner-heal/jenner"
)

// TestPodsInTrouble lets pods fail in the ways that Kubernetes has a word for, and heals them.
func TestPodsInTrouble(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	services := []jenner.Service{p.service("deployment", "crash"), p.service("deployment", "oom"), p.service("deployment", "image"),
		p.service("deployment", "huge"), p.service("deployment", "sick"), p.service("pod", "stray", "selector", "app=stray"), p.service("job", "work")}
	p.observe(&ObserverPods{}, services...)
	for _, service := range services {
		p.until(service.Name+" is synced", func() bool { return p.isSynced(service) })
	}
	p.as("people", appOf("crash", 1, "crash"))
	p.as("people", appOf("oom", 1, "v1", "LEAK_MB_PER_S=100"))
	p.as("people", appOf("image", 1, "nowhere"))
	p.as("people", appOf("sick", 1, "v1", "HANG_AFTER=2s"))
	p.as("people", `
apiVersion: apps/v1
kind: Deployment
metadata: {name: huge}
spec: {replicas: 1, selector: {matchLabels: {app: huge}}, template: {metadata: {labels: {app: huge}}, spec: {containers: [{name: app, image: "jenner-test/app:v1", resources: {requests: {memory: 900Gi}}}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: stray, labels: {app: stray}}
spec: {containers: [{name: app, image: "jenner-test/other:v1", imagePullPolicy: Never}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: work}
spec: {backoffLimit: 2, template: {spec: {restartPolicy: OnFailure, containers: [{name: app, image: "jenner-test/app:crash"}]}}}
`)
	for reason, object := range map[string]string{"CrashLoopBackOff": "pod/crash-", "ImagePullBackOff": "pod/image-", "OOMKilled": "pod/oom-",
		"Unhealthy": "pod/sick-", "Unschedulable": "pod/huge-", "ErrImageNeverPull": "pod/stray"} {
		p.until(reason+" is told", func() bool { return p.holds(reason, object) })
	}
	var crash jenner.Condition
	p.until("the crash loop holds", func() (holds bool) { // between two starts it does not
		crash, holds = p.condition("CrashLoopBackOff", "pod/crash-")
		return holds
	})
	if crash.Service != "crash" || crash.Target != services[0].Targets[0].Ref() || crash.Labels["workload"] != "deployment/crash" || crash.Labels["zone"] == "" ||
		crash.Labels["node"] == "" || crash.Labels["container"] != "app" || crash.Labels["pod"] == "" || crash.Value < 1 {
		t.Errorf("the crash loop is told as %+v", crash)
	}
	p.until("the crash loop of the job's pod is told", func() bool { return p.holds("CrashLoopBackOff", "pod/work-") })

	p.as("people", appOf("crash", 1, "v1"))
	p.as("people", appOf("image", 1, "v1"))
	p.as("people", appOf("sick", 1, "v1", "HANG_AFTER=1h"))
	p.as("people", appOf("huge", 0, "v1"))
	p.remove("Pod", "stray")
	for reason, object := range map[string]string{"CrashLoopBackOff": "pod/crash-", "ImagePullBackOff": "pod/image-", "Unhealthy": "pod/sick-",
		"Unschedulable": "pod/huge-", "ErrImageNeverPull": "pod/stray"} {
		p.until(reason+" is over", func() bool { return !p.holds(reason, object) })
	}
	if !p.holds("OOMKilled", "pod/oom-") {
		t.Errorf("nobody healed it, and it is over:\n%s", p.notebook)
	}
}

// TestWhatHeldBefore: what is in trouble before it is observed is told before it is said that everything was.
func TestWhatHeldBefore(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	service := p.service("deployment", "crash")
	p.as("people", appOf("crash", 1, "crash"))
	stop := p.observe(&ObserverPods{}, service)
	p.until("the crash loop is told", func() bool { return p.holds("CrashLoopBackOff", "pod/crash-") })
	stop()
	again := &notebook{}
	p.notebook = again
	p.observe(&ObserverPods{}, service)
	p.until("it is synced", func() bool { return p.isSynced(service) })
	if len(again.course) == 0 {
		t.Error("nothing was told before it was said that everything was")
	}
	p.until("it is said that it still holds", func() bool { again.mu.Lock(); defer again.mu.Unlock(); return len(again.seen) > 1 })
}
