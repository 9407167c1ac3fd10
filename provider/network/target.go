package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/netspace"
	"github.com/jenner-heal/jenner/internal/strict"
)

func init() {
	Provider.Target("network", "The packets between a network namespace and a peer, or of one port", func() any { return &Target{} })
}

// Target is a choice of packets as they come into a network namespace and leave it. A target that chooses nothing, or
// everything, is refused. On the loopback interface a packet both leaves and comes in.
type Target struct {
	// Namespace is the path of a network namespace's file, such as /run/netns/shop. Where neither it nor pidfile is
	// written it is the namespace that Jenner itself runs in.
	Namespace string `json:"namespace,omitempty"`
	// Pidfile names a process that lives in the network namespace.
	Pidfile string `json:"pidfile,omitempty"`
	// Peer is the address of the other side, such as 10.0.0.7, or a network such as 10.0.0.0/24.
	Peer string `json:"peer,omitempty"`
	// Port is the port of either end of the connection, 1 to 65535: that of the service, on whichever side it is.
	Port int `json:"port,omitempty"`
	// Protocol is tcp, udp or any. Where not said it is tcp if a port is written, and any if none is.
	Protocol string `json:"protocol,omitempty"`
	// Direction is in, out or both, as seen from the namespace; both where not said.
	Direction string `json:"direction,omitempty"`
	// Interface is the one through which the packets come and go; any where not said.
	Interface string `json:"interface,omitempty"`

	peer  netip.Prefix
	where netspace.Where
}

// The words of a Target.
const (
	tcp, udp, anyProtocol = "tcp", "udp", "any"
	in, out, both         = "in", "out", "both"
)

// maxInterfaceName is what the kernel allows, IFNAMSIZ without the end.
const maxInterfaceName = 15

// Validate checks what can be checked without touching anything.
func (t *Target) Validate() error {
	if err := t.place().Validate(); err != nil {
		return err
	}
	peer, err := parsePeer(t.Peer)
	switch {
	case err != nil:
		return err
	case t.Peer == "" && t.Port == 0:
		return errors.New("neither peer nor port is written, and everything is never meant; write one at least")
	case t.Peer != "" && peer.Bits() == 0 && t.Port == 0:
		return fmt.Errorf("peer %s without a port is everything, which is never meant; write a smaller network", t.Peer)
	case t.Port < 0 || t.Port > 65535:
		return fmt.Errorf("port %d is not one from 1 to 65535", t.Port)
	case !slices.Contains([]string{"", tcp, udp, anyProtocol}, t.Protocol):
		return fmt.Errorf("protocol %q is not tcp, udp or any", t.Protocol)
	case t.Protocol == anyProtocol && t.Port != 0:
		return errors.New("protocol any has no ports; write tcp or udp")
	case !slices.Contains([]string{"", in, out, both}, t.Direction):
		return fmt.Errorf("direction %q is not in, out or both", t.Direction)
	case len(t.Interface) > maxInterfaceName || strings.ContainsAny(t.Interface, "/ \x00"):
		return fmt.Errorf("interface %q is no name of an interface", t.Interface)
	}
	return nil
}

func parsePeer(written string) (netip.Prefix, error) {
	if written == "" {
		return netip.Prefix{}, nil
	}
	if address, err := netip.ParseAddr(written); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(written)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("peer %q is neither an address such as 10.0.0.7 nor a network such as 10.0.0.0/24", written)
	}
	return network.Masked(), nil
}

func (t *Target) place() netspace.Where {
	return netspace.Where{Namespace: t.Namespace, Pidfile: t.Pidfile}
}

// decode reads a target's parameters.
func decode(target jenner.Target) (*Target, error) {
	if target.Kind != "network" {
		return nil, jenner.Permanent(fmt.Errorf("target %s is not of kind network", target.Ref()), "")
	}
	t := &Target{}
	if err := strict.Decode(target.Params, t); err != nil {
		return nil, jenner.Permanent(fmt.Errorf("target %s: %w", target.Ref(), err), "")
	}
	t.peer, _ = parsePeer(t.Peer) // Validate has seen the error
	t.where = t.place()
	t.where.Dir = target.Dir
	if t.Protocol == "" {
		t.Protocol = anyProtocol
		if t.Port != 0 {
			t.Protocol = tcp
		}
	}
	if t.Direction == "" {
		t.Direction = both
	}
	return t, nil
}

// has tells whether packets of that direction are chosen.
func (t *Target) has(direction string) bool { return t.Direction == both || t.Direction == direction }
