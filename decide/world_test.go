package decide

import (
	"time"

	"github.com/jenner-heal/jenner"
)

var (
	now      = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	checkout = jenner.TargetRef{Kind: "process", Name: "checkout"}
)

// before is an instant that long before now.
func before(d time.Duration) time.Time { return now.Add(-d) }

// crashed is an incident in which every guard agrees: checkout was found dead two seconds ago, and nothing is in the
// way of restarting it. Each test changes the one thing that it is about.
func crashed() Input {
	return Input{
		Now: now,
		Policy: jenner.Policy{Name: "crash", IncidentType: "crashed", Runbooks: []string{"restart"}, Mode: jenner.ModeAuto,
			ConfidenceThreshold: 0.9},
		Runbook:  jenner.Runbook{Name: "restart", Steps: []jenner.Step{{Name: "again", Action: "restart"}}},
		Service:  jenner.Service{Name: "checkout", DependsOn: []string{"payments"}},
		Target:   checkout,
		Cause:    jenner.RankedCause{Cause: "crashed", Service: "checkout", Target: checkout, Confidence: 1},
		Incident: jenner.Incident{ID: "i1", Service: "checkout", OpenedAt: before(2 * time.Second)},
		Alerts: []jenner.Alert{{Name: "gone", Kind: jenner.AlertGone, Service: "checkout", Target: checkout,
			Status: jenner.Firing, StartsAt: before(2 * time.Second), SeenAt: before(100 * time.Millisecond)}},
		Dependencies: []Dependency{{Service: "payments", Status: jenner.ProbePassing, SeenAt: before(time.Second)}},
		Siblings:     Siblings{Total: 1},
	}
}

// crashedBut is crashed with one change.
func crashedBut(change func(*Input)) Input {
	in := crashed()
	change(&in)
	return in
}

// did is an action on checkout that began and ended that long ago.
func did(ago time.Duration) jenner.LedgerEntry {
	return jenner.LedgerEntry{Kind: jenner.LedgerAction, At: before(ago), Until: before(ago), By: "i0", Service: "checkout",
		Target: checkout, Runbook: "restart", Cause: "crashed"}
}

// healthy is checkout's verified health that long ago.
func healthy(ago time.Duration) jenner.LedgerEntry {
	return jenner.LedgerEntry{Kind: jenner.LedgerHealth, At: before(ago), Service: "checkout", Target: checkout}
}

// taken is another target of a service that an action or a fault still holds.
func taken(kind jenner.LedgerKind, service, target string) jenner.LedgerEntry {
	return jenner.LedgerEntry{Kind: kind, At: before(time.Minute), Service: service,
		Target: jenner.TargetRef{Kind: "process", Name: target}}
}

func share(s float64) jenner.Limit { value := jenner.Share(s); return jenner.Limit{Share: &value} }
func count(n int) jenner.Limit     { return jenner.Limit{Count: &n} }
