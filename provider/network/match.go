package network

import (
	"encoding/binary"
	"net"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/internal/netspace"
)

// hooks are where the packets of a direction are seen. The priority is before the filters that people write, so that the
// counters see what these would drop.
var hooks = map[string]*nftables.ChainHook{in: nftables.ChainHookInput, out: nftables.ChainHookOutput}

const priority = -10

// chains are the chains of a fault: in each of the target's directions, then happens to the packets that the target
// chooses and that match more closely.
func (t *Target) chains(more, then func(direction string) []expr.Any) []netspace.Chain {
	var chains []netspace.Chain
	for _, direction := range []string{in, out} {
		if !t.has(direction) {
			continue
		}
		chain := netspace.Chain{Name: direction, Type: nftables.ChainTypeFilter, Hook: hooks[direction], Priority: priority}
		for _, match := range t.matches(direction) {
			chain.Rules = append(chain.Rules, netspace.Rule{Match: append(match, more(direction)...), Then: then(direction)})
		}
		chains = append(chains, chain)
	}
	return chains
}

func always(exprs ...expr.Any) func(string) []expr.Any {
	return func(string) []expr.Any { return exprs }
}

// matches are expressions of which at most one matches a packet.
func (t *Target) matches(direction string) [][]expr.Any {
	var match []expr.Any
	if t.Interface != "" {
		key := expr.MetaKeyIIFNAME
		if direction == out {
			key = expr.MetaKeyOIFNAME
		}
		name := make([]byte, maxInterfaceName+1)
		copy(name, t.Interface)
		match = append(match, &expr.Meta{Key: key, Register: 1}, equal(name))
	}
	if t.peer.IsValid() {
		match = append(match, t.matchPeer(direction)...)
	}
	if t.Protocol == anyProtocol {
		return [][]expr.Any{match}
	}
	number := byte(unix.IPPROTO_TCP)
	if t.Protocol == udp {
		number = unix.IPPROTO_UDP
	}
	match = append(match, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{number}))
	if t.Port == 0 {
		return [][]expr.Any{match}
	}
	port := binary.BigEndian.AppendUint16(nil, uint16(t.Port))
	to := append(match[:len(match):len(match)], transport(2), equal(port))
	from := append(match[:len(match):len(match)], transport(0), equal(port), transport(2), differs(port))
	return [][]expr.Any{to, from}
}

// matchPeer compares the address of the other side: where a packet comes from, or where it goes.
func (t *Target) matchPeer(direction string) []expr.Any {
	family, source, size := byte(unix.NFPROTO_IPV4), uint32(12), uint32(4)
	if t.peer.Addr().Is6() {
		family, source, size = unix.NFPROTO_IPV6, 8, 16
	}
	offset := source
	if direction == out {
		offset += size // the destination stands behind the source
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal([]byte{family}),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size, Mask: net.CIDRMask(t.peer.Bits(), int(size)*8), Xor: make([]byte, size)},
		equal(t.peer.Addr().AsSlice()),
	}
}

func transport(offset uint32) expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2}
}

func equal(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

func differs(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: data} }
