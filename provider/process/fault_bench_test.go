package process

import (
	"fmt"
	"os"
	"testing"

	"github.com/jenner-heal/jenner"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/cgroup"
)

// BenchmarkFault pays, where a process holds the fault, for the start and the end of this test program.
func BenchmarkFault(b *testing.B) {
	for _, bench := range []struct {
		fault  string
		params jenner.Params
		group  bool
	}{
		{"process.kill", nil, false},
		{"process.hang", nil, false},
		{"process.descriptors", nil, false},
		{"process.pids", nil, true},
		{"process.crash_loop", jenner.Params{"after": jenner.Raw("0")}, false},
		{"process.io_error", jenner.Params{"path": jenner.Raw(".")}, false},
		{"process.io_delay", jenner.Params{"path": jenner.Raw("."), "delay": jenner.Raw("1ms")}, false},
		{"process.slow_start", jenner.Params{"delay": jenner.Raw("1m")}, false},
	} {
		b.Run(bench.fault, func(b *testing.B) {
			dir := b.TempDir()
			target := jenner.Target{Kind: "process", Name: "shop", Dir: dir, Params: jenner.Params{
				"start": jenner.Raw(command("pidfile=shop.pid")), "pidfile": jenner.Raw("shop.pid"),
				"env": jenner.Raw(map[string]string{role: "serve"})}}
			if _, err := ensureRunning(b.Context(), target); err != nil {
				b.Fatal(err)
			}
			defer ensureGone(b.Context(), target, 0)
			if bench.group {
				defer alone(b, target)()
			}
			faulttest.Benchmark(b, catalog.Merge(Provider).MakeFault, jenner.FaultRecord{Fault: bench.fault, Target: target, Params: bench.params})
		})
	}
}

// alone puts the target's process into a control group of its own.
func alone(b *testing.B, target jenner.Target) (end func()) {
	_, seen, err := see(target)
	if err != nil {
		b.Fatal(err)
	}
	group, err := cgroup.Of(os.Getpid(), "pids")
	if err != nil {
		b.Fatal(err)
	}
	home := group.Dir
	group.Dir = fmt.Sprintf("%s/jenner-bench-%d", home, os.Getpid())
	if err := os.Mkdir(group.Dir, 0o755); err != nil {
		b.Fatal(err)
	}
	if err := group.Write("cgroup.procs", fmt.Sprint(seen.Pid)); err != nil {
		b.Fatal(err)
	}
	return func() {
		if err := (cgroup.Group{Dir: home}).Write("cgroup.procs", fmt.Sprint(seen.Pid)); err != nil {
			b.Error(err)
		}
		if err := os.Remove(group.Dir); err != nil {
			b.Error(err)
		}
	}
}
