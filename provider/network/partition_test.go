package network

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/await"
)

// foreign are rules that somebody else has made.
const foreign = `
table inet filter {
	set blocked {
		type ipv4_addr
		elements = { 192.0.2.7 }
	}
	chain input {
		type filter hook input priority filter; policy accept;
		ip saddr @blocked tcp dport 9 drop
	}
}
table ip nat {
	chain post {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr 192.0.2.0/24 masquerade
	}
}
`

func TestAPartitionStopsWhatIsMeantAndNothingElse(t *testing.T) {
	w := newWorld(t)
	w.run(t, "nft", "nftables", foreign)
	before := w.rules(t)
	conn := w.connected(t, "tcp", at(theirs, echoPort))
	if err := ask(conn, await.Patience); err != nil {
		t.Fatal(err)
	}
	f := w.inject(t, "partition", nil, server)
	if err := ask(conn, brief); !timedOut(err) {
		t.Errorf("a connection goes on through the partition: %v", err)
	}
	if err := w.blocked("tcp", at(theirs, echoPort)); !timedOut(err) {
		t.Errorf("a new connection through the partition: %v", err)
	}
	for what, address := range map[string]string{"another port": at(theirs, otherPort), "another address": at(theirsOther, echoPort),
		"another version of IP": at(theirs6, echoPort)} {
		if err := w.reaches("tcp", address); err != nil {
			t.Errorf("%s does not answer any more: %v", what, err)
		}
	}
	if err := w.reaches("udp", at(theirs, echoPort)); err != nil {
		t.Errorf("another protocol is not answered any more: %v", err)
	}
	if witness := f.bite(); !witness.Bit {
		t.Error(witness.Saw)
	}
	f.undo()
	if err := w.reaches("tcp", at(theirs, echoPort)); err != nil {
		t.Errorf("after the undo: %v", err)
	}
	if after := w.rules(t); after != before {
		t.Errorf("the rules of others were\n%s\nand are\n%s", before, after)
	}
}

func timedOut(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestWhatAPartitionTellsTheSender(t *testing.T) {
	for reject, want := range map[string]error{"reset": unix.ECONNREFUSED, "unreachable": unix.EHOSTUNREACH} {
		for _, peer := range []string{theirs, theirs6} {
			for _, direction := range []string{in, out, both} {
				t.Run(reject+" "+peer+" "+direction, func(t *testing.T) {
					t.Parallel()
					wait := await.Patience // TCP may hear of it only when it tries again
					if direction == in {
						wait = brief
					}
					w := newWorld(t)
					w.inject(t, "partition", map[string]any{"reject": reject}, map[string]any{"peer": peer, "port": echoPort, "direction": direction})
					err := w.ours.Do(func() error {
						_, err := net.DialTimeout("tcp", at(peer, echoPort), wait)
						return err
					})
					// What is rejected on its way in, is rejected towards the peer: we hear nothing.
					if direction == in && !timedOut(err) || direction != in && !errors.Is(err, want) {
						t.Errorf("the sender hears %v", err)
					}
				})
			}
		}
	}
}

func TestChoices(t *testing.T) {
	for name, test := range map[string]struct {
		target  map[string]any
		stopped []string // of these: tcp, udp, tcp6, other (another port), net (the other network)
	}{
		"a peer alone is all its protocols": {map[string]any{"peer": theirs}, []string{"other", "tcp", "udp"}},
		"a network":                         {map[string]any{"peer": "10.99.0.0/16", "protocol": "tcp"}, []string{"other", "tcp"}},
		"a network of both wires":           {map[string]any{"peer": "10.98.0.0/15", "protocol": "tcp"}, []string{"net", "other", "tcp"}},
		"a port alone":                      {map[string]any{"port": echoPort}, []string{"net", "tcp", "tcp6"}},
		"a port over UDP":                   {map[string]any{"port": echoPort, "protocol": "udp"}, []string{"udp"}},
		"IPv6":                              {map[string]any{"peer": theirs6, "port": echoPort}, []string{"tcp6"}},
		"an IPv6 network":                   {map[string]any{"peer": "fd99::/32"}, []string{"tcp6"}},
		"an interface":                      {map[string]any{"port": echoPort, "interface": wire}, []string{"tcp", "tcp6"}},
		"only in":                           {map[string]any{"peer": theirs, "port": echoPort, "direction": "in"}, []string{"tcp"}},
		"only out":                          {map[string]any{"peer": theirs, "port": echoPort, "direction": "out"}, []string{"tcp"}},
		"everybody else":                    {map[string]any{"peer": "192.0.2.0/24"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.inject(t, "partition", nil, test.target)
			stopped := map[string]bool{}
			for _, what := range test.stopped {
				stopped[what] = true
			}
			for what, where := range map[string][2]string{"tcp": {"tcp", at(theirs, echoPort)}, "udp": {"udp", at(theirs, echoPort)},
				"tcp6": {"tcp", at(theirs6, echoPort)}, "other": {"tcp", at(theirs, otherPort)}, "net": {"tcp", at(theirsOther, echoPort)}} {
				tries := w.reaches
				if stopped[what] {
					tries = w.blocked
				}
				if err := tries(where[0], where[1]); (err != nil) != stopped[what] {
					t.Errorf("%s: %v, stopped is to be %v", what, err, stopped[what])
				}
			}
		})
	}
}

// A service of our own, which peers call: its port is that of our end.
func TestThePortOfOurOwnService(t *testing.T) {
	w := newWorld(t)
	echo(t, w.ours, 8080)
	turned, service := &world{ours: w.theirs, theirs: w.ours}, at(ours, 8080)
	if err := turned.reaches("tcp", service); err != nil {
		t.Fatal(err)
	}
	f := w.inject(t, "partition", nil, map[string]any{"port": 8080})
	if err := turned.blocked("tcp", service); !timedOut(err) {
		t.Errorf("a call of our service: %v", err)
	}
	f.undo()
	if err := turned.reaches("tcp", service); err != nil {
		t.Errorf("after the undo: %v", err)
	}
}

func TestTwoFaultsInOneNamespaceKnowNothingOfEachOther(t *testing.T) {
	w := newWorld(t)
	one := w.inject(t, "partition", nil, map[string]any{"port": echoPort})
	other := w.inject(t, "loss", map[string]any{"share": "100%"}, map[string]any{"port": otherPort})
	one.undo()
	if err := w.reaches("tcp", at(theirs, echoPort)); err != nil {
		t.Errorf("after the first undo: %v", err)
	}
	if err := w.blocked("tcp", at(theirs, otherPort)); !timedOut(err) {
		t.Errorf("the first undo took the second fault away: %v", err)
	}
	other.undo()
	if err := w.reaches("tcp", at(theirs, otherPort)); err != nil {
		t.Errorf("after the second undo: %v", err)
	}
	if rules := w.rules(t); rules != "" {
		t.Errorf("left behind:\n%s", rules)
	}
}

func TestResidueIsSeen(t *testing.T) {
	w := newWorld(t)
	f := w.inject(t, "partition", nil, server)
	w.run(t, "nft", "nftables", "add table ip stray; add chain ip stray in { type filter hook input priority 0; }")
	if err := f.injector.Undo(t.Context(), f.record); !errors.Is(err, chaos.ErrResidue) {
		t.Errorf("an undo after which a chain is there that was not there before says %v", err)
	}
	w.run(t, "nft", "nftables", "delete table ip stray")
	f.undo()

	// What is left of the fault itself is seen too: its table, without a lease and without rules.
	name := "jenner-" + f.record.ID
	w.run(t, "nft", "nftables", "add table inet "+name)
	_, made, err := f.injector.Build(f.record.Fault, "network", f.record.Params)
	if err != nil {
		t.Fatal(err)
	}
	print, err := made.(chaos.Fingerprinter).Fingerprint(t.Context(), chaos.Call{Record: f.record})
	if err != nil || print == f.record.Fingerprint || !strings.Contains(print, name) {
		t.Errorf("an empty table that is left is not seen: %q, %v", print, err)
	}
}

// The share is that of many packets, and each packet either got lost, and was counted, or arrived.
func TestLossLosesItsShare(t *testing.T) {
	const packets, batch = 3000, 100
	w := newWorld(t)
	f := w.inject(t, "loss", map[string]any{"share": "30%"}, map[string]any{"peer": theirs, "port": echoPort, "protocol": "udp", "direction": "out"})
	conn := w.connected(t, "udp", at(theirs, echoPort))
	arrived, lost := 0, 0
	buffer := make([]byte, 100)
	for sent := 0; sent < packets; {
		for range batch {
			if _, err := conn.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		await.OK(t, "every packet arrived or was counted", func() error {
			for conn.SetReadDeadline(time.Now().Add(time.Millisecond)) == nil {
				if _, err := conn.Read(buffer); err != nil {
					break
				}
				arrived++
			}
			if _, err := fmt.Sscanf(f.bite().Saw, "%d packets got lost", &lost); err != nil {
				t.Fatal(err)
			}
			if arrived+lost != sent {
				return fmt.Errorf("%d were sent, %d arrived and %d got lost", sent, arrived, lost)
			}
			return nil
		})
	}
	// 0.05 is six standard deviations of 3000 packets.
	if share := float64(lost) / packets; share < 0.25 || share > 0.35 {
		t.Errorf("%.3f of the packets got lost, and 0.3 were to", share)
	}
}
