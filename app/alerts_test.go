package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
	"github.com/jenner-heal/jenner/internal/alertmanager"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/loop"
	providerof "github.com/jenner-heal/jenner/provider/alertmanager"
	"github.com/jenner-heal/jenner/provider/command"
	"github.com/jenner-heal/jenner/provider/core"
	"github.com/jenner-heal/jenner/provider/file"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// token is what the senders of these tests prove themselves with.
const token = "a-token-of-these-tests"

// all is what these tests' Jenner can do.
var all = catalog.Merge(core.Provider, providerof.Provider, command.Provider, file.Provider)

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
	t    *testing.T
	dir  string
	page *httptest.Server
	data string
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
		Catalog: all, Logger: slog.New(slog.NewTextHandler(s.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))}
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

// prometheus watches the page and tells the Alertmanagers, each as the configuration has it, of its one alert.
func (s *shop) prometheus(alertmanagers ...string) *lab.Prometheus {
	s.t.Helper()
	config := fmt.Sprintf(`
global: {scrape_interval: 200ms, evaluation_interval: 200ms}
alerting:
  alertmanagers:
  - %s
rule_files: [rules.yml]
scrape_configs: [{job_name: shop, static_configs: [{targets: [%q]}]}]
`, strings.Join(alertmanagers, "\n  - "), strings.TrimPrefix(s.page.URL, "http://"))
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
	await.True(s.t, "the incident to be resolved", func() bool {
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

// holdingUp is a runbook whose last step waits until the file `+"`go`"+` is there.
const holdingUp = `
kind: runbook
name: mend
steps:
- {name: hold, action: command.run, params: {argv: [sh, -c, 'while [ -d %[1]s ] && [ ! -e %[1]s/go ]; do sleep 0.1; done'], idempotent: true}, timeout: 1m}
- {name: mend, action: set_flag, params: {key: errors, value: 0}}
`

// slowly makes the shop's runbook wait until the returned function is called.
func (s *shop) slowly(documents ...string) (goOn func()) {
	s.t.Helper()
	before, after, _ := strings.Cut(mended, "\nkind: runbook\n")
	_, policy, _ := strings.Cut(after, "\n---\n")
	s.write("jenner.yaml", before+fmt.Sprintf(holdingUp, s.dir)+"---\n"+policy+"---\n"+strings.Join(documents, "\n---\n"))
	return func() { s.write("go", "") }
}

// silences are those of Jenner at an Alertmanager that are not over.
func silences(t *testing.T, am *lab.Alertmanager) []alertmanager.Silence {
	t.Helper()
	all, err := (&alertmanager.Client{URL: am.URL()}).Silences(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(s alertmanager.Silence) bool { return s.Ended() || s.CreatedBy != "jenner" })
}

// firing are the alerts of one name at an Alertmanager.
func firing(t *testing.T, am *lab.Alertmanager, name string) []alertmanager.Alert {
	t.Helper()
	all, _, err := (&alertmanager.Client{URL: am.URL()}).Alerts(t.Context(), alertmanager.Named([]string{name}))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAnAlertIsSilencedWhileSomethingIsDoneAboutIt: that alert and no other, and no longer.
func TestAnAlertIsSilencedWhileSomethingIsDoneAboutIt(t *testing.T) {
	s := newShop(t)
	port, err := lab.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	am := s.alertmanager(fmt.Sprintf("http://127.0.0.1:%d/api/alerts/alertmanager", port))
	goOn := s.slowly(fmt.Sprintf(`{kind: receiver, name: am, from: alertmanager, token: {file: token},
  alertmanager: {url: %q, every: 1s, silence_while_acting: true, silence_for: 4s}}`, am.URL()))
	a := s.start(func(o *app.Options) { o.Listen = fmt.Sprintf("127.0.0.1:%d", port) })
	s.prometheus(fmt.Sprintf("{static_configs: [{targets: [\"127.0.0.1:%d\"]}]}", am.Port))
	s.set(3)
	await.True(t, "a silence", func() bool { return len(silences(t, am)) == 1 })
	made := silences(t, am)[0]
	if len(made.Matchers) != 5 || time.Until(made.EndsAt) > 5*time.Second {
		t.Errorf("the silence is %+v; it must name all five labels of the alert and end soon", made)
	}
	await.True(t, "the alert to be silenced", func() bool {
		all := firing(t, am, "ShopBroken")
		return len(all) == 1 && all[0].Status.State == "suppressed" && len(all[0].Status.SilencedBy) == 1
	})
	await.True(t, "the silence to be renewed", func() bool {
		now := silences(t, am)
		return len(now) == 1 && now[0].ID == made.ID && now[0].EndsAt.After(made.EndsAt)
	})
	goOn()
	s.healed(a)
	await.True(t, "the silence to be over", func() bool { return len(silences(t, am)) == 0 })
}

// TestIncidentsAreShownInAnAlertmanager for as long as they last, and never come back as alerts of others.
func TestIncidentsAreShownInAnAlertmanager(t *testing.T) {
	s := newShop(t)
	port, err := lab.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	am := s.alertmanager(fmt.Sprintf("http://127.0.0.1:%d/api/alerts/alertmanager", port))
	goOn := s.slowly(fmt.Sprintf("{kind: receiver, name: am, from: alertmanager, token: {file: token}, alertmanager: {url: %q, every: 1s}}", am.URL()),
		fmt.Sprintf("{kind: channel, name: shown, alertmanager: {urls: [%q], labels: {cluster: test}}}", am.URL()))
	a := s.start(func(o *app.Options) { o.Listen = fmt.Sprintf("127.0.0.1:%d", port) })
	s.prometheus(fmt.Sprintf("{static_configs: [{targets: [\"127.0.0.1:%d\"]}]}", am.Port))
	s.set(3)
	await.True(t, "the incident to be shown", func() bool {
		all := firing(t, am, "JennerIncident")
		return len(all) == 1 && all[0].Labels["jenner_phase"] == "acting"
	})
	shown := firing(t, am, "JennerIncident")[0]
	id := incidents(t, a)[0].incident.ID
	want := map[string]string{"alertname": "JennerIncident", "service": "shop", "incident": id, "severity": "info", "jenner_phase": "acting", "cluster": "test"}
	if !maps.Equal(shown.Labels, want) {
		t.Errorf("it is shown as %v, want %v", shown.Labels, want)
	}
	await.True(t, "Jenner to hear of its own alert", func() bool { return told(t, a, "am")["own"] > 0 })
	goOn()
	s.healed(a)
	await.True(t, "nothing to be shown", func() bool { return len(firing(t, am, "JennerIncident")) == 0 })
	if all := incidents(t, a); len(all) != 1 {
		t.Errorf("there are %d incidents: Jenner took its own alert for somebody else's", len(all))
	}
}
