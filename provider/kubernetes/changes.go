package kubernetes

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
)

// workloadChanged tells that a workload was scaled, and of its last rollout.
func (h *history) workloadChanged(key, kind, name string, now time.Time) {
	one, found := cached[metav1.ObjectMetaAccessor](h.workloads[kind], h.namespace, name)
	if !found {
		delete(h.pods, key)
		delete(h.rollouts, key)
		return
	}
	meta := one.GetObjectMeta().(*metav1.ObjectMeta)
	has := func(s subject) bool { return s.Target.Kind == kind && s.target.Object == name }
	was, known := h.pods[key]
	h.pods[key] = podsWanted(one)
	if event, is := scaling(key, was, h.pods[key], known, h.setter(key, *meta, fieldReplicas), now); is {
		h.record(event, now, has)
	}
	if event, is := h.rollout(kind, name, *meta); is && noticed(one) && !event.At.Equal(h.rollouts[key]) {
		h.rollouts[key] = event.At
		h.record(event, now, has)
	}
}

// setter is who set a field last: whoever has set it since the last look, for several may have within one second, and times
// are no finer. nil where nobody is known to have.
func (h *history) setter(key string, meta metav1.ObjectMeta, field []string) *metav1.ManagedFieldsEntry {
	id := key + " " + strings.Join(field, "/")
	was, known := h.setters[id]
	is := settersOf(meta, field...)
	h.setters[id] = is
	fresh := slices.DeleteFunc(slices.Clone(is), func(one metav1.ManagedFieldsEntry) bool {
		return slices.ContainsFunc(was, func(old metav1.ManagedFieldsEntry) bool {
			return old.Manager == one.Manager && old.Operation == one.Operation && old.Subresource == one.Subresource && old.Time.Equal(one.Time)
		})
	})
	if !known || len(fresh) > 0 {
		h.by[id] = latest(fresh)
	}
	return h.by[id]
}

// noticed tells whether the controller has seen the newest template: until then the newest revision is not of it.
func noticed(one any) bool {
	switch of := one.(type) {
	case *appsv1.Deployment:
		return of.Status.ObservedGeneration >= of.Generation
	case *appsv1.StatefulSet:
		return of.Status.ObservedGeneration >= of.Generation
	case *appsv1.DaemonSet:
		return of.Status.ObservedGeneration >= of.Generation
	}
	return false
}

// podsWanted is how many pods a workload is to have; 0 for one that nobody can scale.
func podsWanted(one any) int32 {
	switch of := one.(type) {
	case *appsv1.Deployment:
		return wanted(of.Spec.Replicas)
	case *appsv1.StatefulSet:
		return wanted(of.Spec.Replicas)
	}
	return 0
}

// scaling is the change from one number of pods to another. Of a workload that is looked at for the first time it is only
// known that somebody scaled it, and when.
func scaling(object string, was, is int32, known bool, by *metav1.ManagedFieldsEntry, now time.Time) (jenner.ChangeEvent, bool) {
	event := jenner.ChangeEvent{Kind: jenner.ChangeScale, Object: object, At: now}
	author(&event, by)
	switch {
	case known && was != is:
		event.Summary = fmt.Sprintf("pods %d → %d", was, is)
	case !known && by != nil && by.Subresource == "scale":
		event.Summary = fmt.Sprintf("pods → %d", is)
	default:
		return event, false
	}
	return event, true
}

// author puts who did it and when into the event, where it is known.
func author(event *jenner.ChangeEvent, entry *metav1.ManagedFieldsEntry) {
	if entry != nil {
		event.By, event.At = entry.Manager, entry.Time.Time
	}
}

// revised names the workload of a kind that a revision belongs to.
func revised(edition metav1.Object, kind string) []string {
	controller := metav1.GetControllerOf(edition)
	if controller == nil || controller.Kind != kindOf[kind] {
		return nil
	}
	return []string{kind + "/" + controller.Name}
}

// edition is one template that a workload had.
type edition struct {
	number   int64
	made     time.Time
	template corev1.PodTemplateSpec
}

// rollout is the last one of a workload; false where it has had but one template.
func (h *history) rollout(kind, name string, meta metav1.ObjectMeta) (jenner.ChangeEvent, bool) {
	of := keeperKey(h.namespace, keeper{kindOf[kind], name})
	var revisions []edition
	if kind == kindDeployment {
		revisions = ofReplicaSets(cachedBy[*appsv1.ReplicaSet](h.revisions[kind], byKeeper, of), meta.UID)
	} else {
		revisions = ofRevisions(cachedBy[*appsv1.ControllerRevision](h.revisions[kind], byKeeper, of), meta.UID)
	}
	return lastRollout(kind+"/"+name, revisions, h.setter(kind+"/"+name, meta, fieldTemplate))
}

func ofReplicaSets(sets []*appsv1.ReplicaSet, of types.UID) []edition {
	var list []edition
	for _, set := range sets {
		number, err := strconv.ParseInt(set.Annotations[annotationRevision], 10, 64)
		if err == nil && metav1.GetControllerOf(set).UID == of {
			list = append(list, edition{number, set.CreationTimestamp.Time, set.Spec.Template})
		}
	}
	return list
}

func ofRevisions(revisions []*appsv1.ControllerRevision, of types.UID) []edition {
	var list []edition
	for _, one := range revisions {
		var data struct {
			Spec struct {
				Template corev1.PodTemplateSpec `json:"template"`
			} `json:"spec"`
		}
		if json.Unmarshal(one.Data.Raw, &data) == nil && metav1.GetControllerOf(one).UID == of {
			list = append(list, edition{one.Revision, one.CreationTimestamp.Time, data.Spec.Template})
		}
	}
	return list
}

// lastRollout is the change to the last revision that differs from the one before it; false where there is none. It was made
// when that revision was. A template that came back, in a rollback, is older than that, and then it is when somebody last
// set it.
func lastRollout(object string, revisions []edition, by *metav1.ManagedFieldsEntry) (jenner.ChangeEvent, bool) {
	slices.SortFunc(revisions, func(a, b edition) int { return cmp.Compare(b.number, a.number) })
	for i := range max(0, len(revisions)-1) {
		what, same := templateDifference(revisions[i+1].template, revisions[i].template)
		if same {
			continue
		}
		event := jenner.ChangeEvent{Kind: jenner.ChangeDeploy, Object: object, Summary: what}
		author(&event, by)
		back := slices.ContainsFunc(revisions[i+1:], func(r edition) bool { return r.made.After(revisions[i].made) })
		if back {
			event.Summary += ", as it was before"
		}
		if !back || by == nil {
			event.At = revisions[i].made
		}
		return event, true
	}
	return jenner.ChangeEvent{}, false
}

// templateDifference says how one trimmed template differs from another: `image shop:v1 → shop:v2`. The same means that only pods
// were made anew.
func templateDifference(before, after corev1.PodTemplateSpec) (what string, same bool) {
	was := map[string]string{}
	for _, container := range before.Spec.Containers {
		was[container.Name] = container.Image
	}
	var parts []string
	for _, container := range after.Spec.Containers {
		old, known := was[container.Name]
		delete(was, container.Name)
		switch {
		case !known:
			parts = append(parts, fmt.Sprintf("container %s added, image %s", container.Name, container.Image))
		case old != container.Image:
			parts = append(parts, fmt.Sprintf("image %s → %s", old, container.Image))
		}
	}
	for _, container := range before.Spec.Containers {
		if _, gone := was[container.Name]; gone {
			parts = append(parts, fmt.Sprintf("container %s removed", container.Name))
		}
	}
	if before.Annotations[annotationRest] != after.Annotations[annotationRest] && len(parts) == 0 {
		parts = append(parts, "the template, with the same images")
	}
	return strings.Join(parts, ", "), len(parts) == 0
}

// content is what is known of a ConfigMap or a Secret: the names of its keys, each with a digest.
type content struct {
	keys map[string]string
	made time.Time // zero: it is not there
	by   *metav1.ManagedFieldsEntry
}

func (h *history) contentOf(key string, meta metav1.ObjectMeta, keys map[string]string) content {
	var by []metav1.ManagedFieldsEntry
	for _, field := range [][]string{fieldData, fieldBinary, fieldStrings} {
		if one := h.setter(key, meta, field); one != nil {
			by = append(by, *one)
		}
	}
	return content{keys, meta.CreationTimestamp.Time, latest(by)}
}

func (h *history) configChanged(key, name string, now time.Time) {
	var is content
	if config, found := cached[*corev1.ConfigMap](h.configs, h.namespace, name); found {
		is = h.contentOf(key, config.ObjectMeta, config.Data)
	}
	h.contentChanged(jenner.ChangeEvent{Kind: jenner.ChangeConfig, Object: key}, is, now, func(s subject) bool { return h.reads(s, kindConfigMap, name) })
}

// contentChanged tells which keys were changed. Of what is looked at for the first time nobody knows which, only when.
func (h *history) contentChanged(event jenner.ChangeEvent, is content, now time.Time, has func(subject) bool) {
	was, known := h.contents[event.Object]
	h.contents[event.Object] = is
	event.At = now
	switch {
	case is.made.IsZero():
		delete(h.contents, event.Object)
		if known {
			event.Summary = "deleted"
			h.record(event, now, has)
		}
		return
	case known && was.made.Equal(is.made):
		event.Summary = changedKeys(was.keys, is.keys)
	case is.by != nil && is.by.Time.Sub(is.made) > time.Second:
		event.Summary = "changed"
	default:
		event.Summary, event.At = "created", is.made
	}
	if event.Summary == "" {
		return
	}
	author(&event, is.by)
	h.record(event, now, has)
}

// changedKeys names the keys, never what is in them: `changed: timeout; added: retries`.
func changedKeys(before, after map[string]string) string {
	var changed, added, removed, parts []string
	for key, value := range after {
		old, known := before[key]
		if !known {
			added = append(added, key)
		} else if old != value {
			changed = append(changed, key)
		}
	}
	for key := range before {
		if _, still := after[key]; !still {
			removed = append(removed, key)
		}
	}
	for _, one := range []struct {
		what string
		keys []string
	}{{"changed", changed}, {"added", added}, {"removed", removed}} {
		if slices.Sort(one.keys); len(one.keys) > 0 {
			parts = append(parts, one.what+": "+strings.Join(one.keys, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// reads tells whether the subject is the ConfigMap or Secret of that name, or a workload whose pods read it.
func (h *history) reads(s subject, kind, name string) bool {
	if s.Target.Kind == kind {
		return s.target.Object == name
	}
	w := h.workloads[s.Target.Kind]
	if w == nil {
		return false
	}
	one, found := cached[any](w, h.namespace, s.target.Object)
	if !found {
		return false
	}
	var template corev1.PodTemplateSpec
	switch of := one.(type) {
	case *appsv1.Deployment:
		template = of.Spec.Template
	case *appsv1.StatefulSet:
		template = of.Spec.Template
	case *appsv1.DaemonSet:
		template = of.Spec.Template
	}
	return slices.ContainsFunc(template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == kind+"/"+name })
}

// texts are digests, as they stand in a trimmed Secret.
func texts(data map[string][]byte) map[string]string {
	list := map[string]string{}
	for key, value := range data {
		list[key] = string(value)
	}
	return list
}
