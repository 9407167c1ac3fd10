package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner/internal/await"
)

// BenchmarkServeIdle is what `jenner serve` costs while it watches the whole shop under load and nothing is broken:
// memory, and the share of one core, by the kernel's count of nanoseconds on a processor.
func BenchmarkServeIdle(b *testing.B) {
	dir, err := makeWorld()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := stopWorld(context.Background(), dir); err != nil {
			b.Logf("cannot end the shop: %v", err)
		}
		os.RemoveAll(dir)
	})
	out := &lockedBuffer{}
	cmd := exec.Command(filepath.Join(dir, "jenner"), "serve", dir, "--data", filepath.Join(dir, "data"), "--listen", "", "--baseline", "5s")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	w := testWorld{dir: dir, data: filepath.Join(dir, "data")}
	await.True(b, "jenner has started the whole shop", func() bool {
		return strings.Count(out.String(), "verified: healthy") >= 8 && w.noneOpen(b)
	})
	// Once is enough, whatever b.N: it is a share of a long enough time.
	before, rest := onProcessor(b, cmd.Process.Pid), 30*time.Second
	<-time.After(rest)
	b.ReportMetric(100*float64(onProcessor(b, cmd.Process.Pid)-before)/float64(rest), "cpu-%")
	b.ReportMetric(resident(b, cmd.Process.Pid), "rss-MB")
	b.ReportMetric(0, "ns/op")
}

// onProcessor is how long all threads of a process were on a processor.
func onProcessor(b *testing.B, pid int) time.Duration {
	b.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		b.Fatalf("no threads of %d: %v", pid, err)
	}
	var sum time.Duration
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has just ended
		}
		ran, _, _ := strings.Cut(string(raw), " ")
		nanoseconds, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(nanoseconds)
	}
	return sum
}

// resident is the memory of a process in MB.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, after, _ := strings.Cut(string(raw), "VmRSS:")
	kilobytes, err := strconv.ParseFloat(strings.Fields(after)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kilobytes / 1024
}
