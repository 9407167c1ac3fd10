//go:build kube

package kubernetes

import (
	"testing"

	"github.com/jenner-heal/jenner"
)

// TestPodConditions lets pods fail in every way that Kubernetes has a word for, and heals them.
func TestPodConditions(t *testing.T) {
	p := newPost(t)
	services := []jenner.Service{p.service("deployment", "crash"), p.service("deployment", "oom"), p.service("deployment", "image"),
		p.service("deployment", "huge"), p.service("deployment", "sick"), p.service("pod", "stray", "selector", "app=stray")}
	p.observe(&ObserverPods{}, services...)
	p.until("all of them are synced", func() bool { return p.isSynced(services[0]) && p.isSynced(services[5]) })
	p.apply("people", appOf("crash", 1, "crash"))
	p.apply("people", appOf("oom", 1, "v1", "LEAK_MB_PER_S=100"))
	p.apply("people", appOf("image", 1, "nowhere"))
	p.apply("people", appOf("sick", 1, "v1", "HANG_AFTER=2s"))
	p.until("the crash loop is told", func() bool { return p.holds("CrashLoopBackOff", "pod/crash-") })
	p.until("the missing image is told", func() bool { return p.holds("ImagePullBackOff", "pod/image-") })
	p.until("the memory kill is told", func() bool { return p.holds("OOMKilled", "pod/oom-") })
	p.until("the failing check is told", func() bool { return p.holds("Unhealthy", "pod/sick-") })
}
