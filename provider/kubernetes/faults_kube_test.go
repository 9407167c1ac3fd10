//go:build kube

package kubernetes

import (
	"encoding/json"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
)

func TestFaultKill(t *testing.T) {
	t.Parallel()
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		return g.faultWorld("kubernetes.kill", g.deployed("shop", 2), `{}`)
	})
}

func TestFaultEvict(t *testing.T) {
	t.Parallel()
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		g.deployed("shop", 1)
		return g.faultWorld("kubernetes.evict", g.selecting("app=shop"), `{"pods":"100%"}`)
	})
}

func TestFaultScaleToZero(t *testing.T) {
	t.Parallel()
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		return g.faultWorld("kubernetes.scale_to_zero", g.deployed("shop", 1), `{}`)
	})
}

func TestFaultBadImage(t *testing.T) {
	t.Parallel()
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		return g.faultWorld("kubernetes.bad_image", g.deployed("shop", 1), `{"at_once":true}`)
	})
}

func TestFaultCrashLoop(t *testing.T) {
	t.Parallel()
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		return g.faultWorld("kubernetes.crash_loop", g.deployed("shop", 1), `{"env":{"CRASH_AFTER":"0s"}}`)
	})
}

func TestFaultBadRelease(t *testing.T) {
	t.Parallel()
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		return g.faultWorld("kubernetes.bad_release", g.deployed("shop", 1), `{"image":"jenner-test/app:v2","env":{"FAIL_RATE":"0.3"}}`)
	})
}

func TestFaultBounds(t *testing.T) {
	t.Parallel()
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		g.deployed("shop", 1)
		return g.faultWorld("kubernetes.bounds", g.scaler("shop", 1, 1), `{"min":2,"max":3}`)
	})
}

// scaler makes an autoscaler for a Deployment, which has no metrics, and waits until it has looked once.
func (g *ground) scaler(of string, least, most int32) jenner.Target {
	g.t.Helper()
	scalers := g.AutoscalingV2().HorizontalPodAutoscalers(g.ns)
	_, err := scalers.Create(g.t.Context(), &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: of},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: &least, MaxReplicas: most,
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: of}}}, metav1.CreateOptions{})
	if err != nil {
		g.t.Fatal(err)
	}
	g.until("the autoscaler has looked", func() bool {
		now, err := scalers.Get(g.t.Context(), of, metav1.GetOptions{})
		return err == nil && len(now.Status.Conditions) > 0
	})
	return g.target(kindHPA, of)
}

func TestFaultConfigDrift(t *testing.T) {
	t.Parallel()
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		return g.faultWorld("kubernetes.config_drift", g.configMap(), `{"key":"config.yaml","replace":{"from":"value: one","to":"value: two"}}`)
	})
}

// configMap makes a ConfigMap.
func (g *ground) configMap() jenner.Target {
	g.t.Helper()
	_, err := g.CoreV1().ConfigMaps(g.ns).Create(g.t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "shop"},
		Data: map[string]string{"config.yaml": "value: one\n# <&>\n", "other": "1"}}, metav1.CreateOptions{})
	if err != nil {
		g.t.Fatal(err)
	}
	return g.target(kindConfigMap, "shop")
}

// deployed makes a Deployment of pods that are ready as soon as they run, and waits until they do.
func (g *ground) deployed(name string, replicas int32, shape ...func(*appsv1.Deployment)) jenner.Target {
	g.t.Helper()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{Replicas: &replicas,
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}, Template: template(name)}}
	for _, change := range shape {
		change(d)
	}
	if _, err := g.AppsV1().Deployments(g.ns).Create(g.t.Context(), d, metav1.CreateOptions{}); err != nil {
		g.t.Fatal(err)
	}
	target := g.target(kindDeployment, name)
	g.settles(target)
	return target
}

// template is a pod of the lab's own server.
func template(name string) corev1.PodTemplateSpec {
	now := int64(0)
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{TerminationGracePeriodSeconds: &now, Containers: []corev1.Container{{Name: "web", Image: "jenner-test/app:v1",
			ImagePullPolicy: corev1.PullIfNotPresent}}},
	}
}

// spread lets the pods of an app stand on different nodes, where they can.
func spread(app string) []corev1.TopologySpreadConstraint {
	return []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}}}
}

// selecting is a target of pods by labels.
func (g *ground) selecting(selector string) jenner.Target {
	return jenner.Target{Kind: kindPod, Name: "pods", Params: jenner.Params{"namespace": jenner.Raw(g.ns), "selector": jenner.Raw(selector)}}
}

// made is a fault with parameters as people write them.
func made(t *testing.T, name, kind, params string) (jenner.Params, func() chaos.Fault) {
	t.Helper()
	var read jenner.Params
	if err := json.Unmarshal([]byte(params), &read); err != nil {
		t.Fatal(err)
	}
	make := func() chaos.Fault {
		_, fault, err := catalog.Merge(Provider).MakeFault(name, kind, read)
		if err != nil {
			t.Fatal(err)
		}
		return fault
	}
	make()
	return read, make
}

// faultWorld is a world of the suite for a fault on a target.
func (g *ground) faultWorld(fault string, target jenner.Target, params string) faulttest.World {
	g.t.Helper()
	read, make := made(g.t, fault, target.Kind, params)
	absent := target
	absent.Name = "not-there"
	absent.Params = jenner.Params{"namespace": jenner.Raw(g.ns)}
	return faulttest.World{Fault: make, Absent: absent,
		Record: jenner.FaultRecord{ID: "f-" + jenner.Fingerprint(g.ns, fault), Drill: "d-test", Fault: fault, Params: read, Target: target}}
}

// passes runs the suite of the faults, and the one that kills the processes, each test in a fresh world.
func passes(t *testing.T, build func(t *testing.T) faulttest.World) {
	t.Helper()
	t.Run("suite", func(t *testing.T) { faulttest.Run(t, build) })
	t.Run("killed", func(t *testing.T) { faulttest.Killed(t, build) })
}
