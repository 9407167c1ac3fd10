// Package prometheus holds the files of a Jenner that asks a Prometheus, with rules as Prometheus loads them.
//
// It is for readers of docs/prometheus.md. It is not for the demo, which needs no Prometheus.
package prometheus

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/detect"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/lab"
	"github.com/jenner-heal/jenner/provider/core"
)

func loaded(t *testing.T) *config.Loaded {
	t.Helper()
	loaded, err := config.Load(".")
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func TestTheDocumentsHaveNoMistake(t *testing.T) {
	loaded := loaded(t)
	for _, problem := range loaded.Check(catalog.Names{Catalog: catalog.Merge(core.Provider)}) {
		t.Error(problem)
	}
	for _, warning := range loaded.Warnings() {
		t.Errorf("warning: %s", warning)
	}
	rules := 0
	for _, catalogue := range loaded.Documents.Catalogues {
		for _, group := range catalogue.Groups {
			rules += len(group.Rules)
		}
	}
	if n := len(loaded.Documents.Catalogues); n != 2 || rules != 21 {
		t.Errorf("there are %d catalogues with %d rules", n, rules)
	}
}

// TestTheCatalogueIsPrometheus: the file that Jenner reads is one that Prometheus reads.
func TestTheCatalogueIsPrometheus(t *testing.T) {
	promtool, err := lab.Need("promtool", lab.PrometheusDebian)
	if err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), promtool, "check", "rules", "kubernetes.rules.yaml").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

// TestWhoIsAskedAboutWhom, and whose the alerts are, as the comments in the files say.
func TestWhoIsAskedAboutWhom(t *testing.T) {
	docs := loaded(t).Documents
	for service, want := range map[string]string{"checkout": "main", "monitoring": "main", "gateway": ""} {
		found, _ := docs.Service(service)
		if server, _ := docs.Server(found); server.Name != want {
			t.Errorf("%s is asked of %q, want %q", service, server.Name, want)
		}
	}
	if server, _ := docs.Server(jenner.Service{}); server.Name != "main" {
		t.Errorf("the catalogues are asked of %q", server.Name)
	}
	mapper, err := detect.NewMapper(docs)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		labels          map[string]string
		service, nobody string
	}{
		{map[string]string{"alertname": "Watchdog", "namespace": "shop"}, "", detect.NobodyIgnored},
		{map[string]string{"alertname": "KubePodCrashLooping", "namespace": "shop", "pod": "checkout-7f9-x"}, "checkout", ""},
		{map[string]string{"alertname": "NoOrders", "namespace": "shop", "deployment": "checkout"}, "checkout", ""},
		{map[string]string{"alertname": "KubePodCrashLooping", "namespace": "kube-system", "pod": "checkout-7f9-x"}, "", detect.NobodyUnmapped},
		{map[string]string{"alertname": "KubeletDown"}, "monitoring", ""},
	} {
		if found := mapper.Explain(test.labels); found.Service != test.service || found.Nobody != test.nobody {
			t.Errorf("%v is %+v", test.labels, found)
		}
	}
}

var fence = regexp.MustCompile("(?s)```yaml\n# ([a-z]+\\.yaml)\n(.*?)```")

// TestTheFilesOnThePageAreRight takes the examples of docs/prometheus.md as the folder that it describes.
func TestTheFilesOnThePageAreRight(t *testing.T) {
	page, err := os.ReadFile("../../docs/prometheus.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	blocks := fence.FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("the page has %d files", len(blocks))
	}
	for _, block := range blocks {
		if err := os.WriteFile(filepath.Join(dir, block[1]), []byte(block[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, problems, warnings := config.CheckFiles(catalog.Names{Catalog: catalog.Merge(core.Provider)}, dir)
	if len(problems)+len(warnings) > 0 {
		t.Errorf("%v\n%v", problems, warnings)
	}
}
