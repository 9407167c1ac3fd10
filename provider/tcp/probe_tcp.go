package tcp

import (
	"context"
	"fmt"
	"net"

	"github.com/jenner-heal/jenner/telemetry"
)

func init() {
	Provider.Probe("tcp", "Does a TCP connection to an address come about?", func() telemetry.Probe { return &ProbeTCP{} })
}

// ProbeTCP connects and hangs up at once. A program that hangs may still pass, for the kernel takes connections in its
// name until the queue is full; who wants to know whether it answers asks over HTTP.
type ProbeTCP struct {
	// Address is HOST:PORT, such as 127.0.0.1:5432 or [::1]:5432.
	Address string `json:"address"`
}

// Validate checks the address without connecting.
func (p *ProbeTCP) Validate() error {
	_, port, err := net.SplitHostPort(p.Address)
	if err != nil || port == "" {
		return fmt.Errorf("address %q is not HOST:PORT, such as 127.0.0.1:5432", p.Address)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("address %q: %q is no port; write a number from 1 to 65535", p.Address, port)
	}
	return nil
}

// Probe connects once.
func (p *ProbeTCP) Probe(ctx context.Context, _ telemetry.ProbeCall) telemetry.Result {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", p.Address)
	if err == nil {
		err = conn.Close()
	}
	return telemetry.ResultOf(ctx, err)
}
