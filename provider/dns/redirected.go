package dns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/netspace"
)

// redirected is what the faults of this package share: a responder in a process of its own, and the packet rules that
// lead questions to it. When that process dies the rules end within seconds, and programs reach the real name server
// again. The table of the rules bears the fault's ID.
type redirected struct{ chaos.HeldElsewhere }

// spot is what the checkpoint keeps.
type spot struct {
	Netns uint64 `json:"netns"` // tells which namespace it was, whatever the target's process does meanwhile
}

// scene is a fault's target, its namespace and its table.
type scene struct {
	target *Target
	space  *netspace.Space
	table  netspace.Table
}

func (s *scene) close() { _ = s.space.Close() }

// at opens the scene of a fault in the namespace that find finds.
func at(call chaos.Call, find func(netspace.Where) (*netspace.Space, error)) (*scene, error) {
	target, err := decode(call.Record.Target)
	if err != nil {
		return nil, err
	}
	space, err := find(target.where)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", call.Record.Target.Ref(), err)
	}
	return &scene{target, space, netspace.TableOf(space, family(target.resolver), call.Record.ID)}, nil
}

// reenter opens the namespace of the checkpoint. It is netspace.ErrGone where that one does not exist any more.
func reenter(call chaos.Call) (*scene, error) {
	return at(call, func(where netspace.Where) (*netspace.Space, error) {
		var was spot
		if err := json.Unmarshal(call.Record.Checkpoint, &was); err != nil || was.Netns == 0 {
			return nil, jenner.Permanent(errors.New("the checkpoint does not say which network namespace it was"), "")
		}
		return where.Reopen(was.Netns)
	})
}

// Checkpoint keeps which namespace it is. It refuses one that cannot be opened or has no loopback interface, and a
// process without the rights.
func (redirected) Checkpoint(_ context.Context, call chaos.Call) (json.RawMessage, error) {
	scene, err := at(call, netspace.Where.Open)
	if err != nil {
		return nil, err
	}
	defer scene.close()
	err = scene.space.Do(func() error {
		loopback, err := net.InterfaceByName("lo")
		if err == nil && loopback.Flags&net.FlagUp == 0 {
			err = errors.New("it is down")
		}
		if err != nil {
			return jenner.Permanent(fmt.Errorf("%s has no loopback interface to answer on: %w", call.Record.Target.Ref(), err), "`ip link set lo up` there")
		}
		return nil
	})
	return jenner.Raw(spot{scene.space.ID}), err
}

// Fingerprint is what the fault must leave as it was. What a namespace took with it when it went is not left behind.
func (redirected) Fingerprint(_ context.Context, call chaos.Call) (string, error) {
	scene, err := reenter(call)
	if errors.Is(err, netspace.ErrGone) {
		return call.Record.Fingerprint, nil
	}
	if err != nil {
		return "", err
	}
	defer scene.close()
	return scene.table.Fingerprint()
}

// Armed tells whether the responder's process lives and the rules lead to it.
func (redirected) Armed(_ context.Context, call chaos.Call) (bool, error) {
	if !call.Held.Alive {
		return false, nil
	}
	scene, err := reenter(call)
	if errors.Is(err, netspace.ErrGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer scene.close()
	return scene.table.Leased()
}

// Undo removes the rules, which a process that was killed left behind.
func (redirected) Undo(_ context.Context, call chaos.Call) error {
	scene, err := reenter(call)
	if errors.Is(err, netspace.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer scene.close()
	return scene.table.Remove()
}

// hold answers questions in the name server's place until ctx ends. The rules come last and go first.
func hold(ctx context.Context, call chaos.Call, tell func(any), treat treatment) (err error) {
	scene, err := reenter(call)
	if err != nil {
		return err
	}
	defer scene.close()
	answers, err := respond(scene.target, scene.space, treat, tell)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, scene.table.Remove(), answers.close()) }()
	held, release, err := scene.table.Hold(ctx, redirect(scene.target.resolver, answers.port))
	if err != nil {
		return err
	}
	defer release()
	tell(told{})
	select {
	case err := <-answers.failed:
		return err
	case <-held.Done():
	}
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(held)
}

// bite asks the responder how many questions it was asked.
func bite(call chaos.Call, did string) (chaos.Witness, error) {
	var count told
	if len(call.Held.Report) > 0 {
		if err := json.Unmarshal(call.Held.Report, &count); err != nil {
			return chaos.Witness{}, fmt.Errorf("cannot read what the fault's process tells: %w", err)
		}
	}
	return chaos.Witness{Bit: count.Treated > 0,
		Saw: fmt.Sprintf("%d questions %s, %d others were handed on", count.Treated, did, count.Passed)}, nil
}
