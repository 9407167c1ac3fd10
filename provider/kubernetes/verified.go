package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

// verifiedMark is what holds the mark of a revision: a ReplicaSet or a ControllerRevision in an annotation, the Secret of
// a release in a label, for Helm keeps no annotations.
type verifiedMark struct {
	Revision int64     `json:"revision"`
	Name     string    `json:"name"`
	UID      types.UID `json:"uid"`
	Was      string    `json:"was,omitempty"`
	Want     string    `json:"want"`
}

// revisionMark is the annotation of a verified revision. It holds the name of what it stands on, for annotations are
// copied: from a Deployment to each new ReplicaSet, and back by `kubectl rollout undo`.
func revisionMark(name string, at time.Time) string {
	return name + " " + at.UTC().Format(time.RFC3339)
}

// revisionVerified tells when a revision was seen healthy; zero: nobody saw that.
func revisionVerified(name, mark string) time.Time {
	of, at, _ := strings.Cut(mark, " ")
	if of != name {
		return time.Time{}
	}
	when, _ := time.Parse(time.RFC3339, at)
	return when
}

// labelTime is a time as a label can hold it.
const labelTime = "20060102T150405Z"

// releaseMark is the label of a verified revision. It holds the revision's number, for Helm hands labels on to the next
// revision, of which nobody has seen anything.
func releaseMark(revision int, at time.Time) string {
	return fmt.Sprintf("%d-%s", revision, at.UTC().Format(labelTime))
}

// releaseVerified tells when a revision was seen healthy; zero: nobody saw that.
func releaseVerified(one *release.Release) time.Time {
	of, at, _ := strings.Cut(one.Labels[verifiedAt], "-")
	if of != strconv.Itoa(one.Version) {
		return time.Time{}
	}
	when, _ := time.Parse(labelTime, at)
	return when
}

var secrets = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}

// markPlace is where the revisions of a target are, and in which part of their metadata the mark stands.
func markPlace(t *Target) (schema.GroupVersionResource, string) {
	if t.ref.Kind == kindHelm {
		return secrets, "labels"
	}
	return historyOf(t.ref.Kind), "annotations"
}

// markOf reads the mark of a revision.
func (c *cluster) markOf(ctx context.Context, t *Target, kept verifiedMark) (string, error) {
	in, part := markPlace(t)
	object, err := c.dynamic.Resource(in).Namespace(t.Namespace).Get(ctx, kept.Name, metav1.GetOptions{})
	if err != nil {
		return "", told(err, "reading the revision "+kept.Name)
	}
	if object.GetUID() != kept.UID {
		return "", jenner.Permanent(fmt.Errorf("the revision %s is another one by now", kept.Name), "")
	}
	is, _ := slot{"metadata", part, verifiedAt}.read(object.Object).(string)
	return is, nil
}

// setMark writes the mark of a revision, or takes it away.
func (c *cluster) setMark(ctx context.Context, t *Target, kept verifiedMark, value any) error {
	in, part := markPlace(t)
	body := jenner.Raw(map[string]any{"metadata": map[string]any{"uid": kept.UID, part: map[string]any{verifiedAt: value}}})
	_, err := c.dynamic.Resource(in).Namespace(t.Namespace).Patch(ctx, kept.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: fieldManager})
	return told(err, "marking the revision "+kept.Name)
}

// healthyRevision gives the mark of the revision that a target has now. Where it has not served with all its pods for
// long enough, why is the error.
func healthyRevision(ctx context.Context, call act.Call, atLeast time.Duration) (mark verifiedMark, why, err error) {
	if call.Target.Kind == kindHelm {
		return healthyRelease(ctx, call, atLeast)
	}
	on, err := look(ctx, call)
	if err != nil {
		return mark, nil, err
	}
	r, err := rolloutOf(on.target.ref.Kind, on.live)
	if err != nil {
		return mark, nil, err
	}
	one, err := on.current(ctx, r)
	if err != nil {
		return mark, nil, err
	}
	mark = verifiedMark{Revision: one.Number, Name: one.object.GetName(), UID: one.object.GetUID(), Was: one.object.GetAnnotations()[verifiedAt],
		Want: revisionMark(one.object.GetName(), time.Now())}
	return mark, on.unhealthy(ctx, r, one, atLeast), nil
}

// unhealthy is why a revision does not count as healthy, or nil.
func (on *site) unhealthy(ctx context.Context, r rollout, one revision, atLeast time.Duration) error {
	if !r.Settled || r.Replicas == 0 {
		return jenner.Retryable(fmt.Errorf("%s has not settled: %s", on.target, r), "")
	}
	since, err := on.healthySince(ctx, r, one)
	switch {
	case errors.Is(err, errNotSeen):
		return jenner.Retryable(fmt.Errorf("%s: %w", on.target, err), "")
	case err != nil:
		return err
	case time.Since(since) < atLeast:
		return jenner.Retryable(fmt.Errorf("%s serves with all its pods since %s only, and %s are asked for", on.target,
			since.UTC().Format(time.DateTime), jenner.Duration(atLeast)), "")
	}
	return nil
}

// current is the revision that the workload has now.
func (on *site) current(ctx context.Context, r rollout) (revision, error) {
	all, err := on.revisions(ctx, r)
	if err != nil {
		return revision{}, err
	}
	for _, one := range all {
		if one.Current {
			return one, nil
		}
	}
	return revision{}, jenner.Retryable(fmt.Errorf("%s: its controller has not noted its present revision yet", on.target), "")
}

// healthyRelease is healthyRevision for a release of Helm, which is healthy where all its workloads are.
func healthyRelease(ctx context.Context, call act.Call, atLeast time.Duration) (mark verifiedMark, why, err error) {
	on, err := helmLook(ctx, call)
	if err != nil {
		return mark, nil, err
	}
	last := on.last()
	name := fmt.Sprintf("sh.helm.release.v1.%s.v%d", last.Name, last.Version)
	secret, err := on.CoreV1().Secrets(on.target.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return mark, nil, told(err, "reading "+on.target.String())
	}
	mark = verifiedMark{Revision: int64(last.Version), Name: name, UID: secret.UID, Was: secret.Labels[verifiedAt], Want: releaseMark(last.Version, time.Now())}
	if last.Info.Status != release.StatusDeployed {
		return mark, jenner.Retryable(fmt.Errorf("%s: revision %d is %s", on.target, last.Version, last.Info.Status), ""), nil
	}
	list, err := on.target.workloadsIn(last.Manifest)
	if err != nil {
		return mark, nil, err
	}
	if len(list) == 0 {
		return mark, jenner.Permanent(fmt.Errorf("%s has no workload by which its health could be told", on.target), ""), nil
	}
	for _, one := range list {
		target := jenner.Target{Kind: one.ref.Kind, Name: one.Object, Dir: call.Target.Dir, Params: jenner.Params{"namespace": jenner.Raw(one.Namespace),
			"kubeconfig": jenner.Raw(one.Kubeconfig), "context": jenner.Raw(one.Context)}}
		if _, why, err := healthyRevision(ctx, act.Call{Target: target}, atLeast); why != nil || err != nil {
			return mark, why, err
		}
	}
	return mark, nil, nil
}
