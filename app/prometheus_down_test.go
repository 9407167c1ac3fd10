package app

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/lab"
)

// shopFiles are a service that lives on a server, and a catalogue whose alerts are mapped to it.
const shopFiles = `
---
kind: service
name: shop
alerts:
- {name: TooManyErrors, promql: 'errors{job="kubelet"} > 5', severity: ticket}
- {name: AnyErrors, promql: 'errors > 5'}
slis: [{name: errors, promql: 'max(errors{job="kubelet"})', below: 5}]
---
kind: service
name: metrics
---
kind: mapping
name: cluster
rules: [{match: {job: kubelet, alertname: Waiting.*}, service: shop}, {match: {alertname: Ignored}, ignore: true}]
---
groups:
- name: shop
  rules:
  - {alert: Waiting, expr: 'waiting{job="kubelet"} > 0', labels: {severity: critical}, annotations: {summary: 'waits for {{ $labels.what }}'}}
  - {alert: Ignored, expr: 'vector(1)'}
  - {alert: Nobodys, expr: 'errors{job="kubelet"} > 5'}
`

const (
	shopIll  = "errors 9\nwaiting{what=\"bank\"} 1\n"
	shopWell = "errors 1\n"
)

// shopOn starts a cluster with a shop that is ill, a Prometheus that scrapes it, and a Jenner that asks that one.
func shopOn(t *testing.T) (*cluster, *lab.Prometheus, *App, *logged) {
	t.Helper()
	c := newCluster(t)
	c.is(map[string]string{jobs[1]: shopIll, jobs[2]: shopWell})
	prometheus := realPrometheus(t, c.config(), nil)
	a, log := watching(t, map[string]string{"shop.yaml": strings.Replace(server(prometheus), "default: true", "default: true\nservice: metrics", 1) + shopFiles})
	eventually(t, func() string { return cmp.Diff(shopAlerts, names(a)) })
	return c, prometheus, a, log
}

var shopAlerts = []string{"/Nobodys", "shop/AnyErrors", "shop/TooManyErrors", "shop/Waiting"}

// names are the firing alerts as SERVICE/NAME.
func names(a *App) []string {
	list := []string{}
	for _, alert := range a.World.Board.AllFiring() {
		list = append(list, alert.Service+"/"+alert.Name)
	}
	slices.Sort(list)
	return list
}

// stays polls for a while whether something stays as it is.
func stays(t *testing.T, lasting time.Duration, wrong func() string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(lasting); time.Now().Before(end); <-tick.C {
		if said := wrong(); said != "" {
			t.Fatal(said)
		}
	}
}

func seenAt(a *App, name string) time.Time {
	for _, alert := range a.World.Board.AllFiring() {
		if alert.Name == name {
			return alert.SeenAt
		}
	}
	return time.Time{}
}

func telemetryUp(t *testing.T, a *App) float64 {
	t.Helper()
	answer, err := a.metrics.Query(t.Context(), `jenner_telemetry_up{server="main"}`)
	if err != nil {
		t.Fatal(err)
	}
	if answer.NoData() {
		return -1
	}
	return answer.Samples[0].Value
}

// TestAServerThatDies: while nobody knows, nothing is resolved and nothing fires, and people are told.
func TestAServerThatDies(t *testing.T) {
	t.Parallel()
	c, prometheus, a, log := shopOn(t)
	eventually(t, func() string {
		if up, open := telemetryUp(t, a), a.OpenIncidents(); up != 1 || open != 1 {
			return fmt.Sprintf("jenner_telemetry_up is %g, %d incidents are open, want one, of shop", up, open)
		}
		return ""
	})
	if unmapped, ignored := a.engine.Nobody(); unmapped != 1 || ignored != 1 || !strings.Contains(log.String(), "is no service's") {
		t.Errorf("%d alerts are nobody's and %d are ignored, want one each; the log:\n%s", unmapped, ignored, log)
	}
	if age := time.Since(a.servers.Statuses()[0].Since); age < 0 {
		t.Errorf("it is up since %s", age)
	}
	if err := prometheus.Kill(); err != nil {
		t.Fatal(err)
	}
	c.is(map[string]string{jobs[1]: shopWell, jobs[2]: shopWell}) // which nobody can see
	down := append([]string{"/Nobodys", "metrics/telemetry-down"}, shopAlerts[1:]...)
	eventually(t, func() string { return cmp.Diff(down, names(a)) })
	seen := seenAt(a, "Waiting")
	stays(t, 3*time.Second, func() string {
		if now := seenAt(a, "Waiting"); !now.Equal(seen) {
			return "an alert was seen although nobody can look"
		}
		return cmp.Diff(down, names(a))
	})
	if !strings.Contains(log.String(), "a server of metrics does not answer") {
		t.Errorf("nobody was told; the log:\n%s", log)
	}
	eventually(t, func() string {
		if up, open := telemetryUp(t, a), a.OpenIncidents(); up != 0 || open != 2 {
			return fmt.Sprintf("jenner_telemetry_up is %g, %d incidents are open, want two, of shop and of metrics", up, open)
		}
		return ""
	})
	ctx, cancel := limit(t)
	defer cancel()
	if err := prometheus.Start(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string { return cmp.Diff([]string{}, names(a)) })
	if !strings.Contains(log.String(), "answers again") {
		t.Errorf("nobody was told that it is back; the log:\n%s", log)
	}
}

// TestAServerThatHangs: an answer that does not come is an error, and what is asked of Jenner's own numbers goes on meanwhile.
func TestAServerThatHangs(t *testing.T) {
	t.Parallel()
	_, prometheus, a, log := shopOn(t)
	if err := prometheus.Pause(); err != nil {
		t.Fatal(err)
	}
	down := append([]string{"/Nobodys", "metrics/telemetry-down"}, shopAlerts[1:]...)
	eventually(t, func() string { return cmp.Diff(down, names(a)) })
	if _, err := a.World.Telemetry.Query(t.Context(), "up"); err == nil || jenner.NextAfter(err) != jenner.TryAgain ||
		!strings.Contains(err.Error(), "gave no answer within 2s") {
		t.Errorf("the error is %v", err)
	}
	own := jenner.Asking(t.Context(), jenner.Question{Own: true})
	if answer, err := a.World.Telemetry.Query(own, "jenner_telemetry_up"); err != nil || answer.NoData() {
		t.Errorf("Jenner's own numbers: %+v, %v", answer, err)
	}
	stays(t, 3*time.Second, func() string { return cmp.Diff(down, names(a)) })
	if !strings.Contains(log.String(), "a rule could not be evaluated, which counts as no data") {
		t.Errorf("nobody was told; the log:\n%s", log)
	}
	if err := prometheus.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string { return cmp.Diff(shopAlerts, names(a)) })
}

// TestAJobThatCannotBeScraped: Prometheus forgets its alerts then, and Jenner does not, for nobody knows. That another instance
// is well says nothing about this one.
func TestAJobThatCannotBeScraped(t *testing.T) {
	t.Parallel()
	c, prometheus, a, _ := shopOn(t)
	c.is(map[string]string{jobs[2]: shopWell})
	ctx := jenner.Asking(t.Context(), jenner.Question{Service: "shop"})
	eventually(t, func() string {
		answer, err := a.World.Telemetry.Query(ctx, `up{job="kubelet"} == 0`)
		if err != nil || answer.NoData() {
			return fmt.Sprintf("%s says that the kubelet is up: %v", prometheus.URL(), err)
		}
		return ""
	})
	seen := seenAt(a, "Waiting")
	stays(t, 3*time.Second, func() string {
		if now := seenAt(a, "Waiting"); !now.Equal(seen) {
			return "an alert was seen although nobody can look"
		}
		return cmp.Diff(shopAlerts, names(a))
	})
	for _, check := range a.World.Steady(t.Context(), a.Docs().Services[0]) {
		if check.Outcome != jenner.Inconclusive {
			t.Errorf("without data, a check says %+v", check)
		}
	}
	c.is(map[string]string{jobs[1]: shopWell, jobs[2]: shopWell})
	eventually(t, func() string { return cmp.Diff([]string{}, names(a)) })
}

// TestNumbersThatAreTooOld are no data, whether the server passes them over itself or not.
func TestNumbersThatAreTooOld(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.is(map[string]string{jobs[1]: fmt.Sprintf("errors 9 %d\n", time.Now().Add(-time.Minute).UnixMilli())})
	prometheus := realPrometheus(t, c.config(), nil)
	direct, err := url.Parse(prometheus.URL())
	if err != nil {
		t.Fatal(err)
	}
	deaf := newCluster(t) // a server that does not know lookback_delta
	proxy := httputil.NewSingleHostReverseProxy(direct)
	deaf.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := url.Values{"query": {r.FormValue("query")}}
		r.Method, r.Body, r.ContentLength, r.URL.RawQuery = http.MethodGet, http.NoBody, 0, query.Encode()
		r.Header.Del("Content-Type")
		proxy.ServeHTTP(w, r)
	})
	for name, address := range map[string]string{"Prometheus": prometheus.URL(), "another one": deaf.URL} {
		files := strings.Replace(server(prometheus), prometheus.URL(), address, 1)
		a, _ := watching(t, map[string]string{"shop.yaml": files + shopFiles})
		patient, _ := watching(t, map[string]string{"shop.yaml": strings.Replace(files, "max_age: 10s", "max_age: 4m", 1) + shopFiles})
		eventually(t, func() string {
			return cmp.Diff([]string{"/Nobodys", "shop/AnyErrors", "shop/TooManyErrors"}, names(patient))
		})
		ctx := jenner.Asking(t.Context(), jenner.Question{Service: "shop"})
		stays(t, time.Second, func() string {
			if answer, err := a.World.Telemetry.Query(ctx, "errors > 5"); err != nil || !answer.NoData() {
				return fmt.Sprintf("%s: numbers that are a minute old give %+v, %v", name, answer, err)
			}
			return cmp.Diff([]string{}, names(a))
		})
		if has, err := a.view.HasData(ctx, "errors > 5"); err != nil || has {
			t.Errorf("%s: HasData says %v, %v", name, has, err)
		}
		newest, believed := patient.World.Heard(patient.Docs().Services[0])
		if age := time.Since(newest); age < 50*time.Second || age > 3*time.Minute || believed != 4*time.Minute {
			t.Errorf("%s: the newest number of shop is %s old, and believed for %s", name, age, believed)
		}
	}
}
