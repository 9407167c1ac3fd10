//go:build kube

package kubernetes

import (
	"context"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/internal/strict"
)

// made decodes an action's parameters as people write them.
func (g *ground) made(name, kind, params string) func() act.Action {
	g.t.Helper()
	var read jenner.Params
	if err := yaml.Unmarshal([]byte(params), &read); err != nil {
		g.t.Fatal(err)
	}
	names := catalog.Names{Catalog: catalog.Merge(Provider)}
	if _, problems, err := names.Action(name, kind, read); err != nil || len(problems) > 0 {
		g.t.Fatal(name, params, err, problems)
	}
	return func() act.Action {
		entry, _ := catalog.Merge(Provider).Action(name, kind)
		action := entry.New()
		if err := strict.Decode(read, action); err != nil {
			g.t.Fatal(err)
		}
		return action
	}
}

// deed is one effect as the executor brings it about.
type deed struct {
	g    *ground
	make func() act.Action
	call act.Call
}

// deed prepares an effect, with a key of its own.
func (g *ground) deed(name string, target jenner.Target, params string) *deed {
	g.t.Helper()
	return &deed{g, g.made(name, target.Kind, params), act.Call{Key: "k-" + jenner.Fingerprint(name, params, time.Now().String()), Target: target}}
}

// do checks, takes the checkpoint and brings the effect about.
func (d *deed) do() (act.Result, error) {
	if checker, can := d.make().(act.Checker); can {
		if err := checker.Check(d.g.t.Context(), d.call); err != nil {
			return act.Result{}, err
		}
	}
	if err := d.checkpoint(); err != nil {
		return act.Result{}, err
	}
	ctx, cancel := context.WithTimeout(d.g.t.Context(), await.Patience)
	defer cancel()
	return d.make().Do(ctx, d.call)
}

func (d *deed) checkpoint() error {
	keeper, can := d.make().(act.Checkpointer)
	if !can {
		return nil
	}
	raw, err := keeper.Checkpoint(d.g.t.Context(), d.call)
	d.call.Checkpoint = raw
	return err
}

// must is do, where nothing may go wrong.
func (d *deed) must() act.Result {
	d.g.t.Helper()
	result, err := d.do()
	if err != nil {
		d.g.t.Fatalf("%v\n%s", err, d.g.told())
	}
	d.g.t.Log(result.Summary)
	return result
}

func (d *deed) undo() act.Result {
	d.g.t.Helper()
	result, err := d.make().(act.Undoer).Undo(d.g.t.Context(), d.call)
	if err != nil {
		d.g.t.Fatal(err)
	}
	d.g.t.Log(result.Summary)
	return result
}

func (d *deed) happened() act.Happened {
	d.g.t.Helper()
	answer, err := d.make().(act.Resolver).Happened(d.g.t.Context(), d.call)
	if err != nil {
		d.g.t.Fatal(err)
	}
	return answer
}

// refused wants an error that says something.
func (d *deed) refused(says ...string) error {
	d.g.t.Helper()
	result, err := d.do()
	if err == nil {
		d.g.t.Fatalf("it was done: %s", result.Summary)
	}
	for _, want := range says {
		if !strings.Contains(err.Error(), want) {
			d.g.t.Errorf("it says %q, want %q", err, want)
		}
	}
	return err
}

// conform runs the suite of the actions, each test in a fresh namespace.
func conform(t *testing.T, build func(g *ground) actiontest.World) {
	t.Helper()
	actiontest.Run(t, func(t *testing.T) actiontest.World { return build(newGround(t)) })
}
