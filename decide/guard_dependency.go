package decide

import (
	"time"

	"github.com/jenner-heal/jenner"
)

const (
	lookAgain = 20 * time.Millisecond // a probe is on its way
	longAfter = 5 * time.Second       // after this a missing answer is not on its way any more
)

// dependency waits while something below the service may be the real trouble: a dependency that fails, that nobody
// looked at since the alert began, or of which nothing is known. Missing data is never healthy. Third parties' services
// are evidence only: nothing of them can be healed from here, so they stop nothing.
func dependency(in Input) jenner.GuardResult {
	began := troubleBegan(in)
	var parts []jenner.GuardResult
	for _, one := range in.Dependencies {
		if one.External {
			continue
		}
		if result := look(in, one, began); result.Outcome != jenner.DecideAct {
			parts = append(parts, result)
		}
	}
	if len(parts) > 0 {
		return shyest(parts)
	}
	return agree(nil, "no dependency is in the way")
}

func look(in Input, one Dependency, began time.Time) jenner.GuardResult {
	saw := numbers{one.Service: string(one.Status), one.Service + "_seen": since(in.Now, one.SeenAt) + " ago"}
	again := in.Now.Add(lookAgain)
	if in.Now.Sub(began) > longAfter {
		again = in.Now.Add(soon)
	}
	switch {
	case one.Firing:
		return wait(in.Now.Add(soon), saw, "its dependency %s fails: an alert of it fires", one.Service)
	case one.Status == jenner.ProbeFailing:
		return wait(in.Now.Add(soon), saw, "its dependency %s fails", one.Service)
	case !one.SeenAt.After(began):
		return wait(again, saw, "its dependency %s was not looked at since the alert began", one.Service)
	case one.Status != jenner.ProbePassing && one.Status != jenner.ProbeSlow:
		return wait(again, saw, "nothing is known of its dependency %s (%s)", one.Service, one.Status)
	case !recent(in.Now.Sub(one.SeenAt), staleAfter(in.Service)):
		return wait(again, saw, "its dependency %s was last looked at %s ago", one.Service, since(in.Now, one.SeenAt))
	}
	return agree(saw, "its dependency %s is %s", one.Service, one.Status)
}

// troubleBegan is when the first of the alerts that still fire began; with none, when the incident was opened.
func troubleBegan(in Input) time.Time {
	began := time.Time{}
	for _, alert := range in.Alerts {
		if alert.Status == jenner.Firing && (began.IsZero() || alert.StartsAt.Before(began)) {
			began = alert.StartsAt
		}
	}
	if began.IsZero() {
		return in.Incident.OpenedAt
	}
	return began
}
