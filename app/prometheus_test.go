package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/provider/core"
)

// cluster is what would be kube-state-metrics, the kubelets and the node exporter: pages whose numbers a test writes.
type cluster struct {
	*httptest.Server
	mu    sync.Mutex
	pages map[string]string // by job
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{pages: map[string]string{}}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	page, up := c.pages[strings.TrimPrefix(r.URL.Path, "/")]
	c.mu.Unlock()
	if !up {
		http.Error(w, "gone", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	fmt.Fprint(w, page)
}

// is makes the pages say something from now on. A job that has no page cannot be scraped.
func (c *cluster) is(pages map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pages = pages
}

// jobs are all pages, scraped or not.
var jobs = []string{"kube-state-metrics", "kubelet", "node-exporter"}

// config is a Prometheus configuration that scrapes the cluster. The label service is what Jenner adds to what it scrapes.
func (c *cluster) config() string {
	var out strings.Builder
	out.WriteString("global: {scrape_interval: 500ms, evaluation_interval: 500ms, external_labels: {cluster: lab}}\nrule_files: ['*.rules.yaml']\nscrape_configs:\n")
	for _, job := range jobs {
		fmt.Fprintf(&out, "- {job_name: %s, metrics_path: /%s, static_configs: [{targets: ['%s'], labels: {service: %s}}]}\n", job, job,
			c.Listener.Addr(), job)
	}
	return out.String()
}

// services are the same pages as services that Jenner scrapes by itself.
func (c *cluster) services() string {
	var out strings.Builder
	for _, job := range jobs {
		fmt.Fprintf(&out, "---\nkind: service\nname: %s\nmetrics: [{scrape: %s/%s, every: 500ms, labels: {job: %s}}]\n", job, c.URL, job, job)
	}
	return out.String()
}

// logged is a log that several goroutines write.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// watching is a started Jenner over these files.
func watching(t testing.TB, files map[string]string) (*App, *logged) {
	t.Helper()
	dir, log := t.TempDir(), &logged{}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := New(Options{Config: []string{dir}, Data: t.TempDir(), Catalog: catalog.Merge(core.Provider),
		Logger: slog.New(slog.NewTextHandler(log, nil)), Baseline: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	return a, log
}

// realPrometheus starts one, for as long as the test lasts.
func realPrometheus(t testing.TB, config string, rules map[string]string, flags ...string) *lab.Prometheus {
	t.Helper()
	ctx, cancel := limit(t)
	defer cancel()
	prometheus, err := lab.StartPrometheus(ctx, t.TempDir(), config, rules, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := prometheus.Stop(); err != nil {
			t.Error(err)
		}
	})
	return prometheus
}

func limit(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 2*time.Minute)
}

// server is a document for a Prometheus that is looked at often.
func server(prometheus *lab.Prometheus) string {
	return fmt.Sprintf("kind: prometheus\nname: main\nurl: %s\ndefault: true\nevery: 300ms\ntimeout: 2s\nmax_age: 10s\nlabels: {cluster: lab}\n", prometheus.URL())
}

// told is one alert as its reader sees it.
type told map[string]string // labels, and what it says under "says"

func (a told) String() string {
	var words []string
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range a {
			if !yield(name) {
				return
			}
		}
	}) {
		words = append(words, name+"="+a[name])
	}
	return strings.Join(words, " ")
}

// firingThere are the alerts that fire in Prometheus.
func firingThere(t *testing.T, prometheus *lab.Prometheus) []string {
	t.Helper()
	response, err := http.Get(prometheus.URL() + "/api/v1/alerts")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Data struct {
			Alerts []struct {
				State               string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	var list []string
	for _, alert := range answer.Data.Alerts {
		if alert.State == "firing" {
			var says []string
			for _, name := range []string{"summary", "description", "message"} {
				if text := alert.Annotations[name]; text != "" {
					says = append(says, text)
				}
			}
			alert.Labels["says"] = strings.Join(says, " – ")
			list = append(list, told(alert.Labels).String())
		}
	}
	slices.Sort(list)
	return list
}

// firingHere are the alerts of catalogues that fire in Jenner.
func firingHere(a *App) []string {
	var list []string
	for _, alert := range a.World.Board.AllFiring() {
		if alert.Kind == jenner.AlertRule {
			one := told{"says": alert.Summary}
			for name, value := range alert.Labels {
				one[name] = value
			}
			list = append(list, one.String())
		}
	}
	slices.Sort(list)
	return list
}

// eventually waits until done says nothing is missing any more.
func eventually(t testing.TB, done func() string) {
	t.Helper()
	await.OK(t, "nothing is missing", func() error {
		if missing := done(); missing != "" {
			return errors.New(missing)
		}
		return nil
	})
}

// quickly makes the durations of a catalogue fit into a test. Nothing else of it is changed.
func quickly(text string) string {
	for _, change := range []struct{ what, by string }{
		{`(?m)^(\s+for:) \d+[mh]$`, "$1 1s"}, {`(?m)^(\s+keep_firing_for:) \d+m$`, "$1 4s"}, {`(?m)^(\s+interval:) \d+s$`, "$1 500ms"}, {`\[\d+m\]`, "[3s]"},
	} {
		text = regexp.MustCompile(change.what).ReplaceAllString(text, change.by)
	}
	return text
}

const healthyCluster = `
kube_replicaset_owner{namespace="shop",replicaset="web-1",owner_name="web",owner_kind="Deployment"} 1
kube_pod_owner{namespace="shop",pod="web-1-a",owner_kind="ReplicaSet",owner_name="web-1"} 1
kube_pod_owner{namespace="shop",pod="web-1-b",owner_kind="ReplicaSet",owner_name="web-1"} 1
kube_pod_info{namespace="shop",pod="web-1-a",node="n1"} 1
kube_pod_info{namespace="shop",pod="web-1-b",node="n2"} 1
kube_pod_status_phase{namespace="shop",pod="web-1-a",phase="Running"} 1
kube_pod_status_phase{namespace="shop",pod="web-1-a",phase="Pending"} 0
kube_pod_status_phase{namespace="shop",pod="web-1-b",phase="Running"} 1
kube_pod_status_phase{namespace="shop",pod="web-1-b",phase="Pending"} 0
kube_pod_container_resource_limits{namespace="shop",pod="web-1-a",container="web",resource="memory"} 100
kube_pod_container_resource_limits{namespace="shop",pod="web-1-b",container="web",resource="memory"} 100
kube_deployment_spec_replicas{namespace="shop",deployment="web"} 2
kube_deployment_status_replicas_available{namespace="shop",deployment="web"} 2
kube_deployment_status_replicas_updated{namespace="shop",deployment="web"} 2
kube_deployment_spec_paused{namespace="shop",deployment="web"} 0
kube_horizontalpodautoscaler_status_current_replicas{namespace="shop",horizontalpodautoscaler="web"} 2
kube_horizontalpodautoscaler_spec_max_replicas{namespace="shop",horizontalpodautoscaler="web"} 4
kube_node_status_condition{node="n1",condition="Ready",status="true"} 1
kube_node_status_condition{node="n2",condition="Ready",status="true"} 1
`

func kubelet(memory, free int) string {
	return fmt.Sprintf(`
container_memory_working_set_bytes{namespace="shop",pod="web-1-a",container="web",image="web:1"} %d
container_memory_working_set_bytes{namespace="shop",pod="web-1-b",container="web",image="web:1"} 40
kubelet_volume_stats_available_bytes{namespace="shop",persistentvolumeclaim="data"} %d
kubelet_volume_stats_capacity_bytes{namespace="shop",persistentvolumeclaim="data"} 1000
`, memory, free)
}

func nodes(busy float64) string {
	return fmt.Sprintf("node_cpu_busy{cpu=\"0\",mode=\"user\"} %g\nnode_cpu_busy{cpu=\"1\",mode=\"user\"} %g\n", busy, busy)
}

// TestACatalogueFiresAsInPrometheus loads one catalogue into a real Prometheus, into a Jenner that asks it, and into a Jenner
// that scrapes and evaluates by itself, and compares which alerts fire while a cluster falls ill and gets well.
func TestACatalogueFiresAsInPrometheus(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../examples/prometheus/kubernetes.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rules := quickly(string(raw))
	c := newCluster(t)
	c.is(map[string]string{jobs[0]: healthyCluster, jobs[1]: kubelet(40, 500), jobs[2]: nodes(0.2)})
	prometheus := realPrometheus(t, c.config(), map[string]string{"kubernetes.rules.yaml": rules})
	asking, _ := watching(t, map[string]string{"kubernetes.rules.yaml": rules, "server.yaml": server(prometheus)})
	alone, _ := watching(t, map[string]string{"kubernetes.rules.yaml": rules, "services.yaml": c.services()})
	sick := strings.NewReplacer(
		`kube_pod_status_phase{namespace="shop",pod="web-1-b",phase="Pending"} 0`, `kube_pod_status_phase{namespace="shop",pod="web-1-b",phase="Pending"} 1`,
		`available{namespace="shop",deployment="web"} 2`, `available{namespace="shop",deployment="web"} 0`,
		`current_replicas{namespace="shop",horizontalpodautoscaler="web"} 2`, `current_replicas{namespace="shop",horizontalpodautoscaler="web"} 4`,
		`{node="n2",condition="Ready",status="true"} 1`, `{node="n2",condition="Ready",status="true"} 0`,
	).Replace(healthyCluster) + `kube_pod_container_status_waiting_reason{namespace="shop",pod="web-1-a",container="web",reason="CrashLoopBackOff"} 1` + "\n"
	for _, phase := range []struct {
		name  string
		pages map[string]string
		want  []string // alertname/severity
	}{
		{"healthy", map[string]string{jobs[0]: healthyCluster, jobs[1]: kubelet(40, 500), jobs[2]: nodes(0.2)}, []string{"Watchdog/none"}},
		{"sick", map[string]string{jobs[0]: sick, jobs[1]: kubelet(175, 20), jobs[2]: nodes(0.99)}, []string{
			"KubeDeploymentReplicasMismatch/warning", "KubeDeploymentWithoutReplicas/critical", "KubeHpaMaxedOut/warning",
			"KubeNamespaceMemoryNearLimit/critical", "KubeNodeNotReady/warning", "KubePersistentVolumeFillingUp/critical",
			"KubePersistentVolumeFillingUp/warning", "KubePodCrashLooping/warning", "KubePodNotReady/warning", "NodeBusy/info", "Watchdog/none"}},
		{"half well", map[string]string{jobs[0]: healthyCluster, jobs[1]: kubelet(150, 100), jobs[2]: nodes(0.2)}, []string{
			"KubeNamespaceMemoryNearLimit/warning", "KubePersistentVolumeFillingUp/warning", "Watchdog/none"}},
		{"busy", map[string]string{jobs[0]: healthyCluster, jobs[1]: kubelet(40, 500), jobs[2]: nodes(0.99)}, []string{
			"InfoInhibitor/none", "NodeBusy/info", "Watchdog/none"}},
		{"well", map[string]string{jobs[0]: healthyCluster, jobs[1]: kubelet(40, 500), jobs[2]: nodes(0.2)}, []string{"Watchdog/none"}},
	} {
		c.is(phase.pages)
		eventually(t, func() string {
			return cmp.Diff(phase.want, short(firingThere(t, prometheus)))
		})
		for name, a := range map[string]*App{"asking Prometheus": asking, "by itself": alone} {
			eventually(t, func() string {
				there, here := firingThere(t, prometheus), firingHere(a)
				if name == "by itself" { // it has no external labels
					there = strings.Split(strings.ReplaceAll(strings.Join(there, "\n"), "on cluster lab.", "on cluster ."), "\n")
				}
				if diff := cmp.Diff(there, here); diff != "" {
					return phase.name + ", " + name + " (-Prometheus +Jenner):\n" + diff
				}
				return ""
			})
		}
	}
}

// short are alerts as NAME/SEVERITY.
func short(alerts []string) []string {
	var list []string
	for _, alert := range alerts {
		name, _, _ := strings.Cut(alert[strings.Index(alert, "alertname=")+len("alertname="):], " ")
		severity, _, _ := strings.Cut(alert[strings.Index(alert, "severity=")+len("severity="):], " ")
		list = append(list, name+"/"+severity)
	}
	slices.Sort(list)
	return list
}
