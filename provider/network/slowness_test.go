package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jenner-heal/jenner/internal/await"
)

func TestLatencyDelaysBothWays(t *testing.T) {
	const delay = 60 * time.Millisecond
	w := newWorld(t)
	for direction, least := range map[string]time.Duration{out: delay, in: delay, both: 2 * delay} {
		t.Run(direction, func(t *testing.T) {
			conn := w.connected(t, "tcp", at(theirs, echoPort))
			f := w.inject(t, "latency", map[string]any{"delay": "60ms"}, map[string]any{"peer": theirs, "port": echoPort, "direction": direction})
			begun := time.Now()
			if err := ask(conn, await.Patience); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took < least {
				t.Errorf("a round trip takes %s, and is to take %s more than before", took, least)
			}
			await.OK(t, "the witness measured it", func() error {
				witness := f.bite()
				if !witness.Bit || !strings.Contains(witness.Saw, "packets waited for 6") {
					return errors.New(witness.Saw)
				}
				return nil
			})
			f.undo()
			if err := ask(conn, await.Patience); err != nil {
				t.Errorf("after the undo: %v", err)
			}
		})
	}
	if rules := w.rules(t); rules != "" {
		t.Errorf("left behind:\n%s", rules)
	}
}

func TestLatencyOfOthersIsAsEver(t *testing.T) {
	w := newWorld(t)
	f := w.inject(t, "latency", map[string]any{"delay": "10s"}, server)
	for _, address := range []string{at(theirs, otherPort), at(theirsOther, echoPort), at(theirs6, echoPort)} {
		if err := w.reaches("tcp", address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if witness := f.bite(); witness.Bit {
		t.Errorf("nobody asked, and %s", witness.Saw)
	}
}

// The order of packets is kept, however different their delays, and none of those that wait at the undo is lost.
func TestLatencyKeepsTheOrderAndLosesNothing(t *testing.T) {
	const packets = 200
	for name, delay := range map[string]string{"in their time": "50ms", "at the undo": "5s"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f := w.inject(t, "latency", map[string]any{"delay": delay, "jitter": delay},
				map[string]any{"peer": theirs, "port": echoPort, "protocol": "udp", "direction": "out"})
			conn := w.connected(t, "udp", at(theirs, echoPort))
			for i := range packets {
				if _, err := conn.Write(binary.BigEndian.AppendUint16(nil, uint16(i))); err != nil {
					t.Fatal(err)
				}
			}
			if delay == "5s" {
				f.undo()
			}
			if err := conn.SetDeadline(time.Now().Add(await.Patience)); err != nil {
				t.Fatal(err)
			}
			buffer := make([]byte, 100)
			for i := range packets {
				n, err := conn.Read(buffer)
				if err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				if n != 2 || binary.BigEndian.Uint16(buffer) != uint16(i) {
					t.Fatalf("packet %d came in the place of %d", binary.BigEndian.Uint16(buffer), i)
				}
			}
		})
	}
}

// With the process killed packets pass its queue at once, before the lease of the rules ends.
func TestLatencyFailsOpen(t *testing.T) {
	w := newWorld(t)
	f := w.inject(t, "latency", map[string]any{"delay": "10s"}, server)
	if err := w.blocked("tcp", at(theirs, echoPort)); !timedOut(err) {
		t.Fatalf("a connection is made through a delay of 10s: %v", err)
	}
	if err := syscall.Kill(f.injector.Holders.Held(f.record.ID).Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	await.OK(t, "packets pass", func() error { return w.blocked("tcp", at(theirs, echoPort)) })
	t.Logf("packets pass %s after kill -9", time.Since(begun).Round(time.Millisecond))
	if rules := w.rules(t); !strings.Contains(rules, "expires") {
		t.Errorf("the rules are gone, so that this test shows nothing:\n%s", rules)
	}
}

// Two faults take two queues, whatever numbers their names lead to.
func TestTwoLatencies(t *testing.T) {
	w := newWorld(t)
	one := w.inject(t, "latency", map[string]any{"delay": "20ms"}, map[string]any{"port": echoPort})
	t.Run("second", func(t *testing.T) {
		other := w.inject(t, "latency", map[string]any{"delay": "20ms"}, map[string]any{"port": otherPort})
		if err := errors.Join(w.reaches("tcp", at(theirs, echoPort)), w.reaches("tcp", at(theirs, otherPort))); err != nil {
			t.Fatal(err)
		}
		for _, f := range []*fault{one, other} {
			await.OK(t, "both bite", func() error {
				if witness := f.bite(); !witness.Bit {
					return errors.New(witness.Saw)
				}
				return nil
			})
		}
	})
}

// send sends so many bytes and waits until they came back. The time counts from the first byte.
func (w *world) send(t testing.TB, address string, size int) time.Duration {
	t.Helper()
	conn := w.connected(t, "tcp", address)
	if err := conn.SetDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	go func() { _, _ = conn.Write(make([]byte, size)) }()
	if _, err := io.ReadFull(conn, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	return time.Since(begun)
}

func TestBandwidthIsThatOfTheRate(t *testing.T) {
	const size, atOnce = 300 << 10, 128 << 10 // bytes
	for _, direction := range []string{out, in} {
		t.Run(direction, func(t *testing.T) {
			w := newWorld(t)
			queues := w.run(t, "tc", "iproute2", "qdisc", "show")
			f := w.inject(t, "bandwidth", map[string]any{"rate": "1mbit"}, map[string]any{"peer": theirs, "port": echoPort, "direction": direction})
			least := (size - atOnce) * 8 * time.Microsecond
			if took := w.send(t, at(theirs, echoPort), size); took < least {
				t.Errorf("%d bytes went in %s, and at 1mbit it takes %s at least", size, took, least)
			}
			if witness := f.bite(); !witness.Bit {
				t.Error(witness.Saw)
			}
			f.undo()
			if after := w.run(t, "tc", "iproute2", "qdisc", "show"); after != queues {
				t.Errorf("the queues were\n%s\nand are\n%s", queues, after)
			}
		})
	}
}

func TestTheBandwidthOfOthersIsAsEver(t *testing.T) {
	const much = 10 << 20 // bytes, which would take far longer than this test waits
	w := newWorld(t)
	f := w.inject(t, "bandwidth", map[string]any{"rate": "8kbit"}, map[string]any{"peer": theirs, "port": echoPort, "interface": wire})
	w.send(t, at(theirs, otherPort), much)
	w.send(t, at(theirs6, echoPort), much)
	w.send(t, at(theirsOther, echoPort), much)
	if witness := f.bite(); witness.Bit || !strings.HasPrefix(witness.Saw, "out: 0 bytes") {
		t.Errorf("traffic that is not meant was slowed down: %s", witness.Saw)
	}
}

func TestBandwidthBringsBackALimitThatWasThere(t *testing.T) {
	w := newWorld(t)
	w.run(t, "tc", "iproute2", "qdisc", "add", "dev", wire, "handle", "7:", "root", "tbf", "rate", "50mbit", "burst", "64kb", "limit", "200kb")
	w.run(t, "tc", "iproute2", "qdisc", "add", "dev", wire, "ingress")
	queues := w.run(t, "tc", "iproute2", "qdisc", "show")
	f := w.inject(t, "bandwidth", map[string]any{"rate": "1mbit"}, map[string]any{"peer": theirs, "port": echoPort})
	if during := w.run(t, "tc", "iproute2", "qdisc", "show"); during == queues {
		t.Fatal("the fault changed nothing")
	}
	f.undo()
	if after := w.run(t, "tc", "iproute2", "qdisc", "show"); after != queues {
		t.Errorf("the queues were\n%s\nand are\n%s", queues, after)
	}
}

func TestBandwidthLeavesAloneWhatSomebodyElseHasShaped(t *testing.T) {
	w := newWorld(t)
	w.run(t, "tc", "iproute2", "qdisc", "add", "dev", wire, "root", "handle", "1:", "htb")
	if _, err := w.try(t, "bandwidth", map[string]any{"rate": "1mbit"}, server); err == nil || !strings.Contains(err.Error(), "is shaped by somebody already (htb 1:0 at root)") {
		t.Errorf("an interface that somebody has shaped is not refused: %v", err)
	}

	// Somebody shapes the interface anew while the fault lasts: the undo keeps their queue, and says so.
	w.run(t, "tc", "iproute2", "qdisc", "del", "dev", wire, "root")
	t.Run("meanwhile", func(t *testing.T) {
		f := w.inject(t, "bandwidth", map[string]any{"rate": "1mbit"}, server)
		w.run(t, "tc", "iproute2", "qdisc", "replace", "dev", wire, "root", "handle", "9:", "tbf", "rate", "1gbit", "burst", "64kb", "limit", "200kb")
		if err := f.injector.Undo(t.Context(), f.record); err == nil || !strings.Contains(err.Error(), "tbf 9:0 at root") {
			t.Errorf("the undo says %v", err)
		}
		w.run(t, "tc", "iproute2", "qdisc", "del", "dev", wire, "root")
		f.undo()
	})
}

func TestResetCutsLiveConnections(t *testing.T) {
	for _, host := range []string{theirs, theirs6} {
		t.Run(host, func(t *testing.T) {
			w := newWorld(t)
			cut, spared := w.connected(t, "tcp", at(host, echoPort)), w.connected(t, "tcp", at(host, otherPort))
			if err := errors.Join(ask(cut, await.Patience), ask(spared, await.Patience)); err != nil {
				t.Fatal(err)
			}
			f := w.inject(t, "reset", nil, map[string]any{"peer": host, "port": echoPort})
			if _, err := cut.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNABORTED) {
				t.Errorf("the program here finds %v", err)
			}
			if witness := f.bite(); !witness.Bit || witness.Saw != "1 connections were cut" {
				t.Error(witness)
			}
			if err := errors.Join(ask(spared, await.Patience), w.reaches("tcp", at(host, echoPort))); err != nil {
				t.Errorf("others are cut too, or no new one is made: %v", err)
			}
		})
	}
}

// The connections that a service here takes are cut as well, also those over IPv4 of a server that listens for both
// versions of IP, and the peer is told.
func TestResetTellsThePeer(t *testing.T) {
	w := newWorld(t)
	echo(t, w.ours, 8080)
	turned := &world{ours: w.theirs, theirs: w.ours}
	caller := turned.connected(t, "tcp", at(ours, 8080))
	if err := ask(caller, await.Patience); err != nil {
		t.Fatal(err)
	}
	w.inject(t, "reset", nil, map[string]any{"port": 8080})
	if err := caller.SetDeadline(time.Now().Add(await.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := caller.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the peer finds %v", err)
	}
}

// New connections are cut too, some of them while they are still being made.
func TestResetAgainAndAgain(t *testing.T) {
	w := newWorld(t)
	w.connected(t, "tcp", at(theirs, echoPort))
	f := w.inject(t, "reset", map[string]any{"every": "10ms"}, server)
	await.OK(t, "three connections are cut", func() error {
		conn, err := w.connect("tcp", at(theirs, echoPort), await.Patience)
		if err == nil {
			defer conn.Close()
			if err = conn.SetDeadline(time.Now().Add(await.Patience)); err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
		}
		if !errors.Is(err, unix.ECONNABORTED) {
			t.Errorf("a new connection finds %v", err)
		}
		cut := 0
		if _, err := fmt.Sscanf(f.bite().Saw, "%d connections were cut", &cut); err != nil {
			t.Fatal(err)
		}
		if cut < 3 {
			return fmt.Errorf("%d so far", cut)
		}
		return nil
	})
	f.undo()
	if err := w.reaches("tcp", at(theirs, echoPort)); err != nil {
		t.Errorf("after the undo: %v", err)
	}
}
