package calendar_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/calendar"
)

// TestMistakes: every mistake is an error that names the calendar, and what is wrong in words.
func TestMistakes(t *testing.T) {
	whole := "DTSTART:20260301T100000Z\nDURATION:PT1H\n"
	for _, c := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"empty", []byte(" \n"), "is empty"},
		{"a login page", []byte("\n<!DOCTYPE html><html><body>Sign in</body></html>"), "perhaps a login page"},
		{"JSON", []byte(`{"error":"no"}`), `begins with "{\"error\"`},
		{"cut off in an event", in("", whole)[:90], "was cut off: it ends within VEVENT"},
		{"cut off after an event", []byte(strings.TrimSuffix(string(in("", whole)), "END:VCALENDAR\n")), "it ends within VCALENDAR"},
		{"ends twice", append(in("", whole), "END:VCALENDAR\n"...), "ends a VCALENDAR that was not begun"},
		{"ends another", []byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n"), "line 3 ends a VCALENDAR that was not begun"},
		{"no value", in("", whole+"X-A;B=c"), "line 8 is not iCalendar"},
		{"no value before a colon", in("", whole+"X-A;B:C=d"), "line 8 is not iCalendar"},
		{"an endless parameter", in("", whole+"X-A;B="+strings.Repeat("b", 9000)+":d"), "is not iCalendar"},
		{"too deep", []byte(strings.Repeat("BEGIN:VCALENDAR\n", 10)), "more than 8 components"},
		{"too large", append([]byte("BEGIN:VCALENDAR\n"), make([]byte, 5<<20)...), "larger than 5 MB"},
		{"something behind it", append(in("", whole), "X-A:b\n"...), "is not iCalendar"},
		{"no start", in("", "SEQUENCE:0"), `event "it": it has no DTSTART`},
		{"a start that is none", in("", "DTSTART:tomorrow"), `event "it" of tomorrow: DTSTART: "tomorrow" is not a date`},
		{"the 30th of February", in("", "DTSTART;VALUE=DATE:20260230"), "is not a date"},
		{"two starts in one", in("", "DTSTART:20260301T100000Z,20260302T100000Z"), "more than one time"},
		{"a broken second", in("", "DTSTART:20260301T100000.5Z"), "is not a date"},
		{"ends before it begins", in("", "DTSTART:20260301T100000Z\nDTEND:20260301T090000Z"), "ends before it begins"},
		{"days end before they begin", in("", "DTSTART;VALUE=DATE:20260302\nDTEND;VALUE=DATE:20260301"), "ends before it begins"},
		{"an empty duration", in("", "DTSTART:20260301T100000Z\nDURATION:PT"), `DURATION "PT"`},
		{"a negative duration", in("", "DTSTART:20260301T100000Z\nDURATION:-PT1H"), `DURATION "-PT1H"`},
		{"a month", in("", "DTSTART:20260301T100000Z\nDURATION:P1M"), "PT90M"},
		{"for ever", in("", "DTSTART:20260301T100000Z\nDURATION:P9999999D"), "after the year 9999"},
		{"an unknown zone", in("", "DTSTART;TZID=Europe/Berlyn:20260301T100000\nDURATION:PT1H"), `DTSTART: time zone "Europe/Berlyn" is not known; use a name such as Europe/Berlin`},
		{"this machine's zone", in("", "DTSTART;TZID=Local:20260301T100000\nDURATION:PT1H"), "is not known"},
		{"a path as a zone", in("", "DTSTART;TZID=../../etc/passwd:20260301T100000\nDURATION:PT1H"), "is not known"},
		{"an unknown zone of the calendar", in("X-WR-TIMEZONE:Moon", whole), `time zone "Moon" is not known`},
		{"a zone without changes", in("BEGIN:VTIMEZONE\nTZID:Mine\nEND:VTIMEZONE", whole), "neither STANDARD nor DAYLIGHT"},
		{"a zone with a bad offset", in("BEGIN:VTIMEZONE\nTZID:Mine\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+2500\nEND:STANDARD\nEND:VTIMEZONE", whole),
			`TZOFFSETTO "+2500" is not an offset`},
		{"an unknown effect", in("", whole+"X-JENNER-EFFECT:freze"), `event "it" of 20260301T100000Z: X-JENNER-EFFECT: effect "freze" is not known; write freeze, approve`},
		{"an unknown category", in("", whole+"CATEGORIES:jenner-frozen"), `effect "frozen" is not known`},
		{"an unknown word", in("", whole+"DESCRIPTION:jenner: please freeze"), `effect "please" is not known`},
		{"no word", in("", whole+"DESCRIPTION:jenner:"), `effect "" is not known`},
		{"a sentence", in("", whole+"DESCRIPTION:jenner: freeze checkout because of the sale"), "is not the name of a service"},
		{"services in the wrong place", in("", whole+"X-JENNER-EFFECT:freeze checkout"), "name services in X-JENNER-SERVICES"},
		{"an empty name", in("", whole+"X-JENNER-SERVICES:a,,b"), "is not the name of a service"},
		{"a share above one", in("", whole+"X-JENNER-EFFECT:lower 30"), "outside 0% to 100%"},
		{"a share that is none", in("", whole+"DESCRIPTION:jenner: lower x% a"), "is not a share"},
		{"two effects", in("", whole+"CATEGORIES:jenner-freeze\nDESCRIPTION:jenner: approve"), "say different effects (freeze, approve)"},
		{"two shares", in("", whole+"X-JENNER-EFFECT:lower 30%\nDESCRIPTION:jenner: lower 40%"), "say different shares"},
		{"two lists", in("", whole+"X-JENNER-SERVICES:a\nDESCRIPTION:jenner: lower b"), "say different services"},
		{"freezes no time", in("", "DTSTART:20260301T100000Z\nX-JENNER-EFFECT:freeze"), "it is over as it begins"},
		{"this and all later", in("", whole+"RECURRENCE-ID;RANGE=THISANDFUTURE:20260301T100000Z"), "split the series"},
		{"a revision that is none", in("", whole+"SEQUENCE:x"), "SEQUENCE"},
		{"a period that is none", in("", whole+"RDATE;VALUE=PERIOD:20260301T100000Z"), "is not a period"},
	} {
		t.Run(c.name, func(t *testing.T) {
			planned, err := calendar.Parse(jenner.Calendar{Name: "ops"}, c.raw, date(t, "2026-03-01"), date(t, "2026-04-01"))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "calendar ops: ") || planned != nil {
				t.Errorf("%v, error %v; want one with %q", planned, err, c.want)
			}
		})
	}
}

// TestDefaultsAreChecked: a document that was made by a program may hold what a file could not.
func TestDefaultsAreChecked(t *testing.T) {
	for _, c := range []jenner.Calendar{{Effect: "stop"}, {LowerBy: 1.5}, {LowerBy: -0.5}} {
		if _, err := calendar.Parse(c, in("", "DTSTART:20260301T100000Z"), time.Time{}, time.Time{}); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

// TestRulesWithoutBounds: what would keep the library busy for ever, or make it panic, is refused or ends.
func TestRulesWithoutBounds(t *testing.T) {
	numbers := func(n int) string { return strings.TrimSuffix(strings.Repeat("1,", n), ",") }
	for _, c := range []struct{ rule, want string }{
		{"FREQ=SECONDLY", "more often than hourly"},
		{"FREQ=MINUTELY;INTERVAL=30", "more often than hourly"},
		{"FREQ=HOURLY;INTERVAL=24;BYHOUR=5", "never comes to an hour of BYHOUR"},
		{"FREQ=HOURLY;INTERVAL=4;BYHOUR=11,13", "never comes to an hour of BYHOUR"},
		{"FREQ=HOURLY;BYSETPOS=99", "BYSETPOS"},
		{"FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30", "no month"},
		{"FREQ=YEARLY;BYMONTH=4,6;BYMONTHDAY=31,-31", "no month"},
		{"FREQ=YEARLY;BYDAY=-54MO", "byday"},
		{"FREQ=MONTHLY;BYDAY=-53MO", "no more than 5"},
		{"FREQ=MONTHLY;BYDAY=53MO", "no more than 5"},
		{"FREQ=YEARLY;BYMONTH=12;BYDAY=53MO", "no more than 5"},
		{"FREQ=WEEKLY;BYDAY=1MO", "numbers in BYDAY"},
		{"FREQ=DAILY;BYWEEKNO=53", "BYWEEKNO"},
		{"FREQ=YEARLY;BYEASTER=400", "BYEASTER"},
		{"FREQ=DAILY;DTSTART=20260101", "DTSTART"},
		{"FREQ=DAILY;BYHOUR=" + numbers(10) + ";BYMINUTE=" + numbers(10), "times of a day"},
		{"FREQ=YEARLY;BYMONTHDAY=" + numbers(400), "more than 366 numbers"},
		{"FREQ=DAILY;INTERVAL=0", "INTERVAL"},
		{"FREQ=DAILY;INTERVAL=-1", "INTERVAL"},
		{"FREQ=DAILY;INTERVAL=9223372036854775807", "INTERVAL"},
		{"FREQ=DAILY;COUNT=0", "COUNT"},
		{"FREQ=DAILY;UNTIL=never", "UNTIL"},
		{"INTERVAL=2", "FREQ"},
		{"FREQ=FORTNIGHTLY", "FORTNIGHTLY"},
		{"nonsense", "wrong format"},
	} {
		_, err := calendar.Parse(jenner.Calendar{Name: "ops"}, in("", "DTSTART:20260301T100000Z\nDURATION:PT1H\nRRULE:"+c.rule),
			date(t, "2026-03-01"), date(t, "2026-04-01"))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `event "it"`) {
			t.Errorf("%s: error %v; want one with %q", short(c.rule), err, c.want)
		}
	}
}

func short(text string) string { return text[:min(len(text), 60)] }

// TestTooMuchWork: each event alone is right, but there are too many of them for one reading.
func TestTooMuchWork(t *testing.T) {
	for _, c := range []struct {
		name, event, want string
		times             int
	}{
		{"the second first", "DTSTART:20260301T100000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY;BYYEARDAY=2;BYMONTHDAY=1", "too much searching", 20},
		{"counted from long ago", "DTSTART:00010101T100000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY;COUNT=5000", "too much searching", 50},
		{"every hour", "DTSTART:20260101T100000Z\nDURATION:PT1H\nRRULE:FREQ=HOURLY", "more than 20000", 40},
		{"every quarter of an hour", "DTSTART:20260101T100000Z\nDURATION:P300D\nRRULE:FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23;BYMINUTE=0,15,30,45", "more than 20000", 10},
	} {
		var raw strings.Builder
		raw.WriteString("BEGIN:VCALENDAR\n")
		for i := range c.times {
			fmt.Fprintf(&raw, "BEGIN:VEVENT\nUID:%d\nSUMMARY:it\n%s\nEND:VEVENT\n", i, c.event)
		}
		raw.WriteString("END:VCALENDAR\n")
		began := time.Now()
		_, err := calendar.Parse(jenner.Calendar{Name: "ops"}, []byte(raw.String()), date(t, "2026-03-01"), date(t, "2026-04-01"))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v; want one with %q", c.name, err, c.want)
		}
		t.Logf("%s: refused after %v", c.name, time.Since(began))
	}
}

// TestALargeCalendar: thousands of series from many years ago are no trouble.
func TestALargeCalendar(t *testing.T) {
	var raw strings.Builder
	raw.WriteString("BEGIN:VCALENDAR\n")
	for i := range 3000 {
		rule := []string{"FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,FR", "FREQ=MONTHLY;BYDAY=1MO", "FREQ=YEARLY", "FREQ=WEEKLY;UNTIL=20150101T000000Z"}[i%5]
		fmt.Fprintf(&raw, "BEGIN:VEVENT\nUID:%d\nSUMMARY:it\nDTSTART;TZID=Europe/Berlin:20050307T100000\nDURATION:PT1H\nRRULE:%s\nEND:VEVENT\n", i, rule)
	}
	raw.WriteString("END:VCALENDAR\n")
	began := time.Now()
	planned, err := calendar.Parse(jenner.Calendar{Name: "ops"}, []byte(raw.String()), date(t, "2026-03-02"), date(t, "2026-03-09"))
	if want := 600 * (7 + 2 + 1 + 1); err != nil || len(planned) != want {
		t.Errorf("%d events, %v; want %d", len(planned), err, want)
	}
	t.Logf("read in %v", time.Since(began))
}
