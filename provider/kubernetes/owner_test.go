package kubernetes

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhoOwnsAnObject(t *testing.T) {
	yes := true
	for name, test := range map[string]struct {
		meta metav1.ObjectMeta
		want string
	}{
		"nobody":            {metav1.ObjectMeta{Labels: map[string]string{"app": "shop", labelInstance: "shop"}}, ""},
		"argo, annotation":  {metav1.ObjectMeta{Annotations: map[string]string{"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/shop"}}, "argocd"},
		"argo, label":       {metav1.ObjectMeta{Labels: map[string]string{"argocd.argoproj.io/instance": "shop"}}, "argocd"},
		"argo, by its name": {metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "argocd-controller"}}}, "argocd"},
		"flux":              {metav1.ObjectMeta{Labels: map[string]string{"kustomize.toolkit.fluxcd.io/name": "shop"}}, "flux"},
		"flux, by Helm": {metav1.ObjectMeta{Labels: map[string]string{"helm.toolkit.fluxcd.io/name": "shop"},
			Annotations: map[string]string{"meta.helm.sh/release-name": "shop"}}, "flux"},
		"helm":             {metav1.ObjectMeta{Annotations: map[string]string{"meta.helm.sh/release-name": "shop"}}, "helm"},
		"helm, by a label": {metav1.ObjectMeta{Labels: map[string]string{labelManagedBy: "Helm", labelInstance: "shop"}}, "helm"},
		"people":           {metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl-edit"}}}, ""},
		"jenner itself":    {metav1.ObjectMeta{Labels: map[string]string{labelManagedBy: "jenner", labelInstance: "shop"}}, ""},
		"an operator": {metav1.ObjectMeta{Labels: map[string]string{labelManagedBy: "Helm", labelInstance: "shop"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "Postgresql", Name: "orders", Controller: &yes}}}, "postgresql/orders"},
		"no controller": {metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "Team", Name: "shop"}}}, ""},
	} {
		if got := ownerOf(&test.meta); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestWhoKeepsAnObjectAsInGit(t *testing.T) {
	for name, test := range map[string]struct {
		meta metav1.ObjectMeta
		want string
	}{
		"flux": {metav1.ObjectMeta{Labels: map[string]string{"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}},
			"kustomizations flux-system/shop"},
		"flux, by Helm": {metav1.ObjectMeta{Labels: map[string]string{"helm.toolkit.fluxcd.io/name": "shop", "helm.toolkit.fluxcd.io/namespace": "shop"}},
			"helmreleases shop/shop"},
		"argo": {metav1.ObjectMeta{Annotations: map[string]string{"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:a/b"}}, "applications argocd/shop"},
		"argo, elsewhere": {metav1.ObjectMeta{Annotations: map[string]string{"argocd.argoproj.io/tracking-id": "team_shop:apps/Deployment:a/b"}},
			"applications team/shop"},
		"argo, by a label": {metav1.ObjectMeta{Labels: map[string]string{"argocd.argoproj.io/instance": "shop"}}, "applications argocd/shop"},
		"nobody":           {metav1.ObjectMeta{}, ""},
	} {
		by, err := syncerOf(&test.meta, "argocd")
		if (err == nil) != (test.want != "") || err == nil && by.String() != test.want {
			t.Errorf("%s: %s, %v; want %s", name, by, err, test.want)
		}
	}
}
