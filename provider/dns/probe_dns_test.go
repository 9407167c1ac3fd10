package dns

import (
	"net"
	"strings"
	"testing"

	probetest "github.com/jenner-heal/jenner/conformance/probe"
	"github.com/jenner-heal/jenner/telemetry"
)

// here runs work where the test itself runs.
func here(work func() error) error { return work() }

func TestProbeDNS(t *testing.T) {
	probetest.Run(t, probetest.Suite{
		OK: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return &ProbeDNS{Query: "shop.internal", Server: serve(t, here, "127.0.0.1:0"), Expect: []string{rightAddress}}, telemetry.ProbeCall{}
		},
		Failing: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			return &ProbeDNS{Query: "shop.internal", Server: serve(t, here, "127.0.0.1:0"), Expect: []string{"10.2.2.2"}}, telemetry.ProbeCall{}
		},
		Hanging: func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			packets, err := net.ListenPacket("udp", "127.0.0.1:0") // takes questions and answers none
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { packets.Close() })
			return &ProbeDNS{Query: "shop.internal", Server: packets.LocalAddr().String()}, telemetry.ProbeCall{}
		},
		Wrong: map[string]telemetry.Probe{
			"empty":            &ProbeDNS{},
			"no name":          &ProbeDNS{Query: "a..b"},
			"no type":          &ProbeDNS{Query: "a", Type: "ADDRESS"},
			"server by name":   &ProbeDNS{Query: "a", Server: "dns.internal"},
			"server with port": &ProbeDNS{Query: "a", Server: "10.0.0.53:0"},
			"port too high":    &ProbeDNS{Query: "a", Server: "10.0.0.53:65536"},
		},
	})
}

func TestProbeDNSJudges(t *testing.T) {
	server := serve(t, here, "127.0.0.1:0")
	for name, test := range map[string]struct {
		probe ProbeDNS
		want  string // nothing: it is well
	}{
		"an address":            {ProbeDNS{Query: "a.internal"}, ""},
		"a name with a dot":     {ProbeDNS{Query: "a.internal.", Type: "a"}, ""},
		"an address of IPv6":    {ProbeDNS{Query: "a.internal", Type: "AAAA", Expect: []string{"FD01::1"}}, ""},
		"case and dot are one":  {ProbeDNS{Query: "a.internal", Type: "MX", Expect: []string{"10  Mail.Internal."}}, ""},
		"does not fit into UDP": {ProbeDNS{Query: "a.internal", Type: "TXT", Expect: []string{`"over tcp"`}}, ""},
		"over TCP at once":      {ProbeDNS{Query: "a.internal", Type: "TXT", TCP: true}, ""},
		"an error":              {ProbeDNS{Query: "a.internal", Type: "SRV"}, "a.internal SRV of " + server + ": the answer is NXDOMAIN"},
		"another address":       {ProbeDNS{Query: "a.internal", Expect: []string{rightAddress, "10.2.2.2"}}, "the answer is 10.1.1.1, expected 10.2.2.2"},
	} {
		t.Run(name, func(t *testing.T) {
			probe := test.probe
			probe.Server = server
			if err := probe.Validate(); err != nil {
				t.Fatal(err)
			}
			got := probe.Probe(t.Context(), telemetry.ProbeCall{})
			if test.want == "" && got.Outcome != telemetry.OK {
				t.Errorf("%+v, want OK", got)
			}
			if test.want != "" && (got.Outcome != telemetry.Failed || !strings.Contains(got.Message, test.want)) {
				t.Errorf("%+v, want Failed: %s", got, test.want)
			}
		})
	}
}
