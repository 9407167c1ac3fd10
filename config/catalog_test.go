package config_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/telemetry"
)

// names is a small catalog: what the test documents use, found and read by the real catalog.
var names config.Names = catalog.Names{Catalog: catalog.Merge(process(), herd(), core(), web())}

// The capabilities of this catalog do nothing; their parameters are what is tested.
type (
	idleAction   struct{}
	idleFault    struct{}
	idleProbe    struct{}
	idleNotifier struct{}
	idleSource   struct{}
	idleObserver struct{}
)

func (idleAction) Do(context.Context, act.Call) (act.Result, error) { return act.Result{}, nil }
func (idleFault) Inject(context.Context, chaos.Call) error          { return nil }
func (idleFault) Bite(context.Context, chaos.Call) (chaos.Witness, error) {
	return chaos.Witness{}, nil
}
func (idleFault) Armed(context.Context, chaos.Call) (bool, error) { return false, nil }
func (idleFault) Undo(context.Context, chaos.Call) error          { return nil }
func (idleProbe) Probe(context.Context, telemetry.ProbeCall) telemetry.Result {
	return telemetry.Result{}
}
func (idleSource) Collect(context.Context, telemetry.SourceCall) ([]telemetry.Sample, error) {
	return nil, nil
}
func (idleNotifier) Notify(context.Context, notify.Message) error { return nil }

type processTarget struct {
	Start   string          `json:"start"`
	Stop    string          `json:"stop"`
	Pidfile string          `json:"pidfile"`
	Grace   jenner.Duration `json:"grace"`
}

func (t processTarget) Validate() error {
	if t.Start == "" {
		return errors.New("a process needs start, the command that starts it")
	}
	return nil
}

func process() *catalog.Provider {
	p := &catalog.Provider{Name: "process", Kinds: []string{"process"}}
	p.Target("process", "a process", func() any { return &processTarget{} })
	p.Action("restart", "", func() act.Action {
		return &struct {
			idleAction
			Grace jenner.Duration `json:"grace"`
		}{}
	})
	p.Probe("alive", "", func() telemetry.Probe { return &idleProbe{} })
	p.Source("stat", "", func() telemetry.Source {
		return &struct {
			idleSource
			Target string `json:"target"`
		}{}
	})
	p.Fault("kill", "", func() chaos.Fault {
		return &struct {
			idleFault
			Signal string `json:"signal"`
		}{}
	})
	return p
}

// herd is a provider whose targets live and tell of themselves, but for one kind that does neither.
func herd() *catalog.Provider {
	p := &catalog.Provider{Name: "herd", Kinds: []string{"sheep", "fence"}}
	for _, kind := range p.Kinds {
		p.Target(kind, "", func() any { return &struct{}{} })
	}
	p.Action("restart", "", func() act.Action { return &struct{ idleAction }{} })
	p.Probe("alive", "", func() telemetry.Probe { return &idleProbe{} }, "sheep")
	p.Observer("bleats", "", func() telemetry.Observer { return &idleObserver{} }, "sheep")
	return p
}

func (idleObserver) Observe(context.Context, []jenner.Service, telemetry.Sink) error { return nil }
func (idleObserver) Reasons() []string                                               { return []string{"Hungry", "Lost"} }

func core() *catalog.Provider {
	p := &catalog.Provider{Name: "core"}
	p.Action("query_metrics", "", func() act.Action {
		return &struct {
			idleAction
			Metric string          `json:"metric"`
			Window jenner.Duration `json:"window"`
		}{}
	})
	p.Action("wait_for_metric", "", func() act.Action {
		return &struct {
			idleAction
			Metric  string          `json:"metric"`
			Below   *jenner.Number  `json:"below"`
			Above   *jenner.Number  `json:"above"`
			Timeout jenner.Duration `json:"timeout"`
		}{}
	})
	p.Action("wait_for_probe", "", func() act.Action {
		return &struct {
			idleAction
			Probe   string          `json:"probe"`
			Timeout jenner.Duration `json:"timeout"`
		}{}
	})
	p.Action("page_oncall", "", func() act.Action {
		return &struct {
			idleAction
			Severity string `json:"severity"`
		}{}
	})
	p.Action("terminate_connections", "", func() act.Action {
		return &struct {
			idleAction
			State     string          `json:"state"`
			OlderThan jenner.Duration `json:"older_than"`
		}{}
	})
	p.Notifier("terminal", "", func() notify.Notifier { return &idleNotifier{} })
	return p
}

type headers map[string]string

func web() *catalog.Provider {
	p := &catalog.Provider{Name: "http"}
	p.Probe("http", "", func() telemetry.Probe {
		return &struct {
			idleProbe
			URL     string  `json:"url"`
			Status  []int   `json:"status"`
			Headers headers `json:"headers"`
			Follow  bool    `json:"follow"`
		}{}
	})
	p.Notifier("webhook", "", func() notify.Notifier {
		return &struct {
			idleNotifier
			URL string `json:"url"`
		}{}
	})
	return p
}

// write puts a file below dir and gives its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// load reads one text as a file.
func load(t *testing.T, text string) (*config.Loaded, error) {
	t.Helper()
	return config.Load(write(t, t.TempDir(), "file.yaml", text))
}

func mustLoad(t *testing.T, path ...string) *config.Loaded {
	t.Helper()
	loaded, err := config.Load(path...)
	if err != nil {
		t.Fatalf("Load(%v):\n%v", path, err)
	}
	return loaded
}

// withPages is the same catalog with web pages as targets, which are restarted without parameters.
func withPages() config.Names {
	pages := &catalog.Provider{Name: "page", Kinds: []string{"page"}}
	pages.Target("page", "a page", func() any { return &struct{}{} })
	pages.Action("restart", "", func() act.Action { return &struct{ idleAction }{} })
	return catalog.Names{Catalog: catalog.Merge(process(), core(), web(), pages)}
}
