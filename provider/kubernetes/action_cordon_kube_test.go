//go:build kube

package kubernetes

import (
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

// spare is the node that tests may take out of the traffic, and break. Those that do are serial: there is only one.
const spare = "node2"

// node is the spare node, which takes pods again when the test ends.
func (g *ground) node() jenner.Target {
	g.t.Helper()
	target := jenner.Target{Kind: kindNode, Name: spare}
	g.uncordoned(target)
	g.t.Cleanup(func() { g.uncordoned(target) })
	return target
}

func (g *ground) uncordoned(target jenner.Target) {
	ctx := afterwards(g.t)
	on, err := look(ctx, act.Call{Target: target})
	if err == nil {
		_, err = on.mark(ctx, act.Call{Target: target}, false)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

func TestCordonConforms(t *testing.T) {
	conform(t, func(g *ground) actiontest.World {
		target := g.node()
		return actiontest.World{Action: g.made("cordon", kindNode, "{}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) { g.meddle(target, `{"spec":{"unschedulable":null}}`) }}
	})
}

func TestUncordonConforms(t *testing.T) {
	conform(t, func(g *ground) actiontest.World {
		target := g.node()
		g.meddle(target, `{"spec":{"unschedulable":true}}`)
		return actiontest.World{Action: g.made("uncordon", kindNode, "{}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) { g.meddle(target, `{"spec":{"unschedulable":true}}`) }}
	})
}
