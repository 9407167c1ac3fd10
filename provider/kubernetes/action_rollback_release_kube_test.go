//go:build kube

package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"testing"

	helmaction "helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

// shopChart is a chart of one Deployment and, where it has one, a hook that runs before a rollback.
func shopChart(image, hook string) *chart.Chart {
	files := []*chart.File{{Name: "templates/shop.yaml", Data: []byte(deployment("shop", 1, podOf("shop", image)))}}
	if hook != "" {
		text := strings.Replace(job("before", "", strings.Fields(hook)...), "metadata: {", "metadata: {annotations: {helm.sh/hook: pre-rollback}, ", 1)
		files = append(files, &chart.File{Name: "templates/hook.yaml", Data: []byte(text)})
	}
	return &chart.Chart{Metadata: &chart.Metadata{APIVersion: "v2", Name: "shop", Version: "1.0.0"}, Templates: files}
}

// installed is a release, installed and then upgraded to each further image.
func (g *ground) installed(hook string, images ...string) jenner.Target {
	g.t.Helper()
	for i, image := range images {
		g.upgraded(i == 0, shopChart(image, hook))
	}
	return g.target(kindHelm, "shop")
}

func (g *ground) upgraded(first bool, to *chart.Chart) {
	g.t.Helper()
	helm, err := g.helmOf(g.t.Context(), g.ns)
	if err != nil {
		g.t.Fatal(err)
	}
	if first {
		install := helmaction.NewInstall(helm)
		install.ReleaseName, install.Namespace = "shop", g.ns
		_, err = install.Run(to, nil)
	} else {
		upgrade := helmaction.NewUpgrade(helm)
		upgrade.Namespace = g.ns
		_, err = upgrade.Run("shop", to, nil)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	g.settles(g.target(kindDeployment, "shop"))
}

func (g *ground) helmLast() *release.Release {
	g.t.Helper()
	on, err := helmLook(g.t.Context(), act.Call{Target: g.target(kindHelm, "shop")})
	if err != nil {
		g.t.Fatal(err)
	}
	return on.last()
}

func TestRollbackReleaseConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(g *ground) actiontest.World {
		target := g.installed("", "v1", "v2")
		return actiontest.World{Action: g.made("rollback_release", kindHelm, "{to_revision: 1}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) { g.upgraded(false, shopChart("bad", "")) }}
	})
}

func TestAReleaseRollsBackToWhatWasVerified(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.installed("job --takes 100ms", "v1")
	g.deed("rollback_release", target, "{}").refused("of 0 earlier revisions none")
	g.verified(target)
	for _, image := range []string{"v2", "bad"} {
		g.upgraded(false, shopChart(image, "job --takes 100ms"))
	}
	deed := g.deed("rollback_release", target, "{wait: 60s}")
	if size, err := deed.make().(act.Sizer).Size(t.Context(), deed.call); err != nil || size.Want != 1 || size.Total != 1 {
		t.Errorf("%+v, %v", size, err)
	}
	if owner, err := deed.make().(act.Owner).Owner(t.Context(), deed.call); err != nil || owner != "" {
		t.Errorf("a release of Helm is changed through Helm, and is said to belong to %q, %v", owner, err)
	}
	deed.must()
	if image := g.rolled(g.target(kindDeployment, "shop")).Template.Spec.Containers[0].Image; image != "jenner-test/app:v1" {
		t.Errorf("it runs %s", image)
	}
	deed.undo()
	if image := g.rolled(g.target(kindDeployment, "shop")).Template.Spec.Containers[0].Image; image != "jenner-test/app:bad" {
		t.Errorf("after the undo it runs %s", image)
	}
	if again := deed.undo(); again.Changed {
		t.Errorf("the second undo: %+v", again)
	}
}

// A hook that fails, or takes too long, must not leave the release locked.
func TestAFailedHookLeavesNoLock(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.installed("job --fail-times 9", "v1", "v2")
	deed := g.deed("rollback_release", target, "{to_revision: 1}")
	deed.refused("rolling helm " + g.ns + "/shop back to revision 1")
	if last := g.helmLast(); last.Info.Status != release.StatusFailed || !strings.HasPrefix(last.Info.Description, "Broken off: Rollback to 1;") {
		t.Errorf("revision %d is %s: %s", last.Version, last.Info.Status, last.Info.Description)
	}
	if answer := deed.happened(); answer != act.HappenedNot {
		t.Errorf("it is said to be %s", answer)
	}
	g.deed("rollback_release", target, "{to_revision: 1, skip_hooks: true, wait: 60s}").must()
}

// What a crash left half done is done again, and what somebody else has under way is left to them.
func TestAnOperationOfHelmThatIsUnderWay(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.installed("", "v1", "v2")
	deed := g.deed("rollback_release", target, "{to_revision: 1, wait: 60s}")
	if err := deed.checkpoint(); err != nil {
		t.Fatal(err)
	}
	helm, err := g.helmOf(t.Context(), g.ns)
	if err != nil {
		t.Fatal(err)
	}
	pending := *g.helmLast()
	info := *pending.Info
	pending.Info, pending.Version = &info, 3
	pending.SetStatus(release.StatusPendingUpgrade, "Preparing upgrade")
	if err := helm.Releases.Create(&pending); err != nil {
		t.Fatal(err)
	}
	g.deed("rollback_release", target, "{to_revision: 1}").refused("revision 3 is pending-upgrade")
	if answer := deed.happened(); answer != act.HappenedUnknown {
		t.Errorf("somebody else is at it, and it is said to be %s", answer)
	}
	pending.SetStatus(release.StatusPendingRollback, "Rollback to 1")
	if err := helm.Releases.Update(&pending); err != nil {
		t.Fatal(err)
	}
	if answer := deed.happened(); answer != act.HappenedNot {
		t.Errorf("it was broken off, and is said to be %s", answer)
	}
	if err := deed.make().(act.Checker).Check(t.Context(), deed.call); err != nil {
		t.Errorf("our own may be done again: %v", err)
	}
	result, err := deed.make().Do(t.Context(), deed.call)
	if err != nil || !result.Changed || deed.happened() != act.HappenedDone {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestHelmEndsWithItsContext(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	target := g.installed("", "v1", "v2")
	deed := g.deed("rollback_release", target, "{to_revision: 1}")
	if err := deed.checkpoint(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("somebody stopped it"))
	if _, err := deed.make().Do(ctx, deed.call); err == nil || g.helmLast().Version != 2 {
		t.Errorf("%v, revision %d", err, g.helmLast().Version)
	}
}
