package kubernetes

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/jenner-heal/jenner/act"
)

// The controllers that are known by the marks they leave on objects. Of what else owns an object, its kind and its name
// are told.
const (
	ownerArgo = "argocd"
	ownerFlux = "flux"
	ownerHelm = "helm"
)

// marks are the labels and annotations by which a controller finds its objects again, the surest first, and the names
// under which it changes fields.
var marks = []struct {
	owner    string
	keys     []string
	managers []string
}{
	{ownerArgo, []string{"argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"}, []string{"argocd-controller", "argocd-application-controller"}},
	{ownerFlux, []string{"kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"}, []string{"kustomize-controller", "helm-controller"}},
	{ownerHelm, []string{"meta.helm.sh/release-name"}, []string{"helm"}},
}

// The common labels that say who manages an object, where no surer mark does.
const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	labelInstance  = "app.kubernetes.io/instance"
)

// ownerOf names the controller that owns an object's configuration, or nobody: the operator whose object it is, then
// what the marks of GitOps and of Helm say.
func ownerOf(live metav1.Object) string {
	if owner := metav1.GetControllerOf(live); owner != nil {
		return strings.ToLower(owner.Kind) + "/" + owner.Name
	}
	labels, annotations := live.GetLabels(), live.GetAnnotations()
	for _, mark := range marks {
		marked := slices.ContainsFunc(mark.keys, func(key string) bool { return labels[key] != "" || annotations[key] != "" })
		manages := slices.ContainsFunc(live.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
			return slices.Contains(mark.managers, entry.Manager)
		})
		if marked || manages {
			return mark.owner
		}
	}
	by := strings.ToLower(labels[labelManagedBy])
	if labels[labelInstance] == "" || by == "" || by == fieldManager || strings.HasPrefix(by, "kubectl") {
		return ""
	}
	return by
}

// applied is the object as it was last applied from a file, where whoever did so left it in an annotation.
func applied(live *unstructured.Unstructured) map[string]any {
	var object map[string]any
	if json.Unmarshal([]byte(live.GetAnnotations()["kubectl.kubernetes.io/last-applied-configuration"]), &object) != nil {
		return nil
	}
	return object
}

// Owner is who would put the change back. What the owner's own file does not say, as the object itself remembers it,
// nobody owns: replicas that an autoscaler sets, say.
func (e *edit) Owner(ctx context.Context, call act.Call) (string, error) {
	on, err := e.look(ctx, call)
	if err != nil {
		return "", err
	}
	owner := ownerOf(on.live)
	file := applied(on.live)
	if owner != ownerArgo || file == nil {
		return owner, nil
	}
	if _, err := e.draft(ctx, on); err != nil {
		return owner, nil // it is not possible anyway; the check says why
	}
	for _, one := range differences(on.live.Object, on.want.Object) {
		if one.At.read(file) != nil {
			return owner, nil
		}
	}
	return "", nil
}

// operator is who owns an object as its controller. Marks of GitOps do not count: what these would put back is only what
// their files say.
func operator(ctx context.Context, call act.Call) (string, error) {
	on, err := look(ctx, call)
	if err != nil {
		return "", err
	}
	if owner := metav1.GetControllerOf(on.live); owner != nil {
		return strings.ToLower(owner.Kind) + "/" + owner.Name, nil
	}
	return "", nil
}
