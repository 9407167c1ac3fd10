package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/nftables"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/netspace"
)

// ruled is what the faults that packet rules make have in common. The rules stand in a table that bears the fault's ID,
// and hold until the record's lease ends, whoever lives.
type ruled struct{}

// spot is where a fault is: what its checkpoint keeps of the state before.
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

// enter opens the namespace that the target names at present.
func enter(call chaos.Call) (*scene, error) {
	target, err := decode(call.Record.Target)
	if err != nil {
		return nil, err
	}
	space, err := target.where.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", call.Record.Target.Ref(), err)
	}
	return &scene{target, space, netspace.TableOf(space, nftables.TableFamilyINet, call.Record.ID)}, nil
}

// reenter opens the namespace of the checkpoint. It is netspace.ErrGone where that one does not exist any more.
func reenter(call chaos.Call) (*scene, error) {
	target, err := decode(call.Record.Target)
	if err != nil {
		return nil, err
	}
	var was spot
	if err := json.Unmarshal(call.Record.Checkpoint, &was); err != nil || was.Netns == 0 {
		return nil, jenner.Permanent(fmt.Errorf("the checkpoint of fault %s does not say which network namespace it was", call.Record.ID), "")
	}
	space, err := target.where.Reopen(was.Netns)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", call.Record.Target.Ref(), err)
	}
	return &scene{target, space, netspace.TableOf(space, nftables.TableFamilyINet, call.Record.ID)}, nil
}

// Checkpoint keeps which namespace it is. It refuses one that cannot be opened, an interface that is not there, and a
// process without the rights.
func (ruled) Checkpoint(_ context.Context, call chaos.Call) (json.RawMessage, error) {
	scene, err := enter(call)
	if err != nil {
		return nil, err
	}
	defer scene.close()
	if err := scene.target.interfaceIn(scene.space); err != nil {
		return nil, err
	}
	return jenner.Raw(spot{scene.space.ID}), nil
}

// Fingerprint is what the fault must leave as it was. What a namespace took with it when it went is not left behind.
func (ruled) Fingerprint(_ context.Context, call chaos.Call) (string, error) {
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

// Renew makes the rules hold until the record's new end.
func (ruled) Renew(_ context.Context, call chaos.Call) error {
	scene, err := reenter(call)
	if err != nil {
		return err
	}
	defer scene.close()
	return scene.table.Renew(call.Record.Until)
}

// Armed tells whether the rules hold.
func (ruled) Armed(_ context.Context, call chaos.Call) (bool, error) {
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

// Undo removes the table, and nothing else.
func (ruled) Undo(_ context.Context, call chaos.Call) error {
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

// put makes the rules.
func put(call chaos.Call, chains func(*Target) ([]netspace.Chain, error)) error {
	scene, err := reenter(call)
	if err != nil {
		return err
	}
	defer scene.close()
	made, err := chains(scene.target)
	if err != nil {
		return err
	}
	return explained(scene.table.Make(call.Record.Until, made...))
}

// counted asks the counters of the rules: the sum of all directions.
func counted(call chaos.Call) (total netspace.Count, err error) {
	scene, err := reenter(call)
	if err != nil {
		return total, err
	}
	defer scene.close()
	counts, err := scene.table.Counted()
	for _, count := range counts {
		total.Packets += count.Packets
		total.Bytes += count.Bytes
	}
	return total, err
}
