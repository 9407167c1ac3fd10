//go:build kube

package kubernetes

import (
	"context"
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

// served makes the API server know a kind of Flux or of Argo CD, without the controllers, until the test ends.
func served(t *testing.T, api schema.GroupVersionResource, kind string) {
	t.Helper()
	g := newGround(t)
	definition := &unstructured.Unstructured{}
	text := strings.NewReplacer("GROUP", api.Group, "PLURAL", api.Resource, "KIND", kind, "SINGULAR", strings.ToLower(kind), "VERSION", api.Version).Replace(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: PLURAL.GROUP}
spec:
  group: GROUP
  scope: Namespaced
  names: {plural: PLURAL, singular: SINGULAR, kind: KIND}
  versions: [{name: VERSION, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`)
	if err := yaml.Unmarshal([]byte(text), &definition.Object); err != nil {
		t.Fatal(err)
	}
	definitions := g.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	g.until("nothing is left of an earlier "+kind, func() bool {
		_, err := definitions.Get(t.Context(), definition.GetName(), metav1.GetOptions{})
		return isGone(err)
	})
	if _, err := definitions.Create(t.Context(), definition, metav1.CreateOptions{FieldManager: "people"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := definitions.Delete(context.WithoutCancel(t.Context()), definition.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	g.until("the API server serves "+kind, func() bool {
		_, err := g.dynamic.Resource(api).Namespace(g.ns).List(t.Context(), metav1.ListOptions{})
		return err == nil
	})
}

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
	source, err := g.dynamic.Resource(api).Namespace(g.ns).Get(context.WithoutCancel(g.t.Context()), "shop", metav1.GetOptions{})
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
	served(t, kustomizations, "Kustomization")
	conform(t, func(g *ground) actiontest.World {
		target := g.synced(kustomizations, "Kustomization", "{path: ./shop}", fluxMark)
		return actiontest.World{Action: g.made("pause_sync", kindConfigMap, "{}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) { g.suspended(kustomizations, false) }}
	})
}

func TestResumeSyncConforms(t *testing.T) {
	served(t, kustomizations, "Kustomization")
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
			served(t, c.api, c.kind)
			g := newGround(t)
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
	served(t, kustomizations, "Kustomization")
	g := newGround(t)
	target := g.synced(kustomizations, "Kustomization", "{suspend: true}", fluxMark)
	if result := g.deed("pause_sync", target, "{}").must(); result.Changed {
		t.Errorf("%+v", result)
	}
	g.deed("resume_sync", target, "{}").refused("whoever paused it")
	g.as("people", "{apiVersion: v1, kind: ConfigMap, metadata: {name: plain}}")
	g.deed("pause_sync", g.target(kindConfigMap, "plain"), "{}").refused("neither Flux nor Argo CD")
}
