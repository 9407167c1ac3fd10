package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jenner-heal/jenner/internal/await"
)

// quietDrill breaks nothing, so that what it costs is the drill itself: its looks, its commits, its queries.
const quietDrill = `
kind: experiment
name: quiet
hypothesis: nothing is broken
service: checkout
expect: {no_action_for: 1m}
expect_verdict: NOT_NEEDED
`

// BenchmarkDrillOverhead is by how much the median order of the shop takes longer while a drill looks at it than while
// `serve` watches it, the median of several comparisons, and how much of a core Jenner then takes in each case.
func BenchmarkDrillOverhead(b *testing.B) {
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
	drill := filepath.Join(b.TempDir(), "quiet.yaml")
	if err := os.WriteFile(drill, []byte(quietDrill), 0o600); err != nil {
		b.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	serve := []string{"serve", dir, "--data", data, "--listen", "", "--baseline", "5s"}
	orders(b, dir, "verified: healthy", 8, serve...) // starts the shop, whose first orders are slower
	var overhead, servedCPU, drilledCPU []float64
	for range overheadPairs { // in turns, so that what else the machine does in these minutes falls on both
		drilled, ofDrill := orders(b, dir, "observe", 1, "drill", drill, "--config", dir, "--data", data, "--baseline", "5s")
		served, ofServe := orders(b, dir, "", 0, serve...)
		overhead = append(overhead, 100*(float64(drilled)/float64(served)-1))
		servedCPU, drilledCPU = append(servedCPU, ofServe), append(drilledCPU, ofDrill)
	}
	slices.Sort(overhead)
	b.ReportMetric(middle(overhead), "overhead-%")
	b.ReportMetric(overhead[0], "overhead-least-%")
	b.ReportMetric(overhead[len(overhead)-1], "overhead-most-%")
	b.ReportMetric(middle(servedCPU), "served-cpu-%")
	b.ReportMetric(middle(drilledCPU), "drilled-cpu-%")
	b.ReportMetric(0, "ns/op")
}

// overheadPairs is how often the two are compared; orderWindow is for how long orders are placed each time.
const (
	overheadPairs = 9
	orderWindow   = 8 * time.Second
)

// middle is the one in the middle, or the upper of two.
func middle[T float64 | time.Duration](of []T) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// orders runs jenner until it has said a word so many times, and then places orders for a while, one after the other. It
// gives how long the median one took, and the share of a core that jenner had meanwhile.
func orders(b *testing.B, dir, word string, times int, args ...string) (typical time.Duration, cpu float64) {
	b.Helper()
	out := &lockedBuffer{}
	cmd := exec.Command(filepath.Join(dir, "jenner"), args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	raw, err := os.ReadFile(filepath.Join(dir, "services.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	front := regexp.MustCompile(`http://[0-9.]+:18080/orders`).FindString(string(raw))
	defer func() {
		if b.Failed() {
			b.Logf("jenner %s said:\n%s", args[0], out.String())
		}
	}()
	await.True(b, "jenner says "+word, func() bool { return strings.Count(out.String(), word) >= times })
	before, began := onProcessor(b, cmd.Process.Pid), time.Now()
	var took []time.Duration
	for time.Since(began) < orderWindow {
		start := time.Now()
		response, err := http.Post(front, "application/json", strings.NewReader(`{"sku":"mug","quantity":1}`))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode >= 300 {
			b.Fatal(fmt.Errorf("an order was answered with status %d", response.StatusCode))
		}
		took = append(took, time.Since(start))
	}
	return middle(took), 100 * float64(onProcessor(b, cmd.Process.Pid)-before) / float64(time.Since(began))
}
