package process

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/cgroup"
)

// BenchmarkFault measures how long a fault takes until it holds and until it is proved to be gone, both together. A fault
// that a process holds pays for the start and the end of this test program.
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
			lives(b, jenner.FaultRecord{ID: "bench", Fault: bench.fault, Target: target, Params: bench.params})
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

func lives(b *testing.B, record jenner.FaultRecord) {
	injector := injecting(b)
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		injected, err := injector.Inject(b.Context(), record, time.Minute)
		if err == nil {
			err = injector.Undo(b.Context(), injected)
		}
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	for name, share := range map[string]float64{"p50-ms": 0.5, "p99-ms": 0.99} {
		b.ReportMetric(float64(took[int(share*float64(len(took)-1))])/float64(time.Millisecond), name)
	}
}
