//go:build kube

package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/telemetry"
)

// post is a ground, and what is observed from there.
type post struct {
	*ground
	*notebook
}

func newPost(t *testing.T) *post {
	t.Helper()
	return postAt(newGround(t))
}

// postAt is one with an empty notebook.
func postAt(g *ground) *post {
	p := &post{g, &notebook{}}
	g.also = func() string { return p.notebook.String() }
	return p
}

// of is the same namespace, for a part of the test, with an empty notebook.
func (p *post) of(t *testing.T) *post { return postAt(p.ground.of(t)) }

// appOf is a Deployment of the lab's own server, with settings by environment variables.
func appOf(name string, replicas int, image string, env ...string) string {
	return deployment(name, replicas, podOf(name, image, env...))
}

// service has one target, in the namespace of the test. The parameters are pairs.
func (p *post) service(kind, name string, params ...any) jenner.Service {
	target := p.target(kind, name)
	for i := 0; i+1 < len(params); i += 2 {
		target.Params[params[i].(string)] = jenner.Raw(params[i+1])
	}
	return jenner.Service{Name: name, Targets: []jenner.Target{target}}
}

// observe observes until the test ends, or until the returned function is called.
func (p *post) observe(observer telemetry.Observer, services ...jenner.Service) (stop func()) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- observer.Observe(ctx, services, p.notebook) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				p.t.Errorf("the observer ended: %v", err)
			}
		case <-time.After(await.Patience):
			p.t.Error("the observer does not heed its context")
		}
	})
	p.t.Cleanup(stop)
	return stop
}

// holds tells whether a condition of that reason holds, of an object whose name begins so.
func (p *post) holds(reason, object string) bool {
	_, holds := p.condition(reason, object)
	return holds
}

// notebook is a sink that remembers.
type notebook struct {
	mu      sync.Mutex
	on      map[string]jenner.Condition
	ever    []string // reasons of conditions that held
	course  []string
	changes []jenner.ChangeEvent
	synced  []jenner.Subject
	seen    []time.Time
	blind   map[string]error
}

func (n *notebook) Condition(c jenner.Condition) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id := c.Service + " " + c.Target.String() + " " + c.Reason + " " + c.Object
	if n.on == nil {
		n.on = map[string]jenner.Condition{}
	}
	n.course = append(n.course, fmt.Sprintf("%s %v %s since %s: %s %v", time.Now().Format("05.000"), c.On, id, c.Since.Format("05.000"), c.Summary, c.Labels))
	if n.on[id] = c; c.On {
		n.ever = append(n.ever, c.Reason)
	} else {
		delete(n.on, id)
	}
}

func (n *notebook) Changed(e jenner.ChangeEvent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changes = append(n.changes, e)
}

func (n *notebook) Synced(of ...jenner.Subject) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.synced = append(n.synced, of...)
}

func (n *notebook) Seen(of ...jenner.Subject) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen = append(n.seen, time.Now())
}

func (n *notebook) Blind(what string, why error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.blind == nil {
		n.blind = map[string]error{}
	}
	if n.blind[what] = why; why == nil {
		delete(n.blind, what)
	}
}

func (n *notebook) condition(reason, object string) (jenner.Condition, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.on {
		if c.Reason == reason && strings.HasPrefix(c.Object, object) {
			return c, true
		}
	}
	return jenner.Condition{}, false
}

// everHeld tells whether a condition of that reason holds or has held.
func (n *notebook) everHeld(reason string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.ever, reason)
}

func (n *notebook) isSynced(s jenner.Service) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Contains(n.synced, jenner.Subject{Service: s.Name, Target: s.Targets[0].Ref()})
}

// change is the newest of that kind about that object.
func (n *notebook) change(kind jenner.ChangeKind, object string) (jenner.ChangeEvent, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range slices.Backward(n.changes) {
		if e.Kind == kind && e.Object == object {
			return e, true
		}
	}
	return jenner.ChangeEvent{}, false
}

func (n *notebook) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprintf("%s\nchanges %+v\nblind %v", strings.Join(n.course, "\n"), n.changes, n.blind)
}
