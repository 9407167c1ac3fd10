package network

import (
	"errors"
	"fmt"
	"hash/fnv"
	"sort"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner"
)

// shaped is the queueing of one interface as it was before a fault.
type shaped struct {
	Interface string  `json:"interface"`
	Index     int     `json:"index"`
	Root      qdisc   `json:"root"`
	handle    uint32  // of the fault's own root
	class     uint32  // of the packets that are slowed down
	others    []qdisc // all but the root
}

// qdisc is a queueing discipline, as far as it can be made again.
type qdisc struct {
	Kind   string `json:"kind"`
	Handle uint32 `json:"handle,omitempty"` // zero: the kernel made it by itself
	Parent uint32 `json:"parent,omitempty"`
	// Of a token bucket filter; rates in bytes per second, the buffers in the kernel's ticks.
	Rate     uint64 `json:"rate,omitempty"`
	Peakrate uint64 `json:"peakrate,omitempty"`
	Limit    uint32 `json:"limit,omitempty"`
	Buffer   uint32 `json:"buffer,omitempty"`
	Minburst uint32 `json:"minburst,omitempty"`
}

func (q qdisc) String() string {
	text := fmt.Sprintf("%s %s at %s", q.Kind, netlink.HandleStr(q.Handle), netlink.HandleStr(q.Parent))
	if q.Rate > 0 {
		text += fmt.Sprintf(" rate %d %d, limit %d, buffer %d %d", q.Rate, q.Peakrate, q.Limit, q.Buffer, q.Minburst)
	}
	return text
}

// queueing lists what queues the packets of an interface.
func queueing(handle *netlink.Handle, link netlink.Link) (root qdisc, others []qdisc, err error) {
	list, err := handle.QdiscList(link)
	if err != nil {
		return root, nil, fmt.Errorf("cannot list what queues the packets of %s: %w", link.Attrs().Name, err)
	}
	for _, one := range list {
		q := qdisc{Kind: one.Type(), Handle: one.Attrs().Handle, Parent: one.Attrs().Parent}
		if bucket, ok := one.(*netlink.Tbf); ok {
			q.Rate, q.Peakrate, q.Limit, q.Buffer, q.Minburst = bucket.Rate, bucket.Peakrate, bucket.Limit, bucket.Buffer, bucket.Minburst
		}
		if q.Parent == netlink.HANDLE_ROOT {
			root = q
			continue
		}
		others = append(others, q)
	}
	return root, others, nil
}

// seeQueueing looks at the interface that a fault is to slow down.
func seeQueueing(handle *netlink.Handle, link netlink.Link, fault string) (*shaped, error) {
	root, others, err := queueing(handle, link)
	if err != nil {
		return nil, err
	}
	s := &shaped{Interface: link.Attrs().Name, Index: link.Attrs().Index, Root: root, others: others}
	s.own(fault)
	return s, nil
}

// own gives the handles of a fault. The upper half of the numbers is the kernel's to choose from.
func (s *shaped) own(fault string) {
	hash := fnv.New32a()
	hash.Write([]byte(fault))
	major := uint16(0x4a00 | hash.Sum32()&0xff)
	s.handle, s.class = netlink.MakeHandle(major, 0), netlink.MakeHandle(major, 1)
}

// restorable refuses an interface whose queueing somebody has set up in a way that could not be brought back exactly.
func (s *shaped) restorable() error {
	for _, other := range s.others {
		if other.Parent != netlink.HANDLE_INGRESS && other.Handle != 0 {
			return s.refusal("has queues within queues (" + other.String() + ")")
		}
	}
	if s.Root.Handle != 0 && s.Root.Kind != "tbf" {
		return s.refusal("is shaped by somebody already (" + s.Root.String() + ")")
	}
	return nil
}

func (s *shaped) refusal(why string) error {
	return jenner.Permanent(fmt.Errorf("interface %s %s, which could not be brought back exactly as it was", s.Interface, why),
		"choose direction: in, or another interface")
}

// slow puts the fault's own queue at the root: packets of its class are slowed down to rate, all others pass at once.
func (s *shaped) slow(handle *netlink.Handle, rate Rate) error {
	root := netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: s.Index, Handle: s.handle, Parent: netlink.HANDLE_ROOT})
	if err := handle.QdiscReplace(root); err != nil {
		return fmt.Errorf("cannot put a queue before interface %s: %w; needs a kernel with CONFIG_NET_SCH_HTB", s.Interface, err)
	}
	class := netlink.NewHtbClass(netlink.ClassAttrs{LinkIndex: s.Index, Handle: s.class, Parent: s.handle},
		netlink.HtbClassAttrs{Rate: uint64(rate), Quantum: 6000}) // bytes; of no effect with one class, but the kernel asks
	if err := handle.ClassAdd(class); err != nil {
		return fmt.Errorf("cannot limit interface %s to %s: %w", s.Interface, rate, err)
	}
	return nil
}

// restore takes the fault's own queue away and brings back the one before, and leaves alone what somebody else has put
// in its place.
func (s *shaped) restore(handle *netlink.Handle) error {
	link, err := handle.LinkByIndex(s.Index)
	var gone netlink.LinkNotFoundError
	if errors.As(err, &gone) {
		return nil // and all its queues with it
	}
	if err != nil {
		return err
	}
	now, _, err := queueing(handle, link)
	if err != nil {
		return err
	}
	if now.Kind == "htb" && now.Handle == s.handle {
		mine := netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: s.Index, Handle: s.handle, Parent: netlink.HANDLE_ROOT})
		if err := handle.QdiscDel(mine); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("cannot take the queue before interface %s away: %w", s.Interface, err)
		}
		now.Handle = 0
	}
	if now.Handle != 0 || s.Root.Handle == 0 {
		return nil // the kernel has put its own queue in the place, as it was before, or somebody else theirs
	}
	if err := handle.QdiscAdd(&netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: s.Index, Handle: s.Root.Handle, Parent: netlink.HANDLE_ROOT},
		Rate:       s.Root.Rate, Peakrate: s.Root.Peakrate, Limit: s.Root.Limit, Buffer: s.Root.Buffer, Minburst: s.Root.Minburst,
	}); err != nil {
		return fmt.Errorf("cannot bring back the queue that interface %s had: %w", s.Interface, err)
	}
	return nil
}

// print names the queueing of the interface as it is at present.
func (s *shaped) print(handle *netlink.Handle) (string, error) {
	link, err := handle.LinkByIndex(s.Index)
	if err != nil {
		return "", fmt.Errorf("interface %s: %w", s.Interface, err)
	}
	root, others, err := queueing(handle, link)
	if err != nil {
		return "", err
	}
	lines := []string{root.String()}
	for _, other := range others {
		lines = append(lines, other.String())
	}
	sort.Strings(lines)
	return strings.Join(lines, ", "), nil
}

// waited is how much went through the fault's own queue.
type waited struct {
	Bytes                      uint64
	Overlimits, Drops, Backlog uint32
}

func (s *shaped) waited(handle *netlink.Handle) (seen waited, err error) {
	link, err := handle.LinkByIndex(s.Index)
	if err != nil {
		return seen, fmt.Errorf("interface %s: %w", s.Interface, err)
	}
	classes, err := handle.ClassList(link, netlink.HANDLE_NONE)
	if err != nil {
		return seen, fmt.Errorf("cannot list the classes of interface %s: %w", s.Interface, err)
	}
	for _, class := range classes {
		stats := class.Attrs().Statistics
		if class.Attrs().Handle != s.class || stats == nil || stats.Basic == nil || stats.Queue == nil {
			continue
		}
		seen = waited{stats.Basic.Bytes, stats.Queue.Overlimits, stats.Queue.Drops, stats.Queue.Backlog}
	}
	return seen, nil
}
