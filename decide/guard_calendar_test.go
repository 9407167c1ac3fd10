package decide

import (
	"math"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// event is on for an hour around now, for all services.
func event(summary string, effect jenner.PlannedEffect, by float64) jenner.Planned {
	return jenner.Planned{Calendar: "shop", Summary: summary, Effect: effect, LowerBy: by,
		From: before(30 * time.Minute), Until: now.Add(30 * time.Minute)}
}

func during(events ...jenner.Planned) Input {
	return crashedBut(func(in *Input) { in.Planned = events })
}

func TestCalendar(t *testing.T) {
	but := func(change func(*jenner.Planned)) jenner.Planned {
		e := event("sale", "freeze", 0)
		change(&e)
		return e
	}
	unread := crashedBut(func(in *Input) { in.Gaps = []string{"calendar ops: no such file"} })
	frozenAndUnread := during(event("sale", "freeze", 0))
	frozenAndUnread.Gaps = unread.Gaps
	const frozen = `"sale" of calendar shop freezes everything until 2026-03-01T12:30:00Z`
	const agreeing = `"deploy" of calendar shop is on until 2026-03-01T12:30:00Z, and a person must agree while it is`
	check(t, calendar, []said{
		{"nothing", during(), jenner.DecideAct, "nothing is planned", 0, numbers{"planned": "0", "unread_calendars": "0"}},
		{"freeze", during(event("sale", "freeze", 0)), jenner.DecideWait, frozen, 30 * time.Minute,
			numbers{"planned": "1", "shop/sale": "freeze until 2026-03-01T12:30:00Z"}},
		{"approve", during(event("deploy", "approve", 0)), jenner.DecideAsk, agreeing, 0, nil},
		{"lower", during(event("test", "lower", 0.2)), jenner.DecideAct,
			`"test" of calendar shop is on until 2026-03-01T12:30:00Z and lowers the confidence by 0.2`, 0, nil},
		{"an effect nobody knows", during(event("sale", "Freeze", 0)), jenner.DecideAsk,
			`"sale" of calendar shop is on until 2026-03-01T12:30:00Z with the effect "Freeze", which nobody knows; write lower, approve or freeze`, 0, nil},
		{"the strictest holds", during(event("deploy", "approve", 0), event("sale", "freeze", 0)), jenner.DecideWait, frozen, 30 * time.Minute,
			numbers{"planned": "2", "shop/deploy": "approve until 2026-03-01T12:30:00Z"}},
		{"the later of two freezes", during(event("sale", "freeze", 0), but(func(e *jenner.Planned) { e.Until = now.Add(time.Hour) })),
			jenner.DecideWait, frozen + `; "sale" of calendar shop freezes everything until 2026-03-01T13:00:00Z`, time.Hour, nil},
		{"another service's", during(but(func(e *jenner.Planned) { e.Services.Names = []string{"payments"} })), jenner.DecideAct, "nothing is planned", 0, nil},
		{"begins now", during(but(func(e *jenner.Planned) { e.From = now })), jenner.DecideWait, frozen, 30 * time.Minute, nil},
		{"ends now", during(but(func(e *jenner.Planned) { e.Until = now })), jenner.DecideAct, "nothing is planned", 0, nil},
		{"not begun", during(but(func(e *jenner.Planned) { e.From = now.Add(time.Second) })), jenner.DecideAct, "nothing is planned", 0, nil},
		{"a calendar that cannot be read", unread, jenner.DecideAsk,
			"nobody knows whether something is planned: calendar ops: no such file", 0, numbers{"unread_calendars": "1"}},
		{"a freeze is known, another calendar is not", frozenAndUnread, jenner.DecideWait, frozen, 30 * time.Minute, nil},
	})
}

func TestConfidenceIsLoweredByWhatIsPlanned(t *testing.T) {
	sure := func(confidence float64, events ...jenner.Planned) Input {
		in := during(events...)
		in.Cause.Confidence = jenner.Confidence(confidence)
		return in
	}
	over := event("test", "lower", 0.5)
	over.Until = now
	check(t, confidence, []said{
		{"too far", sure(1, event("test", "lower", 0.2)), jenner.DecideWait,
			`confidence 0.8 (1, lowered by 0.2 while "test" is on) is below the threshold 0.9`, time.Second,
			numbers{"confidence": "0.8", "diagnosed": "1", "lowered_by": "0.2", "threshold": "0.9"}},
		{"not too far, to the digit", sure(0.95, event("test", "lower", 0.05)), jenner.DecideAct,
			`confidence 0.9 (0.95, lowered by 0.05 while "test" is on) reaches the threshold 0.9`, 0, nil},
		{"the largest counts, not the sum", sure(1, event("test", "lower", 0.06), event("walk", "lower", 0.1)), jenner.DecideAct,
			`confidence 0.9 (1, lowered by 0.1 while "walk" is on) reaches the threshold 0.9`, 0, nil},
		{"not below nothing", sure(0.5, event("test", "lower", 0.9)), jenner.DecideWait,
			`confidence 0 (0.5, lowered by 0.9 while "test" is on) is below the threshold 0.9`, time.Second, nil},
		{"by nobody knows how much", sure(1, event("test", "lower", math.NaN())), jenner.DecideWait,
			`confidence 0 (1, lowered by 1 while "test" is on) is below the threshold 0.9`, time.Second, nil},
		{"by less than nothing", sure(1, event("test", "lower", -0.5)), jenner.DecideWait,
			`confidence 0 (1, lowered by 1 while "test" is on) is below the threshold 0.9`, time.Second, nil},
		{"over", sure(1, over), jenner.DecideAct, "confidence 1 reaches the threshold 0.9", 0, nil},
		{"other effects lower nothing", sure(1, event("sale", "approve", 0.5)), jenner.DecideAct, "confidence 1 reaches the threshold 0.9", 0, nil},
		{"no number stays no number", sure(math.NaN(), event("test", "lower", 0.2)), jenner.DecideRefuse, "confidence NaN is not a number from 0 to 1", 0, nil},
		{"too much is not lowered into the range", sure(1.1, event("test", "lower", 0.15)), jenner.DecideRefuse, "confidence 1.1 is not a number from 0 to 1", 0, nil},
	})
}
