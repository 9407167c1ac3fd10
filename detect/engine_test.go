package detect

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

func probed() *jenner.Documents {
	never := false
	return &jenner.Documents{Services: []jenner.Service{{
		Name:    "shop",
		Targets: []jenner.Target{{Kind: "process", Name: "front"}, {Kind: "process", Name: "back"}},
		Probes:  []jenner.Probe{{Name: "ready"}, {Name: "quiet", Alert: &never}},
	}}}
}

func state(probe string, status jenner.ProbeStatus, at time.Time) jenner.ProbeState {
	return jenner.ProbeState{Service: "shop", Name: probe, Status: status, Since: at, At: at, Message: "refused"}
}

func TestProbeStatesBecomeAlerts(t *testing.T) {
	back := jenner.TargetRef{Kind: "process", Name: "back"}
	tests := map[string]struct {
		probe  string
		target jenner.TargetRef
		course []jenner.ProbeStatus
		want   []string
		on     string
	}{
		"failing":              {"ready", jenner.TargetRef{}, []jenner.ProbeStatus{"failing"}, []string{"shop/ready-failing"}, "process/front"},
		"slow":                 {"ready", jenner.TargetRef{}, []jenner.ProbeStatus{"slow"}, []string{"shop/ready-slow"}, "process/front"},
		"passing":              {"ready", jenner.TargetRef{}, []jenner.ProbeStatus{"passing"}, nil, ""},
		"healed":               {"ready", jenner.TargetRef{}, []jenner.ProbeStatus{"failing", "passing"}, nil, ""},
		"worse":                {"ready", jenner.TargetRef{}, []jenner.ProbeStatus{"slow", "failing"}, []string{"shop/ready-failing"}, "process/front"},
		"better":               {"ready", jenner.TargetRef{}, []jenner.ProbeStatus{"failing", "slow"}, []string{"shop/ready-slow"}, "process/front"},
		"the process is gone":  {"alive", back, []jenner.ProbeStatus{"failing"}, []string{"shop/process-gone"}, "process/back"},
		"the other one too":    {"alive:back", back, []jenner.ProbeStatus{"failing"}, []string{"shop/process-gone"}, "process/back"},
		"the process is back":  {"alive", back, []jenner.ProbeStatus{"failing", "passing"}, nil, ""},
		"evidence only":        {"quiet", jenner.TargetRef{}, []jenner.ProbeStatus{"failing"}, nil, ""},
		"not written any more": {"gone", jenner.TargetRef{}, []jenner.ProbeStatus{"failing"}, nil, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(probed())
			for _, status := range test.course {
				b.at.pass(time.Second)
				one := state(test.probe, status, b.at.at)
				one.Target = test.target
				b.OnProbe(one)
			}
			firing := b.board.Firing("shop")
			same(t, "firing", names(firing), append([]string{}, test.want...))
			for _, alert := range firing {
				if alert.Target.String() != test.on || !alert.StartsAt.Equal(b.at.at) || alert.Summary == "" ||
					alert.Labels["probe"] != test.probe || alert.Labels["service"] != "shop" {
					t.Errorf("the alert is %+v", alert)
				}
				if (alert.Kind == jenner.AlertGone) != strings.HasPrefix(test.probe, "alive") {
					t.Errorf("its kind is %s", alert.Kind)
				}
			}
		})
	}
}

func TestL16UnknownKeepsItsMeaning(t *testing.T) {
	for _, odd := range []jenner.ProbeStatus{jenner.ProbeUnknown, "", "perhaps"} {
		b := newBench(probed())
		b.OnProbe(state("ready", odd, b.at.at))
		if firing := b.board.AllFiring(); len(firing) != 0 {
			t.Errorf("%q raised %v", odd, names(firing))
		}
		b.OnProbe(state("ready", jenner.ProbeFailing, b.at.at))
		seen := b.at.at
		b.at.pass(time.Minute)
		b.OnProbe(state("ready", odd, b.at.at))
		if firing := b.board.AllFiring(); len(firing) != 1 || !firing[0].SeenAt.Equal(seen) {
			t.Errorf("%q resolved or refreshed: %+v", odd, firing)
		}
	}
}

func TestProbeAlertIsRefreshedByEachAnswer(t *testing.T) {
	b := newBench(probed())
	one := state("ready", jenner.ProbeFailing, b.at.at)
	b.OnProbe(one)
	b.at.pass(time.Minute)
	one.At = b.at.at // Since stays
	b.at.pass(time.Second)
	b.OnProbe(one)
	got := b.board.Firing("shop")[0]
	if !got.SeenAt.Equal(one.At) || !got.StartsAt.Equal(one.Since) {
		t.Errorf("starts %s, seen %s", got.StartsAt, got.SeenAt)
	}
}

func TestSetWithdrawsProbeAlertsOfWhatIsGone(t *testing.T) {
	b := newBench(probed())
	b.OnProbe(state("ready", jenner.ProbeFailing, b.at.at))
	b.OnProbe(state("alive", jenner.ProbeFailing, b.at.at))
	docs := probed()
	docs.Services[0].Probes = nil
	b.Set(docs)
	same(t, "firing", names(b.board.AllFiring()), []string{"shop/process-gone"})
	b.Set(&jenner.Documents{})
	same(t, "firing", names(b.board.AllFiring()), []string{})
}

// Without HasData, false and missing look the same, and the engine says so instead of guessing.
func TestWithoutHasDataNothingOfARuleIsResolved(t *testing.T) {
	at, telemetry, log := newClock(), newWorld(), &bytes.Buffer{}
	board := NewBoard(at.now)
	engine := New(Options{Telemetry: telemetry, Board: board, Now: at.now, Logger: slog.New(slog.NewTextHandler(log, nil))})
	engine.Set(shop(jenner.Rule{Name: "errors", PromQL: "errors > 1"}))
	telemetry.say("errors > 1", holds)
	engine.look(t.Context())
	telemetry.say("errors > 1", isFalse)
	engine.look(t.Context())
	if len(board.AllFiring()) != 1 || !strings.Contains(log.String(), "no HasData") {
		t.Errorf("firing: %v, log: %s", names(board.AllFiring()), log)
	}
}

func TestNewNeedsWhatItCannotDoWithout(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an engine without telemetry was made")
		}
	}()
	New(Options{Board: NewBoard(time.Now), Now: time.Now})
}
