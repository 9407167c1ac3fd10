//go:build kube

package kubernetes

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

// synced makes a source of GitOps, and a ConfigMap that bears its mark.
func (g *ground) synced(api schema.GroupVersionResource, kind, spec, mark string) jenner.Target {
	g.t.Helper()
	source := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte("{apiVersion: "+api.Group+"/"+api.Version+", kind: "+kind+", metadata: {name: shop}, spec: "+spec+"}"), &source.Object); err != nil {
		g.t.Fatal(err)
	}
	if _, err := g.dynamic.Resource(api).Namespace(g.ns).Create(g.t.Context(), source, metav1.CreateOptions{FieldManager: "people"}); err != nil {
		g.t.Fatal(err)
	}
	g.as("people", strings.Replace(settings, "metadata: {", "metadata: {"+strings.ReplaceAll(mark, "NS", g.ns)+", ", 1))
	return g.target(kindConfigMap, "settings")
}

const fluxMark = "labels: {kustomize.toolkit.fluxcd.io/name: shop, kustomize.toolkit.fluxcd.io/namespace: NS}"

func (g *ground) source(api schema.GroupVersionResource) *unstructured.Unstructured {
	g.t.Helper()
	source, err := g.dynamic.Resource(api).Namespace(g.ns).Get(g.t.Context(), "shop", metav1.GetOptions{})
	if err != nil {
		g.t.Fatal(err)
	}
	return source
}

func (g *ground) suspended(api schema.GroupVersionResource, suspend any) {
	g.t.Helper()
	source := g.source(api)
	if err := fluxSuspends.write(source.Object, suspend); err != nil {
		g.t.Fatal(err)
	}
	if _, err := g.dynamic.Resource(api).Namespace(g.ns).Update(g.t.Context(), source, metav1.UpdateOptions{FieldManager: "people"}); err != nil {
		g.t.Fatal(err)
	}
}

func TestPauseSyncConforms(t *testing.T) {
	newGround(t).served(kustomizations, "Kustomization") // serial, for the whole cluster has that kind then
	conform(t, func(g *ground) actiontest.World {
		target := g.synced(kustomizations, "Kustomization", "{path: ./shop}", fluxMark)
		return actiontest.World{Action: g.made("pause_sync", kindConfigMap, "{}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) { g.suspended(kustomizations, false) }}
	})
}

func TestResumeSyncConforms(t *testing.T) {
	newGround(t).served(kustomizations, "Kustomization") // serial, for the whole cluster has that kind then
	conform(t, func(g *ground) actiontest.World {
		target := g.synced(kustomizations, "Kustomization", "{path: ./shop}", fluxMark)
		g.deed("pause_sync", target, "{}").must()
		return actiontest.World{Action: g.made("resume_sync", kindConfigMap, "{}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) { g.suspended(kustomizations, true) }}
	})
}

func TestASourceGoesOnAsItWas(t *testing.T) {
	for name, c := range map[string]struct {
		api              schema.GroupVersionResource
		kind, spec, mark string
	}{
		"flux": {kustomizations, "Kustomization", "{path: ./shop}", fluxMark},
		"flux, by Helm": {helmReleases, "HelmRelease", "{suspend: false}",
			"labels: {helm.toolkit.fluxcd.io/name: shop, helm.toolkit.fluxcd.io/namespace: NS}"},
		"argo": {applications, "Application", "{syncPolicy: {automated: {prune: true, selfHeal: true}, syncOptions: [a]}}",
			"annotations: {argocd.argoproj.io/tracking-id: 'NS_shop:/ConfigMap:NS/settings'}"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGround(t)
			g.served(c.api, c.kind)
			target := g.synced(c.api, c.kind, c.spec, c.mark)
			before := jsonOf(g.source(c.api).Object["spec"])
			g.deed("resume_sync", target, "{}").refused("was not paused by pause_sync")
			g.deed("pause_sync", target, "{}").must()
			if during := jsonOf(g.source(c.api).Object["spec"]); during == before {
				t.Errorf("it is not paused: %s", during)
			}
			if again := g.deed("pause_sync", target, "{}").must(); again.Changed {
				t.Error("it was paused already")
			}
			g.deed("resume_sync", target, "{}").must()
			if after := jsonOf(g.source(c.api).Object["spec"]); after != before {
				t.Errorf("before %s\nafter  %s", before, after)
			}
		})
	}
}

func TestWhatSomebodyElsePausedStaysSo(t *testing.T) {
	newGround(t).served(kustomizations, "Kustomization") // serial, for the whole cluster has that kind then
	g := newGround(t)
	target := g.synced(kustomizations, "Kustomization", "{suspend: true}", fluxMark)
	if result := g.deed("pause_sync", target, "{}").must(); result.Changed {
		t.Errorf("%+v", result)
	}
	g.deed("resume_sync", target, "{}").refused("whoever paused it")
	g.as("people", "{apiVersion: v1, kind: ConfigMap, metadata: {name: plain}}")
	g.deed("pause_sync", g.target(kindConfigMap, "plain"), "{}").refused("neither Flux nor Argo CD")
}
