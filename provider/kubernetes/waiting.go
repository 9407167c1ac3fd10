package kubernetes

import (
	"context"
	"sync"

	"k8s.io/client-go/tools/cache"
)

// interests are who wants to know when something about a key changes. There may be hundreds of probes over one watch, so
// each is woken for its own objects only.
type interests struct {
	mu    sync.Mutex
	begun bool
	keys  map[string]*interest
}

type interest struct {
	changes uint64
	changed chan struct{} // closed at the next change
}

// changes counts the changes of a key since somebody first asked for it.
func (w *watched) changes(key string) uint64 {
	w.interests.mu.Lock()
	defer w.interests.mu.Unlock()
	return w.interest(key).changes
}

// wait blocks until there were other changes of a key than those, or until ctx ends.
func (w *watched) wait(ctx context.Context, key string, known uint64) error {
	w.interests.mu.Lock()
	one := w.interest(key)
	differs, changed := one.changes != known, one.changed
	w.interests.mu.Unlock()
	if differs {
		return nil
	}
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// interest is that of a key. The lock is held.
func (w *watched) interest(key string) *interest {
	if !w.interests.begun {
		w.interests.begun, w.interests.keys = true, map[string]*interest{}
		// It cannot fail: whoever waits holds the watch.
		_, _ = w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(one any) { w.wake(one) },
			UpdateFunc: func(before, after any) { w.wake(before); w.wake(after) },
			DeleteFunc: func(one any) { w.wake(one) },
		})
	}
	one := w.interests.keys[key]
	if one == nil {
		one = &interest{changed: make(chan struct{})}
		w.interests.keys[key] = one
	}
	return one
}

// wake tells all who wait for one of the object's keys.
func (w *watched) wake(from any) {
	w.interests.mu.Lock()
	defer w.interests.mu.Unlock()
	for _, index := range w.resource.index {
		keys, _ := index(from) // the indexes of this package give no errors
		for _, key := range keys {
			w.wakeKey(key)
		}
	}
	if name, err := cache.DeletionHandlingMetaNamespaceKeyFunc(from); err == nil {
		w.wakeKey(name)
	}
	w.wakeKey(anything)
}

// anything is the key of every object.
const anything = ""

func (w *watched) wakeKey(key string) {
	if one := w.interests.keys[key]; one != nil {
		one.changes++
		close(one.changed)
		one.changed = make(chan struct{})
	}
}

// peek is the watch of a resource where somebody holds it and what it knows holds at present; nil where not.
func (t *tower) peek(r *watchable, namespace string) *watched {
	if r.wide {
		namespace = ""
	}
	t.mu.Lock()
	w := t.watches[watchKey{r.String(), namespace, r.selector}]
	t.mu.Unlock()
	if w == nil || w.troubled() != nil {
		return nil
	}
	return w
}
