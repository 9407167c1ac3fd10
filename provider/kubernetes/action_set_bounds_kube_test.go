//go:build kube

package kubernetes

import (
	"testing"

	"github.com/jenner-heal/jenner/act"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
)

func TestSetBoundsConforms(t *testing.T) {
	t.Parallel()
	conform(t, func(g *ground) actiontest.World {
		g.as("people", autoscaler("shop", 1, 9))
		target := g.target(kindHPA, "shop")
		return actiontest.World{Action: g.made("set_bounds", kindHPA, "{max: 3}"), Call: act.Call{Target: target},
			Meddle: func(*testing.T) { g.meddle(target, `{"spec":{"maxReplicas":5}}`) }}
	})
}

func TestBoundsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	g := newGround(t)
	g.as("people", autoscaler("shop", 2, 4))
	target := g.target(kindHPA, "shop")
	g.deed("set_bounds", target, "{min: 5}").refused("a min of 5 and a max of 4", "write both")
	g.deed("set_bounds", target, "{min: 5, max: 6}").must()
}
