package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

// seenEvery is how often it is said that what was told still holds.
const seenEvery = 5 * time.Second

// helpPatience is how long the first word waits for what only adds to it, and helpLook how often it is looked whether that
// was refused.
const (
	helpPatience = 5 * time.Second
	helpLook     = 50 * time.Millisecond
)

// realm is what is seen together: the subjects in one namespace of one cluster. Nodes are in the namespace "".
type realm struct {
	cluster   *cluster
	tower     *tower
	namespace string
	subjects  []subject
}

// realmsOf sorts the targets of these kinds by where they are. A target that cannot be reached is told to be not seen.
func realmsOf(services []jenner.Service, kinds []string, sink telemetry.Sink) []*realm {
	type placeOf struct {
		cluster   *cluster
		namespace string
	}
	found := map[placeOf]*realm{}
	var all []*realm
	for _, service := range services {
		for _, written := range service.Targets {
			if !slices.Contains(kinds, written.Kind) {
				continue
			}
			one, in, err := subjectOf(service.Name, written)
			sink.Blind(fmt.Sprintf("%s of service %s", written.Ref(), service.Name), err)
			if err != nil {
				continue
			}
			at := placeOf{in.cluster, in.namespace}
			if found[at] == nil {
				found[at] = in
				all = append(all, in)
			}
			found[at].subjects = append(found[at].subjects, one)
		}
	}
	return all
}

// subjectOf decodes a target and says where it is.
func subjectOf(service string, written jenner.Target) (subject, *realm, error) {
	target, cluster, err := reach(written)
	if err != nil {
		return subject{}, nil, err
	}
	tower, err := cluster.tower()
	if err != nil {
		return subject{}, nil, err
	}
	in := &realm{cluster: cluster, tower: tower, namespace: target.Namespace}
	if written.Kind == kindNode {
		in.namespace = ""
	}
	return newSubject(service, target), in, nil
}

func newSubject(service string, target *Target) subject {
	one := subject{Subject: jenner.Subject{Service: service, Target: target.ref}, target: target}
	if target.Selector != "" {
		one.selector, _ = labels.Parse(target.Selector) // decode has tried it
	}
	return one
}

// plain are the realm's subjects as others know them.
func (r *realm) plain() []jenner.Subject {
	var list []jenner.Subject
	for _, one := range r.subjects {
		list = append(list, one.Subject)
	}
	return list
}

// observeRealms runs one view over each realm until ctx ends. What breaks one of them breaks all, and they are begun anew.
func observeRealms(ctx context.Context, realms []*realm, sink telemetry.Sink, look func(context.Context, *view)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ended := make(chan error)
	for _, realm := range realms {
		go func() { ended <- newView(realm, sink).run(ctx, look) }()
	}
	var first error
	for range realms {
		if err := <-ended; err != nil && first == nil {
			first = err
			stop(err)
		}
	}
	if len(realms) == 0 {
		<-ctx.Done() // every target was told to be unreachable
	}
	return first
}

// observeNothing is for an observer that has nothing to look at: nothing holds, and that is known. An observer that says
// nothing at all would be taken for one that does not reach its system.
func observeNothing(ctx context.Context, sink telemetry.Sink) error {
	sink.Synced()
	ticker := time.NewTicker(seenEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			sink.Seen()
		}
	}
}

// view tells what holds of the objects of one realm. Its watches name the keys of what must be looked at; look judges one
// key. All of it happens in one goroutine, but for the watches, which only name keys.
type view struct {
	*realm
	sink telemetry.Sink
	// judge gives the conditions of what has this key that hold at a time, and when to look again though nothing changes;
	// the zero time is never.
	judge func(key string, now time.Time) (holds []jenner.Condition, again time.Time)

	// unknown is why judge cannot judge at present; nil where it can.
	unknown error

	queue workqueue.TypedDelayingInterface[string]
	told  map[string]map[string]jenner.Condition // by key, and by what it is
	must  []*watched
	helps []*watched
	heard []cache.ResourceEventHandlerRegistration // of must
	also  []cache.ResourceEventHandlerRegistration // of helps
}

func newView(in *realm, sink telemetry.Sink) *view {
	return &view{realm: in, sink: sink, told: map[string]map[string]jenner.Condition{},
		queue: workqueue.NewTypedDelayingQueue[string]()}
}

// needs watches a resource without which nothing can be said. keys names what an object that came, changed or went is about.
func needs[T any](v *view, r *watchable, name string, keys func(T) []string) *watched {
	w, registration := follow(v, r, name, keys)
	v.must, v.heard = append(v.must, w), append(v.heard, registration)
	return w
}

// adds watches a resource that only adds to what is said: where it may not be watched, all else goes on.
func adds[T any](v *view, r *watchable, name string, keys func(T) []string) *watched {
	w, registration := follow(v, r, name, keys)
	v.helps, v.also = append(v.helps, w), append(v.also, registration)
	return w
}

func follow[T any](v *view, r *watchable, name string, keys func(T) []string) (*watched, cache.ResourceEventHandlerRegistration) {
	w := v.tower.hold(r, v.namespace, name)
	put := func(objects ...any) {
		for _, from := range objects {
			if one, is := asObject[T](from); is {
				for _, key := range keys(one) {
					v.queue.Add(key)
				}
			}
		}
	}
	registration, err := w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(one any) { put(one) },
		UpdateFunc: func(before, after any) { put(before, after) },
		DeleteFunc: func(one any) { put(one) },
	})
	if err != nil { // it was stopped between hold and here, which the grace makes impossible
		panic(fmt.Sprintf("kubernetes: %s cannot be followed: %v", w.what(), err))
	}
	return w, registration
}

// The keys under which a view looks after itself. No object is called so.
const (
	syncedKey = ""  // stands behind everything that was there at first
	tickKey   = " " // it is time to look whether the watches live
)

// run tells until ctx ends. look sets up the watches and the judge; its context ends with the view.
func (v *view) run(ctx context.Context, look func(context.Context, *view)) (err error) {
	defer func() {
		if reason := recover(); reason != nil { // in a goroutine of its own, which nobody else can save
			err = fmt.Errorf("looking at %s panicked: %v\n%s", cmp.Or(v.namespace, "the cluster"), reason, debug.Stack())
		}
	}()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer v.close()
	look(ctx, v)
	if !v.begin(ctx) {
		return nil
	}
	unhook := context.AfterFunc(ctx, v.queue.ShutDown)
	defer unhook()
	v.queue.Add(syncedKey)
	v.queue.AddAfter(tickKey, seenEvery)
	for {
		key, shut := v.queue.Get()
		if shut {
			return nil
		}
		switch key {
		case syncedKey:
			v.sink.Synced(v.plain()...)
			v.check()
		case tickKey:
			v.check()
			v.queue.AddAfter(tickKey, seenEvery)
		default:
			v.tell(key, time.Now())
		}
		v.queue.Done(key)
	}
}

// begin waits until everything that is there at first was read, of what only adds to it as long as it has a chance. The
// keys wait in the queue meanwhile. It is false where ctx ended before.
func (v *view) begin(ctx context.Context) bool {
	for !synced(ctx, seenEvery, v.heard...) {
		if ctx.Err() != nil {
			return false
		}
		v.complain()
	}
	end := time.Now().Add(helpPatience)
	for i, registration := range v.also {
		for !synced(ctx, helpLook, registration) && ctx.Err() == nil && !v.helps[i].hopeless() && time.Now().Before(end) {
			continue
		}
	}
	return ctx.Err() == nil
}

// hopeless tells that a watch was refused, so that waiting for it is of no use.
func (w *watched) hopeless() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trouble != nil && !w.informer.HasSynced()
}

// complain says what cannot be seen, and whether that includes something that is needed.
func (v *view) complain() (blind bool) {
	for i, w := range slices.Concat(v.must, v.helps) {
		trouble := w.troubled()
		v.sink.Blind(w.what(), trouble)
		blind = blind || trouble != nil && i < len(v.must)
	}
	v.sink.Blind("what is to be in "+cmp.Or(v.namespace, "the cluster"), v.unknown)
	return blind || v.unknown != nil
}

// check says that what was told still holds, where everything needed is seen.
func (v *view) check() {
	if !v.complain() {
		v.sink.Seen(v.plain()...)
	}
}

// tell tells how what has this key differs from what was told of it.
func (v *view) tell(key string, now time.Time) {
	holds, again := v.judge(key, now)
	before, after := v.told[key], map[string]jenner.Condition{}
	for _, condition := range holds {
		id := condition.Service + "\x00" + condition.Target.String() + "\x00" + condition.Reason + "\x00" + condition.Object
		if _, twice := after[id]; twice {
			continue // of two containers, say; one of them is enough
		}
		condition.On = true
		if old, known := before[id]; known {
			condition.Since = old.Since
			if unchanged(old, condition) {
				after[id] = old
				continue
			}
		}
		if condition.Since.IsZero() {
			condition.Since = now
		}
		after[id] = condition
		v.sink.Condition(condition)
	}
	for id, condition := range before {
		if _, holds := after[id]; !holds {
			condition.On = false
			v.sink.Condition(condition)
		}
	}
	if v.told[key] = after; len(after) == 0 {
		delete(v.told, key)
	}
	if !again.IsZero() {
		v.queue.AddAfter(key, max(again.Sub(now), time.Millisecond))
	}
}

func unchanged(a, b jenner.Condition) bool {
	return a.Severity == b.Severity && a.Summary == b.Summary && a.Value == b.Value && maps.Equal(a.Labels, b.Labels)
}

// toldOf are the conditions that were told of this key.
func (v *view) toldOf(key string) []jenner.Condition {
	return slices.Collect(maps.Values(v.told[key]))
}

// since is when a condition that was told of this key began; zero where it was not told.
func (v *view) since(key, reason string) time.Time {
	for _, condition := range v.told[key] {
		if condition.Reason == reason {
			return condition.Since
		}
	}
	return time.Time{}
}

func (v *view) close() {
	v.queue.ShutDown()
	for i, w := range slices.Concat(v.must, v.helps) {
		_ = w.informer.RemoveEventHandler(slices.Concat(v.heard, v.also)[i])
		w.release()
	}
}

// fact is what holds of an object, before it is known whose it is.
type fact struct {
	reason   string
	object   string // pod/checkout-7d9f
	since    time.Time
	severity jenner.Severity
	summary  string
	value    float64
	labels   map[string]string
}

// of is the state as a condition of a subject. The labels are shared.
func (s fact) of(one subject) jenner.Condition {
	return jenner.Condition{Service: one.Service, Target: one.Target, Reason: s.reason, Object: s.object, Since: s.since,
		Severity: s.severity, Summary: s.summary, Value: s.value, Labels: s.labels}
}

// conditions are the states for each subject that has them.
func (r *realm) conditions(states []fact, has func(subject) bool) []jenner.Condition {
	var list []jenner.Condition
	if len(states) == 0 {
		return nil
	}
	for _, one := range r.subjects {
		if !has(one) {
			continue
		}
		for _, s := range states {
			list = append(list, s.of(one))
		}
	}
	return list
}

// earlier is the one of two times that comes first; a zero time is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// cutKind splits a key such as deployment/checkout.
func cutKind(key string) (kind, name string) {
	kind, name, _ = strings.Cut(key, "/")
	return kind, name
}
