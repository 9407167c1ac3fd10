package kubernetes

import (
	"context"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

var changeKinds = append(slices.Clone(workloadKinds), kindConfigMap)

func init() {
	Provider.Observer("changes", "What others changed: rollouts, scaling, ConfigMaps, and Secrets that are targets",
		func() telemetry.Observer { return &ObserverChanges{} }, append(slices.Clone(changeKinds), kindSecret)...)
}

// ObserverChanges tells what others changed, with who it was as far as the managed fields say:
//
//   - deploy: a rollout of a workload, with the images from and to; a mere restart is none
//   - scale: how many pods a workload is to have
//   - config: a ConfigMap that is a target or that a workload's pods read, with the names of the keys
//   - secret: a Secret that is a target, with the names of the keys; which Secrets pods read is known, but to look at them
//     takes the right to read them
//
// What was changed within the last day before it began is told as well, as far as the cluster remembers it. What Jenner
// itself changed is not told.
type ObserverChanges struct{}

// Observe watches until ctx ends.
func (*ObserverChanges) Observe(ctx context.Context, services []jenner.Service, sink telemetry.Sink) error {
	secrets := alone(realmsOf(services, []string{kindSecret}, sink))
	realms := append(realmsOf(services, changeKinds, sink), secrets...)
	return observeRealms(ctx, realms, sink, func(ctx context.Context, v *view) {
		if slices.Contains(secrets, v.realm) {
			observeSecretChanges(ctx, v)
			return
		}
		observeChanges(ctx, v)
	})
}

// Rights are to list and watch workloads, their revisions, ConfigMaps, and a Secret that is a target.
func (*ObserverChanges) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	switch target.Kind {
	case kindSecret:
		return (&ObserverCertificates{}).Rights(jenner.Service{}, target)
	case kindConfigMap:
		return rightsOf(target, theConfigMaps)
	case kindDeployment:
		return rightsOf(target, theDeployments, theReplicaSets, theConfigMaps)
	}
	return rightsOf(target, workloadsOf[target.Kind], theRevisions, theConfigMaps)
}

// history tells the changes of one realm.
type history struct {
	*view
	workloads map[string]*watched // by kind
	revisions map[string]*watched // by kind: ReplicaSets of Deployments, ControllerRevisions of the others
	configs   *watched

	// What was known when it was looked last, by key.
	pods     map[string]int32
	rollouts map[string]time.Time
	contents map[string]content
	setters  map[string][]metav1.ManagedFieldsEntry // who set a field, by key and field
	by       map[string]*metav1.ManagedFieldsEntry  // who set it last
}

func newHistory(v *view) *history {
	return &history{view: v, workloads: map[string]*watched{}, revisions: map[string]*watched{},
		pods: map[string]int32{}, rollouts: map[string]time.Time{}, contents: map[string]content{},
		setters: map[string][]metav1.ManagedFieldsEntry{}, by: map[string]*metav1.ManagedFieldsEntry{}}
}

func observeChanges(_ context.Context, v *view) {
	h := newHistory(v)
	for _, one := range v.subjects {
		if kind := one.Target.Kind; kind != kindConfigMap && h.workloads[kind] == nil {
			h.follow(kind)
		}
	}
	h.configs = needs(v, theConfigMaps, "", func(c *corev1.ConfigMap) []string { return []string{kindConfigMap + "/" + c.Name} })
	v.judge = func(key string, now time.Time) ([]jenner.Condition, time.Time) {
		if kind, name := cutKind(key); kind == kindConfigMap {
			h.configChanged(key, name, now)
		} else {
			h.workloadChanged(key, kind, name, now)
		}
		return nil, time.Time{} // what was changed is no condition
	}
}

// follow watches the workloads of one kind and what they remember of their rollouts.
func (h *history) follow(kind string) {
	switch kind {
	case kindDeployment:
		h.workloads[kind] = needs(h.view, theDeployments, "", func(d *appsv1.Deployment) []string { return []string{kind + "/" + d.Name} })
		h.revisions[kind] = needs(h.view, theReplicaSets, "", func(r *appsv1.ReplicaSet) []string { return revised(r, kind) })
	case kindStatefulSet:
		h.workloads[kind] = needs(h.view, theStatefulSets, "", func(s *appsv1.StatefulSet) []string { return []string{kind + "/" + s.Name} })
		h.revisions[kind] = needs(h.view, theRevisions, "", func(r *appsv1.ControllerRevision) []string { return revised(r, kind) })
	case kindDaemonSet:
		h.workloads[kind] = needs(h.view, theDaemonSets, "", func(d *appsv1.DaemonSet) []string { return []string{kind + "/" + d.Name} })
		h.revisions[kind] = needs(h.view, theRevisions, "", func(r *appsv1.ControllerRevision) []string { return revised(r, kind) })
	}
}

// observeSecretChanges looks at one Secret.
func observeSecretChanges(_ context.Context, v *view) {
	h := newHistory(v)
	secrets := needs(v, theSecrets, v.subjects[0].target.Object, func(s *corev1.Secret) []string { return []string{s.Name} })
	v.judge = func(key string, now time.Time) ([]jenner.Condition, time.Time) {
		var is content
		if secret, found := cached[*corev1.Secret](secrets, v.namespace, key); found {
			is = h.contentOf(key, secret.ObjectMeta, texts(secret.Data))
		}
		h.contentChanged(jenner.ChangeEvent{Kind: jenner.ChangeSecret, Object: kindSecret + "/" + key}, is, now, func(subject) bool { return true })
		return nil, time.Time{}
	}
}

// changesTold is how long ago a change may have been that is told when it is first looked.
const changesTold = 24 * time.Hour

// record tells a change of each subject that it is about, unless Jenner made it, or it is too old.
func (v *view) record(event jenner.ChangeEvent, now time.Time, has func(subject) bool) {
	if event.By == fieldManager || now.Sub(event.At) > changesTold {
		return
	}
	for _, one := range v.subjects {
		if has(one) {
			event.Service, event.Target = one.Service, one.Target
			v.sink.Changed(event)
		}
	}
}
