package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

// syncer is the object by which people tell a controller of GitOps what to keep as it is in Git: a Kustomization or a
// HelmRelease of Flux, an Application of Argo CD.
type syncer struct {
	api       schema.GroupVersionResource
	namespace string
	name      string
	pause     slot // the field that decides about it
	paused    any  // its value while it is paused; nil: it is not there then
}

// String is `kustomizations flux-system/shop`.
func (s syncer) String() string { return s.api.Resource + " " + s.namespace + "/" + s.name }

var (
	kustomizations = schema.GroupVersionResource{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Resource: "kustomizations"}
	helmReleases   = schema.GroupVersionResource{Group: "helm.toolkit.fluxcd.io", Version: "v2", Resource: "helmreleases"}
	applications   = schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}
)

var (
	fluxSuspends = slot{"spec", "suspend"}
	argoSyncs    = slot{"spec", "syncPolicy", "automated"}
)

// pausedSync is the annotation of a syncer that Jenner has paused. It holds the value of the field before.
const pausedSync = "jenner.dev/paused-sync"

// syncerOf finds who keeps an object as it is in Git, by the marks on it.
func syncerOf(live metav1.Object, argoNamespace string) (syncer, error) {
	labels := live.GetLabels()
	for _, flux := range []schema.GroupVersionResource{kustomizations, helmReleases} {
		if name := labels[flux.Group+"/name"]; name != "" {
			return syncer{flux, labels[flux.Group+"/namespace"], name, fluxSuspends, true}, nil
		}
	}
	app, _, tracked := strings.Cut(live.GetAnnotations()["argocd.argoproj.io/tracking-id"], ":")
	if !tracked {
		app = labels["argocd.argoproj.io/instance"]
	}
	if app == "" {
		return syncer{}, jenner.Permanent(errors.New("neither Flux nor Argo CD has left a mark on it that names its source"), "")
	}
	if namespace, name, both := strings.Cut(app, "_"); both { // an application outside of Argo CD's own namespace
		argoNamespace, app = namespace, name
	}
	return syncer{applications, argoNamespace, app, argoSyncs, nil}, nil
}

// syncSite reads the syncer of a target's object.
func syncSite(ctx context.Context, call act.Call, argoNamespace string) (*site, syncer, error) {
	of, err := look(ctx, call)
	if err != nil {
		return nil, syncer{}, err
	}
	by, err := syncerOf(of.live, argoNamespace)
	if err != nil {
		return nil, by, fmt.Errorf("%s: %w", of.target, err)
	}
	on := &site{cluster: of.cluster, target: of.target, to: of.dynamic.Resource(by.api).Namespace(by.namespace), name: by.String(), call: call}
	on, err = on.read(ctx, by.name)
	if apierrors.IsNotFound(err) {
		err = jenner.Permanent(fmt.Errorf("%s says that it belongs to %s: %w", of.target, by, err), "")
	}
	return on, by, err
}

// before is the value of the pausing field that the annotation holds.
func (on *site) before() (value any, paused bool, err error) {
	note, paused := on.live.GetAnnotations()[pausedSync]
	if !paused {
		return nil, false, nil
	}
	if err := json.Unmarshal([]byte(note), &value); err != nil {
		return nil, true, jenner.Permanent(fmt.Errorf("annotation %s cannot be read: %w", pausedSync, err), "look at it and take it away")
	}
	return value, true, nil
}

// syncRights are to read the target, and to read and change whatever may keep it as it is in Git.
func syncRights(target jenner.Target, argoNamespace string) ([]jenner.Right, error) {
	t, err := decode(target)
	if err != nil {
		return nil, err
	}
	list := t.rights("get")
	for _, api := range []schema.GroupVersionResource{kustomizations, helmReleases, applications} {
		for _, verb := range []string{"get", "patch"} {
			right := t.right(verb, api.Group, api.Resource)
			right.Namespace, right.Clusterwide = "", true // only the live object says where its source is
			if api == applications {
				right.Namespace, right.Clusterwide = argoNamespace, false
			}
			list = append(list, right)
		}
	}
	return list, nil
}
