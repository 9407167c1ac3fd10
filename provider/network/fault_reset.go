package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
)

func init() {
	Provider.Fault("reset", "Cut live TCP connections", func() chaos.Fault { return &FaultReset{} }, "network")
}

// FaultReset destroys the live TCP connections that the target chooses, once or again and again: both ends find theirs
// reset. A connection that is cut stays cut, so that there is nothing to undo but going on. Needs CAP_NET_ADMIN and a
// kernel with CONFIG_INET_DIAG_DESTROY.
type FaultReset struct {
	chaos.HeldElsewhere
	// Every is how often those are cut that have been made meanwhile, 10ms at least; only once where not said.
	Every jenner.Duration `json:"every,omitempty"`
}

const minEvery = 10 * time.Millisecond

// Validate checks the parameters.
func (f *FaultReset) Validate() error {
	if f.Every != 0 && f.Every.Std() < minEvery {
		return fmt.Errorf("every %s is too often; write %s or more, or use network.partition", f.Every, minEvery)
	}
	return nil
}

// Checkpoint keeps which namespace it is, and refuses a choice to which no live connection belongs.
func (f *FaultReset) Checkpoint(_ context.Context, call chaos.Call) (json.RawMessage, error) {
	scene, err := enter(call)
	if err != nil {
		return nil, err
	}
	defer scene.close()
	target := scene.target
	switch {
	case target.Protocol == udp:
		return nil, jenner.Permanent(errors.New("only TCP connections can be cut"), "write protocol: tcp")
	case target.Direction != both || target.Interface != "":
		return nil, jenner.Permanent(errors.New("a connection has neither a direction nor an interface"), "leave both away at the target")
	}
	sockets, err := target.connections(scene.space)
	if err != nil {
		return nil, err
	}
	if len(sockets) == 0 {
		return nil, jenner.Permanent(fmt.Errorf("there is no live TCP connection with %s to cut", target.choice()), "let somebody connect first")
	}
	return jenner.Raw(spot{scene.space.ID}), nil
}

// severed is what the holder of a reset tells.
type severed struct {
	Connections int `json:"connections"`
}

// Hold cuts the connections and, where it is to be done again and again, goes on until ctx ends.
func (f *FaultReset) Hold(ctx context.Context, call chaos.Call, tell func(any)) error {
	scene, err := reenter(call)
	if err != nil {
		return err
	}
	defer scene.close()
	var again <-chan time.Time
	if f.Every > 0 {
		ticker := time.NewTicker(f.Every.Std())
		defer ticker.Stop()
		again = ticker.C
	}
	var total severed
	for {
		sockets, err := scene.target.connections(scene.space)
		if err != nil {
			return err
		}
		done, err := cut(scene.space, sockets)
		total.Connections += done
		if err != nil {
			return err
		}
		tell(total)
		select {
		case <-ctx.Done():
			return nil
		case <-again:
		}
	}
}

// Bite asks the holding process how many connections it has cut.
func (f *FaultReset) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	var total severed
	if len(call.Held.Report) > 0 {
		if err := json.Unmarshal(call.Held.Report, &total); err != nil {
			return chaos.Witness{}, fmt.Errorf("cannot read what the fault's process tells: %w", err)
		}
	}
	return chaos.Witness{Bit: total.Connections > 0, Saw: fmt.Sprintf("%d connections were cut", total.Connections)}, nil
}
