package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

// driftResources are those of the kinds that may have a manifest, as they are written in most manifests.
var driftResources = map[string]schema.GroupVersionResource{
	kindDeployment:  {Group: "apps", Version: "v1", Resource: "deployments"},
	kindStatefulSet: {Group: "apps", Version: "v1", Resource: "statefulsets"},
	kindDaemonSet:   {Group: "apps", Version: "v1", Resource: "daemonsets"},
	kindHPA:         {Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
	kindPVC:         {Version: "v1", Resource: "persistentvolumeclaims"},
	kindConfigMap:   {Version: "v1", Resource: "configmaps"},
}

var driftKinds = append(slices.Clone(workloadKinds), kindHPA, kindPVC, kindConfigMap)

func init() {
	Provider.Observer("drift", "ConfigDrift of objects that are not as their manifests have them", func() telemetry.Observer { return &ObserverDrift{} }, driftKinds...)
}

// ObserverDrift tells where a target that has a manifest (desired) has differed from it for five seconds: ConfigDrift, with
// the fields as they are and as they are to be. Only fields that stand in the manifest count. The manifest is a file, or what
// is committed of it in Git (revision); a change of either is noticed.
type ObserverDrift struct{}

// Observe watches until ctx ends.
func (*ObserverDrift) Observe(ctx context.Context, services []jenner.Service, sink telemetry.Sink) error {
	var written []jenner.Service
	for _, service := range services {
		service.Targets = slices.DeleteFunc(slices.Clone(service.Targets), func(t jenner.Target) bool { return t.Params["desired"] == nil })
		if len(service.Targets) > 0 {
			written = append(written, service)
		}
	}
	if len(written) == 0 {
		return observeNothing(ctx, sink)
	}
	// Each target has a realm of its own, for each has its own manifest.
	var realms []*realm
	for _, in := range realmsOf(written, driftKinds, sink) {
		for _, one := range in.subjects {
			realms = append(realms, &realm{cluster: in.cluster, tower: in.tower, namespace: in.namespace, subjects: []subject{one}})
		}
	}
	return observeRealms(ctx, realms, sink, observeDrift)
}

// Reasons are the word for drift.
func (*ObserverDrift) Reasons() []string { return []string{reasonDrift} }

// Rights are to list and watch the object, where the target has a manifest.
func (*ObserverDrift) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil || t.Desired == "" {
		return nil, err
	}
	of := driftResources[target.Kind]
	return (&watchable{name: of.Resource, group: of.Group}).rights(t, t.Object), nil
}

// driftFor is how long an object may differ: whoever changes both the manifest and the object cannot do it at once.
const driftFor = 5 * time.Second

func observeDrift(ctx context.Context, v *view) {
	one := v.subjects[0]
	of := driftResources[one.Target.Kind]
	name := one.target.Object
	r := &watchable{name: of.Resource, group: of.Group, whole: &of, object: &unstructured.Unstructured{}, trim: trimmed(trimWhole)}
	objects := needs(v, r, name, func(u *unstructured.Unstructured) []string { return []string{u.GetName()} })
	unwatched := watchManifest(ctx, one.target, func() { v.queue.AddAfter(name, manifestSettles) })
	v.queue.Add(name) // also where the object is not there
	var since time.Time
	v.judge = func(key string, now time.Time) ([]jenner.Condition, time.Time) {
		want, err := one.target.desired()
		if v.unknown = cmp.Or(unwatched, err); v.unknown != nil {
			return v.toldOf(key), time.Time{} // whether it still holds nobody knows
		}
		live, found := cached[*unstructured.Unstructured](objects, v.namespace, key)
		f := driftFact(one.target, want, live, found)
		switch {
		case f == nil:
			since = time.Time{}
			return nil, time.Time{}
		case since.IsZero():
			since = now
		}
		if due := since.Add(driftFor); now.Before(due) {
			return nil, due
		}
		f.since = since
		return []jenner.Condition{f.of(one)}, time.Time{}
	}
}

// trimWhole drops who owns which field, but not who changed the object last.
func trimWhole(u *unstructured.Unstructured) {
	entries := u.GetManagedFields()
	for i := range entries {
		entries[i].FieldsV1 = nil
	}
	u.SetManagedFields(entries)
}

// Words of drift. Kubernetes has none.
const (
	reasonDrift    = "ConfigDrift"
	deviationsTold = 5
)

// driftFact is how the live object differs from its manifest; nil where it does not.
func driftFact(t *Target, want map[string]any, live *unstructured.Unstructured, found bool) *fact {
	object := t.ref.Kind + "/" + t.Object
	if !found {
		return &fact{reason: reasonDrift, object: object, severity: jenner.SeverityTicket, value: 1,
			summary: fmt.Sprintf("%s is in %s and not in the cluster", object, t.Desired)}
	}
	differ := deviations(want, live.Object)
	if len(differ) == 0 {
		return nil
	}
	var texts []string
	for _, one := range differ[:min(len(differ), deviationsTold)] {
		texts = append(texts, one.String())
	}
	if more := len(differ) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	f := &fact{reason: reasonDrift, object: object, severity: jenner.SeverityTicket, value: float64(len(differ)),
		summary: fmt.Sprintf("%s is not as in %s: %s", object, t.Desired, strings.Join(texts, "; "))}
	if by := lastChanger(live); by != "" {
		f.labels = map[string]string{"changed_by": by}
	}
	return f
}

// lastChanger is who changed more than the status of an object last.
func lastChanger(live *unstructured.Unstructured) string {
	var by string
	var at time.Time
	for _, entry := range live.GetManagedFields() {
		if entry.Subresource != "status" && entry.Time != nil && !entry.Time.Time.Before(at) {
			by, at = entry.Manager, entry.Time.Time
		}
	}
	return by
}
