package network

import (
	"os"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/chaos"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// holder is the command line of this test program as a holder of the faults in a journal.
func holder(t testing.TB, dir string) []string {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{path, "faulttest-hold", dir}
}

// build makes worlds for the suite: a fault on the packets from and to the server, and something that goes there.
func build(name string, params, target map[string]any, leased bool) func(t *testing.T) faulttest.World {
	return func(t *testing.T) faulttest.World {
		w := newWorld(t)
		written := jenner.Params{}
		for key, value := range params {
			written[key] = jenner.Raw(value)
		}
		made := func() chaos.Fault {
			_, fault, err := catalog.Merge(Provider).MakeFault("network."+name, "network", written)
			if err != nil {
				t.Fatal(err)
			}
			return fault
		}
		conn := w.connected(t, "tcp", at(theirs, echoPort))
		absent := w.target(target)
		absent.Params["namespace"] = jenner.Raw("/run/netns/nobody-made-this")
		return faulttest.World{
			Fault:     made,
			Record:    jenner.FaultRecord{Fault: "network." + name, Params: written, Target: w.target(target)},
			Absent:    absent,
			LeaseHeld: leased,
			Stir: func(*testing.T) {
				_ = ask(conn, 50*time.Millisecond)
				_ = conn.SetDeadline(time.Now().Add(time.Second))
				_, _ = conn.Write(make([]byte, 64<<10))
				_ = w.blocked("tcp", at(theirs, echoPort))
			},
		}
	}
}

var server = map[string]any{"peer": theirs, "port": echoPort}

func TestPartitionConforms(t *testing.T) {
	world := build("partition", nil, server, true)
	faulttest.Run(t, world)
	faulttest.Killed(t, world)
}

func TestLossConforms(t *testing.T) {
	world := build("loss", map[string]any{"share": "100%"}, server, true)
	faulttest.Run(t, world)
	faulttest.Killed(t, world)
}

func TestLatencyConforms(t *testing.T) {
	world := build("latency", map[string]any{"delay": "20ms", "jitter": "5ms"}, server, true)
	faulttest.Run(t, world)
	faulttest.Killed(t, world)
}

func TestBandwidthConforms(t *testing.T) {
	world := build("bandwidth", map[string]any{"rate": "100kbit"}, server, true)
	faulttest.Run(t, world)
	faulttest.Killed(t, world)
}

func TestResetConforms(t *testing.T) {
	world := build("reset", map[string]any{"every": "20ms"}, server, false)
	faulttest.Run(t, world)
	faulttest.Killed(t, world)
}
