//go:build kube

package kubernetes

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
)

// guestImage holds this very Jenner: `kubelab image jenner --binary FILE` loads it.
const guestImage = "jenner-test/jenner:dev"

func TestFaultContainerKill(t *testing.T) {
	t.Parallel()
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		return g.faultWorld("kubernetes.container_kill", g.deployed("shop", 1, startsOnce), `{"image":"`+guestImage+`"}`)
	})
}

// startsOnce lets a container that was killed not start again in the same pod, so that nothing heals before anybody has looked.
func startsOnce(d *appsv1.Deployment) {
	pod := &d.Spec.Template.Spec
	pod.Volumes = []corev1.Volume{{Name: "state", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	pod.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "state", MountPath: "/state"}}
	pod.Containers[0].Env = []corev1.EnvVar{{Name: "LOCK", Value: "/state/lock"}}
	pod.Containers[0].ReadinessProbe = &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{ // without one it is ready for an instant
		HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(8080)}}}
}

// TestAContainerThatDoesNotStartAgain on what it left: the undo does not wait for it for ever, but has its pod replaced.
func TestAContainerThatDoesNotStartAgain(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.deployed("shop", 1, startsOnce)
	record := g.left("kubernetes.container_kill", target, `{"image":"`+guestImage+`"}`)
	_, make := made(t, record.Fault, target.Kind, `{"image":"`+guestImage+`"}`)
	if err := make().Undo(afterwards(t), chaos.Call{Record: record}); err != nil {
		t.Fatal(err)
	}
	g.settles(target)
}

func TestFaultCPU(t *testing.T) {
	t.Parallel()
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		return g.faultWorld("kubernetes.cpu", g.deployed("shop", 1), `{"image":"`+guestImage+`"}`)
	})
}

func TestFaultMemory(t *testing.T) {
	t.Parallel()
	passes(t, func(t *testing.T) faulttest.World {
		g := newGround(t)
		return g.faultWorld("kubernetes.memory", g.deployed("shop", 1), `{"image":"`+guestImage+`","size":"32Mi"}`)
	})
}
