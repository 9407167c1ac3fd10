// Package alerts holds the files of Jenner, Prometheus, Alertmanager and Grafana by which they tell each other of alerts.
//
// It is for readers of docs/alerts.md. It is not for the demo, which needs none of these programs.
package alerts

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/detect"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/provider/alertmanager"
	"github.com/jenner-heal/jenner/provider/core"
	"github.com/jenner-heal/jenner/provider/http"
	"github.com/jenner-heal/jenner/provider/process"
)

func loaded(t *testing.T) *config.Loaded {
	t.Helper()
	loaded, err := config.Load("jenner.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// TestTheDocumentsHaveNoMistake, but that the secrets are not on this machine.
func TestTheDocumentsHaveNoMistake(t *testing.T) {
	all := catalog.Names{Catalog: catalog.Merge(alertmanager.Provider, core.Provider, http.Provider, process.Provider)}
	for _, problem := range loaded(t).Check(all) {
		t.Error(problem)
	}
	for _, warning := range loaded(t).Warnings() {
		if !strings.Contains(warning.Message, "which cannot be read here") && !strings.Contains(warning.Message, "which is not set here") {
			t.Error(warning)
		}
	}
	if docs := loaded(t).Documents; len(docs.Receivers) != len(jenner.ReceiverForms) {
		t.Errorf("there are %d receivers, and %v could be shown", len(docs.Receivers), jenner.ReceiverForms)
	}
}

// TestTheRulesGiveAlertsToTheirServices as the page says.
func TestTheRulesGiveAlertsToTheirServices(t *testing.T) {
	mapper, err := detect.NewMapper(loaded(t).Documents)
	if err != nil {
		t.Fatal(err)
	}
	for labels, want := range map[[2]string]string{{"namespace", "shop"}: "", {"app", "checkout"}: "checkout", {"app", "other"}: ""} {
		if got := mapper.Explain(map[string]string{labels[0]: labels[1], "alertname": "Down"}); got.Service != want {
			t.Errorf("%v is %+v, want %q", labels, got, want)
		}
	}
	if got := mapper.Explain(map[string]string{"alertname": "Watchdog", "app": "checkout"}); got.Nobody != detect.NobodyIgnored {
		t.Errorf("the watchdog is %+v", got)
	}
	if got := mapper.Explain(map[string]string{"alertname": "KubePodCrashLooping", "namespace": "shop", "deployment": "checkout-7f9"}); got.Service != "checkout" {
		t.Errorf("the page's alert is %+v", got)
	}
}

// TestTheOthersReadTheirFiles: the real programs say that their configurations are right.
func TestTheOthersReadTheirFiles(t *testing.T) {
	for _, check := range []struct {
		program, debian string
		args            []string
	}{
		{"promtool", lab.PrometheusDebian, []string{"check", "config", "--syntax-only", "prometheus.yml"}},
		{"amtool", lab.AlertmanagerDebian, []string{"check-config", "alertmanager.yml"}},
	} {
		program, err := lab.Need(check.program, check.debian)
		if err != nil {
			t.Error(err)
			continue
		}
		if said, err := exec.CommandContext(t.Context(), program, check.args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", check.program, err, said)
		}
	}
	raw, err := os.ReadFile("grafana.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var provisioned struct {
		ContactPoints []struct {
			Receivers []struct{ Type string } `yaml:"receivers"`
		} `yaml:"contactPoints"`
	}
	if err := yaml.Unmarshal(raw, &provisioned); err != nil || len(provisioned.ContactPoints) != 1 || provisioned.ContactPoints[0].Receivers[0].Type != "webhook" {
		t.Errorf("grafana.yaml is %+v, %v", provisioned, err)
	}
}

var fence = regexp.MustCompile("(?s)```yaml\n# ([a-z]+\\.ya?ml)\n(.*?)```")

// TestThePageShowsTheseFiles: each piece on the page stands in its file, word for word.
func TestThePageShowsTheseFiles(t *testing.T) {
	page, err := os.ReadFile("../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, block := range fence.FindAllStringSubmatch(string(page), -1) {
		file, err := os.ReadFile(block[1])
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(file), block[2]) {
			t.Errorf("this stands on the page and not in %s:\n%s", block[1], block[2])
		}
		shown = append(shown, block[1])
	}
	for _, file := range []string{"jenner.yaml", "prometheus.yml", "alertmanager.yml", "grafana.yaml"} {
		if !slices.Contains(shown, file) {
			t.Errorf("the page shows nothing of %s", file)
		}
	}
}
