package kubernetes

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

// TestNeverMoreThanTheCap: whatever is picked of whatever number, no more than the cap is drawn, never none, always the same
// for the same ID, and each pod once.
func TestNeverMoreThanTheCap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pods := make([]corev1.Pod, rapid.IntRange(1, 60).Draw(t, "pods"))
		for i := range pods {
			pods[i].Name = fmt.Sprint("pod-", i)
		}
		v := Victims{MaxPods: rapid.IntRange(0, 30).Draw(t, "cap")}
		if rapid.Bool().Draw(t, "share") {
			v.Pods.Share = jenner.Share(rapid.Float64Range(0.001, 1).Draw(t, "of"))
		} else {
			v.Pods.Count = rapid.IntRange(0, 70).Draw(t, "count")
		}
		id := rapid.String().Draw(t, "id")
		drawn, err := v.draw(pods, id)
		if err != nil {
			return
		}
		again, _ := v.draw(pods, id)
		seen := map[string]bool{}
		for i, pod := range drawn {
			if seen[pod.Name] || again[i].Name != pod.Name {
				t.Errorf("%s is drawn twice, or not again", pod.Name)
			}
			seen[pod.Name] = true
		}
		if len(drawn) == 0 || len(drawn) > most(v.MaxPods) || v.Pods.Count > 0 && len(drawn) != v.Pods.Count {
			t.Errorf("%d of %d are drawn by %+v", len(drawn), len(pods), v)
		}
	})
}

func TestWhoseEndNobodyWouldMendIsNotHit(t *testing.T) {
	yes := true
	owned := metav1.ObjectMeta{Name: "p", OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "r", Controller: &yes}}}
	mirror := owned
	mirror.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
	t.Setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
	t.Setenv("POD_NAME", "ourself")
	ourself := owned
	ourself.Name = "ourself"
	for says, meta := range map[string]metav1.ObjectMeta{"": owned, "its node's own": mirror, "owned by nobody": {Name: "p"}, "Jenner itself runs in": ourself} {
		if err := mayHit(&corev1.Pod{ObjectMeta: meta}); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
