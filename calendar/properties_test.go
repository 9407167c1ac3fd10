package calendar_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/calendar"
	"pgregory.net/rapid"
)

var zoneNames = []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"}

// anyEvent draws an event as programs may write it, near 2026.
func anyEvent(t *rapid.T) string {
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 3*365*24*4).Draw(t, "start")) * 15 * time.Minute)
	zone := rapid.SampledFrom(zoneNames).Draw(t, "zone")
	lines := "DTSTART;TZID=" + zone + ":" + start.Format("20060102T150405") + "\n"
	lines += fmt.Sprintf("DURATION:PT%dM\n", rapid.IntRange(0, 5000).Draw(t, "minutes"))
	if rapid.Bool().Draw(t, "whole days") {
		lines = "DTSTART;VALUE=DATE:" + start.Format("20060102") + "\n"
		lines += fmt.Sprintf("DURATION:P%dD\n", rapid.IntRange(1, 4).Draw(t, "days"))
	}
	rule := rapid.SampledFrom([]string{"", "DAILY", "WEEKLY;BYDAY=MO,TH", "WEEKLY", "MONTHLY", "MONTHLY;BYDAY=-1FR", "YEARLY", "HOURLY;BYHOUR=3,4"}).Draw(t, "rule")
	if rule != "" {
		interval := 1
		if !strings.HasPrefix(rule, "HOURLY") {
			interval = rapid.IntRange(1, 4).Draw(t, "interval")
		}
		lines += fmt.Sprintf("RRULE:FREQ=%s;INTERVAL=%d", rule, interval)
		lines += rapid.SampledFrom([]string{"", ";COUNT=5", ";COUNT=300", ";UNTIL=20260601T000000Z"}).Draw(t, "end") + "\n"
	}
	return "BEGIN:VEVENT\nSUMMARY:" + rapid.StringMatching(`[a-z]{3}`).Draw(t, "summary") + "\n" + lines + "END:VEVENT\n"
}

func anyCalendar(t *rapid.T) []byte {
	events := rapid.SliceOfN(rapid.Custom(anyEvent), 0, 5).Draw(t, "events")
	return []byte("BEGIN:VCALENDAR\n" + strings.Join(events, "") + "END:VCALENDAR\n")
}

func anyTime(t *rapid.T, name string) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 365*24*60).Draw(t, name)) * time.Minute)
}

// TestEventsOverlapTheWindow, are in order, and none is there twice.
func TestEventsOverlapTheWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := anyTime(t, "from")
		until := from.Add(time.Duration(rapid.IntRange(0, 60*24*60).Draw(t, "window")) * time.Minute)
		planned, err := calendar.Parse(jenner.Calendar{Name: "ops"}, anyCalendar(t), from, until)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range planned {
			if !p.From.Before(until) || !p.Until.After(from) {
				t.Errorf("%v is not within %v and %v", told([]jenner.Planned{p}), from, until)
			}
		}
		if !slices.IsSortedFunc(planned, func(a, b jenner.Planned) int { return a.From.Compare(b.From) }) {
			t.Errorf("not in order: %v", told(planned))
		}
	})
}

// TestWindowsAgree: a small window has what a large one has within it. Rules begin their search near the window, so that
// each window searches from another start.
func TestWindowsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := anyCalendar(t)
		whole, err := calendar.Parse(jenner.Calendar{Name: "ops"}, raw, time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		from := anyTime(t, "from")
		until := from.AddDate(0, 0, rapid.IntRange(1, 20).Draw(t, "days"))
		part, err := calendar.Parse(jenner.Calendar{Name: "ops"}, raw, from, until)
		if err != nil {
			t.Fatal(err)
		}
		var want []jenner.Planned
		for _, p := range whole {
			if p.From.Before(until) && p.Until.After(from) {
				want = append(want, p)
			}
		}
		if diff := cmp.Diff(told(want), told(part)); diff != "" {
			t.Errorf("%s\n-whole +part\n%s", raw, diff)
		}
	})
}

// TestPlannedIsParseFiltered: what is on at a time is what a fresh look at the file says, wherever the window was.
func TestPlannedIsParseFiltered(t *testing.T) {
	d := newDesk(t, nil, nil)
	rapid.Check(t, func(rt *rapid.T) {
		raw := anyCalendar(rt)
		d.Set([]jenner.Calendar{{Name: "ops", ICS: write(t, string(raw)), Every: jenner.Duration(2000 * 24 * time.Hour)}})
		d.now.Store(anyTime(rt, "read at").Unix())
		if err := d.Read(t.Context()); err != nil {
			rt.Fatal(err)
		}
		for range 5 {
			now := anyTime(rt, "now")
			on, gaps := d.Planned(checkout, now)
			fresh, err := calendar.Parse(jenner.Calendar{Name: "ops"}, raw, now, now.Add(time.Second))
			if err != nil || gaps != nil {
				rt.Fatal(err, gaps)
			}
			fresh = slices.DeleteFunc(fresh, func(p jenner.Planned) bool { return !p.Covers(checkout, now) })
			if diff := cmp.Diff(told(fresh), told(on)); diff != "" {
				rt.Errorf("%s\n-Parse +Planned\n%s", raw, diff)
			}
		}
	})
}

// TestADefinedZoneIsTheZone: a zone that the calendar defines gives the same times as the one it describes.
func TestADefinedZoneIsTheZone(t *testing.T) {
	for zone, definition := range map[string]string{
		"Europe/Berlin": "BEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\n" +
			"BEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\n",
		"America/New_York": "BEGIN:DAYLIGHT\nDTSTART:20070311T020000\nTZOFFSETFROM:-0500\nTZOFFSETTO:-0400\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU\nEND:DAYLIGHT\n" +
			"BEGIN:STANDARD\nDTSTART:20071104T020000\nTZOFFSETFROM:-0400\nTZOFFSETTO:-0500\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU\nEND:STANDARD\n",
		"Asia/Kathmandu": "BEGIN:STANDARD\nDTSTART:19860101T000000\nTZOFFSETFROM:+0530\nTZOFFSETTO:+0545\nEND:STANDARD\n",
	} {
		define := "BEGIN:VTIMEZONE\nTZID:Ours\n" + definition + "END:VTIMEZONE"
		event := "DURATION:PT15M\nRRULE:FREQ=HOURLY;COUNT=9000\n" // each hour of a year, those of both changes too
		from, until := date(t, "2026-01-01"), date(t, "2027-01-01")
		ours, err := calendar.Parse(jenner.Calendar{Name: "ops"}, in(define, "DTSTART;TZID=Ours:20260101T003000\n"+event), from, until)
		if err != nil {
			t.Fatal(zone, err)
		}
		theirs, err := calendar.Parse(jenner.Calendar{Name: "ops"}, in("", "DTSTART;TZID="+zone+":20260101T003000\n"+event), from, until)
		if err != nil {
			t.Fatal(zone, err)
		}
		if diff := cmp.Diff(told(theirs), told(ours)); diff != "" || len(ours) < 8000 {
			t.Errorf("%s: %d events\n-zone +definition\n%s", zone, len(ours), diff)
		}
	}
}
