package decide

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// said is one case: what a guard says of an input, in exactly these words.
type said struct {
	name    string
	in      Input
	outcome jenner.DecisionOutcome
	reason  string
	retry   time.Duration // after now, for waits
	numbers numbers       // those that must be among the guard's
}

func check(t *testing.T, guard func(Input) jenner.GuardResult, cases []said) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := guard(c.in)
			if got.Outcome != c.outcome || got.Reason != c.reason {
				t.Errorf("got  %s: %s\nwant %s: %s", got.Outcome, got.Reason, c.outcome, c.reason)
			}
			var retry time.Duration
			if !got.RetryAt.IsZero() {
				retry = got.RetryAt.Sub(now)
			}
			if retry != c.retry {
				t.Errorf("retry after %s, want %s", retry, c.retry)
			}
			for name, want := range c.numbers {
				if got.Numbers[name] != want {
					t.Errorf("number %s is %q, want %q (all: %v)", name, got.Numbers[name], want, got.Numbers)
				}
			}
		})
	}
}

func TestHold(t *testing.T) {
	held := func(holds ...jenner.Hold) Input { return crashedBut(func(in *Input) { in.Holds = holds }) }
	kill := jenner.Hold{Scope: jenner.HoldAll, By: "ann", Reason: "migration", At: before(time.Hour)}
	mine := jenner.Hold{Scope: "checkout", By: "bob", At: before(time.Minute), Until: now.Add(5 * time.Minute)}
	check(t, hold, []said{
		{"nobody holds", held(), jenner.DecideAct, "no hold", 0, nil},
		{"the kill switch says who and since when", held(kill), jenner.DecideWait,
			"everything is stopped by ann since 2026-03-01T11:00:00Z: migration", time.Second, numbers{"hold": "all", "by": "ann"}},
		{"a hold with an end is waited for", held(mine), jenner.DecideWait,
			"service checkout is held by bob since 2026-03-01T11:59:00Z until 2026-03-01T12:05:00Z", 5 * time.Minute, nil},
		{"both are told, the kill switch first", held(mine, kill), jenner.DecideWait,
			"everything is stopped by ann since 2026-03-01T11:00:00Z: migration; " +
				"service checkout is held by bob since 2026-03-01T11:59:00Z until 2026-03-01T12:05:00Z", 5 * time.Minute, nil},
		{"another service's hold", held(jenner.Hold{Scope: "payments", By: "bob"}), jenner.DecideAct, "no hold", 0, nil},
		{"a hold that is over", held(jenner.Hold{Scope: "checkout", Until: now}), jenner.DecideAct, "no hold", 0, nil},
		{"the target's service is held, the incident's is not", crashedBut(func(in *Input) {
			in.Incident.Service = "gateway"
			in.Holds = []jenner.Hold{{Scope: "checkout", By: "bob", At: now}}
		}), jenner.DecideWait, "service checkout is held by bob since 2026-03-01T12:00:00Z", time.Second, nil},
		{"the incident's service is held, the target's is not", crashedBut(func(in *Input) {
			in.Incident.Service = "gateway"
			in.Holds = []jenner.Hold{{Scope: "gateway", By: "bob", At: now}}
		}), jenner.DecideWait, "service gateway is held by bob since 2026-03-01T12:00:00Z", time.Second, nil},
	})
}

func TestTier(t *testing.T) {
	caused := func(cause, policy jenner.Cause) Input {
		return crashedBut(func(in *Input) { in.Cause.Cause, in.Policy.IncidentType = cause, policy })
	}
	check(t, tier, []said{
		{"ordinary", caused("crashed", "crashed"), jenner.DecideAct, "crashed may be healed automatically", 0, nil},
		{"data", caused("data-corruption", "crashed"), jenner.DecideRefuse, "data-corruption is never healed automatically", 0, nil},
		{"security", caused("security-incident", ""), jenner.DecideRefuse, "security-incident is never healed automatically", 0, nil},
		{"cascade", caused("unknown-cascade", ""), jenner.DecideRefuse, "unknown-cascade is never healed automatically", 0, nil},
		{"transactions", caused("transactions-in-flight", ""), jenner.DecideRefuse, "transactions-in-flight is never healed automatically", 0, nil},
		{"other spelling", caused("Data_Corruption", ""), jenner.DecideRefuse, "Data_Corruption is never healed automatically", 0, nil},
		{"by the policy's word", caused("crashed", "data-corruption"), jenner.DecideRefuse, "data-corruption is never healed automatically", 0, nil},
	})
}

func TestMode(t *testing.T) {
	moded := func(mode jenner.Mode, auto *bool) Input {
		return crashedBut(func(in *Input) { in.Policy.Mode, in.Policy.AutoExecute = mode, auto })
	}
	yes, no := true, false
	check(t, mode, []said{
		{"shadow", moded("shadow", nil), jenner.DecideRefuse, "shadow: would run restart on process/checkout", 0, numbers{"mode": "shadow"}},
		{"recommend", moded("recommend", nil), jenner.DecideRecommend, "recommend: would run restart on process/checkout", 0, nil},
		{"approve", moded("approve", nil), jenner.DecideAsk, "approve: would run restart on process/checkout once a person agrees", 0, nil},
		{"auto", moded("auto", nil), jenner.DecideAct, "auto", 0, nil},
		{"not said", moded("", nil), jenner.DecideRecommend, "recommend: would run restart on process/checkout", 0, nil},
		{"auto_execute", moded("", &yes), jenner.DecideAct, "auto", 0, nil},
		{"auto_execute: false", moded("", &no), jenner.DecideRecommend, "recommend: would run restart on process/checkout", 0, nil},
		{"misspelt", moded("Auto", nil), jenner.DecideRefuse, `mode "Auto" is not known; write shadow, recommend, approve or auto`, 0, nil},
	})
}

func TestConfidence(t *testing.T) {
	at := func(have, need float64) Input {
		return crashedBut(func(in *Input) {
			in.Cause.Confidence, in.Policy.ConfidenceThreshold = jenner.Confidence(have), jenner.Confidence(need)
		})
	}
	check(t, confidence, []said{
		{"reached exactly", at(0.92, 0.92), jenner.DecideAct, "confidence 0.92 reaches the threshold 0.92", 0, nil},
		{"below waits for more evidence", at(0.85, 0.92), jenner.DecideWait, "confidence 0.85 is below the threshold 0.92",
			time.Second, numbers{"confidence": "0.85", "threshold": "0.92"}},
		{"not said is 0.9", at(0.89, 0), jenner.DecideWait, "confidence 0.89 is below the threshold 0.9", time.Second, nil},
		{"nearly never looks like equal", at(0.8999999, 0.9), jenner.DecideWait, "confidence 0.8999999 is below the threshold 0.9", time.Second, nil},
		{"NaN", at(math.NaN(), 0.5), jenner.DecideRefuse, "confidence NaN is not a number from 0 to 1", 0, nil},
		{"NaN as threshold", at(1, math.NaN()), jenner.DecideRefuse, "the threshold NaN is not a number from 0 to 1", 0, nil},
		{"more than sure", at(1.5, 0.9), jenner.DecideRefuse, "confidence 1.5 is not a number from 0 to 1", 0, nil},
		{"infinitely sure", at(math.Inf(1), 0.9), jenner.DecideRefuse, "confidence +Inf is not a number from 0 to 1", 0, nil},
		{"a threshold below zero", at(0.1, -1), jenner.DecideRefuse, "the threshold -1 is not a number from 0 to 1", 0, nil},
	})
}

// TestL7ThresholdsPointTheRightWay: a comparison that is turned round would pass any test that only looks at one side.
func TestL7ThresholdsPointTheRightWay(t *testing.T) {
	sure := crashedBut(func(in *Input) { in.Cause.Confidence = 0.95 })
	unsure := crashedBut(func(in *Input) { in.Cause.Confidence = 0.85 })
	if got := Decide(sure); got.Outcome != jenner.DecideAct {
		t.Errorf("0.95 against 0.9: %s, want act", got.Outcome)
	}
	got := Decide(unsure)
	if got.Outcome != jenner.DecideWait || got.Stopper().Numbers["confidence"] != "0.85" || got.Stopper().Numbers["threshold"] != "0.9" {
		t.Errorf("0.85 against 0.9: %s, with %v; want wait, and both numbers", got.Outcome, got.Stopper().Numbers)
	}
}

func TestDependency(t *testing.T) {
	on := func(began time.Duration, dependencies ...Dependency) Input {
		return crashedBut(func(in *Input) { in.Alerts[0].StartsAt = before(began); in.Dependencies = dependencies })
	}
	well := Dependency{Service: "payments", Status: jenner.ProbePassing, SeenAt: before(time.Second)}
	with := func(change func(*Dependency)) Dependency { d := well; change(&d); return d }
	check(t, dependency, []said{
		{"none", on(2 * time.Second), jenner.DecideAct, "no dependency is in the way", 0, nil},
		{"well", on(2*time.Second, well), jenner.DecideAct, "no dependency is in the way", 0, nil},
		{"slow is not down", on(2*time.Second, with(func(d *Dependency) { d.Status = jenner.ProbeSlow })), jenner.DecideAct,
			"no dependency is in the way", 0, nil},
		{"fails", on(2*time.Second, with(func(d *Dependency) { d.Status = jenner.ProbeFailing })), jenner.DecideWait,
			"its dependency payments fails", time.Second, numbers{"payments": "failing"}},
		{"alert", on(2*time.Second, with(func(d *Dependency) { d.Firing = true })), jenner.DecideWait,
			"its dependency payments fails: an alert of it fires", time.Second, nil},
		{"failed long ago and not seen since", on(2*time.Second, with(func(d *Dependency) {
			d.Status, d.SeenAt = jenner.ProbeFailing, before(time.Hour)
		})), jenner.DecideWait, "its dependency payments fails", time.Second, nil},
		{"seen before the alert only", on(time.Second, well), jenner.DecideWait,
			"its dependency payments was not looked at since the alert began", 20 * time.Millisecond, nil},
		{"seen since the first of two alerts", crashedBut(func(in *Input) {
			in.Alerts = append(in.Alerts, jenner.Alert{Status: jenner.Firing, StartsAt: now, SeenAt: now})
		}), jenner.DecideAct, "no dependency is in the way", 0, nil},
		{"never seen", on(time.Second, with(func(d *Dependency) { d.SeenAt = time.Time{} })), jenner.DecideWait,
			"its dependency payments was not looked at since the alert began", 20 * time.Millisecond, nil},
		{"unknown for a moment", on(2*time.Second, with(func(d *Dependency) { d.Status = jenner.ProbeUnknown })), jenner.DecideWait,
			"nothing is known of its dependency payments (unknown)", 20 * time.Millisecond, nil},
		{"unknown for long", on(time.Minute, with(func(d *Dependency) { d.Status = jenner.ProbeUnknown })), jenner.DecideWait,
			"nothing is known of its dependency payments (unknown)", time.Second, nil},
		{"a status nobody knows", on(2*time.Second, with(func(d *Dependency) { d.Status = "fine" })), jenner.DecideWait,
			"nothing is known of its dependency payments (fine)", 20 * time.Millisecond, nil},
		{"was well once", on(time.Hour, with(func(d *Dependency) { d.SeenAt = before(40 * time.Second) })), jenner.DecideWait,
			"its dependency payments was last looked at 40s ago", time.Second, nil},
		{"a third party's", on(2*time.Second, Dependency{Service: "partner", Status: jenner.ProbeFailing, Firing: true, External: true}),
			jenner.DecideAct, "no dependency is in the way", 0, nil},
		{"all that stand in the way are named", on(2*time.Second, with(func(d *Dependency) { d.Firing = true }),
			Dependency{Service: "ledger", Status: jenner.ProbeFailing, SeenAt: now}), jenner.DecideWait,
			"its dependency payments fails: an alert of it fires; its dependency ledger fails", time.Second, nil},
	})
}

func TestCooldown(t *testing.T) {
	after := func(entries ...jenner.LedgerEntry) Input {
		return crashedBut(func(in *Input) { in.Ledger, in.Policy.CooldownAfterAction = entries, jenner.Duration(10*time.Minute) })
	}
	with := func(change func(*jenner.LedgerEntry)) jenner.LedgerEntry { e := did(time.Minute); change(&e); return e }
	check(t, cooldown, []said{
		{"first time", after(), jenner.DecideAct, "restart was not run on process/checkout before", 0, nil},
		{"a minute ago", after(did(time.Minute)), jenner.DecideWait,
			"restart was run on process/checkout, which rests for 10m; 9m are left", 9 * time.Minute, nil},
		{"the last one counts", after(did(3*time.Minute), did(time.Minute), did(20*time.Minute)), jenner.DecideWait,
			"restart was run on process/checkout, which rests for 10m; 9m are left", 9 * time.Minute, nil},
		{"to the moment", after(did(10 * time.Minute)), jenner.DecideAct, "restart has let process/checkout rest for 10m", 0, nil},
		{"it rests from the end", after(with(func(e *jenner.LedgerEntry) { e.At = before(time.Hour) })), jenner.DecideWait,
			"restart was run on process/checkout, which rests for 10m; 9m are left", 9 * time.Minute, nil},
		{"it still runs", after(with(func(e *jenner.LedgerEntry) { e.Until = time.Time{} })), jenner.DecideWait,
			"restart was run on process/checkout, which rests for 10m; 10m are left", 10 * time.Minute, nil},
		{"another runbook", after(with(func(e *jenner.LedgerEntry) { e.Runbook = "drain" })), jenner.DecideAct,
			"restart was not run on process/checkout before", 0, nil},
		{"another target", after(with(func(e *jenner.LedgerEntry) { e.Target.Name = "checkout-2" })), jenner.DecideAct,
			"restart was not run on process/checkout before", 0, nil},
		{"another service's target of the same name", after(with(func(e *jenner.LedgerEntry) { e.Service = "payments" })),
			jenner.DecideAct, "restart was not run on process/checkout before", 0, nil},
		{"a fault is no action", after(with(func(e *jenner.LedgerEntry) { e.Kind = jenner.LedgerFault })), jenner.DecideAct,
			"restart was not run on process/checkout before", 0, nil},
		{"nor is it to be a further target of one", after(with(func(e *jenner.LedgerEntry) { e.Kind = jenner.LedgerTouch })), jenner.DecideAct,
			"restart was not run on process/checkout before", 0, nil},
		{"not said is 5m", crashedBut(func(in *Input) { in.Ledger = []jenner.LedgerEntry{did(time.Minute)} }), jenner.DecideWait,
			"restart was run on process/checkout, which rests for 5m; 4m are left", 4 * time.Minute, nil},
	})
}

func TestProof(t *testing.T) {
	versions := map[string]string{"experiment": "e1", "service": "s1", "runbook": "r1"}
	proven := jenner.Proof{Service: "checkout", Runbook: "restart", Verdict: jenner.VerdictProven, At: before(24 * time.Hour),
		Drill: "d1", Versions: versions}
	with := func(change func(*jenner.Proof)) jenner.Proof { p := proven; change(&p); return p }
	asks := func(proofs ...jenner.Proof) Input {
		return crashedBut(func(in *Input) {
			in.Policy.RequiresProof, in.Versions, in.Proofs = jenner.Duration(30*24*time.Hour), versions, proofs
		})
	}
	const required = "a proof of restart on checkout younger than 30d is required: "
	check(t, proof, []said{
		{"not asked for", crashed(), jenner.DecideAct, "no proof is required", 0, nil},
		{"proven", asks(proven), jenner.DecideAct, "proven 1d ago, and 30d is asked for", 0, numbers{"proven": "1d ago"}},
		{"none", asks(), jenner.DecideAsk, required + "there is none", 0, nil},
		{"too old", asks(with(func(p *jenner.Proof) { p.At = before(30 * 24 * time.Hour) })), jenner.DecideAsk,
			required + "drill d1 was 30d ago", 0, nil},
		{"of tomorrow", asks(with(func(p *jenner.Proof) { p.At = now.Add(time.Hour) })), jenner.DecideAsk, required + "there is none", 0, nil},
		{"slow does not earn it", asks(with(func(p *jenner.Proof) { p.Verdict = jenner.VerdictProvenSlow })), jenner.DecideAsk,
			required + "there is none", 0, nil},
		{"of this cause", asks(with(func(p *jenner.Proof) { p.Cause = "crashed" })), jenner.DecideAct, "proven 1d ago, and 30d is asked for", 0, nil},
		{"another cause", asks(with(func(p *jenner.Proof) { p.Cause = "hung" })), jenner.DecideAsk, required + "there is none", 0, nil},
		{"another service", asks(with(func(p *jenner.Proof) { p.Service = "payments" })), jenner.DecideAsk, required + "there is none", 0, nil},
		{"another runbook", asks(with(func(p *jenner.Proof) { p.Runbook = "drain" })), jenner.DecideAsk, required + "there is none", 0, nil},
		{"changed since", asks(with(func(p *jenner.Proof) {
			p.Versions = map[string]string{"experiment": "e1", "service": "s0", "runbook": "r1"}
		})), jenner.DecideAsk, required + "service has changed since drill d1", 0, nil},
		{"nothing said how the cause was known", crashedBut(func(in *Input) {
			in.Policy.RequiresProof, in.Proofs = jenner.Duration(30*24*time.Hour), []jenner.Proof{proven}
			in.Versions = map[string]string{"experiment": "e1", "service": "s1", "runbook": "r1", "signature": "g1"}
		}), jenner.DecideAsk, required + "signature has changed since drill d1", 0, nil},
		{"of nothing in particular", asks(with(func(p *jenner.Proof) { p.Versions = nil })), jenner.DecideAsk,
			required + "everything has changed since drill d1", 0, nil},
		{"of nothing in particular, and nothing is known now", crashedBut(func(in *Input) {
			in.Policy.RequiresProof = jenner.Duration(30 * 24 * time.Hour)
			in.Proofs = []jenner.Proof{with(func(p *jenner.Proof) { p.Versions = nil })}
		}), jenner.DecideAsk, required + "everything has changed since drill d1", 0, nil},
		{"harmful since", asks(proven, with(func(p *jenner.Proof) {
			p.Verdict, p.At = jenner.VerdictHarmful, before(time.Hour)
		})), jenner.DecideAsk, required + "a drill 1h ago failed", 0, nil},
		{"harmful before it was repaired and proven", asks(proven, with(func(p *jenner.Proof) {
			p.Verdict, p.At = jenner.VerdictHarmful, before(48*time.Hour)
		})), jenner.DecideAct, "proven 1d ago, and 30d is asked for", 0, nil},
	})
}

func TestReasonsNameNoPlaceholder(t *testing.T) {
	for _, result := range Decide(crashed()).Guards {
		if result.Reason == "" || strings.Contains(result.Reason, "%!") {
			t.Errorf("guard %s gives the reason %q", result.Guard, result.Reason)
		}
	}
}

func TestSignal(t *testing.T) {
	with := func(wanted string, change func(*Input)) Input {
		return crashedBut(func(in *Input) {
			in.Policy.DetectionSignal = wanted
			in.Cause.Evidence = []jenner.Evidence{
				{What: "event: OOMKilled", Finding: jenner.Matched}, {What: "probe: payments/ready, is: failing", Finding: jenner.Matched},
				{What: "alert: disk-full", Finding: jenner.NotMatched}, {What: "promql: up", Finding: jenner.Matched},
			}
			change(in)
		})
	}
	firing := func(name string, status jenner.AlertStatus) func(*Input) {
		return func(in *Input) { in.Alerts = []jenner.Alert{{Name: name, Status: status}} }
	}
	nothing := func(*Input) {}
	missing := func(wanted string) string { return "the detection signal " + wanted + " is not among the evidence" }
	check(t, signal, []said{
		{"none is asked for", with("", nothing), jenner.DecideAct, "no detection signal is asked for", 0, nil},
		{"an event", with("OOMKilled", nothing), jenner.DecideAct, "the detection signal OOMKilled is there: event: OOMKilled", 0,
			numbers{"signal": "OOMKilled"}},
		{"a probe of another service", with("ready", nothing), jenner.DecideAct,
			"the detection signal ready is there: probe: payments/ready, is: failing", 0, nil},
		{"evidence that did not match", with("disk-full", nothing), jenner.DecideWait, missing("disk-full"), time.Second, nil},
		{"PromQL is no name", with("up", nothing), jenner.DecideWait, missing("up"), time.Second, nil},
		{"an alert that fires", with("errors", firing("errors", jenner.Firing)), jenner.DecideAct,
			"the detection signal errors is there: alert errors fires", 0, nil},
		{"the alert of a probe", with("health", firing("health-failing", jenner.Firing)), jenner.DecideAct,
			"the detection signal health is there: alert health-failing fires", 0, nil},
		{"an alert that was resolved", with("errors", firing("errors", jenner.Resolved)), jenner.DecideWait, missing("errors"), time.Second, nil},
	})
}
