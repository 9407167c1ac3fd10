package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/internal/netspace"
)

// liveStates are the states in which a connection is of use to somebody, or soon will be: established, being made, and
// ended by the peer alone. Numbers of include/net/tcp_states.h.
var liveStates = []uint8{1, 2, 8}

// connections are the live TCP connections of the namespace that the target chooses.
func (t *Target) connections(space *netspace.Space) (chosen []*netlink.Socket, err error) {
	err = space.Do(func() error {
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			list, err := netlink.SocketDiagTCP(family)
			if err != nil {
				return fmt.Errorf("cannot list the TCP connections: %w", err)
			}
			for _, socket := range list {
				if t.chooses(socket) {
					chosen = append(chosen, socket)
				}
			}
		}
		return nil
	})
	return chosen, err
}

func (t *Target) chooses(socket *netlink.Socket) bool {
	remote, ok := netip.AddrFromSlice(socket.ID.Destination)
	port := uint16(t.Port)
	return ok && slices.Contains(liveStates, socket.State) &&
		(!t.peer.IsValid() || t.peer.Contains(remote.Unmap())) &&
		(port == 0 || socket.ID.SourcePort == port || socket.ID.DestinationPort == port)
}

// cut destroys connections: the kernel sends a reset to the peer, and the program here finds its connection aborted. It
// tells how many it destroyed, for some may have ended meanwhile.
func cut(space *netspace.Space, sockets []*netlink.Socket) (done int, err error) {
	err = space.Do(func() error {
		for _, socket := range sockets {
			request := nl.NewNetlinkRequest(nl.SOCK_DESTROY, unix.NLM_F_ACK)
			request.AddData((*destroy)(socket))
			_, err := request.Execute(unix.NETLINK_INET_DIAG, 0)
			switch {
			case err == nil:
				done++
			case errors.Is(err, unix.EOPNOTSUPP):
				return fmt.Errorf("cannot cut connections: %w; needs a kernel with CONFIG_INET_DIAG_DESTROY", err)
			case !errors.Is(err, unix.ENOENT):
				return fmt.Errorf("cannot cut the connection to %s port %d: %w", socket.ID.Destination, socket.ID.DestinationPort, err)
			}
		}
		return nil
	})
	return done, err
}

// destroy is a socket as struct inet_diag_req_v2. Its cookie says that this very socket is meant, and no other that took
// its ports meanwhile. The library's own SocketDestroy knows neither cookies nor IPv6.
type destroy netlink.Socket

// Len is the size in bytes.
func (*destroy) Len() int { return 56 }

// Serialize gives the bytes.
func (d *destroy) Serialize() []byte {
	address := func(ip []byte) []byte {
		parsed, _ := netip.AddrFromSlice(ip)
		if d.Family == unix.AF_INET {
			parsed = parsed.Unmap()
		}
		padded := make([]byte, 16)
		copy(padded, parsed.AsSlice())
		return padded
	}
	raw := []byte{d.Family, unix.IPPROTO_TCP, 0, 0}
	raw = binary.NativeEndian.AppendUint32(raw, 0xffffffff) // in any state
	raw = binary.BigEndian.AppendUint16(raw, d.ID.SourcePort)
	raw = binary.BigEndian.AppendUint16(raw, d.ID.DestinationPort)
	raw = append(append(raw, address(d.ID.Source)...), address(d.ID.Destination)...)
	raw = binary.NativeEndian.AppendUint32(raw, d.ID.Interface)
	raw = binary.NativeEndian.AppendUint32(raw, d.ID.Cookie[0])
	return binary.NativeEndian.AppendUint32(raw, d.ID.Cookie[1])
}
