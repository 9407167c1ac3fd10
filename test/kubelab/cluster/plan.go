package cluster

import (
	"fmt"
	"net/netip"

	"github.com/jenner-heal/jenner/test/kubelab/machine"
)

// Plan is where everything in a lab lies. All is in one network of 65,536 addresses, so that two labs with different
// networks do not meet.
//
//	.0.0/24    machines: .1 the control plane with the API and DNS, .10 and on the nodes, .254 the host
//	.64.0/18   pods: .64.0/24 those of the first node, .65.0/24 of the second, and so on
//	.128.0/20  Services: .128.1 the API
type Plan struct {
	Octet byte `json:"octet"` // the network is 10.Octet.0.0/16
	Nodes int  `json:"nodes"` // 1 to MaxNodes
}

// MaxNodes is how many nodes a lab may have: each has a network of pods.
const MaxNodes = 16

// The octets that may be chosen: a range that cloud networks and container engines seldom take.
const (
	FirstOctet = 96
	LastOctet  = 127
)

// Choose plans a lab whose network overlaps none of those taken, and for which claim, which is asked in order, says yes.
func Choose(nodes int, taken []netip.Prefix, claim func(Plan) (bool, error)) (Plan, error) {
	if nodes < 1 || nodes > MaxNodes {
		return Plan{}, fmt.Errorf("%d nodes: a lab has 1 to %d", nodes, MaxNodes)
	}
next:
	for octet := FirstOctet; octet <= LastOctet; octet++ {
		plan := Plan{Octet: byte(octet), Nodes: nodes}
		for _, other := range taken {
			// The default route overlaps everything and means nothing.
			if other.Bits() > 0 && other.Overlaps(plan.Network()) {
				continue next
			}
		}
		if mine, err := claim(plan); err != nil || mine {
			return plan, err
		}
	}
	return Plan{}, fmt.Errorf("each network between 10.%d.0.0/16 and 10.%d.0.0/16 overlaps one that this host has a route to, or a lab that runs; stop one",
		FirstOctet, LastOctet)
}

func (p Plan) address(third, fourth byte) netip.Addr {
	return netip.AddrFrom4([4]byte{10, p.Octet, third, fourth})
}

// Network is all of the lab's addresses.
func (p Plan) Network() netip.Prefix { return netip.PrefixFrom(p.address(0, 0), 16) }

// Name tells the lab from others on this host: its interface and its control groups are called so.
func (p Plan) Name() string { return fmt.Sprintf("kubelab%d", p.Octet) }

// ControlPlane is the address of the machine with the API, and the network of the machines.
func (p Plan) ControlPlane() netip.Prefix { return netip.PrefixFrom(p.address(0, 1), 24) }

// Host is the address that the host has in the network of the machines.
func (p Plan) Host() netip.Prefix { return netip.PrefixFrom(p.address(0, 254), 24) }

// Node is the address of a node; the first is 0.
func (p Plan) Node(i int) netip.Prefix { return netip.PrefixFrom(p.address(0, byte(10+i)), 24) }

// NodeName is node1 for 0.
func NodeName(i int) string { return fmt.Sprintf("node%d", i+1) }

// Pods are the addresses of all pods.
func (p Plan) Pods() netip.Prefix { return netip.PrefixFrom(p.address(64, 0), 18) }

// NodePods are the addresses of the pods of one node.
func (p Plan) NodePods(i int) netip.Prefix { return netip.PrefixFrom(p.address(64+byte(i), 0), 24) }

// Services are the addresses of Services.
func (p Plan) Services() netip.Prefix { return netip.PrefixFrom(p.address(128, 0), 20) }

// APIService is the address of the Service kubernetes.default.
func (p Plan) APIService() netip.Addr { return p.address(128, 1) }

// Server is the API's URL.
func (p Plan) Server() string { return fmt.Sprintf("https://%s:6443", p.ControlPlane().Addr()) }

// HostNet is the host's place in the network. Services are reached by the control plane, which knows where their pods
// are; pods by their node.
func (p Plan) HostNet() machine.Net {
	routes := p.podRoutes(-1)
	routes[p.Services().String()] = p.ControlPlane().Addr()
	return machine.Net{Address: p.Host(), Routes: routes}
}

// podRoutes are the ways to the pods of all nodes but one.
func (p Plan) podRoutes(except int) map[string]netip.Addr {
	routes := map[string]netip.Addr{}
	for i := range p.Nodes {
		if i != except {
			routes[p.NodePods(i).String()] = p.Node(i).Addr()
		}
	}
	return routes
}
