package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
)

// settle is how long the objects must be quiet before a change is told, and settleMost how long they may go on changing: who
// applies a folder applies its files one after the other.
const (
	settle     = 200 * time.Millisecond
	settleMost = 2 * time.Second
)

// Watched are the documents among the custom resources of some namespaces, as they are now. It is safe for concurrent use.
type Watched struct {
	conn       *Connection
	namespaces []string
	log        *slog.Logger
	defaults   func(kind string) bool
	changed    chan struct{}

	mu   sync.Mutex
	seen map[string]*unstructured.Unstructured // by origin
}

// WatchOptions say what is watched.
type WatchOptions struct {
	Namespaces []string // that of the connection where there is none
	// Namespaced tells whether targets of a kind have the parameter `namespace`. Where such a target does not say it, it is
	// that of the object which declares the target.
	Namespaced func(targetKind string) bool
	Logger     *slog.Logger
}

// Watch begins to watch and returns when everything that is there now is known. The watching ends with ctx. An error is that
// the custom resources are not defined, or that they may not be read; an API server that is away is waited for.
func (c *Connection) Watch(ctx context.Context, opts WatchOptions) (*Watched, error) {
	w := c.watched(opts)
	if err := w.read(ctx, 1); err != nil { // for an informer would try for ever what is not allowed
		return nil, err
	}
	quiet := make(chan struct{}, 1)
	var synced []cache.InformerSynced
	for _, namespace := range w.namespaces {
		factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(c.Dynamic, 0, namespace, nil)
		for _, k := range documents {
			informer := factory.ForResource(k.resource()).Informer()
			if err := informer.SetTransform(lean); err != nil {
				return nil, err
			}
			handler, err := informer.AddEventHandler(w.handler(k, quiet))
			if err != nil {
				return nil, err
			}
			synced = append(synced, handler.HasSynced)
		}
		factory.Start(ctx.Done())
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil, context.Cause(ctx)
	}
	go w.settle(ctx, quiet)
	return w, nil
}

func (c *Connection) watched(opts WatchOptions) *Watched {
	w := &Watched{conn: c, namespaces: opts.Namespaces, log: opts.Logger, defaults: opts.Namespaced,
		changed: make(chan struct{}, 1), seen: map[string]*unstructured.Unstructured{}}
	if len(w.namespaces) == 0 {
		w.namespaces = []string{c.Namespace}
	}
	return w
}

// Documents are the documents among the custom resources as they are at this moment. The errors are those of Watch.
func (c *Connection) Documents(ctx context.Context, opts WatchOptions) ([]config.Object, error) {
	w := c.watched(opts)
	if err := w.read(ctx, 0); err != nil {
		return nil, err
	}
	return w.Objects(), nil
}

// read lists the objects of each kind, so many at most; 0 for all.
func (w *Watched) read(ctx context.Context, most int64) error {
	for _, namespace := range w.namespaces {
		for _, k := range documents {
			list, err := w.conn.Dynamic.Resource(k.resource()).Namespace(namespace).List(ctx, metav1.ListOptions{Limit: most})
			switch {
			case apierrors.IsNotFound(err):
				return jenner.Permanent(fmt.Errorf("the API server at %s does not know the custom resource %s.%s", w.conn.Config.Host, k.plural, Group),
					"apply what `jenner manifests crds` prints")
			case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
				return jenner.Permanent(fmt.Errorf("the custom resources cannot be read: %w", err), "give Jenner's service account what `jenner rbac --own` prints")
			case err != nil:
				return jenner.Retryable(fmt.Errorf("the custom resources cannot be read: %w", err), "")
			}
			for i := range list.Items {
				w.put(k, &list.Items[i], false)
			}
		}
	}
	return nil
}

// lean drops what nobody here asks for and what makes objects large.
func lean(object any) (any, error) {
	if content, ok := object.(*unstructured.Unstructured); ok {
		content.SetManagedFields(nil)
		unstructured.RemoveNestedField(content.Object, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration")
	}
	return object, nil
}

func (w *Watched) handler(k kind, quiet chan<- struct{}) cache.ResourceEventHandlerDetailedFuncs {
	put := func(object any, gone, first bool) {
		if late, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = late.Obj
		}
		content, ok := object.(*unstructured.Unstructured)
		if !ok {
			return
		}
		if w.put(k, content, gone) && !first {
			select {
			case quiet <- struct{}{}:
			default:
			}
		}
	}
	return cache.ResourceEventHandlerDetailedFuncs{
		AddFunc:    func(object any, first bool) { put(object, false, first) },
		UpdateFunc: func(_, object any) { put(object, false, false) },
		DeleteFunc: func(object any) { put(object, true, false) },
	}
}

// put keeps an object, and tells whether what people wrote in it is new: Jenner's own words in the status are not.
func (w *Watched) put(k kind, object *unstructured.Unstructured, gone bool) (news bool) {
	origin := originOf(k, object)
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.seen[origin]
	if gone || object.GetDeletionTimestamp() != nil {
		delete(w.seen, origin)
		return before != nil
	}
	w.seen[origin] = object
	return before == nil || before.GetUID() != object.GetUID() || before.GetGeneration() != object.GetGeneration()
}

// originOf is what messages call an object.
func originOf(k kind, object *unstructured.Unstructured) string {
	return k.word + " " + object.GetNamespace() + "/" + object.GetName()
}

// settle tells of changes once they are over.
func (w *Watched) settle(ctx context.Context, quiet <-chan struct{}) {
	timer := time.NewTimer(settle)
	timer.Stop()
	var first time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-quiet:
			if first.IsZero() {
				first = time.Now()
			}
			timer.Reset(max(0, min(settle, settleMost-time.Since(first))))
		case <-timer.C:
			first = time.Time{}
			w.Nudge()
		}
	}
}

// Changed has a word in it after documents have changed, once for changes that follow each other quickly.
func (w *Watched) Changed() <-chan struct{} { return w.changed }

// Nudge puts a word into Changed for somebody else's reason.
func (w *Watched) Nudge() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Objects are the documents as they are now, each with the version that was in force last. The oldest come first, so that of
// two of the same name the older one stays.
func (w *Watched) Objects() []config.Object {
	w.mu.Lock()
	defer w.mu.Unlock()
	var order []*unstructured.Unstructured
	for _, object := range w.seen {
		order = append(order, object)
	}
	slices.SortFunc(order, func(a, b *unstructured.Unstructured) int {
		made, other := a.GetCreationTimestamp(), b.GetCreationTimestamp()
		return cmp.Or(made.Compare(other.Time), cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetKind(), b.GetKind()),
			cmp.Compare(a.GetName(), b.GetName()))
	})
	objects := make([]config.Object, 0, len(order))
	for _, object := range order {
		objects = append(objects, w.object(object))
	}
	return objects
}

// objectDir is where relative paths in objects start from: an object lies in no folder.
const objectDir = "/"

func (w *Watched) object(from *unstructured.Unstructured) config.Object {
	word := strings.ToLower(from.GetKind())
	object := config.Object{Kind: word, Name: from.GetName(), Origin: word + " " + from.GetNamespace() + "/" + from.GetName(), Dir: objectDir,
		Spec: w.spec(from, "spec")}
	if _, known, _ := unstructured.NestedMap(from.Object, "status", "lastValid", "spec"); known {
		object.Before = w.spec(from, "status", "lastValid", "spec")
	}
	return object
}

// spec is one of the specs of an object as JSON, with the namespaces of its targets.
func (w *Watched) spec(object *unstructured.Unstructured, path ...string) json.RawMessage {
	spec, found, err := unstructured.NestedMap(object.Object, path...) // a copy
	if err != nil || !found {
		value, _, _ := unstructured.NestedFieldNoCopy(object.Object, path...)
		return jenner.Raw(value)
	}
	targets, _, _ := unstructured.NestedSlice(spec, "targets")
	for _, one := range targets {
		target, ok := one.(map[string]any)
		if !ok {
			continue
		}
		kind, _ := target["kind"].(string)
		if _, said := target["namespace"]; !said && w.defaults != nil && w.defaults(kind) {
			target["namespace"] = object.GetNamespace()
		}
	}
	if len(targets) > 0 {
		spec["targets"] = targets
	}
	return jenner.Raw(spec)
}

// reference finds the object of a document, for events and owners.
func (w *Watched) reference(word, name string) (*unstructured.Unstructured, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, object := range w.seen {
		if strings.EqualFold(object.GetKind(), word) && object.GetName() == name {
			return object, true
		}
	}
	return nil, false
}

// byOrigin finds an object by what messages call it.
func (w *Watched) byOrigin(origin string) (*unstructured.Unstructured, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	object, known := w.seen[origin]
	return object, known
}
