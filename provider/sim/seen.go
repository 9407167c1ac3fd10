package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
)

// seen is a service as an action or a fault saw it: the checkpoint.
type seen struct {
	Alive      bool `json:"alive"`
	Hung       bool `json:"hung"`
	Generation int  `json:"generation"`
}

func look(target jenner.Target) (*World, seen, error) {
	world, err := find(target)
	if err != nil {
		return nil, seen{}, err
	}
	defer world.lock()()
	one := world.must(target.Name)
	return world, seen{one.alive, one.hung, one.generation}, nil
}

func (s seen) String() string {
	mood := service{alive: s.Alive, hung: s.Hung}
	return fmt.Sprintf("%s, start %d", mood.mood(), s.Generation)
}

func before(checkpoint json.RawMessage) (seen, error) {
	var was seen
	if err := json.Unmarshal(checkpoint, &was); err != nil {
		return was, jenner.ForHuman(fmt.Errorf("the checkpoint %q cannot be read: %w", checkpoint, err), "")
	}
	return was, nil
}

// lifecycle is what the actions share that start or end a service.
type lifecycle struct{}

// Check refuses a service that is not there.
func (lifecycle) Check(_ context.Context, call act.Call) error {
	_, err := find(call.Target)
	return err
}

// Checkpoint keeps whether it lives, hangs, and which start of it that is.
func (lifecycle) Checkpoint(_ context.Context, call act.Call) (json.RawMessage, error) {
	_, is, err := look(call.Target)
	return jenner.Raw(is), err
}

// Fingerprint tells each start of it from every other one.
func (lifecycle) Fingerprint(_ context.Context, call act.Call) (string, error) {
	_, is, err := look(call.Target)
	return is.String(), err
}

// compared is the service at the checkpoint and now.
func compared(call act.Call) (was, is seen, err error) {
	if was, err = before(call.Checkpoint); err != nil {
		return was, is, err
	}
	_, is, err = look(call.Target)
	return was, is, err
}

// happened tells whether the call started a service, or ended it; anew where a service that lived already does not count.
// The service remembers whose doing its present state is, as a unit of systemd does by its invocation.
func happened(call act.Call, starts, anew bool) (act.Happened, error) {
	was, is, err := compared(call)
	if err != nil {
		return act.HappenedUnknown, err
	}
	world, err := find(call.Target)
	switch {
	case err != nil:
		return act.HappenedUnknown, err
	case call.Key != "" && is.Alive == starts && world.did(call.Target.Name, call.Key):
		return act.HappenedDone, nil
	case is == was && was.Alive == starts && !anew:
		return act.HappenedDone, nil // it was so already
	case is == was, starts && is.Generation == was.Generation: // what has not been started since was not started by us
		return act.HappenedNot, nil
	case starts && is.Alive:
		return act.HappenedDone, nil // by whoever: it was started since, and lives
	}
	return act.HappenedUnknown, nil
}

// ours tells whether a service still is as the call that is to be undone left it. The executor asks for fingerprints
// before it begins an undo; one that is tried again, after a failure or a crash, must see for itself.
func ours(call act.Call) (bool, error) {
	world, err := find(call.Target)
	if err != nil {
		return false, err
	}
	return world.did(call.Target.Name, strings.TrimSuffix(call.Key, "/undo")), nil
}

// leftAlone is what an undo says of what is not its own.
var leftAlone = act.Result{Summary: "left alone: it is not as this left it"}

// ensureGone ends a service that lives.
func ensureGone(ctx context.Context, call act.Call, what string) (act.Result, error) {
	world, is, err := look(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	if ctx.Err() != nil {
		return act.Result{}, context.Cause(ctx)
	}
	if !is.Alive {
		return act.Result{Summary: "it was gone already"}, nil
	}
	defer world.lock()()
	world.end(call.Target.Name, world.must(call.Target.Name))
	world.must(call.Target.Name).by = call.Key
	world.note(what, call.Target.Name, call.Key)
	return act.Result{Summary: "ended", Changed: true}, nil
}

// ensureRunning starts a service that does not live.
func ensureRunning(ctx context.Context, call act.Call, what string) (act.Result, error) {
	world, is, err := look(call.Target)
	if err != nil {
		return act.Result{}, err
	}
	if is.Alive {
		return act.Result{Summary: "it runs already"}, nil
	}
	if err := world.start(ctx, call.Target.Name, call.Key); err != nil {
		return act.Result{}, err
	}
	defer world.lock()()
	world.note(what, call.Target.Name, call.Key)
	return act.Result{Summary: "started", Changed: true}, nil
}
