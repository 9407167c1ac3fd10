package dns

import (
	"os"
	"testing"

	"github.com/miekg/dns"

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

func conforms(t *testing.T, name string, params map[string]any) {
	build := func(t *testing.T) faulttest.World {
		w := newWorld(t)
		written := jenner.Params{}
		for key, value := range params {
			written[key] = jenner.Raw(value)
		}
		target := w.target(theirs, "shop.internal")
		absent := w.target(theirs, "shop.internal")
		absent.Params["namespace"] = jenner.Raw("/run/netns/nobody-made-this")
		return faulttest.World{
			Fault: func() chaos.Fault {
				_, fault, err := catalog.Merge(Provider).MakeFault("dns."+name, "dns", written)
				if err != nil {
					t.Fatal(err)
				}
				return fault
			},
			Record: jenner.FaultRecord{Fault: "dns." + name, Params: written, Target: target},
			Absent: absent,
			Stir:   func(*testing.T) { w.says("udp", theirs, "shop.internal", dns.TypeA, brief) },
		}
	}
	faulttest.Run(t, build)
	faulttest.Killed(t, build)
}

func TestWrongConforms(t *testing.T) {
	conforms(t, "wrong", map[string]any{"addresses": []string{"192.0.2.1"}})
}

func TestFailingConforms(t *testing.T) {
	conforms(t, "failing", map[string]any{"with": "servfail"})
}

func TestSlowConforms(t *testing.T) {
	conforms(t, "slow", map[string]any{"delay": "50ms"})
}
