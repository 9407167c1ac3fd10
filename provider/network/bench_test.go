package network

import (
	"io"
	"testing"

	"github.com/jenner-heal/jenner"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// BenchmarkFault has a connection made before each time, for resets to cut.
func BenchmarkFault(b *testing.B) {
	for _, fault := range []struct {
		name   string
		params map[string]any
	}{
		{"partition", nil}, {"loss", map[string]any{"share": "30%"}}, {"latency", map[string]any{"delay": "50ms"}},
		{"bandwidth", map[string]any{"rate": "1mbit"}}, {"reset", nil},
	} {
		b.Run(fault.name, func(b *testing.B) {
			w := newWorld(b)
			params := jenner.Params{}
			for key, value := range fault.params {
				params[key] = jenner.Raw(value)
			}
			faulttest.Benchmark(b, catalog.Merge(Provider).MakeFault,
				jenner.FaultRecord{Fault: "network." + fault.name, Params: params, Target: w.target(server)},
				func() { w.connected(b, "tcp", at(theirs, echoPort)) })
		})
	}
}

// BenchmarkOtherTraffic sends a stream that no fault is about: without any fault, and with one armed that nobody meets.
// What a fault costs others is the difference.
func BenchmarkOtherTraffic(b *testing.B) {
	for _, fault := range []struct {
		name   string
		params map[string]any
	}{
		{"nothing", nil}, {"partition", map[string]any{}}, {"latency", map[string]any{"delay": "50ms"}}, {"bandwidth", map[string]any{"rate": "1mbit"}},
	} {
		b.Run(fault.name, func(b *testing.B) {
			w := newWorld(b)
			if fault.params != nil {
				w.inject(b, fault.name, fault.params, server)
			}
			const chunk = 1 << 20
			conn := w.connected(b, "tcp", at(theirs, otherPort))
			sent, back := make([]byte, chunk), make([]byte, chunk)
			b.SetBytes(chunk)
			for b.Loop() {
				wrote := make(chan error, 1)
				go func() {
					_, err := conn.Write(sent)
					wrote <- err
				}()
				if _, err := io.ReadFull(conn, back); err != nil {
					b.Fatal(err)
				}
				if err := <-wrote; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
