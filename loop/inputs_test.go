package loop

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/detect"
)

// probed is a telemetry of nothing but probes.
type probed struct {
	jenner.Telemetry
	states []jenner.ProbeState
}

func (p probed) Probes(string) []jenner.ProbeState { return p.states }

// TestHowOldIsWhatIsKnownOfAService: an alert made of a server's numbers is as old as they are, and not as young as the last
// look at it.
func TestHowOldIsWhatIsKnownOfAService(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	before := func(age time.Duration) time.Time { return now.Add(-age) }
	heard := func(age time.Duration) func(jenner.Service) (time.Time, time.Duration) {
		return func(jenner.Service) (time.Time, time.Duration) { return before(age), 2 * time.Minute }
	}
	alert := func(kind jenner.AlertKind, age time.Duration) jenner.Alert {
		return jenner.Alert{Name: string(kind), Kind: kind, Service: "shop", Status: jenner.Firing, StartsAt: before(time.Hour), SeenAt: before(age)}
	}
	for name, test := range map[string]struct {
		heard    func(jenner.Service) (time.Time, time.Duration)
		alerts   []jenner.Alert
		probes   []jenner.ProbeState
		age      time.Duration
		believed time.Duration
	}{
		"an alert of our own numbers":  {nil, []jenner.Alert{alert(jenner.AlertRule, time.Second)}, nil, time.Second, 0},
		"an alert of a server":         {heard(time.Minute), []jenner.Alert{alert(jenner.AlertRule, time.Second)}, nil, time.Minute, 2 * time.Minute},
		"an SLI of a server":           {heard(time.Minute), []jenner.Alert{alert(jenner.AlertSLI, time.Second)}, nil, time.Minute, 2 * time.Minute},
		"an alert of somebody else":    {heard(time.Minute), []jenner.Alert{alert(jenner.AlertTaken, time.Second)}, nil, time.Second, 2 * time.Minute},
		"a probe beside the server":    {heard(time.Minute), nil, []jenner.ProbeState{{At: before(3 * time.Second)}}, 3 * time.Second, 2 * time.Minute},
		"a server beside an old probe": {heard(time.Second), nil, []jenner.ProbeState{{At: before(time.Hour)}}, time.Second, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			board := detect.NewBoard(func() time.Time { return now })
			for _, one := range test.alerts {
				board.Put(one)
			}
			w := &World{Board: board, Telemetry: probed{states: test.probes}, Heard: test.heard}
			age, believed := w.telemetryAge(jenner.Service{Name: "shop"}, now)
			if age != test.age || believed != test.believed {
				t.Errorf("it is %s old and believed for %s, want %s and %s", age, believed, test.age, test.believed)
			}
		})
	}
}
