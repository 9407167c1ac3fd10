package host

import (
	"testing"

	"github.com/jenner-heal/jenner"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
)

// BenchmarkFault pays for the start and the end of this test program, which holds the fault.
func BenchmarkFault(b *testing.B) {
	for _, bench := range []struct {
		fault  string
		params jenner.Params
		target func() jenner.Target
	}{
		{"host.cpu", jenner.Params{"workers": jenner.Raw(1), "nice": jenner.Raw(19)}, func() jenner.Target { return machine }},
		{"host.memory", jenner.Params{"size": jenner.Raw("64MB")}, func() jenner.Target { return machine }},
		{"host.disk_full", nil, func() jenner.Target { return mounted(b) }},
	} {
		b.Run(bench.fault, func(b *testing.B) {
			faulttest.Benchmark(b, catalog.Merge(Provider).MakeFault,
				jenner.FaultRecord{Fault: bench.fault, Target: bench.target(), Params: bench.params})
		})
	}
}
