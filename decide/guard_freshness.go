package decide

import (
	"strconv"
	"time"

	"github.com/jenner-heal/jenner"
)

const (
	// DefaultAlertExpiry is how old an alert may get before the first action, where the policy does not say.
	DefaultAlertExpiry = 10 * time.Minute
	// StaleAfter is how long ago an observation may be at most to be believed, for services that are not looked at
	// more seldom than every ten seconds. For the others it is three of their longest intervals.
	StaleAfter = 30 * time.Second
)

// freshness asks that at least one alert of the incident fires now, was seen to fire a moment ago, and, before the first
// action, did not begin too long ago: a hold that ends, or a restart after a long stop, must not replay old trouble.
// Resolved and stale alerts wait, expired ones refuse. Observations that are themselves too old wait; the numbers of a
// server are believed for as long as its document says. While people are asked whether this run may be made, an alert does
// not grow older, for the request has an end of its own. An alert of another system was seen for as long as that one vouches
// for it, and not a moment longer.
func freshness(in Input) jenner.GuardResult {
	stale, expiry := staleAfter(in.Service), in.Policy.AlertExpiresAfter.Or(DefaultAlertExpiry)
	acted, paused := !in.Incident.ActedAt.IsZero(), asked(in)
	var firing, fresh, expired int
	var newest, youngest time.Time
	usable, silent := false, false
	for _, alert := range in.Alerts {
		if alert.Status != jenner.Firing {
			continue
		}
		firing++
		youngest = later(youngest, alert.StartsAt)
		seen := recent(in.Now.Sub(alert.SeenAt), stale)
		if !alert.ValidUntil.IsZero() {
			seen = alert.Vouched(in.Now) && in.Now.Sub(alert.SeenAt) > -stale
			silent = silent || !alert.Vouched(in.Now)
		}
		old := !acted && in.Now.Sub(alert.StartsAt)-paused > expiry
		if seen {
			fresh++
		}
		if old {
			expired++
		} else {
			newest = later(newest, alert.SeenAt)
		}
		usable = usable || seen && !old
	}
	saw := numbers{"alerts": strconv.Itoa(len(in.Alerts)), "firing": strconv.Itoa(firing), "fresh": strconv.Itoa(fresh),
		"expired": strconv.Itoa(expired), "stale_after": lasting(stale), "expires_after": lasting(expiry),
		"telemetry_age": lasting(in.TelemetryAge), "asked_for": lasting(paused)}
	switch soonest := in.Now.Add(soon); {
	case firing == 0:
		return wait(soonest, saw, "none of the incident's %d alerts fires now", len(in.Alerts))
	case expired == firing:
		return refuse(saw, "expired: the youngest alert began %s ago, nothing was done so far, and alerts expire after %s",
			since(in.Now, youngest), lasting(expiry))
	case !usable && silent:
		return wait(soonest, saw, "stale: the alert was last heard of %s ago, and its sender does not vouch for it any more", since(in.Now, newest))
	case !usable:
		return wait(soonest, saw, "stale: the alert was last seen %s ago, and is believed for %s",
			since(in.Now, newest), lasting(stale))
	case !recent(in.TelemetryAge, max(stale, in.Believed)):
		return wait(soonest, saw, "stale: the newest observation is %s old, and is believed for %s",
			lasting(in.TelemetryAge), lasting(max(stale, in.Believed)))
	}
	return agree(saw, "%d of %d alerts fire and were seen within %s", fresh, len(in.Alerts), lasting(stale))
}

// staleAfter leaves services that are looked at seldom the time for three looks.
func staleAfter(service jenner.Service) time.Duration {
	longest := time.Duration(0)
	for _, probe := range service.Probes {
		longest = max(longest, probe.Every.Std())
	}
	for _, source := range service.Metrics {
		longest = max(longest, source.Every.Std())
	}
	return max(StaleAfter, 3*longest)
}

// recent also mistrusts what claims to come from the future by more than clocks differ.
func recent(age, limit time.Duration) bool { return age < limit && age > -limit }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func since(now, then time.Time) string {
	if then.IsZero() {
		return "an unknown time"
	}
	return lasting(now.Sub(then))
}
