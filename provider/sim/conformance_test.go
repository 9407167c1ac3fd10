package sim

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/act"
	"github.com/jenner-heal/jenner/chaos"
	actiontest "github.com/jenner-heal/jenner/conformance/action"
	faulttest "github.com/jenner-heal/jenner/conformance/fault"
	probetest "github.com/jenner-heal/jenner/conformance/probe"
	"github.com/jenner-heal/jenner/telemetry"
)

// fresh is a world of one service, shop, under the real clock.
func fresh(t *testing.T) *World {
	world := NewWorld(t.Name(), time.Now)
	t.Cleanup(world.Close)
	world.Add("shop")
	return world
}

func actionWorld(world *World, build func() act.Action) actiontest.World {
	return actiontest.World{Action: build, Call: act.Call{Target: world.Target("shop")},
		Meddle: func(*testing.T) { world.Kill("shop"); world.Start("shop") },
		State:  func(*testing.T) string { return world.State("shop") }}
}

// stuck makes a start endless.
func stuck(world *World) func(t *testing.T) func() bool {
	return func(t *testing.T) func() bool {
		turn(t, world, "shop", KnobStuck, "true")
		return func() bool { return world.Busy("shop") }
	}
}

func turn(t *testing.T, world *World, name, knob, value string) {
	t.Helper()
	if err := world.Set(name, knob, value); err != nil {
		t.Fatal(err)
	}
}

func TestRestartConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		world := fresh(t)
		w := actionWorld(world, func() act.Action { return &Restart{} })
		w.Block = stuck(world)
		return w
	})
}

func TestStopConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		return actionWorld(fresh(t), func() act.Action { return &Stop{} })
	})
}

func TestStopOfWhatIsGoneConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		world := fresh(t)
		world.Kill("shop")
		w := actionWorld(world, func() act.Action { return &Stop{} })
		w.Already = true
		return w
	})
}

func TestStartConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		world := fresh(t)
		world.Kill("shop")
		w := actionWorld(world, func() act.Action { return &Start{} })
		w.Block = stuck(world)
		return w
	})
}

func TestStartOfWhatRunsConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		w := actionWorld(fresh(t), func() act.Action { return &Start{} })
		w.Already = true
		return w
	})
}

func TestSetConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		world := fresh(t)
		w := actionWorld(world, func() act.Action { return &Set{Knob: "flag:cached", Value: "on"} })
		w.Meddle = func(t *testing.T) { turn(t, world, "shop", "flag:cached", "half") }
		w.State = nil
		return w
	})
}

func TestAwaitConforms(t *testing.T) {
	actiontest.Run(t, func(t *testing.T) actiontest.World {
		w := actionWorld(fresh(t), func() act.Action {
			return &Await{Every: jenner.Duration(time.Millisecond), Timeout: jenner.Duration(time.Second)}
		})
		w.Already = true // it answers
		return w
	})
}

func faultWorld(t *testing.T, world *World, build func() chaos.Fault) faulttest.World {
	return faulttest.World{Fault: build, Record: jenner.FaultRecord{Target: world.Target("shop")}, Absent: world.Target("nowhere"),
		Stir: func(*testing.T) { _, _ = world.Ask("shop") }}
}

func TestKillConforms(t *testing.T) {
	faulttest.Run(t, func(t *testing.T) faulttest.World {
		return faultWorld(t, fresh(t), func() chaos.Fault { return &FaultKill{} })
	})
}

func TestHangConforms(t *testing.T) {
	faulttest.Run(t, func(t *testing.T) faulttest.World {
		return faultWorld(t, fresh(t), func() chaos.Fault { return &FaultHang{} })
	})
}

func TestSlowConforms(t *testing.T) {
	faulttest.Run(t, func(t *testing.T) faulttest.World {
		w := faultWorld(t, fresh(t), func() chaos.Fault { return &FaultSlow{Latency: jenner.Duration(400 * time.Millisecond)} })
		w.LeaseHeld = true
		return w
	})
}

func TestFlapConforms(t *testing.T) {
	faulttest.Run(t, func(t *testing.T) faulttest.World {
		w := faultWorld(t, fresh(t), func() chaos.Fault { return &FaultFlap{Every: jenner.Duration(time.Hour)} })
		w.LeaseHeld = true
		return w
	})
}

func TestHideConforms(t *testing.T) {
	faulttest.Run(t, func(t *testing.T) faulttest.World {
		world := fresh(t)
		w := faultWorld(t, world, func() chaos.Fault { return &FaultHide{} })
		w.LeaseHeld, w.Stir = true, func(*testing.T) { world.hidden("shop") }
		return w
	})
}

func TestAnswerConforms(t *testing.T) {
	asking := func(prepare func(*World)) probetest.Setup {
		return func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			world := fresh(t)
			prepare(world)
			return &ProbeAnswer{World: world.id}, telemetry.ProbeCall{Service: jenner.Service{Name: "shop"}}
		}
	}
	probetest.Run(t, probetest.Suite{
		OK:      asking(func(*World) {}),
		Failing: asking(func(w *World) { w.Kill("shop") }),
		Hanging: asking(func(w *World) { w.Hang("shop") }),
		Wrong:   map[string]telemetry.Probe{"no world": &ProbeAnswer{}},
	})
}

func TestAliveConforms(t *testing.T) {
	asking := func(prepare func(*World)) probetest.Setup {
		return func(t *testing.T) (telemetry.Probe, telemetry.ProbeCall) {
			world := fresh(t)
			prepare(world)
			return &ProbeAlive{}, telemetry.ProbeCall{Target: world.Target("shop")}
		}
	}
	probetest.Run(t, probetest.Suite{
		OK:      asking(func(w *World) { w.Hang("shop") }), // what hangs lives
		Failing: asking(func(w *World) { w.Kill("shop") }),
	})
}
