package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/internal/alertmanager"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/provider/core"
	"github.com/jenner-heal/jenner/provider/file"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// token is what the senders of these tests prove themselves with.
const token = "a-token-of-these-tests"

// mended is a shop whose errors are a number in a file, and how they are mended. Its alert comes from elsewhere.
const mended = `
kind: service
name: shop
targets: [{kind: file, name: flags, path: flags.json}]
---
kind: mapping
name: ours
rules:
- match: {namespace: sh.p}
  service: shop
---
kind: signature
name: broken
cause: broken
evidence: [{alert: ShopBroken}]
---
kind: runbook
name: mend
steps: [{name: mend, action: set_flag, params: {key: errors, value: 0}}]
---
kind: policy
name: mend
incident_type: broken
runbooks: [mend]
mode: auto
stable_for: 200ms
verification_window: 40s
`

// shop is the world of these tests: a metrics page that shows the number in the file.
type shop struct {
	t     *testing.T
	dir   string
	page  *httptest.Server
	data  string
	files string
}

func newShop(t *testing.T, documents ...string) *shop {
	t.Helper()
	s := &shop{t: t, dir: t.TempDir(), data: t.TempDir()}
	s.set(0)
	s.write("token", token+"\n")
	s.write("jenner.yaml", mended+"---\n"+strings.Join(documents, "\n---\n"))
	s.page = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "shop_errors{namespace=\"shop\"} %d\n", s.errors())
	}))
	t.Cleanup(s.page.Close)
	return s
}

func (s *shop) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) set(errors int) { s.write("flags.json", fmt.Sprintf(`{"errors": %d}`, errors)) }

func (s *shop) errors() int {
	raw, err := os.ReadFile(filepath.Join(s.dir, "flags.json"))
	var flags struct {
		Errors int `json:"errors"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &flags)
	}
	if err != nil {
		s.t.Error(err)
	}
	return flags.Errors
}

// start runs Jenner until the test ends, or it is stopped.
func (s *shop) start(change ...func(*app.Options)) *app.App {
	s.t.Helper()
	options := app.Options{Config: []string{s.dir + "/jenner.yaml"}, Data: s.data, Listen: "127.0.0.1:0",
		Catalog: catalog.Merge(core.Provider, file.Provider), Logger: slog.New(slog.NewTextHandler(s.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, one := range change {
		one(&options)
	}
	a, err := app.New(options)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := a.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			s.t.Error(err)
		}
	})
	return a
}

// prometheus watches the page and tells the alertmanager, a block of the configuration, of its one alert.
func (s *shop) prometheus(alertmanagers string) *lab.Prometheus {
	s.t.Helper()
	config := fmt.Sprintf(`
global: {scrape_interval: 200ms, evaluation_interval: 200ms}
alerting:
  alertmanagers:
  - %s
rule_files: [rules.yml]
scrape_configs: [{job_name: shop, static_configs: [{targets: [%q]}]}]
`, strings.ReplaceAll(alertmanagers, "\n", "\n    "), strings.TrimPrefix(s.page.URL, "http://"))
	rules := `groups: [{name: shop, rules: [{alert: ShopBroken, expr: shop_errors > 0, labels: {severity: critical}, annotations: {summary: it is broken}}]}]`
	p, err := lab.StartPrometheus(s.t.Context(), filepath.Join(s.t.TempDir(), "prometheus"), config, map[string]string{"rules.yml": rules},
		"--rules.alert.resend-delay=1s")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = p.Stop() })
	return p
}

func (s *shop) alertmanager(webhook string) *lab.Alertmanager {
	s.t.Helper()
	config := "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
	if webhook != "" {
		config = fmt.Sprintf(`
route: {receiver: jenner, group_by: [alertname], group_wait: 100ms, group_interval: 1s, repeat_interval: 1h}
receivers:
- name: jenner
  webhook_configs:
  - {url: %q, send_resolved: true, http_config: {authorization: {credentials: %s}}}
`, webhook, token)
	}
	a, err := lab.StartAlertmanager(s.t.Context(), s.t.TempDir(), config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = a.Stop() })
	return a
}

// poll waits for something for half a minute.
func poll(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-tick.C {
		if is() {
			return
		}
	}
	t.Fatalf("not within 30 seconds: %s", what)
}

type ending struct {
	phase    jenner.Phase
	incident jenner.Incident
}

// incidents are all of them, the newest last.
func incidents(t *testing.T, a *app.App) []ending {
	t.Helper()
	records, err := a.Store.List(t.Context(), loop.IncidentLine, sqlite.ListFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var all []ending
	for _, record := range records {
		one := ending{phase: record.Phase}
		if err := json.Unmarshal(record.State, &one.incident); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// healed waits until the one incident is resolved by the runbook.
func (s *shop) healed(a *app.App) {
	s.t.Helper()
	poll(s.t, "the incident to be resolved", func() bool {
		all := incidents(s.t, a)
		return len(all) > 0 && all[0].phase.Final()
	})
	all := incidents(s.t, a)
	if len(all) != 1 || all[0].phase != jenner.PhaseResolved || len(all[0].incident.Runs) != 1 {
		s.t.Errorf("the incidents are %+v, want one that is resolved after one run", all)
	}
	if left := s.errors(); left != 0 {
		s.t.Errorf("%d errors are left", left)
	}
}

// told are the numbers of one receiver, by result.
func told(t *testing.T, a *app.App, receiver string) map[string]uint64 {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Address.String()+"/api/alerts", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var status app.AlertsStatus
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", response.Status, err)
	}
	return status.Received[receiver]
}

// TestAPrometheusHasJennerAmongItsAlertmanagers: what it fires is healed, and its own word that it is over ends the incident.
func TestAPrometheusHasJennerAmongItsAlertmanagers(t *testing.T) {
	s := newShop(t, "{kind: receiver, name: prom, from: prometheus, token: {file: token}}")
	a := s.start()
	s.prometheus(fmt.Sprintf("{authorization: {credentials: %s}, static_configs: [{targets: [%q]}]}", token, a.Address))
	s.set(3)
	s.healed(a)
	if got := told(t, a, "prom"); got["fires"] != 1 || got["resolved"] != 1 || got["unmapped"] != 0 {
		t.Errorf("it was told %v, want one that fires and one that is resolved", got)
	}
}

// TestAnAlertmanagerTellsJenner by its webhook. It is asked too, so that neither the end nor a doubt waits for its next word.
func TestAnAlertmanagerTellsJenner(t *testing.T) {
	for name, asked := range map[string]bool{"asked": true, "not asked": false} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			port, err := lab.FreePort()
			if err != nil {
				t.Fatal(err)
			}
			am := s.alertmanager(fmt.Sprintf("http://127.0.0.1:%d/api/alerts/alertmanager", port))
			receiver := "{kind: receiver, name: am, from: alertmanager, token: {file: token}}"
			if asked {
				receiver = fmt.Sprintf("{kind: receiver, name: am, from: alertmanager, token: {file: token}, alertmanager: {url: %q, every: 1s}}", am.URL())
			}
			s.write("jenner.yaml", mended+"---\n"+receiver)
			a := s.start(func(o *app.Options) { o.Listen = fmt.Sprintf("127.0.0.1:%d", port) })
			s.prometheus(fmt.Sprintf("{static_configs: [{targets: [\"127.0.0.1:%d\"]}]}", am.Port))
			s.set(3)
			s.healed(a)
		})
	}
}

// post sends a body and gives the status and the answer.
func post(t *testing.T, url, body string, headers ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(said)
}

var _ = alertmanager.Alert{}
