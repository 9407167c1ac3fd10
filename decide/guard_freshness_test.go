package decide

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

func alerting(began, seen time.Duration) jenner.Alert {
	return jenner.Alert{Name: "gone", Status: jenner.Firing, StartsAt: before(began), SeenAt: before(seen)}
}

func alerted(alerts ...jenner.Alert) Input {
	return crashedBut(func(in *Input) { in.Alerts = alerts })
}

func TestFreshness(t *testing.T) {
	resolved := jenner.Alert{Name: "gone", Status: jenner.Resolved, StartsAt: before(time.Minute), SeenAt: now, EndsAt: now}
	check(t, freshness, []said{
		{"fires now", alerted(alerting(2*time.Second, 0)), jenner.DecideAct, "1 of 1 alerts fire and were seen within 30s", 0,
			numbers{"firing": "1", "fresh": "1", "stale_after": "30s", "expires_after": "10m"}},
		{"one of two is enough", alerted(resolved, alerting(2*time.Second, 0)), jenner.DecideAct,
			"1 of 2 alerts fire and were seen within 30s", 0, nil},
		{"not seen lately", alerted(alerting(time.Minute, 30*time.Second)), jenner.DecideWait,
			"stale: the alert was last seen 30s ago, and is believed for 30s", time.Second, nil},
		{"seen in the future", alerted(alerting(time.Minute, -time.Hour)), jenner.DecideWait,
			"stale: the alert was last seen -1h ago, and is believed for 30s", time.Second, nil},
		{"a service looked at seldom", crashedBut(func(in *Input) {
			in.Alerts = []jenner.Alert{alerting(2*time.Minute, 80*time.Second)}
			in.Service.Probes = []jenner.Probe{{Name: "ready", Every: jenner.Duration(30 * time.Second)}}
		}), jenner.DecideAct, "1 of 1 alerts fire and were seen within 1m30s", 0, nil},
		{"old observations", crashedBut(func(in *Input) { in.TelemetryAge = time.Minute }), jenner.DecideWait,
			"stale: the newest observation is 1m old, and is believed for 30s", time.Second, nil},
		{"a server's numbers", crashedBut(func(in *Input) { in.TelemetryAge, in.Believed = time.Minute, 2*time.Minute }), jenner.DecideAct,
			"1 of 1 alerts fire and were seen within 30s", 0, nil},
		{"a server's old numbers", crashedBut(func(in *Input) { in.TelemetryAge, in.Believed = 2*time.Minute, 2*time.Minute }), jenner.DecideWait,
			"stale: the newest observation is 2m old, and is believed for 2m", time.Second, nil},
		{"a server that does not answer any more", crashedBut(func(in *Input) {
			in.Alerts, in.Believed = []jenner.Alert{alerting(2*time.Minute, 31*time.Second)}, 2*time.Minute
		}), jenner.DecideWait, "stale: the alert was last seen 31s ago, and is believed for 30s", time.Second, nil},
		{"an old alert beside a young one", alerted(alerting(time.Hour, 0), alerting(time.Minute, 0)), jenner.DecideAct,
			"2 of 2 alerts fire and were seen within 30s", 0, nil},
		{"an old one seen now beside a young one that was not", alerted(alerting(time.Hour, 0), alerting(time.Minute, time.Minute)),
			jenner.DecideWait, "stale: the alert was last seen 1m ago, and is believed for 30s", time.Second, nil},
	})
}

func TestFreshnessOfAnAlertThatIsVouchedFor(t *testing.T) {
	vouched := func(seen, until time.Duration) jenner.Alert {
		alert := alerting(5*time.Minute, seen)
		alert.ValidUntil = now.Add(until)
		return alert
	}
	check(t, freshness, []said{
		{"for as long as its sender vouches", alerted(vouched(4*time.Minute, time.Second)), jenner.DecideAct, "1 of 1 alerts fire and were seen within 30s", 0, nil},
		{"and not a moment longer, however lately it was heard of", alerted(vouched(time.Second, 0)), jenner.DecideWait,
			"stale: the alert was last heard of 1s ago, and its sender does not vouch for it any more", time.Second, numbers{"fresh": "0"}},
		{"heard of in the future", alerted(vouched(-time.Hour, 2*time.Hour)), jenner.DecideWait,
			"stale: the alert was last seen -1h ago, and is believed for 30s", time.Second, nil},
		{"beside one of our own", alerted(vouched(time.Minute, 0), alerting(time.Minute, 0)), jenner.DecideAct,
			"1 of 2 alerts fire and were seen within 30s", 0, nil},
		{"it expires all the same", alerted(func() jenner.Alert { a := alerting(time.Hour, 0); a.ValidUntil = now.Add(time.Minute); return a }()),
			jenner.DecideRefuse, "expired: the youngest alert began 1h ago, nothing was done so far, and alerts expire after 10m", 0, nil},
	})
}

func TestL1ResolvedAlertsStartNothing(t *testing.T) {
	resolved := jenner.Alert{Name: "gone", Status: jenner.Resolved, StartsAt: before(time.Hour), SeenAt: now, EndsAt: now}
	check(t, freshness, []said{
		{"resolved", alerted(resolved), jenner.DecideWait, "none of the incident's 1 alerts fires now", time.Second, nil},
		{"none at all", alerted(), jenner.DecideWait, "none of the incident's 0 alerts fires now", time.Second, nil},
	})
}

func TestL2OldAlertsExpire(t *testing.T) {
	shorter := func(expiry time.Duration, in Input) Input {
		in.Policy.AlertExpiresAfter = jenner.Duration(expiry)
		return in
	}
	check(t, freshness, []said{
		{"a hold of three days has ended", alerted(alerting(3*24*time.Hour, 0)), jenner.DecideRefuse,
			"expired: the youngest alert began 3d ago, nothing was done so far, and alerts expire after 10m", 0, numbers{"expired": "1"}},
		{"to the moment", alerted(alerting(10*time.Minute, 0)), jenner.DecideAct, "1 of 1 alerts fire and were seen within 30s", 0, nil},
		{"as the policy says", shorter(time.Minute, alerted(alerting(2*time.Minute, 0))), jenner.DecideRefuse,
			"expired: the youngest alert began 2m ago, nothing was done so far, and alerts expire after 1m", 0, nil},
		{"old and stale", alerted(alerting(time.Hour, time.Hour)), jenner.DecideRefuse,
			"expired: the youngest alert began 1h ago, nothing was done so far, and alerts expire after 10m", 0, nil},
		{"began nobody knows when", alerted(jenner.Alert{Status: jenner.Firing, SeenAt: now}), jenner.DecideRefuse,
			"expired: the youngest alert began an unknown time ago, nothing was done so far, and alerts expire after 10m", 0, nil},
		{"a second attempt is not too late", crashedBut(func(in *Input) {
			in.Alerts = []jenner.Alert{alerting(time.Hour, 0)}
			in.Incident.ActedAt = before(59 * time.Minute)
		}), jenner.DecideAct, "1 of 1 alerts fire and were seen within 30s", 0, nil},
	})
}
