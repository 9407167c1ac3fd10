//go:build kube

package kubernetes

import (
	"testing"

	faulttest "github.com/jenner-heal/jenner/conformance/fault"
)

// guestImage holds this very Jenner: `kubelab image jenner --binary FILE` loads it.
const guestImage = "jenner-test/jenner:dev"

func TestFaultContainerKill(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		return w.faultWorld(t, "kubernetes.container_kill", w.deployment(t, "shop", 1), `{"image":"`+guestImage+`"}`)
	})
}

func TestFaultCPU(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		return w.faultWorld(t, "kubernetes.cpu", w.deployment(t, "shop", 1), `{"image":"`+guestImage+`"}`)
	})
}

func TestFaultMemory(t *testing.T) {
	passes(t, func(t *testing.T) faulttest.World {
		w := newWorld(t)
		return w.faultWorld(t, "kubernetes.memory", w.deployment(t, "shop", 1), `{"image":"`+guestImage+`","size":"32Mi"}`)
	})
}
