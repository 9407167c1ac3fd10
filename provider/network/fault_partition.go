package network

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/netspace"
)

func init() {
	Provider.Fault("partition", "Let no packet through", func() chaos.Fault { return &FaultPartition{} }, "network")
}

// FaultPartition drops the packets that the target chooses, or refuses them. The kernel itself lets them through again
// when the lease ends. Needs CAP_NET_ADMIN.
type FaultPartition struct {
	ruled
	// Reject tells the sender: reset answers TCP with a reset, unreachable answers that the host is unreachable, none
	// is silence; none where not said. A packet on its way in is answered to the peer.
	Reject string `json:"reject,omitempty"`
}

// Validate checks the parameters.
func (f *FaultPartition) Validate() error {
	_, err := f.verdict()
	return err
}

func (f *FaultPartition) verdict() (func(direction string) []expr.Any, error) {
	const hostUnreachable = 2 // NFT_REJECT_ICMPX_HOST_UNREACH, for both versions of IP
	switch f.Reject {
	case "", "none":
		return vanish, nil
	case "reset":
		return always(&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}), nil
	case "unreachable":
		return always(&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: hostUnreachable}), nil
	}
	return nil, fmt.Errorf("reject %q is not reset, unreachable or none", f.Reject)
}

// spared lets resets come in: the one that answers a packet on its way out comes in as if it were the peer's.
func (f *FaultPartition) spared(direction string) []expr.Any {
	if f.Reject != "reset" || direction == out {
		return nil
	}
	const flags, rst = 13, 0x04
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: flags, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{rst}, Xor: []byte{0}},
		equal([]byte{0}),
	}
}

// Checkpoint also refuses to reset what is not TCP.
func (f *FaultPartition) Checkpoint(ctx context.Context, call chaos.Call) (json.RawMessage, error) {
	target, err := decode(call.Record.Target)
	if err != nil {
		return nil, err
	}
	if f.Reject == "reset" && target.Protocol != tcp {
		return nil, jenner.Permanent(fmt.Errorf("only TCP can be reset, and the target chooses %s", target.choice()),
			"write protocol: tcp at the target, or reject: unreachable")
	}
	return f.ruled.Checkpoint(ctx, call)
}

// Inject makes the rules, which hold until the record's lease ends.
func (f *FaultPartition) Inject(_ context.Context, call chaos.Call) error {
	return put(call, func(target *Target) ([]netspace.Chain, error) {
		verdict, err := f.verdict()
		return target.chains(f.spared, verdict), err
	})
}

// Bite asks the rules how many packets they stopped.
func (f *FaultPartition) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	count, err := counted(call)
	return chaos.Witness{Bit: count.Packets > 0, Saw: fmt.Sprintf("%d packets were stopped", count.Packets)}, err
}
