package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	helmaction "helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

func init() {
	Provider.Action("rollback_release", "Roll a release of Helm back to its last healthy revision", func() act.Action {
		return &RollbackRelease{HookTimeout: jenner.Duration(time.Minute)}
	}, kindHelm)
}

// RollbackRelease rolls a release back as `helm rollback` does, by Helm's own library, hooks of the chart included: to the
// revision that is named, or to the newest one that mark_verified has marked. Where none is marked it refuses and does not
// guess; while another operation of Helm is under way it refuses too. The undo rolls back to the revision of before. As
// Helm has it, both make a new revision.
//
// The unit of its blast radius is pods: of all workloads of the release, those that are away at one time.
type RollbackRelease struct {
	// ToRevision is the number of a revision, as `helm history` shows it.
	ToRevision int `json:"to_revision,omitempty"`
	// SkipHooks leaves the hooks of the chart out.
	SkipHooks bool `json:"skip_hooks,omitempty"`
	// HookTimeout is how long each hook of the chart may take; 1m where not said.
	HookTimeout jenner.Duration `json:"hook_timeout,omitempty"`
	// Wait is how long all workloads of the release may take to settle; where not said, nobody waits for them.
	Wait jenner.Duration `json:"wait,omitempty"`
	// Resources are those that the chart has objects of, as RESOURCE.GROUP, for `jenner rbac`; where not said,
	// deployments.apps, statefulsets.apps, daemonsets.apps, services, configmaps, secrets and serviceaccounts. A chart whose
	// hooks are Jobs needs jobs.batch, too.
	Resources []string `json:"resources,omitempty"`
}

// rolledRelease is the checkpoint, and the output.
type rolledRelease struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Validate checks the parameters.
func (r *RollbackRelease) Validate() error {
	if r.ToRevision < 0 {
		return fmt.Errorf("to_revision is %d; write the number of a revision, 1 or more", r.ToRevision)
	}
	return nil
}

// helmed is a release as it is.
type helmed struct {
	*cluster
	target *Target
	helm   *helmaction.Configuration
	all    []*release.Release // the newest first, never empty
}

func (on *helmed) last() *release.Release { return on.all[0] }

// helmLook reads a release.
func helmLook(ctx context.Context, call act.Call) (*helmed, error) {
	t, c, err := reach(call.Target)
	if err != nil {
		return nil, err
	}
	helm, err := c.helmOf(ctx, t.Namespace)
	if err != nil {
		return nil, err
	}
	all, err := releases(helm, t)
	return &helmed{c, t, helm, all}, err
}

// choose gives the revision that is gone back to.
func (r *RollbackRelease) choose(on *helmed) (*release.Release, error) {
	var known []int
	for _, one := range on.all {
		known = append(known, one.Version)
		switch {
		case r.ToRevision != 0 && one.Version == r.ToRevision:
			return one, nil
		case r.ToRevision != 0 || one == on.last():
			continue
		case !releaseVerified(one).IsZero() && one.Manifest != on.last().Manifest:
			return one, nil
		}
	}
	if r.ToRevision != 0 {
		return nil, jenner.Permanent(fmt.Errorf("%s has no revision %d", on.target, r.ToRevision), fmt.Sprintf("it has %v", known))
	}
	return nil, jenner.Permanent(fmt.Errorf("%s: of %d earlier revisions none that differs is known to have been healthy", on.target, len(on.all)-1),
		"name one by to_revision, or mark good ones with mark_verified while they serve")
}

// busy tells whether somebody else's operation of Helm is under way. One of ours that a crash broke off is not.
func (on *helmed) busy(kept rolledRelease) error {
	last := on.last()
	if !last.Info.Status.IsPending() || kept.ours(last) {
		return nil
	}
	return jenner.Retryable(fmt.Errorf("%s: revision %d is %s since %s", on.target, last.Version, last.Info.Status,
		last.Info.LastDeployed.Format(time.DateTime)), "another operation of Helm is under way, or was broken off")
}

// ours tells whether a revision is what the rollback makes.
func (k rolledRelease) ours(last *release.Release) bool {
	said := fmt.Sprintf("Rollback to %d", k.To)
	return last.Version > k.From && (last.Info.Description == said || strings.HasPrefix(last.Info.Description, brokenOff+said+";"))
}

// brokenOff begins the description of a revision that a rollback of ours left unfinished.
const brokenOff = "Broken off: "

// Check refuses where nobody knows a healthy revision, and while Helm is at work.
func (r *RollbackRelease) Check(ctx context.Context, call act.Call) error {
	on, err := helmLook(ctx, call)
	if err != nil {
		return err
	}
	var kept rolledRelease
	if len(call.Checkpoint) > 0 {
		if kept, err = keptIn[rolledRelease](call.Checkpoint); err != nil {
			return err
		}
	} else if _, err := r.choose(on); err != nil {
		return err
	}
	return on.busy(kept)
}

// Checkpoint keeps the present revision and the one that is gone back to.
func (r *RollbackRelease) Checkpoint(ctx context.Context, call act.Call) (json.RawMessage, error) {
	on, err := helmLook(ctx, call)
	if err != nil {
		return nil, err
	}
	to, err := r.choose(on)
	if err != nil {
		return nil, err
	}
	return jenner.Raw(rolledRelease{From: on.last().Version, To: to.Version}), nil
}

// Fingerprint is what the present revision consists of, whatever its number.
func (r *RollbackRelease) Fingerprint(ctx context.Context, call act.Call) (string, error) {
	on, err := helmLook(ctx, call)
	if err != nil {
		return "", err
	}
	return jenner.Fingerprint(on.last().Manifest), nil
}

// Happened looks for the revision that the rollback makes. One that was broken off is not done: it is done again.
func (r *RollbackRelease) Happened(ctx context.Context, call act.Call) (act.Happened, error) {
	kept, err := keptIn[rolledRelease](call.Checkpoint)
	if err != nil {
		return act.HappenedUnknown, err
	}
	on, err := helmLook(ctx, call)
	if err != nil {
		return act.HappenedUnknown, err
	}
	switch last := on.last(); {
	case last.Version == kept.From:
		return act.HappenedNot, nil
	case kept.ours(last) && last.Info.Status == release.StatusDeployed:
		return act.HappenedDone, nil
	case kept.ours(last):
		return act.HappenedNot, nil
	}
	return act.HappenedUnknown, nil
}

// DryRun says from which revision to which.
func (r *RollbackRelease) DryRun(ctx context.Context, call act.Call) (act.Result, error) {
	kept, err := keptIn[rolledRelease](call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	on, err := helmLook(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	return act.Result{Summary: fmt.Sprintf("%s: revision %d → what it was in %d", on.target, kept.From, kept.To), Changed: true}, nil
}

// Do rolls back.
func (r *RollbackRelease) Do(ctx context.Context, call act.Call) (act.Result, error) {
	kept, err := keptIn[rolledRelease](call.Checkpoint)
	if err != nil {
		return act.Result{}, err
	}
	on, err := helmLook(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	result := act.Result{Summary: fmt.Sprintf("%s: revision %d → what it was in %d", on.target, kept.From, kept.To), Output: kept}
	switch last := on.last(); {
	case kept.ours(last) && last.Info.Status == release.StatusDeployed:
		result.Summary = "already so: " + result.Summary
	case last.Version != kept.From && !kept.ours(last):
		return act.Result{}, jenner.Retryable(fmt.Errorf("%s has revision %d by now: %s", on.target, last.Version, last.Info.Description), "")
	default:
		if err := r.roll(ctx, on, kept); err != nil {
			return act.Result{}, err
		}
		result.Changed = true
	}
	if r.Wait == 0 {
		return result, nil
	}
	return r.settled(ctx, call, result)
}

// roll has Helm do it. What it leaves unfinished is marked as failed, so that it does not stand in the way of the next
// operation of Helm.
func (r *RollbackRelease) roll(ctx context.Context, on *helmed, kept rolledRelease) error {
	if err := on.busy(kept); err != nil {
		return err
	}
	by := helmaction.NewRollback(on.helm)
	by.Version, by.DisableHooks, by.Timeout = kept.To, r.SkipHooks, r.HookTimeout.Or(time.Minute)
	err := by.Run(on.target.Object)
	if err == nil {
		return nil
	}
	err = toldOfHelm(err, fmt.Sprintf("rolling %s back to revision %d", on.target, kept.To))
	during, cancel := context.WithTimeout(context.WithoutCancel(ctx), backPatience)
	defer cancel()
	helm, again := on.helmOf(during, on.target.Namespace)
	if again != nil {
		return errors.Join(err, again)
	}
	last, again := helm.Releases.Last(on.target.Object)
	if again == nil && last.Info.Status == release.StatusPendingRollback {
		last.SetStatus(release.StatusFailed, fmt.Sprintf("%sRollback to %d; %v", brokenOff, kept.To, err))
		again = helm.Releases.Update(last)
	}
	return errors.Join(err, again)
}

// toldOfHelm is told, for a library that wraps errors in words alone.
func toldOfHelm(err error, doing string) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) || errors.Is(err, context.DeadlineExceeded) {
		return told(err, doing)
	}
	return jenner.Permanent(fmt.Errorf("%s: %w", doing, err), "")
}

// settled waits for all workloads of the present revision.
func (r *RollbackRelease) settled(ctx context.Context, call act.Call, result act.Result) (act.Result, error) {
	on, err := helmLook(ctx, call)
	if err != nil {
		return result, err
	}
	list, err := on.target.workloadsIn(on.last().Manifest)
	if err != nil {
		return result, err
	}
	patience, cancel := context.WithTimeoutCause(ctx, r.Wait.Std(), fmt.Errorf("not within %s", r.Wait))
	defer cancel()
	for _, one := range list {
		if _, err := on.awaitRollout(patience, one, r.Wait.Std(), 0, call.Host.Progress); err != nil {
			return result, fmt.Errorf("%s; but %w", result.Summary, err)
		}
	}
	result.Summary += fmt.Sprintf("; its %d workloads have settled", len(list))
	return result, nil
}

// Undo rolls back to the revision of before, where the present one is still ours.
func (r *RollbackRelease) Undo(ctx context.Context, call act.Call) (act.Result, error) {
	kept, err := keptIn[rolledRelease](call.Checkpoint)
	if err != nil {
		return act.Result{}, jenner.ForHuman(err, "look at the release and decide")
	}
	on, err := helmLook(ctx, call)
	if err != nil {
		return act.Result{}, err
	}
	back := rolledRelease{From: kept.From, To: kept.From}
	switch last := on.last(); {
	case back.ours(last) && last.Info.Status == release.StatusDeployed:
		return act.Result{Summary: fmt.Sprintf("%s is what it was in revision %d", on.target, kept.From)}, nil
	case !kept.ours(last) && !back.ours(last):
		return act.Result{Summary: fmt.Sprintf("left alone: revision %d of %s is not ours: %s", last.Version, on.target, last.Info.Description)}, nil
	}
	err = r.roll(ctx, on, back)
	return act.Result{Summary: fmt.Sprintf("%s is what it was in revision %d", on.target, kept.From), Changed: err == nil}, err
}

// Size adds up the workloads of the present revision.
func (r *RollbackRelease) Size(ctx context.Context, call act.Call) (act.Size, error) {
	size := act.Size{Unit: unitPods}
	on, err := helmLook(ctx, call)
	if err != nil {
		return size, err
	}
	list, err := on.target.workloadsIn(on.last().Manifest)
	if err != nil {
		return size, err
	}
	for _, one := range list {
		rollout, err := on.rollout(ctx, one)
		if apierrors.IsNotFound(err) {
			continue // somebody deleted it; the rollback makes it again
		}
		if err != nil {
			return size, err
		}
		size.Want, size.Total = size.Want+rollout.AtOnce, size.Total+int(rollout.Replicas)
	}
	return size, nil
}

// Owner is Flux, where its own controller made the release; it would make it again.
func (r *RollbackRelease) Owner(ctx context.Context, call act.Call) (string, error) {
	on, err := helmLook(ctx, call)
	if err != nil {
		return "", err
	}
	list, err := on.target.workloadsIn(on.last().Manifest)
	if err != nil {
		return "", err
	}
	for _, one := range list {
		live, err := on.object(ctx, one)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return "", err
		}
		if owner := ownerOf(live); owner != ownerHelm {
			return owner, nil
		}
	}
	return "", nil
}

// Rights are to read and write the release's Secrets, and to change what the chart holds.
func (r *RollbackRelease) Rights(_ jenner.Service, target jenner.Target) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	resources := r.Resources
	if len(resources) == 0 {
		resources = []string{"deployments.apps", "statefulsets.apps", "daemonsets.apps", "services", "configmaps", "secrets", "serviceaccounts"}
	}
	list := []jenner.Right{t.right("list", "", "pods")}
	for _, verb := range []string{"get", "list", "create", "update"} { // the revisions themselves
		list = append(list, t.right(verb, "", secrets.Resource))
	}
	for _, one := range resources {
		resource, group, _ := strings.Cut(one, ".")
		verbs := []string{"get", "create", "patch", "delete"}
		if one == "jobs.batch" && !r.SkipHooks { // hooks are made anew, and their end is waited for
			verbs = append(verbs, "list", "watch")
		}
		for _, verb := range verbs {
			list = append(list, t.right(verb, group, resource))
		}
	}
	slices.SortFunc(list, jenner.Right.Compare)
	return slices.Compact(list), nil
}
