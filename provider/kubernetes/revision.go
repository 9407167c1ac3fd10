package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jenner-heal/jenner"
)

// verifiedAt is the annotation of a ReplicaSet, a ControllerRevision or the Secret of a release that says when this
// revision was seen to have been healthy for a while.
const verifiedAt = "jenner.dev/verified"

// healthyFor is for how long a revision must have served with all its pods to count as verified, where nobody says.
const healthyFor = 10 * time.Minute

const deploymentRevision = "deployment.kubernetes.io/revision"

// revision is one pod template that a workload has or had.
type revision struct {
	Number   int64
	Current  bool
	Verified time.Time // zero: nobody saw that it was healthy
	Template map[string]any
	object   *unstructured.Unstructured
	pods     string // the label value of its pods
}

// String is `revision 3 (checkout-6d4cf56db6)`.
func (r revision) String() string {
	return fmt.Sprintf("revision %d (%s)", r.Number, r.object.GetName())
}

var (
	replicaSets         = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}
	controllerRevisions = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "controllerrevisions"}
)

// historyOf is where the revisions of a kind of workload are kept.
func historyOf(kind string) schema.GroupVersionResource {
	if kind == kindDeployment {
		return replicaSets
	}
	return controllerRevisions
}

// revisions are those of a workload, the newest first.
func (on *site) revisions(ctx context.Context, r rollout) ([]revision, error) {
	history := historyOf(on.target.ref.Kind)
	list, err := on.dynamic.Resource(history).Namespace(on.target.Namespace).List(ctx, metav1.ListOptions{LabelSelector: r.Selector.String()})
	if err != nil {
		return nil, told(err, fmt.Sprintf("listing the %s of %s", history.Resource, on.target))
	}
	var all []revision
	for i := range list.Items {
		object := &list.Items[i]
		if owner := metav1.GetControllerOf(object); owner == nil || owner.UID != on.live.GetUID() {
			continue
		}
		one := revision{object: object}
		if history == replicaSets {
			one.ofReplicaSet()
		} else {
			one.ofControllerRevision(on.target.ref.Kind)
		}
		one.Verified = revisionVerified(object.GetName(), object.GetAnnotations()[verifiedAt])
		if one.Template != nil {
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b revision) int { return cmp.Compare(b.Number, a.Number) })
	on.markCurrent(all)
	return all, nil
}

func (r *revision) ofReplicaSet() {
	r.Number, _ = strconv.ParseInt(r.object.GetAnnotations()[deploymentRevision], 10, 64)
	r.Template, _ = slot{"spec", "template"}.read(r.object.Object).(map[string]any)
	labels, _ := slot{"metadata", "labels"}.read(r.Template).(map[string]any)
	r.pods, _ = labels[appsv1.DefaultDeploymentUniqueLabelKey].(string)
	delete(labels, appsv1.DefaultDeploymentUniqueLabelKey)
}

func (r *revision) ofControllerRevision(kind string) {
	r.Number, _ = slot{"revision"}.read(r.object.Object).(int64)
	r.Template, _ = slot{"data", "spec", "template"}.read(r.object.Object).(map[string]any)
	delete(r.Template, "$patch")
	r.pods = r.object.GetLabels()[appsv1.ControllerRevisionHashLabelKey]
	if kind == kindStatefulSet {
		r.pods = r.object.GetName()
	}
}

// markCurrent finds the revision that the workload has now.
func (on *site) markCurrent(newestFirst []revision) {
	update, _ := slot{"status", "updateRevision"}.read(on.live.Object).(string)
	number, _ := strconv.ParseInt(on.live.GetAnnotations()[deploymentRevision], 10, 64)
	for i := range newestFirst {
		one := &newestFirst[i]
		switch on.target.ref.Kind {
		case kindDeployment:
			one.Current = one.Number == number
		case kindStatefulSet:
			one.Current = one.object.GetName() == update
		default:
			one.Current = i == 0
		}
	}
}

// uniqueLabel is the label by which the pods of one revision are known.
func uniqueLabel(kind string) string {
	if kind == kindDeployment {
		return appsv1.DefaultDeploymentUniqueLabelKey
	}
	return appsv1.ControllerRevisionHashLabelKey
}

// errNotSeen is why a revision does not count as healthy.
var errNotSeen = errors.New("nobody has seen it healthy")

// healthySince is since when all pods of a revision serve. The error is why that cannot be said.
func (on *site) healthySince(ctx context.Context, r rollout, one revision) (time.Time, error) {
	pods, err := on.CoreV1().Pods(on.target.Namespace).List(ctx, metav1.ListOptions{LabelSelector: r.Selector.String()})
	if err != nil {
		return time.Time{}, told(err, fmt.Sprintf("listing the pods of %s", on.target))
	}
	var since time.Time
	count := 0
	for _, pod := range pods.Items {
		if pod.Labels[uniqueLabel(on.target.ref.Kind)] != one.pods || pod.DeletionTimestamp != nil {
			continue
		}
		if !podReady(&pod) {
			return time.Time{}, fmt.Errorf("%w: its pod %s does not serve", errNotSeen, pod.Name)
		}
		count++
		if at := servesSince(&pod); at.After(since) {
			since = at
		}
	}
	if count == 0 {
		return time.Time{}, fmt.Errorf("%w: it has no pods", errNotSeen)
	}
	return since, nil
}

// lastVerified is the newest revision, other than the present one, that is known to have been healthy: by its mark, or
// because all the pods that it has now serve and have for long enough.
func (on *site) lastVerified(ctx context.Context, r rollout, all []revision, atLeast time.Duration) (revision, error) {
	for _, one := range all {
		switch {
		case one.Current:
			continue
		case !one.Verified.IsZero():
			return one, nil
		}
		since, err := on.healthySince(ctx, r, one)
		switch {
		case err == nil && time.Since(since) >= atLeast:
			one.Verified = since
			return one, nil
		case err != nil && !errors.Is(err, errNotSeen):
			return revision{}, err
		}
	}
	return revision{}, jenner.Permanent(fmt.Errorf("of %d earlier revisions none is known to have been healthy%s", max(0, len(all)-1), idleMarks(all)),
		"name one by to_revision, or mark good ones with mark_verified while they serve")
}

// idleMarks names the marks of earlier revisions that do not count; nothing where there are none.
func idleMarks(all []revision) string {
	var idle strings.Builder
	for _, one := range all {
		mark := one.object.GetAnnotations()[verifiedAt]
		if one.Current || mark == "" || !one.Verified.IsZero() {
			continue
		}
		fmt.Fprintf(&idle, "; the mark %q of %s does not count: %q is one of it", mark, one, revisionMark(one.object.GetName(), time.Now()))
	}
	return idle.String()
}

// numbered is the revision of a number.
func numbered(all []revision, number int64) (revision, error) {
	var known []string
	for _, one := range all {
		if one.Number == number {
			return one, nil
		}
		known = append(known, strconv.FormatInt(one.Number, 10))
	}
	return revision{}, jenner.Permanent(fmt.Errorf("there is no revision %d", number), fmt.Sprintf("there are %v", known))
}
