package act

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// ledger writes down in which order things happen to a world of levers, and is the journal that the executor keeps.
type ledger struct {
	mu      sync.Mutex
	events  []string
	intents map[string]jenner.Intent
	levers  map[string]string // the world: name to position
	dieAt   string            // the event at which the process dies; what comes after is not stored
	hold    *jenner.Hold
}

func newLedger() *ledger {
	return &ledger{intents: map[string]jenner.Intent{}, levers: map[string]string{}}
}

var errDied = errors.New("the process died")

func (l *ledger) event(text string) error {
	l.events = append(l.events, text)
	if text == l.dieAt {
		return errDied
	}
	return nil
}

func (l *ledger) Begin(_ context.Context, intent jenner.Intent) (jenner.Intent, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if stored, known := l.intents[intent.Key]; known {
		return stored, false, nil
	}
	if err := l.event("intent " + intent.Key); err != nil {
		return intent, false, err
	}
	l.intents[intent.Key] = intent
	return intent, true, nil
}

func (l *ledger) Finish(_ context.Context, intent jenner.Intent) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.event("result " + intent.Key + " " + string(intent.State)); err != nil {
		return err
	}
	l.intents[intent.Key] = intent
	return nil
}

func (l *ledger) Intent(_ context.Context, key string) (jenner.Intent, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if intent, known := l.intents[key]; known {
		return intent, nil
	}
	return jenner.Intent{}, fmt.Errorf("intent %s: %w", key, jenner.ErrNotFound)
}

func (l *ledger) held(service string) (jenner.Hold, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hold == nil || !l.hold.Covers(service, time.Now()) {
		return jenner.Hold{}, false
	}
	return *l.hold, true
}

func (l *ledger) setHold(hold *jenner.Hold) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hold = hold
}

func (l *ledger) position(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.levers[name]
}

func (l *ledger) put(name, position string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.levers[name] = position
}

// seen are the events so far.
func (l *ledger) seen() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.events...)
}

// executor is one process over the ledger.
func (l *ledger) executor() *Executor {
	return &Executor{Journal: l, Now: time.Now, Held: l.held}
}

// lever is an action that moves a lever of the target's name to a position.
type lever struct {
	To string `json:"to"`
	// Takes is how long it takes, and Fails what it says instead of moving anything.
	Takes jenner.Duration `json:"takes,omitempty"`
	Fails string          `json:"fails,omitempty"` // retry, never or human

	world *ledger
}

func (v *lever) Do(ctx context.Context, call Call) (Result, error) {
	v.world.mu.Lock()
	err := v.world.event("effect " + call.Key)
	v.world.mu.Unlock()
	if err != nil {
		return Result{}, err
	}
	if v.Takes > 0 {
		select {
		case <-time.After(v.Takes.Std()):
		case <-ctx.Done():
			return Result{}, context.Cause(ctx)
		}
	}
	switch v.Fails {
	case "retry":
		return Result{}, jenner.Retryable(errors.New("it sticks"), "")
	case "never":
		return Result{}, jenner.Permanent(errors.New("it is welded"), "")
	case "human":
		return Result{}, jenner.ForHuman(errors.New("it moved by itself"), "")
	}
	was := v.world.position(call.Target.Name)
	v.world.put(call.Target.Name, v.To)
	return Result{Summary: was + " → " + v.To, Changed: was != v.To, Output: map[string]string{"to": v.To}}, nil
}

func (v *lever) Check(_ context.Context, call Call) error {
	if v.world.position(call.Target.Name) == "removed" {
		return jenner.Permanent(errors.New("the lever was removed"), "")
	}
	return nil
}

func (v *lever) Checkpoint(_ context.Context, call Call) (json.RawMessage, error) {
	return jenner.Raw(v.world.position(call.Target.Name)), nil
}

func (v *lever) Fingerprint(_ context.Context, call Call) (string, error) {
	return v.world.position(call.Target.Name), nil
}

func (v *lever) Happened(_ context.Context, call Call) (Happened, error) {
	switch v.world.position(call.Target.Name) {
	case v.To:
		return HappenedDone, nil
	case "fog":
		return HappenedUnknown, nil
	case "dark":
		return "", errors.New("no light")
	}
	return HappenedNot, nil
}

func (v *lever) Undo(_ context.Context, call Call) (Result, error) {
	var was string
	if err := json.Unmarshal(call.Checkpoint, &was); err != nil {
		return Result{}, err
	}
	v.world.mu.Lock()
	err := v.world.event("undo " + call.Key)
	v.world.mu.Unlock()
	if err != nil {
		return Result{}, err
	}
	now := v.world.position(call.Target.Name)
	v.world.put(call.Target.Name, was)
	return Result{Summary: now + " → " + was, Changed: now != was}, nil
}

// glance is an action that changes nothing and takes its time.
type glance struct {
	Takes jenner.Duration `json:"takes,omitempty"`
	Fails bool            `json:"fails,omitempty"`
}

func (*glance) ReadOnly() {}

func (g *glance) Do(ctx context.Context, _ Call) (Result, error) {
	select {
	case <-time.After(g.Takes.Std()):
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
	if g.Fails {
		return Result{}, jenner.Permanent(errors.New("not so"), "")
	}
	return Result{Summary: "so", Output: map[string]int{"seen": 7}}, nil
}

var (
	shop   = jenner.Service{Name: "shop", Targets: []jenner.Target{{Kind: "lever", Name: "a"}, {Kind: "lever", Name: "b"}}}
	bakery = jenner.Service{Name: "bakery", Targets: []jenner.Target{{Kind: "lever", Name: "oven"}}}
)

func (l *ledger) order(key, to string) Order {
	return Order{Name: "lever.move", Action: &lever{To: to, world: l}, By: "i-1", Params: jenner.Params{"to": jenner.Raw(to)},
		Call: Call{Key: key, Run: "r", Step: "s", Service: shop, Target: shop.Targets[0]}}
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}
