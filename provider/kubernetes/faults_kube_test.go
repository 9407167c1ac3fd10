//go:build kube

package kubernetes

import (
	"testing"

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
