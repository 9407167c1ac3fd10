//go:build kube

package kubernetes

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
)

// TestNodesInTrouble makes a node that no kubelet looks after, and puts pods there. It is serial, for everybody sees that node.
func TestNodesInTrouble(t *testing.T) {
	p := newPost(t)
	name := p.ns + "-node"
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: "zone-x"}},
		Spec: corev1.NodeSpec{Unschedulable: true, Taints: []corev1.Taint{{Key: "jenner.dev/test", Effect: corev1.TaintEffectNoSchedule}}}}
	_, err := p.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.CoreV1().Nodes().Delete(afterwards(t), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	is := func(ready, pressure corev1.ConditionStatus) {
		t.Helper()
		err := retry.RetryOnConflict(meanwhile, func() error { // the control plane writes nodes, too
			node, err := p.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			node.Status.Conditions = []corev1.NodeCondition{
				{Type: corev1.NodeReady, Status: ready, Reason: "KubeletNotReady", LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()},
				{Type: corev1.NodeMemoryPressure, Status: pressure, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()}}
			_, err = p.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	is(corev1.ConditionTrue, corev1.ConditionFalse)
	p.as("people", strings.Replace(appOf("web", 2, "v1"), "containers:", "nodeName: "+name+", containers:", 1))
	p.as("people", appOf("other", 0, "v1"))
	services := []jenner.Service{p.service("deployment", "web"), p.service("deployment", "other"), {Name: "machine", Targets: []jenner.Target{{Kind: "node", Name: name}}}}
	p.observe(&ObserverNodes{}, services...)
	for _, service := range services {
		p.until(service.Name+" is synced", func() bool { return p.isSynced(service) })
	}
	is(corev1.ConditionTrue, corev1.ConditionTrue)
	p.until("the pressure is told", func() bool { return p.holds("MemoryPressure", "node/"+name) })
	is(corev1.ConditionFalse, corev1.ConditionTrue)
	p.until("it is told that the node is not ready", func() bool { return p.holds("NodeNotReady", "node/"+name) })
	p.until("both pods are counted, and the node itself", func() bool { return p.holdsFor("web", "NodeNotReady", 2) && p.holdsFor("machine", "NodeNotReady", 0) })
	if p.holdsFor("other", "NodeNotReady", -1) {
		t.Errorf("told of the wrong targets:\n%s", p.notebook)
	}
	p.as("people", appOf("web", 0, "v1"))
	p.until("it is over for what has no pod there", func() bool { return !p.holdsFor("web", "NodeNotReady", -1) && p.holdsFor("machine", "NodeNotReady", 0) })
}

// holdsFor tells whether a condition holds for a service, with that value; -1 is any.
func (n *notebook) holdsFor(service, reason string, value float64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.on {
		if c.Service == service && c.Reason == reason && (value < 0 || c.Value == value) {
			return true
		}
	}
	return false
}

func TestRolloutThatIsStuck(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	service := p.service("deployment", "web")
	p.observe(&ObserverRollouts{}, service)
	p.as("people", appOf("web", 1, "v1"))
	p.until("it is synced", func() bool { return p.isSynced(service) })
	p.as("people", strings.Replace(appOf("web", 1, "v1", "NEVER_READY=1"), "progressDeadlineSeconds: 30", "progressDeadlineSeconds: 10", 1))
	p.until("it is told that the rollout is stuck", func() bool { return p.holds("ProgressDeadlineExceeded", "deployment/web") })
	p.as("people", appOf("web", 1, "v1"))
	p.until("it is over", func() bool { return !p.holds("ProgressDeadlineExceeded", "deployment/web") })
}

func TestAutoscalerWithoutNumbers(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.as("people", appOf("web", 1, "v1"))
	p.observe(&ObserverAutoscalers{}, p.service("deployment", "web"))
	p.as("people", `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web}, spec: {minReplicas: 1, maxReplicas: 2,
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]}}`)
	p.until("it is told that there are no numbers", func() bool { return p.holds("FailedGetResourceMetric", "hpa/web") })
	p.remove("HorizontalPodAutoscaler", "web")
	p.until("it is over", func() bool { return !p.holds("FailedGetResourceMetric", "hpa/web") })
}

func TestJobsInTrouble(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.observe(&ObserverJobs{}, p.service("job", "fails"), p.service("job", "hangs", "longest", "3s"), p.service("job", "nightly"))
	job := func(name, limits string) string {
		return fmt.Sprintf("{apiVersion: batch/v1, kind: Job, metadata: {name: %s}, spec: {%s, template: {spec: {restartPolicy: Never, terminationGracePeriodSeconds: 0, containers: [{name: app, image: \"jenner-test/app:%s\"}]}}}}",
			name, limits, map[bool]string{true: "v1", false: "crash"}[name == "hangs"])
	}
	p.as("people", job("fails", "backoffLimit: 0")+"\n---\n"+job("hangs", "backoffLimit: 0")+"\n---\n"+job("nightly-29381", "backoffLimit: 0"))
	p.until("it is told that the job failed", func() bool { return p.holds("BackoffLimitExceeded", "job/fails") })
	p.until("it is told that the job runs for too long", func() bool { return p.holds("RunningTooLong", "job/hangs") })
	p.until("the job of a cron job is told", func() bool { return p.holdsFor("nightly", "BackoffLimitExceeded", 1) })
	p.remove("Job", "fails")
	p.remove("Job", "hangs")
	p.until("both are over", func() bool {
		return !p.holds("BackoffLimitExceeded", "job/fails") && !p.holds("RunningTooLong", "job/hangs")
	})
}

func TestClaimWithoutAVolume(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.as("people", "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {storageClassName: none-"+p.ns+", accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}")
	p.as("people", strings.Replace(appOf("web", 1, "v1"), "containers:", "volumes: [{name: data, persistentVolumeClaim: {claimName: data}}], containers:", 1))
	p.observe(&ObserverClaims{}, p.service("deployment", "web"), p.service("pvc", "data"))
	p.until("it is told that there is no volume", func() bool { return p.holdsFor("web", "ClaimPending", -1) && p.holdsFor("data", "ClaimPending", -1) })
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: p.ns}, Spec: corev1.PersistentVolumeSpec{StorageClassName: "none-" + p.ns,
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")},
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/tmp"}}}}
	if _, err := p.CoreV1().PersistentVolumes().Create(t.Context(), volume, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.CoreV1().PersistentVolumes().Delete(afterwards(t), p.ns, metav1.DeleteOptions{}) })
	p.until("it is over", func() bool { return !p.holds("ClaimPending", "pvc/data") })
}

// TestCertificateThatEnds is given one of twelve seconds, of which the last two are worth a warning.
func TestCertificateThatEnds(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	secret := func(life time.Duration) string {
		return fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {name: tls}, data: {tls.crt: %s}}", base64.StdEncoding.EncodeToString(certificate(t, time.Now(), life)))
	}
	p.as("people", secret(time.Hour))
	p.observe(&ObserverCertificates{}, p.service("secret", "tls"))
	p.until("it is synced", func() bool { return p.isSynced(p.service("secret", "tls")) })
	p.as("people", secret(12*time.Second))
	p.until("it is told that it is about to end", func() bool { return p.everHeld("CertificateExpiring") })
	p.until("it is told that it has ended", func() bool {
		return p.holds("CertificateExpired", "secret/tls") && !p.holds("CertificateExpiring", "secret/tls")
	})
	p.as("people", secret(time.Hour))
	p.until("it is over", func() bool { return !p.holds("CertificateExpired", "secret/tls") })
}

func TestDrift(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "web.yaml")
	keep := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git := func(arguments ...string) {
		t.Helper()
		command := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.org"}, arguments...)...)
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v %s (apt-get install git)", arguments, err, said)
		}
	}
	config := func(value string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {value: \"" + value + "\"}\n"
	}
	both := func(replicas int, value string) string {
		return appOf("web", replicas, "v1") + "\n---\n" + config(value)
	}
	keep(both(1, "x"))
	git("init", "-q", "-b", "main")
	git("add", ".")
	git("commit", "-q", "-m", "one")
	p.as("people", appOf("web", 1, "v1"))
	p.as("people", config("x"))
	web, settings := p.service("deployment", "web", "desired", file), p.service("configmap", "settings", "desired", file, "revision", "main")
	p.observe(&ObserverDrift{}, web, settings)
	p.until("both are synced", func() bool { return p.isSynced(web) && p.isSynced(settings) })

	p.as("kubectl-edit", config("y"))
	p.until("the drift of the configuration is told", func() bool { return p.holds("ConfigDrift", "configmap/settings") })
	if drift, _ := p.condition("ConfigDrift", "configmap/settings"); !strings.Contains(drift.Summary, `data.value is "y", not "x"`) || drift.Labels["changed_by"] != "kubectl-edit" {
		t.Errorf("told as %+v", drift)
	}
	keep(both(2, "y"))
	p.until("the other drifts from its file, which was changed", func() bool { return p.holds("ConfigDrift", "deployment/web") })
	if !p.holds("ConfigDrift", "configmap/settings") {
		t.Errorf("what was not committed counts:\n%s", p.notebook)
	}
	git("commit", "-q", "-a", "-m", "two")
	p.until("the configuration is as it was committed", func() bool { return !p.holds("ConfigDrift", "configmap/settings") })
	p.as("people", appOf("web", 2, "v1"))
	p.until("the other is as in its file", func() bool { return !p.holds("ConfigDrift", "deployment/web") })
	p.remove("ConfigMap", "settings")
	p.until("it is told that it is not there", func() bool {
		drift, holds := p.condition("ConfigDrift", "configmap/settings")
		return holds && strings.Contains(drift.Summary, "not in the cluster")
	})
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p.until("it is told that the manifest cannot be read", func() bool { return p.isBlind("no such file") })
}

func (n *notebook) isBlind(says string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, why := range n.blind {
		if strings.Contains(why.Error(), says) {
			return true
		}
	}
	return false
}

func TestChangesOfOthers(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	config := func(value string) string {
		return "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {value: \"" + value + "\", same: x}}"
	}
	secret := func(value string) string {
		return "{apiVersion: v1, kind: Secret, metadata: {name: keys}, stringData: {password: " + value + "}}"
	}
	web := func(image string, replicas int) string {
		return strings.Replace(appOf("web", replicas, image), "containers:", "volumes: [{name: c, configMap: {name: settings}}], containers:", 1)
	}
	p.as("people", config("x")+"\n---\n"+secret("one"))
	p.as("people", web("v1", 1))
	services := []jenner.Service{p.service("deployment", "web"), p.service("secret", "keys")}
	stop := p.observe(&ObserverChanges{}, services...)
	p.until("both are synced", func() bool { return p.isSynced(services[0]) && p.isSynced(services[1]) })
	told := func(kind jenner.ChangeKind, object, by, says string) {
		t.Helper()
		p.until(fmt.Sprintf("%s of %s by %s is told: %s", kind, object, by, says), func() bool {
			event, is := p.notebook.change(kind, object)
			return is && event.By == by && strings.Contains(event.Summary, says) && time.Since(event.At) < 2*await.Patience
		})
	}
	p.as("argocd", web("v2", 1))
	told(jenner.ChangeDeploy, "deployment/web", "argocd", "image jenner-test/app:v1 → jenner-test/app:v2")
	p.as("somebody", config("y"))
	told(jenner.ChangeConfig, "configmap/settings", "somebody", "changed: value")
	p.as("somebody", secret("two"))
	told(jenner.ChangeSecret, "secret/keys", "somebody", "changed: password")
	p.as("scaler", web("v2", 2))
	told(jenner.ChangeScale, "deployment/web", "scaler", "pods 1 → 2")
	p.as(fieldManager, config("z"))
	p.as(fieldManager, web("v1", 1))
	p.as("somebody", config("last"))
	told(jenner.ChangeConfig, "configmap/settings", "somebody", "changed: value")
	for _, event := range p.events() {
		if event.By == fieldManager || strings.Contains(event.Summary, "one") || strings.Contains(event.Summary, "two") {
			t.Errorf("told: %+v", event)
		}
	}
	stop()

	p.notebook = &notebook{}
	began := time.Now().Truncate(time.Second)
	p.until("another second has begun, for times are no finer", func() bool { return time.Now().Truncate(time.Second).After(began) })
	p.as("argocd", web("v2", 1))
	p.observe(&ObserverChanges{}, services...)
	told(jenner.ChangeDeploy, "deployment/web", "argocd", "image jenner-test/app:v1 → jenner-test/app:v2")
	told(jenner.ChangeConfig, "configmap/settings", "somebody", "ed") // changed, or created where that was within a second
}

func (n *notebook) events() []jenner.ChangeEvent {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]jenner.ChangeEvent(nil), n.changes...)
}
