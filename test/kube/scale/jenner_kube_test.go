//go:build kube

package scale

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/procfs"

	"github.com/jenner-heal/jenner/internal/lab"
)

// service is a Deployment as people describe it: the target, and the question whether enough of its pods are ready.
const service = `kind: service
name: %[1]s
owner: team-%[2]s
tier: 2
environment: production
targets:
- {kind: deployment, name: %[1]s, namespace: %[2]s, kubeconfig: %[3]s}
probes:
- {name: whole, workload: {target: %[1]s, min_ready: 50%%}, every: 5s}
---
`

// healing replaces a pod whose containers do not stay up.
const healing = `kind: signature
name: crash-loop
cause: crash-loop
evidence:
- {event: CrashLoopBackOff, weight: 3}
---
kind: runbook
name: replace-pod
steps:
- {name: replace, action: delete_pod, blast_radius: {max_pods: 50%}}
- {name: settled, action: wait_for_rollout, params: {timeout: 1m}, timeout: 90s}
---
kind: policy
name: crash-loop
incident_type: crash-loop
runbooks: [replace-pod]
mode: auto
confidence_threshold: 0.8
verification_window: 1m
stable_for: 1s
`

// watcher is a `jenner serve` over all workloads.
type watcher struct {
	cmd  *exec.Cmd
	url  string // of its HTTP port
	told chan struct{}

	mu      sync.Mutex
	noticed map[string]time.Time // by service: when it said that an incident is open
	last    []string             // of what it said
}

// opened is the line that `jenner serve` prints when it has opened an incident, with the service.
var opened = regexp.MustCompile(`^\S+ \S+ +alert +CrashLoopBackOff on (\S+): `)

// watch starts `jenner serve` with a document for each workload, and waits until it is ready.
func (w *world) watch(b *testing.B, kubeconfig string) *watcher {
	b.Helper()
	program, dir := built(b, "../../..", "./cmd/jenner"), b.TempDir()
	for namespace, workloads := range w.byNamespace() {
		var text strings.Builder
		for _, one := range workloads {
			fmt.Fprintf(&text, service, one.name, namespace, kubeconfig)
		}
		if err := os.WriteFile(filepath.Join(dir, namespace+".yaml"), []byte(text.String()), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "healing.yaml"), []byte(healing), 0o600); err != nil {
		b.Fatal(err)
	}
	port, err := lab.FreePort()
	if err != nil {
		b.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	j := &watcher{url: "http://" + address, noticed: map[string]time.Time{}, told: make(chan struct{})}
	j.cmd = exec.Command(program, "serve", dir, "--data", b.TempDir(), "--listen", address, "--baseline", "5s")
	j.start(b)
	w.eventually(b, "jenner is ready", j.ready)
	return j
}

func (j *watcher) start(b *testing.B) {
	b.Helper()
	pipe, into, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	j.cmd.Stdout, j.cmd.Stderr = into, into
	err = j.cmd.Start()
	into.Close()
	if err != nil {
		b.Fatal(err)
	}
	go j.listen(pipe)
	b.Cleanup(func() {
		_ = j.cmd.Process.Signal(syscall.SIGTERM)
		killing := time.AfterFunc(10*time.Second, func() { _ = j.cmd.Process.Kill() })
		_ = j.cmd.Wait()
		killing.Stop()
		<-j.told
		if b.Failed() {
			b.Logf("jenner said last:\n%s", strings.Join(j.last, "\n"))
		}
	})
}

// listen notes when it is said that an incident is open: it is on disk by then.
func (j *watcher) listen(pipe io.ReadCloser) {
	defer close(j.told)
	defer pipe.Close()
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		now, line := time.Now(), lines.Text()
		j.mu.Lock()
		if found := opened.FindStringSubmatch(line); found != nil {
			if _, known := j.noticed[found[1]]; !known {
				j.noticed[found[1]] = now
			}
		}
		j.last = append(j.last[max(0, len(j.last)-60):], line)
		j.mu.Unlock()
	}
}

// ready asks for readiness: every probe was asked, and every observer has been in touch with the API server.
func (j *watcher) ready(ctx context.Context) error {
	_, err := j.ask(ctx, "/readyz")
	return err
}

func (j *watcher) ask(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(said)))
	}
	return said, err
}

// healed is an error until so many incidents have ended, each healed, as Jenner's own metrics tell.
func (j *watcher) healed(ctx context.Context, count int) error {
	page, err := j.ask(ctx, "/metrics")
	if err != nil {
		return err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		return err
	}
	phases := map[string]int{}
	for _, metric := range families["jenner_incidents_total"].GetMetric() {
		phases[metric.GetLabel()[0].GetValue()] = int(metric.GetCounter().GetValue())
	}
	if phases["resolved"] < count {
		return fmt.Errorf("of %d have ended %v", count, phases)
	}
	return nil
}

// memory is the most that the process has had in memory so far, and what it has at present, in MB.
func (j *watcher) memory(b *testing.B) (most, now float64) {
	b.Helper()
	process, err := procfs.NewProc(j.cmd.Process.Pid)
	if err != nil {
		b.Fatal(err)
	}
	status, err := process.NewStatus()
	if err != nil {
		b.Fatal(err)
	}
	return float64(status.VmHWM) / 1e6, float64(status.VmRSS) / 1e6
}

// busy is for how long the process has had a core to itself so far.
func (j *watcher) busy(b *testing.B) time.Duration {
	b.Helper()
	process, err := procfs.NewProc(j.cmd.Process.Pid)
	if err != nil {
		b.Fatal(err)
	}
	stat, err := process.Stat()
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(stat.CPUTime() * float64(time.Second))
}
