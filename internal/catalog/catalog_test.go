package catalog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/telemetry"
)

// anything is an action, a fault, a probe and a notifier with parameters.
type anything struct {
	Grace jenner.Duration `json:"grace,omitempty"`
	Times int             `json:"times,omitempty"`
}

func (*anything) Validate() error { return nil }

func (*anything) Do(context.Context, act.Call) (act.Result, error) { return act.Result{}, nil }

func (*anything) Inject(context.Context, chaos.Call) error { return nil }

func (*anything) Bite(context.Context, chaos.Call) (chaos.Witness, error) {
	return chaos.Witness{}, nil
}

func (*anything) Armed(context.Context, chaos.Call) (bool, error) { return false, nil }

func (*anything) Undo(context.Context, chaos.Call) error { return nil }

func (*anything) Probe(context.Context, telemetry.ProbeCall) telemetry.Result {
	return telemetry.Result{Outcome: telemetry.OK}
}

func (*anything) Notify(context.Context, notify.Message) error { return nil }

// picky refuses everything when it is validated.
type picky struct{ anything }

func (*picky) Validate() error { return errors.New("grace is missing") }

// provider serves kinds and has each capability under the name `restart`.
func provider(name string, kinds ...string) *catalog.Provider {
	p := &catalog.Provider{Name: name, Kinds: kinds}
	for _, kind := range kinds {
		p.Target(kind, "a kind", func() any { return &anything{Times: 2} })
	}
	p.Action("restart", "end and start", func() act.Action { return &anything{Times: 2} })
	p.Fault("kill", "kill", func() chaos.Fault { return &anything{} })
	p.Probe("alive", "does it live", func() telemetry.Probe { return &anything{} })
	p.Notifier("page", "page", func() notify.Notifier { return &anything{} })
	return p
}

// free serves no kind, so that it serves every target and none.
func free() *catalog.Provider {
	p := &catalog.Provider{Name: "core"}
	p.Action("wait", "wait", func() act.Action { return &picky{} })
	return p
}

func TestTwoThingsOfOneNamePanic(t *testing.T) {
	for what, twice := range map[string]func(){
		"two providers": func() { catalog.Merge(provider("process", "process"), provider("process", "unit")) },
		"two kinds":     func() { catalog.Merge(provider("process", "process"), provider("systemd", "process")) },
		"two targets":   func() { p := provider("process", "process"); p.Target("process", "", func() any { return nil }) },
		"two actions":   func() { p := free(); p.Action("wait", "", func() act.Action { return nil }) },
		"two faults": func() {
			p := provider("process")
			p.Fault("kill", "", func() chaos.Fault { return nil })
		},
		"two probes": func() {
			p := provider("process")
			p.Probe("alive", "", func() telemetry.Probe { return nil })
		},
		"two notifiers": func() {
			p := provider("process")
			p.Notifier("page", "", func() notify.Notifier { return nil })
		},
		"a kind it does not serve": func() {
			p := provider("process", "process")
			p.Target("unit", "", func() any { return nil })
		},
	} {
		t.Run(what, func(t *testing.T) {
			defer func() {
				if said := recover(); said == nil || !strings.HasPrefix(fmt.Sprint(said), "catalog: ") {
					t.Errorf("it does not panic as it should: %v", said)
				}
			}()
			twice()
		})
	}
}

func TestTheKindPicksTheProvider(t *testing.T) {
	c := catalog.Merge(provider("process", "process"), provider("kubernetes", "deployment", "pod"), free())
	for _, look := range []struct{ name, kind, want, err string }{
		{"restart", "process", "process.restart", ""},
		{"restart", "pod", "kubernetes.restart", ""},
		{"restart", "deployment", "kubernetes.restart", ""},
		{"kubernetes.restart", "process", "kubernetes.restart", ""}, // the full name says which
		{"wait", "process", "core.wait", ""},                        // it works on everything
		{"wait", "", "core.wait", ""},                               // and on nothing
		{"restart", "file", "", `action "restart" does not work on a target of kind file; it works on: deployment, pod, process`},
		{"restart", "", "", `action "restart" does not work on no target; it works on: deployment, pod, process`},
		{"restrat", "process", "", `unknown action "restrat"; did you mean "restart"?`},
		{"process.restrt", "process", "", `unknown action "process.restrt"; did you mean "process.restart"?`},
		{"defenestrate", "process", "", `unknown action "defenestrate"`},
		{"", "process", "", `unknown action ""`},
	} {
		entry, err := c.Action(look.name, look.kind)
		said := ""
		if err != nil {
			said = err.Error()
		}
		if entry.Name != look.want || !strings.HasPrefix(said, look.err) || look.err == "" && err != nil {
			t.Errorf("%q on %q is %q, %q; want %q, %q", look.name, look.kind, entry.Name, said, look.want, look.err)
		}
	}
}

func TestEveryTableOffersTheNearestName(t *testing.T) {
	c := catalog.Merge(provider("process", "process"))
	for what, look := range map[string]func() error{
		`unknown fault "kil"; did you mean "kill"?`:                func() error { _, err := c.Fault("kil", "process"); return err },
		`unknown probe "alife"; did you mean "alive"?`:             func() error { _, err := c.Probe("alife", ""); return err },
		`unknown notifier "pag"; did you mean "page"?`:             func() error { _, err := c.Notifier("pag"); return err },
		`unknown target kind "proces"; did you mean "process"?`:    func() error { _, err := c.TargetKind("proces"); return err },
		`fault "kill" does not work on a target of kind file; it `: func() error { _, err := c.Fault("kill", "file"); return err },
	} {
		if err := look(); err == nil || !strings.HasPrefix(err.Error(), what) {
			t.Errorf("got %v, want %s", err, what)
		}
	}
	if _, err := c.Probe("alive", ""); err != nil {
		t.Errorf("a probe needs no target to be found: %v", err)
	}
}

func TestListsAreSortedAndFresh(t *testing.T) {
	c := catalog.Merge(provider("process", "process"), provider("kubernetes", "pod"), free())
	var names []string
	for _, entry := range c.Actions() {
		names = append(names, entry.Name)
	}
	if got := strings.Join(names, " "); got != "core.wait kubernetes.restart process.restart" {
		t.Errorf("the actions are %s", got)
	}
	if len(c.Faults()) != 2 || len(c.Probes()) != 2 || len(c.Notifiers()) != 2 || len(c.TargetKinds()) != 2 {
		t.Error("a table lost something in the merge")
	}
	entry, _ := c.Action("restart", "pod")
	entry.New().(*anything).Times = 7
	if got := entry.New().(*anything).Times; got != 2 {
		t.Errorf("the default is %d after somebody changed a value; two steps share one", got)
	}
}

func TestParametersAreReadStrictly(t *testing.T) {
	names := catalog.Names{Catalog: catalog.Merge(provider("process", "process"), free())}
	params := func(text string) jenner.Params {
		var read jenner.Params
		if err := json.Unmarshal([]byte(text), &read); err != nil {
			t.Fatal(err)
		}
		return read
	}
	for _, c := range []struct{ name, params, want string }{
		{"restart", `{"grace":"5s","times":3}`, ""},
		{"restart", `{}`, ""},
		{"restart", `{"grce":"5s"}`, `"grace"`},
		{"restart", `{"grace":5}`, "unit"},
		{"restart", `{"times":"often"}`, "times"},
		{"wait", `{}`, "grace is missing"},
		{"wait", `{"grce":1}`, "grce"}, // what cannot be read is not validated
	} {
		full, problems, err := names.Action(c.name, "process", params(c.params))
		if err != nil || !strings.HasSuffix(full, "."+c.name) {
			t.Fatalf("%s is %q, %v", c.name, full, err)
		}
		said := fmt.Sprint(problems)
		if (c.want == "") != (len(problems) == 0) || !strings.Contains(said, c.want) || len(problems) > 1 {
			t.Errorf("%s with %s: %v, want %q", c.name, c.params, problems, c.want)
		}
	}
	if _, _, err := names.Fault("kill", "file", nil); err == nil {
		t.Error("a fault is found on a kind that nobody serves")
	}
	if problems, err := names.Target("process", params(`{"x":1}`)); err != nil || len(problems) != 1 {
		t.Errorf("a target's unknown key: %v, %v", problems, err)
	}
}

// broom sweeps, and writes down where.
type broom struct {
	swept []string
	fails error
}

func (b *broom) Sweep(_ context.Context, targets []jenner.Target, _ time.Time) ([]chaos.Swept, error) {
	var found []chaos.Swept
	for _, target := range targets {
		b.swept = append(b.swept, target.Name)
		found = append(found, chaos.Swept{ID: target.Name})
	}
	return found, b.fails
}

func TestEachSweeperGetsTheTargetsOfItsProvider(t *testing.T) {
	first, second, idle := &broom{fails: errors.New("no way in")}, &broom{}, &broom{}
	pods, files, others := provider("kubernetes", "pod"), provider("file", "file"), provider("git", "gitfile")
	pods.Sweeper, files.Sweeper, others.Sweeper = first, second, idle
	c := catalog.Merge(pods, files, others, provider("process", "process"), free())
	targets := []jenner.Target{{Kind: "pod", Name: "a"}, {Kind: "process", Name: "b"}, {Kind: "file", Name: "c"}, {Kind: "pod", Name: "d"}}
	swept, err := c.Sweep(t.Context(), targets, time.Now())
	if err == nil || len(swept) != 3 {
		t.Errorf("after an error it gives %v, %v", swept, err)
	}
	if fmt.Sprint(first.swept, second.swept, idle.swept) != "[a d] [c] []" {
		t.Errorf("they were told %v, %v and %v", first.swept, second.swept, idle.swept)
	}
	var names []string
	for _, target := range c.Sweepable(targets) {
		names = append(names, target.Name)
	}
	if fmt.Sprint(names) != "[a d c]" {
		t.Errorf("to be swept are %v", names)
	}
}
