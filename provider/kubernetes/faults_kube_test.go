//go:build kube

package kubernetes

import (
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
)

func TestFaultKill(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		return w.faultWorld(t, "kubernetes.kill", w.deployment(t, "shop", 2), `{}`)
	})
}

func TestFaultEvict(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		w.deployment(t, "shop", 1)
		return w.faultWorld(t, "kubernetes.evict", w.selecting("app=shop"), `{"pods":"100%"}`)
	})
}

func TestFaultScaleToZero(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		return w.faultWorld(t, "kubernetes.scale_to_zero", w.deployment(t, "shop", 1), `{}`)
	})
}

func TestFaultBadImage(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		return w.faultWorld(t, "kubernetes.bad_image", w.deployment(t, "shop", 1), `{"at_once":true}`)
	})
}

func TestFaultCrashLoop(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		return w.faultWorld(t, "kubernetes.crash_loop", w.deployment(t, "shop", 1), `{"env":{"CRASH_AFTER":"0s"}}`)
	})
}

func TestFaultBadRelease(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		return w.faultWorld(t, "kubernetes.bad_release", w.deployment(t, "shop", 1), `{"image":"jenner-test/app:v2","env":{"FAIL_RATE":"0.3"}}`)
	})
}

func TestFaultBounds(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		w.deployment(t, "shop", 1)
		return w.faultWorld(t, "kubernetes.bounds", w.scaler(t, "shop", 1, 1), `{"min":2,"max":3}`)
	})
}

// scaler makes an autoscaler for a Deployment, which has no metrics, and waits until it has looked once.
func (w *world) scaler(t *testing.T, of string, least, most int32) jenner.Target {
	t.Helper()
	scalers := w.AutoscalingV2().HorizontalPodAutoscalers(w.namespace)
	_, err := scalers.Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: of},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: &least, MaxReplicas: most,
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: of}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.eventually(t, "the autoscaler has looked", func() bool {
		now, err := scalers.Get(t.Context(), of, metav1.GetOptions{})
		return err == nil && len(now.Status.Conditions) > 0
	})
	return w.target(kindHPA, of)
}

func TestFaultConfigDrift(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		return w.faultWorld(t, "kubernetes.config_drift", w.config(t), `{"key":"config.yaml","replace":{"from":"value: one","to":"value: two"}}`)
	})
}

// config makes a ConfigMap.
func (w *world) config(t *testing.T) jenner.Target {
	t.Helper()
	_, err := w.CoreV1().ConfigMaps(w.namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "shop"},
		Data: map[string]string{"config.yaml": "value: one\n# <&>\n", "other": "1"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return w.target(kindConfigMap, "shop")
}
