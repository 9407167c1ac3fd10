//go:build kube

package scale

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// How large the benchmark is. Less is for a look while developing: the bounds are meant for these numbers.
var (
	workloads = flag.Int("scale.workloads", 500, "number of Deployments")
	pods      = flag.Int("scale.pods", 10, "pods of each Deployment")
	failures  = flag.Int("scale.failures", 250, "pods that are broken, each of another Deployment")
)

const (
	namespaces = 10
	nodes      = 10
	// quiet is for how long nothing is broken, to see what is asked then.
	quiet = 20 * time.Second
	// breakEvery is the time between two failures: a bad minute in a large cluster, which two cores can still play.
	breakEvery = 100 * time.Millisecond
	// healed is of how many of them, the first ones, what healing asks is counted. It is as many as Jenner heals at once.
	healed = 10
)

// The bounds that must hold.
const (
	mostMemory  = 300.0                  // MB, the most that the process ever had
	mostLatency = 500 * time.Millisecond // of 99 in 100 failures
	// Twelve calls a minute ask whether the API server lives; about as many begin anew the hundred streams that it ends every
	// five to ten minutes. As much again is for bad luck.
	mostCalm = 60.0
	// Ten are measured: to look, to check, to evict, and one for each change of the Deployment that is waited for. A pod that takes
	// longer to start changes it more often.
	mostCalls = 30.0
)

// BenchmarkScale runs `jenner serve` over 500 Deployments with 5,000 pods, and lets 250 of the pods crash. Once is enough,
// whatever b.N.
func BenchmarkScale(b *testing.B) {
	w := newWorld(b)
	w.kubelets(b)
	w.empty(b)
	b.Cleanup(func() { w.empty(b) })
	w.join(b)
	w.fill(b, namespaces, *workloads, int32(*pods))
	w.nodesReady(b)
	c := w.counting(b)
	j := w.watch(b, c.kubeconfig)
	b.Logf("asked to begin with: %s", c.since(nil))

	before, busy := c.since(nil), j.busy(b)
	<-time.After(quiet)
	calm := c.since(before)
	perMinute := float64(calm.sum()) / quiet.Minutes()
	b.Logf("asked in %s of quiet: %s", quiet, calm)
	b.ReportMetric(perMinute, "quiet-calls/min")
	b.ReportMetric(100*float64(j.busy(b)-busy)/float64(quiet), "quiet-cpu-%")

	before, start := c.since(nil), time.Now()
	took := w.breakSome(b, j, w.workloads[:healed])
	w.eventually(b, "the first incidents are healed", func(ctx context.Context) error { return j.healed(ctx, healed) })
	calls := c.since(before)
	perIncident := (float64(calls.sum()) - perMinute*time.Since(start).Minutes()) / healed
	b.Logf("asked during %d incidents, in %s: %s", healed, time.Since(start).Round(time.Second), calls)
	b.ReportMetric(perIncident, "calls/incident")

	took = append(took, w.breakSome(b, j, w.workloads[healed:*failures])...)
	j.judge(b, took)
	if perMinute > mostCalm || perIncident > mostCalls {
		b.Errorf("Jenner asks the API server %.0f times a minute, want at most %.0f, and %.0f times for an incident, want at most %.0f",
			perMinute, mostCalm, perIncident, mostCalls)
	}
	b.ReportMetric(0, "ns/op")
}

// breakSome lets pods of different Deployments crash, one after the other, and gives how long it took each time from the API
// server's answer until Jenner said that there is an incident, which is on its disk by then.
func (w *world) breakSome(b *testing.B, j *watcher, those []workload) []time.Duration {
	b.Helper()
	broken := map[string]time.Time{}
	tick := time.NewTicker(breakEvery)
	defer tick.Stop()
	for _, one := range those {
		list, err := w.client.CoreV1().Pods(one.namespace).List(b.Context(), metav1.ListOptions{LabelSelector: "app=" + one.name, ResourceVersion: "0"})
		if err != nil || len(list.Items) == 0 {
			b.Fatalf("%s has %d pods: %v", one.name, len(list.Items), err)
		}
		<-tick.C
		if _, err := w.client.CoreV1().Pods(one.namespace).Patch(b.Context(), list.Items[0].Name, types.StrategicMergePatchType,
			[]byte(crashing()), metav1.PatchOptions{}, "status"); err != nil {
			b.Fatal(err)
		}
		broken[one.name] = time.Now()
	}
	var took []time.Duration
	w.eventually(b, "all failures are noticed", func(context.Context) error {
		j.mu.Lock()
		defer j.mu.Unlock()
		took = nil
		for name, at := range broken {
			if noticed, is := j.noticed[name]; is {
				took = append(took, noticed.Sub(at))
			}
		}
		if len(took) < len(broken) {
			return errors.New(fmt.Sprint(len(took), " of ", len(broken), " are"))
		}
		return nil
	})
	return took
}

// crashing is what a kubelet writes of a pod whose container has ended for the third time.
func crashing() string {
	now := time.Now().UTC().Format(time.RFC3339)
	return fmt.Sprintf(`{"status": {
		"conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": %[1]q},
			{"type": "ContainersReady", "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": %[1]q}],
		"containerStatuses": [{"name": "app", "image": "app", "imageID": "", "ready": false, "started": false, "restartCount": 3,
			"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}},
			"lastState": {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": %[1]q, "finishedAt": %[1]q}}}]}}`, now)
}

// judge reports what was measured, and fails where a bound does not hold.
func (j *watcher) judge(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	of := func(share float64) time.Duration { return took[int(share*float64(len(took)-1))] }
	p50, p99, most := of(0.5), of(0.99), took[len(took)-1]
	for name, latency := range map[string]time.Duration{"p50-ms": p50, "p99-ms": p99, "max-ms": most} {
		b.ReportMetric(float64(latency)/float64(time.Millisecond), name)
	}
	peak, now := j.memory(b)
	b.ReportMetric(peak, "peak-rss-MB")
	b.ReportMetric(now, "rss-MB")
	if p99 > mostLatency {
		b.Errorf("of 100 failures 99 were noticed within %s, want within %s", p99, mostLatency)
	}
	if peak > mostMemory {
		b.Errorf("Jenner had up to %.0f MB in memory, want at most %.0f", peak, mostMemory)
	}
	fmt.Fprintf(os.Stderr, "noticed within %s (p50), %s (p99), %s (all of %d); %.0f MB at most, %.0f MB at the end\n", p50, p99, most, len(took), peak, now)
}
