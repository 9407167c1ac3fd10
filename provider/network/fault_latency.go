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
	Provider.Fault("latency", "Delay packets", func() chaos.Fault { return &FaultLatency{} }, "network")
}

// FaultLatency lets the packets that the target chooses wait in a process of its own. Each waits on its way out and on
// its way in, so that with direction both a round trip takes longer by twice the delay. When that process dies packets
// pass by its queue at once, and those that waited in it are lost; what TCP lost it sends again. Needs CAP_NET_ADMIN.
type FaultLatency struct {
	chaos.HeldElsewhere
	// Delay of each packet, at most 10s.
	Delay jenner.Duration `json:"delay"`
	// Jitter spreads the delay evenly over delay ± jitter. No packet overtakes another.
	Jitter jenner.Duration `json:"jitter,omitempty"`
}

// maxDelay is far beyond what a network does; more than it would be a partition.
const maxDelay = 10 * time.Second

// Validate checks the parameters.
func (f *FaultLatency) Validate() error {
	switch {
	case f.Delay == 0:
		return errors.New("delay is missing; write how long each packet waits, such as 100ms")
	case f.Jitter > f.Delay:
		return fmt.Errorf("jitter %s is more than delay %s; no packet can go on before it came", f.Jitter, f.Delay)
	case (f.Delay + f.Jitter).Std() > maxDelay:
		return fmt.Errorf("delay %s and jitter %s are more than %s; use network.partition", f.Delay, f.Jitter, maxDelay)
	}
	return nil
}

// Checkpoint keeps which namespace it is, and refuses one that is not there.
func (f *FaultLatency) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	return ruled{}.Checkpoint(ctx, call)
}

// Fingerprint is what the fault must leave as it was.
func (f *FaultLatency) Fingerprint(ctx context.Context, call chaos.Call) (string, error) {
	return ruled{}.Fingerprint(ctx, call)
}

// Hold delays packets until ctx ends. The rules come last, so that no packet finds a queue without anybody who listens.
// At the end they first stop to lead packets into the queue, then what waits goes on, and then all is taken away.
func (f *FaultLatency) Hold(ctx context.Context, call chaos.Call, tell func(any)) (err error) {
	scene, err := reenter(call)
	if err != nil {
		return err
	}
	defer scene.close()
	listening, stop := context.WithCancel(context.WithoutCancel(ctx))
	q, err := listen(listening, scene.space, call.Record.ID, f.Delay.Std(), f.Jitter.Std())
	if err != nil {
		stop()
		return err
	}
	defer func() {
		err = errors.Join(err, scene.table.Expire(), q.releaseAll(), scene.table.Remove())
		stop()
		err = errors.Join(err, q.nfq.Close())
	}()
	held, release, err := scene.table.Hold(ctx, scene.target.chains(always(), always(toQueue(q.Number, bypass)))...)
	if err != nil {
		return explained(err)
	}
	defer release()
	tell(delayed{})
	if err := q.run(held, teller(tell)); err != nil || ctx.Err() != nil {
		return err
	}
	return context.Cause(held)
}

// teller tells only what is new.
func teller(tell func(any)) func(delayed) {
	var last uint64
	return func(count delayed) {
		if count.Packets != last {
			last = count.Packets
			tell(count)
		}
	}
}

// Armed tells whether the holding process lives and the rules lead to it.
func (f *FaultLatency) Armed(ctx context.Context, call chaos.Call) (bool, error) {
	if !call.Held.Alive {
		return false, nil
	}
	return ruled{}.Armed(ctx, call)
}

// Undo removes the rules, which a process that was killed left behind.
func (f *FaultLatency) Undo(ctx context.Context, call chaos.Call) error {
	return ruled{}.Undo(ctx, call)
}

// Bite asks the holding process how long packets waited.
func (f *FaultLatency) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	if len(call.Held.Report) == 0 {
		return chaos.Witness{Saw: "no packet waited"}, nil
	}
	var count delayed
	if err := json.Unmarshal(call.Held.Report, &count); err != nil {
		return chaos.Witness{}, fmt.Errorf("cannot read what the fault's process tells: %w", err)
	}
	mean := count.Waited.Std() / time.Duration(max(1, count.Packets))
	return chaos.Witness{Bit: count.Packets > 0, Saw: fmt.Sprintf("%d packets waited for %s on average, %s at most", count.Packets,
		mean.Round(100*time.Microsecond), count.Longest.Std().Round(100*time.Microsecond))}, nil
}
