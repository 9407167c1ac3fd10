package kubernetes

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/jenner-heal/jenner"
)

// How it is known that what was heard last still holds: an API server that cannot be reached tells nothing, and that must
// not be taken for nothing happening.
const (
	askAliveEvery    = 5 * time.Second
	askAlivePatience = 3 * time.Second
	outOfTouchAfter  = 12 * time.Second // two questions without an answer
	idleWatchKept    = 10 * time.Second // after the last who held it
)

// tower is from where one cluster is watched: one stream for each resource and namespace, whoever wants to know. It is safe
// for concurrent use.
type tower struct {
	cluster *cluster
	client  kubernetes.Interface // by Protobuf, which takes less time and memory than JSON

	mu      sync.Mutex
	watches map[watchKey]*watched
	stop    context.CancelFunc // of the question whether the API server lives; nil while nothing is watched
	touched time.Time          // when it answered last
	lost    error              // why it did not answer since
}

type watchKey struct {
	resource, namespace, selector string
}

var towers struct {
	sync.Mutex
	of map[*cluster]*tower
}

// tower is the one of the cluster. Nothing is watched before somebody holds something.
func (c *cluster) tower() (*tower, error) {
	towers.Lock()
	defer towers.Unlock()
	if known := towers.of[c]; known != nil {
		return known, nil
	}
	config := rest.CopyConfig(c.config)
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("the cluster cannot be watched: %w", err)
	}
	if towers.of == nil {
		towers.of = map[*cluster]*tower{}
	}
	made := &tower{cluster: c, client: client, watches: map[watchKey]*watched{}}
	towers.of[c] = made
	return made, nil
}

// watchable is a kind of objects that can be watched.
type watchable struct {
	name     string // in the plural
	group    string // of the API; empty: the core group
	wide     bool   // its objects live in no namespace
	selector string // of fields: only these
	client   func(kubernetes.Interface) rest.Interface
	whole    *schema.GroupVersionResource // every field is kept, also those that this program does not know; client is nil
	object   runtime.Object
	trim     cache.TransformFunc // drops what nobody asks for
	index    cache.Indexers
}

// String is `pods`, or `deployments.apps`.
func (r *watchable) String() string {
	if r.whole != nil {
		return r.whole.GroupResource().String() + " as a whole"
	}
	if r.group == "" {
		return r.name
	}
	return r.name + "." + r.group
}

// rights are those that watching it takes.
func (r *watchable) rights(t *Target, name string) []jenner.Right {
	var rights []jenner.Right
	for _, verb := range []string{"list", "watch"} {
		right := jenner.Right{Verb: verb, Group: r.group, Resource: r.name, Namespace: t.Namespace, Name: name,
			Kubeconfig: t.Kubeconfig, Context: t.Context}
		if r.wide {
			right.Namespace, right.Clusterwide = "", true
		}
		rights = append(rights, right)
	}
	return rights
}

// watched is one stream of one resource in one namespace, and what it has told so far.
type watched struct {
	tower    *tower
	key      watchKey
	resource *watchable
	informer cache.SharedIndexInformer
	stop     context.CancelFunc
	holders  int // the tower's lock guards it
	interests

	mu      sync.Mutex
	stream  watch.Interface
	begun   time.Time // when the stream that runs now was begun
	renewed time.Time // a stream that was begun before is not to be believed
	trouble error     // why there is none
}

// hold watches a resource in a namespace, or the one object of that name, until the last who holds it releases it.
func (t *tower) hold(r *watchable, namespace, name string) *watched {
	t.mu.Lock()
	defer t.mu.Unlock()
	selector := r.selector
	if name != "" {
		selector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	}
	if r.wide {
		namespace = metav1.NamespaceAll
	}
	key := watchKey{r.String(), namespace, selector}
	w := t.watches[key]
	if w == nil {
		w = t.begin(r, key)
		t.watches[key] = w
	}
	w.holders++
	if t.stop == nil {
		ctx, stop := context.WithCancel(quiet(context.Background()))
		t.stop, t.touched, t.lost = stop, time.Now(), nil
		go t.askAlive(ctx)
	}
	return w
}

// quiet keeps the library from writing to the standard error output: what is wrong is told by troubleOf.
func quiet(ctx context.Context) context.Context { return klog.NewContext(ctx, logr.Discard()) }

func (t *tower) begin(r *watchable, key watchKey) *watched {
	ctx, stop := context.WithCancel(quiet(context.Background()))
	w := &watched{tower: t, key: key, resource: r, stop: stop}
	chosen := func(o *metav1.ListOptions) { o.FieldSelector = key.selector }
	var from *cache.ListWatch
	if r.whole != nil {
		from = wholly(t.cluster.dynamic.Resource(*r.whole).Namespace(key.namespace), chosen)
	} else {
		from = cache.NewFilteredListWatchFromClient(r.client(t.client), r.name, key.namespace, chosen)
	}
	w.informer = cache.NewSharedIndexInformerWithOptions(cache.ToListWatcherWithWatchListSemantics(w.noting(from), t.client), r.object,
		cache.SharedIndexInformerOptions{Indexers: r.index, ObjectDescription: r.String()})
	// Neither can fail before the informer runs.
	_ = w.informer.SetTransform(r.trim)
	_ = w.informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { w.note(nil, err) })
	go w.informer.RunWithContext(ctx)
	return w
}

// wholly lists and watches objects with all of their fields.
func wholly(in dynamic.ResourceInterface, chosen func(*metav1.ListOptions)) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			chosen(&options)
			return in.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.Watch = true
			chosen(&options)
			return in.Watch(ctx, options)
		},
	}
}

// noting notes whether listing and watching succeed.
func (w *watched) noting(from *cache.ListWatch) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := from.ListWithContext(ctx, options)
			if err != nil {
				w.note(nil, err)
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			stream, err := from.WatchWithContext(ctx, options)
			w.note(stream, err)
			return stream, err
		},
	}
}

func (w *watched) note(stream watch.Interface, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Too old a version is answered by reading anew, at once: nobody needs to hear of it.
	if err != nil && !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
		w.trouble = err
	}
	if err == nil {
		w.stream, w.begun, w.trouble = stream, time.Now(), nil
	}
}

// renew ends the stream that runs, so that the library begins another one where it broke off. Until then nothing that the
// old one told is believed to hold still.
func (w *watched) renew() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.renewed = time.Now()
	if w.stream != nil {
		w.stream.Stop()
	}
}

// release lets go. The stream ends a while after nobody holds it any more, for somebody may want it again.
func (w *watched) release() {
	t := w.tower
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.holders--; w.holders > 0 {
		return
	}
	time.AfterFunc(idleWatchKept, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if w.holders == 0 && t.watches[w.key] == w {
			t.drop(w)
		}
	})
}

func (t *tower) drop(w *watched) {
	w.stop()
	delete(t.watches, w.key)
	if len(t.watches) == 0 && t.stop != nil {
		t.stop()
		t.stop = nil
	}
}

// what says what is watched: `pods in shop at https://10.0.0.1:6443`.
func (w *watched) what() string {
	what := w.key.resource
	if w.key.namespace != "" {
		what += " in " + w.key.namespace
	}
	return what + " at " + w.tower.cluster.config.Host
}

// troubled is why what is known of the resource need not hold at present; nil where it does.
func (w *watched) troubled() error {
	w.tower.mu.Lock()
	touched, lost := w.tower.touched, w.tower.lost
	w.tower.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.trouble != nil:
		return told(w.trouble, "watching "+w.what())
	case lost != nil && time.Since(touched) > outOfTouchAfter:
		return jenner.Retryable(fmt.Errorf("watching %s: the API server does not answer: %w", w.what(), lost), "")
	case !w.informer.HasSynced():
		return jenner.Retryable(fmt.Errorf("%s were not read yet", w.what()), "")
	case w.begun.Before(w.renewed):
		return jenner.Retryable(fmt.Errorf("%s are being watched anew", w.what()), "")
	}
	return nil
}

// askAlive asks the API server again and again whether it lives. When it answers again after a silence, all streams are
// renewed: one that was cut off without a word looks like one on which nothing happens.
func (t *tower) askAlive(ctx context.Context) {
	ticker := time.NewTicker(askAliveEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		err := t.alive(ctx)
		t.mu.Lock()
		silent := t.lost != nil
		if t.lost = err; err == nil {
			t.touched = time.Now()
		}
		if silent && err == nil {
			for _, w := range t.watches {
				w.renew()
			}
		}
		t.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// alive is nil where the API server answers. That it does not let Jenner look at its health is an answer.
func (t *tower) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askAlivePatience)
	defer cancel()
	err := t.client.Discovery().RESTClient().Get().AbsPath("/livez").Do(ctx).Error()
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// synced waits until everything that was there at first was told, and is false where that takes longer than a while, or
// where ctx ends before.
func synced(ctx context.Context, patience time.Duration, registrations ...cache.ResourceEventHandlerRegistration) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, registration := range registrations {
		select {
		case <-registration.HasSyncedChecker().Done():
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// asObject is what the cache holds of an object of that type. An object that came as the tombstone of a deletion is
// unwrapped.
func asObject[T any](from any) (T, bool) {
	if gone, is := from.(cache.DeletedFinalStateUnknown); is {
		from = gone.Obj
	}
	one, is := from.(T)
	return one, is
}

// cached looks into the cache. What it gives must not be changed.
func cached[T any](w *watched, namespace, name string) (T, bool) {
	key := name
	if namespace != "" {
		key = namespace + "/" + name
	}
	found, exists, err := w.informer.GetStore().GetByKey(key)
	if err != nil || !exists {
		var none T
		return none, false
	}
	return asObject[T](found)
}

// cachedBy are all objects in the cache under a key of an index.
func cachedBy[T any](w *watched, index, key string) []T {
	found, err := w.informer.GetIndexer().ByIndex(index, key)
	if err != nil {
		return nil // a mistake of the program, which every test would show
	}
	return typed[T](found)
}

// cachedAll are all objects in the cache.
func cachedAll[T any](w *watched) []T { return typed[T](w.informer.GetStore().List()) }

func typed[T any](found []any) []T {
	list := make([]T, 0, len(found))
	for _, one := range found {
		if of, is := asObject[T](one); is {
			list = append(list, of)
		}
	}
	return list
}
