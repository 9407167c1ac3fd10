package dns

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/internal/netspace"
)

const (
	dnsPort = 53
	// ownMark marks the packets of the responder itself, which must reach the real name server.
	ownMark = 0x4a454e52
)

// redirect leads what is sent to the resolver to a port of the loopback address, and gives the answers from there the
// resolver's address. Both are done packet by packet before connections are tracked, and not by address translation: so
// nothing is remembered that would go on when the lease is over.
func redirect(resolver netip.Addr, port uint16) netspace.Chain {
	here := loopback(resolver)
	chain := netspace.Chain{Name: "out", Type: nftables.ChainTypeRoute, Hook: nftables.ChainHookOutput, Priority: *nftables.ChainPriorityRaw}
	for _, protocol := range []byte{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
		question := header{resolver.Is6(), protocol, true}
		chain.Rules = append(chain.Rules, netspace.Rule{
			Match: append(question.match(resolver, dnsPort), &expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
				&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binary.NativeEndian.AppendUint32(nil, ownMark)}),
			Then: question.rewrite(here, port),
		})
		answer := header{resolver.Is6(), protocol, false}
		chain.Rules = append(chain.Rules, netspace.Rule{
			Match: answer.match(here, port), Then: answer.rewrite(resolver, dnsPort), Unleased: true,
		})
	}
	return chain
}

// loopback is the loopback address of the same version of IP.
func loopback(address netip.Addr) netip.Addr {
	if address.Is6() {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

func family(resolver netip.Addr) nftables.TableFamily {
	if resolver.Is6() {
		return nftables.TableFamilyIPv6
	}
	return nftables.TableFamilyIPv4
}

// header is where a packet's address and port stand.
type header struct {
	six         bool
	protocol    byte
	destination bool // or source
}

func (h header) address() *expr.Payload {
	p := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}
	if h.six {
		p.Offset, p.Len = 8, 16
	}
	if h.destination {
		p.Offset += p.Len
	}
	return p
}

func (h header) port() *expr.Payload {
	p := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Len: 2}
	if h.destination {
		p.Offset = 2
	}
	return p
}

func (h header) match(address netip.Addr, port uint16) []expr.Any {
	equal := func(data []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{h.protocol}),
		h.address(), equal(address.AsSlice()),
		h.port(), equal(binary.BigEndian.AppendUint16(nil, port)),
	}
}

// rewrite writes address and port anew, and corrects the checksums.
func (h header) rewrite(address netip.Addr, port uint16) []expr.Any {
	to, at := write(h.address()), write(h.port())
	to.CsumFlags = unix.NFT_PAYLOAD_L4CSUM_PSEUDOHDR // TCP and UDP count the address too
	to.CsumOffset = 10
	if h.six {
		// IPv6 has no checksum of its own, but the library writes the flag above only together with one. Bytes 2 and 3
		// are of the flow label, which may have any value and says nothing on the loopback interface.
		to.CsumOffset = 2
	}
	at.CsumOffset = 6
	if h.protocol == unix.IPPROTO_TCP {
		at.CsumOffset = 16
	}
	return []expr.Any{
		&expr.Notrack{},
		&expr.Immediate{Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)}, at,
		&expr.Immediate{Register: 1, Data: address.AsSlice()}, to,
	}
}

func write(p *expr.Payload) *expr.Payload {
	p.OperationType, p.SourceRegister, p.DestRegister, p.CsumType = expr.PayloadWrite, 1, 0, expr.CsumTypeInet
	return p
}
