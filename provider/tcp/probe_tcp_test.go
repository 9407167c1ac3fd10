package tcp

import (
	"net"
	"testing"

	probetest "github.com/jenner-heal/jenner/conformance/probe"
	"github.com/jenner-heal/jenner/telemetry"
)

func TestProbeTCP(t *testing.T) {
	probetest.Run(t, probetest.Suite{
		OK: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return &ProbeTCP{Address: listening(t).Addr().String()}, telemetry.ProbeCall{}
		},
		Failing: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			gone := listening(t)
			if err := gone.Close(); err != nil {
				t.Fatal(err)
			}
			return &ProbeTCP{Address: gone.Addr().String()}, telemetry.ProbeCall{}
		},
		Wrong: map[string]telemetry.Probe{
			"empty":         &ProbeTCP{},
			"no port":       &ProbeTCP{Address: "127.0.0.1"},
			"empty port":    &ProbeTCP{Address: "127.0.0.1:"},
			"port too high": &ProbeTCP{Address: "127.0.0.1:65536"},
			"a URL":         &ProbeTCP{Address: "http://127.0.0.1:80"},
		},
	})
}

// listening takes connections, as the kernel does for a program that listens, and reads nothing.
func listening(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}
