package network

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/netspace"
)

func init() {
	Provider.Fault("bandwidth", "Let only so many bits through in a second", func() chaos.Fault { return &FaultBandwidth{} }, "network")
}

// FaultBandwidth limits how fast the packets go that the target chooses. On their way out they wait in a queue of their
// own at the interface, and other packets pass it at once; on their way in those above the rate are dropped, which TCP
// takes as a sign to slow down, and the bytes of one second, or 128 KiB, may come at once. The kernel itself lets packets pass the queue when the lease ends; the undo takes the
// queue away. Needs CAP_NET_ADMIN.
type FaultBandwidth struct {
	ruled
	// Rate of each direction, from 8kbit to 100gbit, in bits per second.
	Rate Rate `json:"rate"`
}

// Validate checks the parameters.
func (f *FaultBandwidth) Validate() error {
	if f.Rate < minRate {
		return errors.New("rate is missing or below 8kbit; write bits per second, such as 1mbit")
	}
	return nil
}

// slowed is the checkpoint of a bandwidth fault.
type slowed struct {
	spot
	Shaped *shaped `json:"shaped,omitempty"` // nil where nothing of what goes out is limited
}

// Checkpoint keeps how packets are queued, and refuses an interface whose queueing could not be brought back.
func (*FaultBandwidth) Checkpoint(_ context.Context, call chaos.Call) (json.RawMessage, error) {
	scene, err := enter(call)
	if err != nil {
		return nil, err
	}
	defer scene.close()
	was := slowed{spot: spot{scene.space.ID}}
	if !scene.target.has(out) {
		return jenner.Raw(was), scene.target.interfaceIn(scene.space)
	}
	err = scene.withRoutes(func(handle *netlink.Handle) error {
		link, err := scene.target.link(handle)
		if err != nil {
			return err
		}
		if was.Shaped, err = seeQueueing(handle, link, call.Record.ID); err != nil {
			return err
		}
		return was.Shaped.restorable()
	})
	return jenner.Raw(was), err
}

// Inject puts the queue before the interface, then makes the rules that lead packets into it.
func (f *FaultBandwidth) Inject(_ context.Context, call chaos.Call) error {
	scene, was, err := reenterSlowed(call)
	if err != nil {
		return err
	}
	defer scene.close()
	if was.Shaped != nil {
		if err := scene.withRoutes(func(handle *netlink.Handle) error { return was.Shaped.slow(handle, f.Rate) }); err != nil {
			return err
		}
	}
	return scene.table.Make(call.Record.Until, scene.target.chains(f.tooFast, was.verdict)...)
}

// tooFast matches, of what comes in, the packets above the rate. The kernel's bucket holds the bytes of a second and those
// of the burst; less than two of the largest packets that it puts together would let none of these pass.
func (f *FaultBandwidth) tooFast(direction string) []expr.Any {
	if direction == out {
		return nil
	}
	const least = 128 << 10
	burst := uint32(max(least, f.Rate.bytes()) - f.Rate.bytes())
	return []expr.Any{&expr.Limit{Type: expr.LimitTypePktBytes, Rate: f.Rate.bytes(), Unit: expr.LimitTimeSecond, Over: true, Burst: burst}}
}

// verdict leads what goes out into the class of the queue.
func (s *slowed) verdict(direction string) []expr.Any {
	if direction == in {
		return []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}
	}
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: binary.NativeEndian.AppendUint32(nil, s.Shaped.class)},
		&expr.Meta{Key: expr.MetaKeyPRIORITY, SourceRegister: true, Register: 1},
	}
}

// Fingerprint is what the fault must leave as it was: also how the interface queues packets.
func (f *FaultBandwidth) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	print, err := f.ruled.Fingerprint(ctx, call)
	if err != nil {
		return "", err
	}
	scene, was, err := reenterSlowed(call)
	if errors.Is(err, netspace.ErrGone) {
		return print, nil
	}
	if err != nil || was.Shaped == nil {
		return print, err
	}
	defer scene.close()
	err = scene.withRoutes(func(handle *netlink.Handle) error {
		queues, err := was.Shaped.print(handle)
		print += "; " + queues
		return err
	})
	return print, err
}

// Undo removes the rules, then the queue.
func (f *FaultBandwidth) Undo(ctx context.Context, call chaos.Call) error {
	if err := f.ruled.Undo(ctx, call); err != nil {
		return err
	}
	scene, was, err := reenterSlowed(call)
	if errors.Is(err, netspace.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer scene.close()
	if was.Shaped == nil {
		return nil
	}
	return scene.withRoutes(was.Shaped.restore)
}

// Bite asks the queue how many packets had to wait, and the rules how many were dropped.
func (f *FaultBandwidth) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	scene, was, err := reenterSlowed(call)
	if err != nil {
		return chaos.Witness{}, err
	}
	defer scene.close()
	counts, err := scene.table.Counted()
	if err != nil {
		return chaos.Witness{}, err
	}
	var seen waited
	if was.Shaped != nil {
		if err := scene.withRoutes(func(handle *netlink.Handle) error {
			seen, err = was.Shaped.waited(handle)
			return err
		}); err != nil {
			return chaos.Witness{}, err
		}
	}
	return chaos.Witness{
		Bit: seen.Overlimits > 0 || counts[in].Packets > 0,
		Saw: fmt.Sprintf("out: %d bytes went at %s, which was exceeded %d times, %d bytes wait and %d packets were dropped; in: %d packets were dropped",
			seen.Bytes, f.Rate, seen.Overlimits, seen.Backlog, seen.Drops, counts[in].Packets),
	}, nil
}

func reenterSlowed(call chaos.Call) (*scene, *slowed, error) {
	was := &slowed{}
	if err := json.Unmarshal(call.Record.Checkpoint, was); err != nil {
		return nil, nil, jenner.Permanent(fmt.Errorf("the checkpoint of fault %s cannot be read: %w", call.Record.ID, err), "")
	}
	if was.Shaped != nil {
		was.Shaped.own(call.Record.ID)
	}
	scene, err := reenter(call)
	return scene, was, err
}

func (s *scene) withRoutes(work func(*netlink.Handle) error) error {
	handle, err := routes(s.space)
	if err != nil {
		return err
	}
	defer handle.Close()
	return work(handle)
}
