package learn_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/learn"
)

// TestScore: two faults, the first of checkout from second 10 to 40, the second of stock from 20 to 60.
func TestScore(t *testing.T) {
	at := func(seconds int) time.Time { return opened.Add(time.Duration(seconds) * time.Second) }
	strikes := []jenner.GamedayStrike{
		{ID: "g-1", Service: "checkout", Target: jenner.TargetRef{Kind: "process", Name: "checkout"}, InjectedAt: at(10), RemovedAt: at(40), UndoneAt: at(41),
			SickAt: at(11), WellAt: at(45)},
		{ID: "g-2", Service: "stock", Target: jenner.TargetRef{Kind: "process", Name: "stock"}, InjectedAt: at(20), UndoneAt: at(60), SickAt: at(21)},
		{ID: "g-3", Service: "bank", DueAt: at(90)},
	}
	word := func(second int, kind jenner.WordKind, service, text string) jenner.Word {
		return jenner.Word{At: at(second), Person: "ann", Kind: kind, Service: service, Text: text}
	}
	goals := jenner.GamedayGoals{AcknowledgeWithin: jenner.Duration(10 * time.Second), ResolveWithin: jenner.Duration(35 * time.Second)}
	for name, c := range map[string]struct {
		words []jenner.Word
		want  string // of each fault: found, acknowledged, resolved; then those gone astray
	}{
		"nobody said anything": {nil, "- -1 -1, - -1 -1; 0"},
		"the oldest one first": {[]jenner.Word{word(25, jenner.WordAck, "", "")}, "found 15 -1, - -1 -1; 0"},
		"then the next one":    {[]jenner.Word{word(25, jenner.WordAck, "", ""), word(26, jenner.WordAck, "", "")}, "found 15 -1, found 6 -1; 0"},
		"said in another order than written": {[]jenner.Word{word(26, jenner.WordAck, "", ""), word(15, jenner.WordAck, "", "")},
			"found 5 -1, found 6 -1; 0"},
		"a service that is named":             {[]jenner.Word{word(25, jenner.WordAck, "stock", "")}, "- -1 -1, found 5 -1; 0"},
		"a service that nothing is wrong of":  {[]jenner.Word{word(25, jenner.WordAck, "bank", "")}, "- -1 -1, - -1 -1; 1"},
		"before anything was wrong":           {[]jenner.Word{word(5, jenner.WordAck, "checkout", "")}, "- -1 -1, - -1 -1; 1"},
		"who resolves has acknowledged":       {[]jenner.Word{word(44, jenner.WordResolve, "checkout", "")}, "found 34 34, - -1 -1; 0"},
		"resolved while it held":              {[]jenner.Word{word(15, jenner.WordAck, "", ""), word(30, jenner.WordResolve, "checkout", "")}, "found 5 20 too early, - -1 -1; 0"},
		"a comment finds and is no more":      {[]jenner.Word{word(30, jenner.WordComment, "", "stock is dead")}, "- -1 -1, found -1 -1; 0"},
		"a comment before the fault":          {[]jenner.Word{word(15, jenner.WordComment, "", "stock is dead")}, "- -1 -1, - -1 -1; 0"},
		"what does not hold any more is last": {[]jenner.Word{word(50, jenner.WordAck, "", "")}, "- -1 -1, found 30 -1; 0"},
		"and when all are gone, the newest":   {[]jenner.Word{word(70, jenner.WordResolve, "", "")}, "- -1 -1, found 50 50; 0"},
	} {
		run := jenner.GamedayRun{Struck: strikes, Words: c.words, EndedAt: at(100), Gameday: jenner.Gameday{Goals: goals}}
		card := learn.Score(run, nil)
		var got []string
		for _, fault := range card.Faults[:2] {
			text := "- "
			if fault.Found {
				text = "found "
			}
			text += fmt.Sprintf("%d %d", seconds(fault.AcknowledgedMS), seconds(fault.ResolvedMS))
			if fault.TooEarly {
				text += " too early"
			}
			got = append(got, text)
		}
		if got := fmt.Sprintf("%s; %d", strings.Join(got, ", "), len(card.Astray)); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
		if card.Met {
			t.Errorf("%s: every goal is met", name)
		}
	}
}

func seconds(ms int64) int64 {
	if ms < 0 {
		return ms
	}
	return ms / 1000
}

func TestScoreCounts(t *testing.T) {
	strike := jenner.GamedayStrike{ID: "g-1", Service: "checkout", InjectedAt: opened, UndoneAt: opened.Add(time.Minute), WellAt: opened.Add(2 * time.Minute)}
	run := jenner.GamedayRun{Struck: []jenner.GamedayStrike{strike, {ID: "g-2"}}, EndedAt: opened.Add(time.Hour),
		Gameday: jenner.Gameday{Goals: jenner.GamedayGoals{ResolveWithin: jenner.Duration(90 * time.Second)}},
		Words:   []jenner.Word{{At: opened.Add(80 * time.Second), Person: "ann", Kind: jenner.WordResolve}}}
	incident := jenner.Incident{ID: "i-1", Service: "gateway", OpenedAt: opened.Add(time.Second), ActedAt: opened.Add(3 * time.Second),
		Diagnosis: jenner.Diagnosis{Root: "checkout", Causes: []jenner.RankedCause{{Cause: "crashed"}}},
		Runs:      []jenner.Run{{Runbook: jenner.Runbook{Name: "restart"}}}}
	early := incident
	early.ID, early.OpenedAt = "i-0", opened.Add(-time.Second)
	late := incident
	late.ID, late.OpenedAt = "i-2", opened.Add(2*time.Minute)
	other := incident
	other.ID, other.Diagnosis.Root = "i-3", "bank"
	incidents := []learn.GamedayIncident{{Incident: early}, {Incident: other}, {Incident: incident, Phase: jenner.PhaseResolved}, {Incident: late}}
	card := learn.Score(run, incidents)
	found, injected := card.Found()
	if !card.Met || found != 1 || injected != 1 || card.Unresolved() != 0 || len(card.Faults) != 2 {
		t.Errorf("met %t, %d of %d found, %d unresolved, %d faults", card.Met, found, injected, card.Unresolved(), len(card.Faults))
	}
	fault := card.Faults[0]
	if fault.Held != time.Minute || fault.WellMS != 120_000 || card.Faults[1].Held != -1 {
		t.Errorf("it held %s and was well after %d ms; the other one held %s", fault.Held, fault.WellMS, card.Faults[1].Held)
	}
	if want := (learn.JennerScore{Incident: "i-1", DetectedMS: 1000, Cause: "crashed", ActedMS: 3000, Runbook: "restart", Phase: jenner.PhaseResolved}); fault.Jenner != want {
		t.Errorf("Jenner did %+v, not %+v", fault.Jenner, want)
	}
	run.Gameday.Goals.ResolveWithin = jenner.Duration(79 * time.Second)
	if card := learn.Score(run, nil); card.Met || len(card.Faults[0].Missed) != 1 || !strings.Contains(card.Faults[0].Missed[0], "resolved after 1m20s, within 1m19s") {
		t.Errorf("a goal that was missed by a second: %+v", card.Faults[0].Missed)
	}
}
