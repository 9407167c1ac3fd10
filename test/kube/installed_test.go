//go:build kube

package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// healing is what Jenner goes by in the cluster where it was installed by the chart.
const healing = `
apiVersion: jenner.dev/v1alpha1
kind: Service
metadata: {name: web, namespace: jenner}
spec:
  tier: 1
  targets: [{kind: deployment, name: web, namespace: shop}]
  probes: [{name: answers, http: {url: 'http://web.shop/livez'}, every: 500ms, timeout: 450ms, fails: 3, of: 4}]
---
apiVersion: jenner.dev/v1alpha1
kind: Signature
metadata: {name: crash-loop-after-release, namespace: jenner}
spec:
  cause: bad-release
  evidence: [{event: CrashLoopBackOff, weight: 3}, {changed: deploy, within: 10m, weight: 2}]
---
apiVersion: jenner.dev/v1alpha1
kind: Signature
metadata: {name: hung, namespace: jenner}
spec:
  cause: hung
  evidence: [{probe: answers, is: failing, weight: 4}]
---
apiVersion: jenner.dev/v1alpha1
kind: Runbook
metadata: {name: roll-back, namespace: jenner}
spec:
  steps: [{name: back, action: rollback, target: web, params: {healthy_for: 1s}, blast_radius: {max_pods: 1}}]
---
apiVersion: jenner.dev/v1alpha1
kind: Runbook
metadata: {name: restart, namespace: jenner}
spec:
  steps: [{name: again, action: restart, target: web}]
---
apiVersion: jenner.dev/v1alpha1
kind: Policy
metadata: {name: bad-release, namespace: jenner}
spec: {incident_type: bad-release, runbooks: [roll-back], mode: auto, confidence_threshold: 0.7, verification_window: 80s}
---
apiVersion: jenner.dev/v1alpha1
kind: Policy
metadata: {name: hung, namespace: jenner}
spec: {incident_type: hung, runbooks: [restart], mode: auto, confidence_threshold: 0.7, verification_window: 80s}
`

// TestInstalledByChart: two Jenners inside, of which one acts. It heals a bad release; when its pod is deleted, the other one
// heals what comes next.
func TestInstalledByChart(t *testing.T) {
	g := newGuide(t)
	g.app(t, "web", 1, nil)
	commands := g.blocks("With Helm, and more than one")
	g.run(commands[0].text)
	g.write("web.yaml", healing)
	g.healers(2)
	g.run(commands[1].text)
	for _, pod := range g.healers(2) {
		g.mayDoLittle(pod)
	}
	g.inForce(7)
	g.sees(g.leader())
	if printed := g.run(commands[2].text); !strings.Contains(printed, g.leader()) {
		t.Errorf("the leader is %s, and kubectl prints\n%s", g.leader(), printed)
	}

	g.run("kubectl set image deployment/web app=jenner-test/app:crash -n shop")
	g.incident(map[string]string{"SERVICE": "web", "PHASE": "resolved", "CAUSE": "bad-release", "RUNBOOK": "roll-back"})
	g.says("web", "JennerActed", "roll-back")
	g.says("web", "JennerResolved")
	if image := g.deployment("web").Spec.Template.Spec.Containers[0].Image; image != "jenner-test/app:v1" {
		t.Errorf("after the roll-back the image is %s", image)
	}
	g.available(t, "web")

	first := g.leader()
	g.run("kubectl delete pod -n jenner --wait=false " + first)
	var second string
	eventually(t, "another one leads", func(context.Context) error {
		if second = g.leader(); second == first {
			return errors.New(second + " still does")
		}
		return nil
	})
	hung := g.onePod(t, "web")
	g.hang(hung.Name)
	g.incident(map[string]string{"SERVICE": "web", "PHASE": "resolved", "CAUSE": "hung", "RUNBOOK": "restart"})
	g.says("web", "JennerActed", "restart")
	eventually(t, "the pod that hung is gone", func(ctx context.Context) error {
		pods, err := g.pods(ctx, "web")
		if len(pods) != 1 || pods[0].UID == hung.UID {
			err = errors.Join(err, fmt.Errorf("there are %d pods", len(pods)))
		}
		return err
	})
	g.available(t, "web")
	g.healers(2)
	if now := g.leader(); now != second {
		t.Errorf("the one that came new took over from %s: now %s leads", second, now)
	}
}

// TestInstalledByManifests: the guide from zero to the first healed service, as it is written. What hangs on to a lock of its
// predecessor crashes until its pod is replaced; first Jenner only says so, and then it does it.
func TestInstalledByManifests(t *testing.T) {
	g := newGuide(t)
	g.app(t, "checkout", 1, func(pod *corev1.PodSpec) {
		set(pod, "LOCK", "/lock/held")
		pod.Volumes = []corev1.Volume{{Name: "lock", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		pod.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "lock", MountPath: "/lock"}}
	})
	g.haveVolume()
	commands := g.blocks("From zero to the first healed service")
	g.run(commands[0].text)
	g.write("checkout.yaml", commands[1].text)
	for _, pod := range g.healers(1) {
		g.mayDoLittle(pod)
	}
	g.run(commands[2].text)
	g.inForce(4)
	g.sees(g.leader())
	sick := g.onePod(t, "checkout")
	g.crash(sick.Name)
	g.says("checkout", "JennerRecommended", "restart")
	if now := g.onePod(t, "checkout"); now.UID != sick.UID {
		t.Error("it was only to recommend")
	}
	open := map[string]string{"NAME": g.incident(map[string]string{"SERVICE": "checkout", "PHASE": "planned"})["NAME"], "PHASE": "planned"}
	before := g.healers(1)[0]
	g.run("kubectl delete pod -n jenner " + before.Name)
	if after := g.healers(1)[0]; after.UID == before.UID {
		t.Fatal("the pod is the one that was deleted")
	}
	g.sees(g.leader())
	g.incident(open) // what goes on stands on the volume
	g.run(commands[3].text)
	g.says("checkout", "JennerActed", "restart") // what it has recommended
	g.says("checkout", "JennerResolved")
	healed := map[string]string{"NAME": open["NAME"], "SERVICE": "checkout", "PHASE": "resolved", "CAUSE": "crashed", "RUNBOOK": "restart", "CONFIDENCE": "1.00"}
	g.incident(healed)
	g.available(t, "checkout")
	if printed := g.run(commands[4].text); !containsAll(printed, []string{"JennerRecommended", "JennerActed", "JennerResolved"}) {
		t.Errorf("the commands that show what was done print\n%s", printed)
	}
	g.available(t, "checkout")
}

func (g *guide) write(name, text string) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, "documents", name), []byte(text), 0o644); err != nil {
		g.t.Fatal(err)
	}
}

// inForce waits until so many documents say that they are.
func (g *guide) inForce(want int) {
	g.t.Helper()
	eventually(g.t, fmt.Sprintf("%d documents are in force", want), func(context.Context) error {
		said, err := g.bash("kubectl get services.jenner.dev,signatures,runbooks,policies -n jenner").CombinedOutput()
		if strings.Count(string(said), "InForce") != want {
			err = errors.Join(fmt.Errorf("kubectl prints\n%s", said), err)
		}
		return err
	})
}

func (g *guide) deployment(name string) *appsv1.Deployment {
	g.t.Helper()
	found, err := g.AppsV1().Deployments(shop).Get(g.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		g.t.Fatal(err)
	}
	return found
}

// mayDoLittle looks at a pod as it runs, and tries to write where it must not.
func (g *guide) mayDoLittle(pod corev1.Pod) {
	g.t.Helper()
	container, of := pod.Spec.Containers[0], pod.Spec.Containers[0].SecurityContext
	if !*pod.Spec.SecurityContext.RunAsNonRoot || !*of.ReadOnlyRootFilesystem || *of.AllowPrivilegeEscalation || container.ReadinessProbe.HTTPGet.Path != "/readyz" {
		g.t.Errorf("%s runs as %+v and %+v", pod.Name, pod.Spec.SecurityContext, of)
	}
	if status := pod.Status.ContainerStatuses[0]; status.RestartCount > 0 {
		g.t.Errorf("%s was started %d times: %+v", pod.Name, status.RestartCount+1, status.LastTerminationState)
	}
	inside := "kubectl exec -n jenner " + pod.Name + " -- /jenner manifests crds --dir "
	g.run(inside + "/tmp")
	if said, err := g.bash(inside + "/").CombinedOutput(); err == nil || !strings.Contains(string(said), "read-only file system") {
		g.t.Errorf("writing to the root of %s is answered with %v and %q", pod.Name, err, said)
	}
}

// leader is the pod that has the lease and says that it leads; no other one says so.
func (g *guide) leader() string {
	g.t.Helper()
	var leads string
	eventually(g.t, "exactly one leads, and has the lease", func(ctx context.Context) error {
		list, err := g.CoreV1().Pods(home).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=jenner"})
		if err != nil {
			return err
		}
		var leaders []string
		for _, pod := range list.Items {
			numbers, err := g.CoreV1().Pods(home).ProxyGet("http", pod.Name, "9797", "/metrics", nil).DoRaw(ctx)
			if err != nil {
				return err
			}
			if strings.Contains(string(numbers), "\njenner_leader 1\n") {
				leaders = append(leaders, pod.Name)
			}
		}
		lease, err := g.CoordinationV1().Leases(home).Get(ctx, "jenner", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if holder := *lease.Spec.HolderIdentity; len(leaders) != 1 || !strings.HasPrefix(holder, leaders[0]+"_") {
			return fmt.Errorf("%q lead, and %q has the lease", leaders, holder)
		}
		leads = leaders[0]
		return nil
	})
	return leads
}

// sees waits until a pod of Jenner says that its telemetry is fresh, which is more than being ready for the first time.
func (g *guide) sees(pod string) {
	g.t.Helper()
	eventually(g.t, pod+" says at /readyz that all is well", func(ctx context.Context) error {
		said, err := g.CoreV1().Pods(home).ProxyGet("http", pod, "9797", "/readyz", nil).DoRaw(ctx)
		if err != nil || !strings.Contains(string(said), "observers are fresh") {
			return errors.Join(err, fmt.Errorf("it says %q", said))
		}
		return nil
	})
}

// hang lets the app in a pod hang, and crash crash; neither is answered.
func (g *guide) hang(pod string) { g.post(pod, "/hang") }

func (g *guide) crash(pod string) { g.post(pod, "/crash") }

func (g *guide) post(pod, path string) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), fast.Timeout)
	defer cancel()
	_ = g.CoreV1().RESTClient().Post().Namespace(shop).Resource("pods").SubResource("proxy").Name(pod + ":8080").Suffix(path).Do(ctx).Error()
}
