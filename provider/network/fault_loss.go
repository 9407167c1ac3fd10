package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/netspace"
)

func init() {
	Provider.Fault("loss", "Lose a share of the packets, at random", func() chaos.Fault { return &FaultLoss{} }, "network")
}

// lossSteps is how finely a share of packets can be told.
const lossSteps = 10000

// FaultLoss drops each of the packets that the target chooses with the same probability, whatever happened to the one
// before. The kernel itself lets them through again when the lease ends. Needs CAP_NET_ADMIN.
type FaultLoss struct {
	ruled
	// Share of the packets that get lost, from 0.01% to 100%.
	Share jenner.Share `json:"share"`
}

func (f *FaultLoss) steps() uint32 { return uint32(math.Round(float64(f.Share) * lossSteps)) }

// Validate checks the parameters.
func (f *FaultLoss) Validate() error {
	if f.steps() == 0 {
		return errors.New("share is missing or below 0.01%; write the share of packets that get lost, such as 30%")
	}
	return nil
}

// Inject makes the rules, which hold until the record's lease ends.
func (f *FaultLoss) Inject(_ context.Context, call chaos.Call) error {
	return put(call, func(target *Target) ([]netspace.Chain, error) {
		lost := []expr.Any{ // the number is compared in network order, byte by byte
			&expr.Numgen{Register: 1, Modulus: lossSteps, Type: unix.NFT_NG_RANDOM},
			&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
			&expr.Cmp{Op: expr.CmpOpLt, Register: 1, Data: binary.BigEndian.AppendUint32(nil, f.steps())},
		}
		return target.chains(always(lost...), vanish), f.Validate()
	})
}

// Bite asks the rules how many packets they lost.
func (f *FaultLoss) Bite(_ context.Context, call chaos.Call) (chaos.Witness, error) {
	count, err := counted(call)
	return chaos.Witness{Bit: count.Packets > 0, Saw: fmt.Sprintf("%d packets got lost", count.Packets)}, err
}
