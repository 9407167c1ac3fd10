package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	helmaction "helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/jenner-heal/jenner"
)

func init() { kube.ManagedFieldsManager = fieldManager }

// helmOf is Helm's library, working on one namespace of the cluster. The library knows no contexts: whatever it asks for
// after ctx is over fails, so that it ends soon.
func (c *cluster) helmOf(ctx context.Context, namespace string) (*helmaction.Configuration, error) {
	config := rest.CopyConfig(c.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return bounded{ctx, next} })
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("the cluster cannot be talked to: %w", err)
	}
	getter := &helmGetter{config: config, namespace: namespace, discovery: memory.NewMemCacheClient(client.Discovery())}
	by := kube.New(getter)
	by.Namespace, by.Log = namespace, func(string, ...any) {}
	return &helmaction.Configuration{RESTClientGetter: getter, KubeClient: by, Log: func(string, ...any) {},
		Releases:       storage.Init(driver.NewSecrets(client.CoreV1().Secrets(namespace))),
		HookOutputFunc: func(_, _, _ string) io.Writer { return io.Discard }}, nil
}

// bounded ends requests that know no context of ours.
type bounded struct {
	ctx  context.Context
	next http.RoundTripper
}

func (b bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	if b.ctx.Err() != nil {
		return nil, context.Cause(b.ctx)
	}
	during, cancel := context.WithCancelCause(request.Context())
	stop := context.AfterFunc(b.ctx, func() { cancel(context.Cause(b.ctx)) })
	response, err := b.next.RoundTrip(request.WithContext(during))
	if err != nil {
		stop()
		cancel(nil)
		return nil, err
	}
	response.Body = closing{response.Body, func() { stop(); cancel(nil) }}
	return response, nil
}

// closing is a body whose end is heard of.
type closing struct {
	io.ReadCloser
	closed func()
}

func (c closing) Close() error {
	defer c.closed()
	return c.ReadCloser.Close()
}

// helmGetter hands the cluster to Helm's library.
type helmGetter struct {
	config    *rest.Config
	namespace string
	discovery discovery.CachedDiscoveryInterface
}

// ToRESTConfig is how the cluster is reached.
func (h *helmGetter) ToRESTConfig() (*rest.Config, error) { return h.config, nil }

// ToDiscoveryClient tells what the API server knows.
func (h *helmGetter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return h.discovery, nil
}

// ToRESTMapper finds resources by kinds.
func (h *helmGetter) ToRESTMapper() (meta.RESTMapper, error) {
	return restmapper.NewDeferredDiscoveryRESTMapper(h.discovery), nil
}

// ToRawKubeConfigLoader tells the namespace.
func (h *helmGetter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	return clientcmd.NewDefaultClientConfig(clientcmdapi.Config{}, &clientcmd.ConfigOverrides{Context: clientcmdapi.Context{Namespace: h.namespace}})
}

// releases are the revisions of a release, the newest first.
func releases(helm *helmaction.Configuration, t *Target) ([]*release.Release, error) {
	all, err := helm.Releases.History(t.Object)
	if errors.Is(err, driver.ErrReleaseNotFound) || err == nil && len(all) == 0 {
		return nil, jenner.Permanent(fmt.Errorf("%s: there is no release of that name", t), "")
	}
	if err != nil {
		return nil, told(err, "reading the revisions of "+t.String())
	}
	slices.SortFunc(all, func(a, b *release.Release) int { return b.Version - a.Version })
	return all, nil
}

// workloadsIn are the targets that a release's manifest holds as workloads.
func (t *Target) workloadsIn(manifest string) ([]*Target, error) {
	var list []*Target
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewBufferString(manifest), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, jenner.Permanent(fmt.Errorf("the manifest of %s cannot be read: %w", t, err), "")
		}
		kind := strings.ToLower(object.GetKind())
		if !slices.Contains(workloadKinds, kind) {
			continue
		}
		one := &Target{Namespace: object.GetNamespace(), Object: object.GetName(), Kubeconfig: t.Kubeconfig, Context: t.Context,
			ref: jenner.TargetRef{Kind: kind, Name: object.GetName()}}
		if one.Namespace == "" {
			one.Namespace = t.Namespace
		}
		list = append(list, one)
	}
}
