package calendar_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/calendar"
)

// told writes planned events as lines that can be read and compared.
func told(planned []jenner.Planned) []string {
	var lines []string
	for _, p := range planned {
		line := fmt.Sprintf("%s/%s %s", p.From.Format("2006-01-02T15:04:05Z"), p.Until.Format("2006-01-02T15:04:05Z"), p.Effect)
		if p.Effect == jenner.PlannedLower {
			line += fmt.Sprintf(" %g%%", p.LowerBy*100)
		}
		line += " " + p.Summary
		if len(p.Services.Names) > 0 {
			line += " (" + strings.Join(p.Services.Names, " ") + ")"
		}
		lines = append(lines, line)
	}
	return lines
}

func date(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestPrograms: files as the programs write them.
func TestPrograms(t *testing.T) {
	for _, c := range []struct {
		file, from, until string
		calendar          jenner.Calendar
		want              []string
	}{
		{"google.ics", "2026-03-22", "2026-04-07", jenner.Calendar{}, []string{
			"2026-03-23T08:00:00Z/2026-03-23T09:00:00Z approve Release window (checkout payments)",
			"2026-03-27T23:00:00Z/2026-03-29T22:00:00Z lower 30% Spring sale (checkout)", // 47 hours, in Berlin
			"2026-03-31T12:00:00Z/2026-03-31T13:00:00Z approve Release window (moved) (checkout payments)",
			"2026-04-01T07:00:00Z/2026-04-01T08:00:00Z approve Release window (checkout payments)",
			"2026-04-06T07:00:00Z/2026-04-06T08:00:00Z approve Release window (checkout payments)",
		}},
		{"outlook.ics", "2026-03-01", "2026-04-15", jenner.Calendar{
			Services: jenner.Selector{Names: []string{"shop"}}, LowerBy: 0.4, Effect: jenner.PlannedFreeze,
		}, []string{
			"2026-03-10T13:00:00Z/2026-03-10T14:30:00Z lower 40% Load test from New York (shop)",
			"2026-03-10T21:00:00Z/2026-03-11T00:00:00Z freeze Patch Tuesday (shop)",
			"2026-03-11T00:00:00Z/2026-03-12T00:00:00Z freeze Stocktaking (shop)", // two zones are defined: neither is its own
			"2026-04-14T20:00:00Z/2026-04-14T23:00:00Z freeze Patch Tuesday (shop)",
		}},
		{"outlook.ics", "2026-12-01", "2027-02-28", jenner.Calendar{}, []string{
			"2026-12-08T21:00:00Z/2026-12-09T00:00:00Z freeze Patch Tuesday",
		}},
		{"thunderbird.ics", "2026-12-01", "2027-01-01", jenner.Calendar{}, []string{
			"2026-12-23T23:00:00Z/2026-12-26T23:00:00Z freeze Christmas freeze", // the one zone that is defined
			"2026-12-24T22:30:00Z/2026-12-24T23:30:00Z lower 10% Backup (inventory orders)",
			"2026-12-28T11:00:00Z/2026-12-28T12:00:00Z lower 10% Backup (inventory orders)",
		}},
	} {
		t.Run(c.file+" "+c.from, func(t *testing.T) {
			c.calendar.Name = "ops"
			planned, err := calendar.Parse(c.calendar, file(t, c.file), date(t, c.from), date(t, c.until))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, told(planned)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// in is a calendar with the lines of one event, and what stands before it.
func in(before, event string) []byte {
	if before != "" {
		before += "\n"
	}
	return []byte("BEGIN:VCALENDAR\nVERSION:2.0\n" + before + "BEGIN:VEVENT\nUID:one\nSUMMARY:it\n" + event +
		"\nEND:VEVENT\nEND:VCALENDAR\n")
}

// TestTimes: when an event is, within March and April 2026 unless the case is about another time.
func TestTimes(t *testing.T) {
	berlin, york := "X-WR-TIMEZONE:Europe/Berlin", "X-WR-TIMEZONE:America/New_York"
	for _, c := range []struct {
		name, before, event string
		want                []string // from/until
	}{
		{"an end", "", "DTSTART:20260301T100000Z\nDTEND:20260301T113000Z", []string{"03-01T10:00/03-01T11:30"}},
		{"a duration", "", "DTSTART:20260301T100000Z\nDURATION:P1DT2H", []string{"03-01T10:00/03-02T12:00"}},
		{"a day of the duration has 23 hours", berlin, "DTSTART:20260328T120000\nDURATION:P1D", []string{"03-28T11:00/03-29T10:00"}},
		{"24 hours have 24 hours", berlin, "DTSTART:20260328T120000\nDURATION:PT24H", []string{"03-28T11:00/03-29T11:00"}},
		{"a day", "", "DTSTART;VALUE=DATE:20260301", []string{"03-01T00:00/03-02T00:00"}},
		{"a day in the calendar's zone", york, "DTSTART;VALUE=DATE:20260301", []string{"03-01T05:00/03-02T05:00"}},
		{"a day that ends at itself", "", "DTSTART;VALUE=DATE:20260301\nDTEND;VALUE=DATE:20260301", []string{"03-01T00:00/03-02T00:00"}},
		{"no end", "", "DTSTART:20260301T100000Z", nil},
		{"an end at the start", "", "DTSTART:20260301T100000Z\nDTEND:20260301T100000Z", nil},
		{"no zone", berlin, "DTSTART:20260301T100000\nDTEND:20260301T110000", []string{"03-01T09:00/03-01T10:00"}},
		{"no zone at all", "", "DTSTART:20260301T100000\nDTEND:20260301T110000", []string{"03-01T10:00/03-01T11:00"}},
		{"a Windows zone", "", "DTSTART;TZID=Tokyo Standard Time:20260301T100000\nDURATION:PT1H", []string{"03-01T01:00/03-01T02:00"}},
		{"a skipped time", berlin, "DTSTART:20260329T023000\nDURATION:PT1H", []string{"03-29T01:30/03-29T02:30"}},
		{"a skipped time in the west", york, "DTSTART:20260308T023000\nDURATION:PT1H", []string{"03-08T07:30/03-08T08:30"}},
		{"every day over the change", berlin, "DTSTART:20260328T023000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3",
			[]string{"03-28T01:30/03-28T02:30", "03-29T01:30/03-29T02:30", "03-30T00:30/03-30T01:30"}},
		{"the end of a day that repeats", berlin, "DTSTART;VALUE=DATE:20260328\nRRULE:FREQ=DAILY;COUNT=3",
			[]string{"03-27T23:00/03-28T23:00", "03-28T23:00/03-29T22:00", "03-29T22:00/03-30T22:00"}},
		{"the last day is included", "", "DTSTART:20260301T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20260302",
			[]string{"03-01T10:00/03-01T11:00", "03-02T10:00/03-02T11:00"}},
		{"the last time is included", "", "DTSTART:20260301T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20260302T100000Z",
			[]string{"03-01T10:00/03-01T11:00", "03-02T10:00/03-02T11:00"}},
		{"the last time in the event's zone", york, "DTSTART:20260301T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20260302T100000",
			[]string{"03-01T15:00/03-01T16:00", "03-02T15:00/03-02T16:00"}},
		{"the last day as midnight in UTC", york, "DTSTART;VALUE=DATE:20260301\nRRULE:FREQ=DAILY;UNTIL=20260302T000000Z",
			[]string{"03-01T05:00/03-02T05:00", "03-02T05:00/03-03T05:00"}},
		{"the last day as its last second in UTC", york, "DTSTART;VALUE=DATE:20260301\nRRULE:FREQ=DAILY;UNTIL=20260303T045959Z",
			[]string{"03-01T05:00/03-02T05:00", "03-02T05:00/03-03T05:00"}},
		{"the start counts although the rule leaves it out", "", "DTSTART:20260301T100000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=2",
			[]string{"03-01T10:00/03-01T11:00", "03-02T10:00/03-02T11:00"}},
		{"an exception", "", "DTSTART:20260301T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;TZID=Europe/Berlin:20260301T110000,20260303T110000",
			[]string{"03-02T10:00/03-02T11:00"}},
		{"a day is excepted", "", "DTSTART:20260301T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE;VALUE=DATE:20260301",
			[]string{"03-02T10:00/03-02T11:00"}},
		{"more dates", "", "DTSTART:20260301T100000Z\nDURATION:PT1H\nRDATE:20260305T100000Z,20260304T100000Z",
			[]string{"03-01T10:00/03-01T11:00", "03-04T10:00/03-04T11:00", "03-05T10:00/03-05T11:00"}},
		{"periods", "", "DTSTART:20260301T100000Z\nDURATION:PT1H\nRDATE;VALUE=PERIOD:20260304T100000Z/PT2H,20260305T100000Z/20260305T130000Z",
			[]string{"03-01T10:00/03-01T11:00", "03-04T10:00/03-04T12:00", "03-05T10:00/03-05T13:00"}},
		{"the 31st has no June", "", "DTSTART;VALUE=DATE:20080131\nRRULE:FREQ=MONTHLY;INTERVAL=1", []string{"03-31T00:00/04-01T00:00"}},
		{"every other week since 1970", "", "DTSTART:19700101T100000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TH,SU;WKST=MO",
			[]string{"03-01T10:00/03-01T11:00", "03-12T10:00/03-12T11:00", "03-15T10:00/03-15T11:00", "03-26T10:00/03-26T11:00", "03-29T10:00/03-29T11:00",
				"04-09T10:00/04-09T11:00", "04-12T10:00/04-12T11:00", "04-23T10:00/04-23T11:00", "04-26T10:00/04-26T11:00"}},
		{"a year that is not one", "", "DTSTART;VALUE=DATE:16040315\nRRULE:FREQ=YEARLY", []string{"03-15T00:00/03-16T00:00"}},
		{"a year that is not one, counted", "", "DTSTART;VALUE=DATE:16040315\nRRULE:FREQ=YEARLY;COUNT=1000", []string{"03-15T00:00/03-16T00:00"}},
		{"before the zone's first change", "BEGIN:VTIMEZONE\nTZID:Mine\nBEGIN:STANDARD\nDTSTART:20270101T000000\nTZOFFSETFROM:+0300\n" +
			"TZOFFSETTO:+0500\nEND:STANDARD\nEND:VTIMEZONE", "DTSTART;TZID=Mine:20260301T100000\nDURATION:PT1H", []string{"03-01T07:00/03-01T08:00"}},
		{"every fifth hour", "", "DTSTART:20260301T000000Z\nDURATION:PT1H\nRRULE:FREQ=HOURLY;INTERVAL=5;COUNT=3",
			[]string{"03-01T00:00/03-01T01:00", "03-01T05:00/03-01T06:00", "03-01T10:00/03-01T11:00"}},
		{"began before the window", "", "DTSTART:20260201T100000Z\nDTEND:20260301T010000Z", []string{"02-01T10:00/03-01T01:00"}},
		{"over as the window begins", "", "DTSTART:20260201T100000Z\nDTEND:20260301T000000Z", nil},
		{"begins as the window ends", "", "DTSTART:20260501T000000Z\nDTEND:20260501T010000Z", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			planned, err := calendar.Parse(jenner.Calendar{Name: "ops"}, in(c.before, c.event), date(t, "2026-03-01"), date(t, "2026-05-01"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range planned {
				got = append(got, p.From.Format("01-02T15:04")+"/"+p.Until.Format("01-02T15:04"))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestDaysThatMonthsLack: the search begins near the window, and there on a day that the rule means.
func TestDaysThatMonthsLack(t *testing.T) {
	for _, c := range []struct{ start, rule, from, want string }{
		{"20080131", "FREQ=MONTHLY", "2026-01-01", "01-31 03-31 05-31 07-31 08-31 10-31 12-31"},
		{"20080131", "FREQ=MONTHLY", "2025-05-01", "05-31 07-31 08-31 10-31 12-31 01-31 03-31"},
		{"20080131", "FREQ=MONTHLY", "2025-08-01", "08-31 10-31 12-31 01-31 03-31 05-31 07-31"},
		{"20080131", "FREQ=MONTHLY;BYMONTHDAY=31", "2025-11-01", "12-31 01-31 03-31 05-31 07-31 08-31 10-31"},
		{"20000229", "FREQ=YEARLY", "2028-01-01", "02-29"},
		{"20000229", "FREQ=YEARLY", "2027-01-01", ""},
		{"20000229", "FREQ=YEARLY;INTERVAL=3", "2036-01-01", "02-29"},
	} {
		from := date(t, c.from)
		planned, err := calendar.Parse(jenner.Calendar{Name: "ops"}, in("", "DTSTART;VALUE=DATE:"+c.start+"\nRRULE:"+c.rule), from, from.AddDate(1, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		var days []string
		for _, p := range planned {
			days = append(days, p.From.Format("01-02"))
		}
		if got := strings.Join(days, " "); got != c.want {
			t.Errorf("%+v gives %s", c, got)
		}
	}
}

// TestTheClockIsSetBack: of the hour that comes twice, the first is meant, in the east and in the west.
func TestTheClockIsSetBack(t *testing.T) {
	for zone, want := range map[string]string{
		"Europe/Berlin:20261025T023000": "2026-10-25T00:30:00Z", "America/New_York:20261101T013000": "2026-11-01T05:30:00Z",
	} {
		planned, err := calendar.Parse(jenner.Calendar{Name: "ops"}, in("", "DTSTART;TZID="+zone+"\nDURATION:PT1H"),
			date(t, "2026-10-01"), date(t, "2026-12-01"))
		if err != nil || len(planned) != 1 || planned[0].From.Format(time.RFC3339) != want {
			t.Errorf("%s is %v, %v; want %s", zone, told(planned), err, want)
		}
	}
}

// TestOverrides: what replaces or cancels repetitions, and what a later revision replaces.
func TestOverrides(t *testing.T) {
	series := "BEGIN:VEVENT\nUID:s\nSUMMARY:series\nDTSTART:20260301T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2\n%sEND:VEVENT\n"
	for _, c := range []struct{ name, more, inSeries, method, want string }{
		{"nothing", "", "", "", "03-01T10 series,03-02T10 series"},
		{"moved", "BEGIN:VEVENT\nUID:s\nRECURRENCE-ID:20260301T100000Z\nSUMMARY:moved\nDTSTART:20260305T100000Z\nDURATION:PT1H\nEND:VEVENT\n",
			"", "", "03-02T10 series,03-05T10 moved"},
		{"cancelled without a time", "BEGIN:VEVENT\nUID:s\nRECURRENCE-ID:20260301T100000Z\nSTATUS:CANCELLED\nEND:VEVENT\n", "", "",
			"03-02T10 series"},
		{"of another series", "BEGIN:VEVENT\nUID:x\nRECURRENCE-ID:20260301T100000Z\nSUMMARY:alone\nDTSTART:20260305T100000Z\nDURATION:PT1H\nEND:VEVENT\n",
			"", "", "03-01T10 series,03-02T10 series,03-05T10 alone"},
		{"a later revision", "BEGIN:VEVENT\nUID:s\nSEQUENCE:2\nSUMMARY:later\nDTSTART:20260307T100000Z\nDURATION:PT1H\nEND:VEVENT\n",
			"SEQUENCE:1\n", "", "03-07T10 later"},
		{"a later revision cancels", "BEGIN:VEVENT\nUID:s\nSEQUENCE:2\nSTATUS:CANCELLED\nDTSTART:20260307T100000Z\nEND:VEVENT\n",
			"SEQUENCE:1\n", "", ""},
		{"the same revision twice", "BEGIN:VEVENT\nUID:s\nSEQUENCE:1\nSUMMARY:twin\nDTSTART:20260307T100000Z\nDURATION:PT1H\nEND:VEVENT\n",
			"SEQUENCE:1\n", "", "03-01T10 series,03-02T10 series,03-07T10 twin"},
		{"all cancelled", "", "", "METHOD:CANCEL\n", ""},
		{"several objects in one file", "END:VCALENDAR\nBEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:second\nDTSTART:20260308T100000Z\nDURATION:PT1H\nEND:VEVENT\n",
			"", "", "03-01T10 series,03-02T10 series,03-08T10 second"},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := "BEGIN:VCALENDAR\n" + c.method + fmt.Sprintf(series, c.inSeries) + c.more + "END:VCALENDAR\n"
			planned, err := calendar.Parse(jenner.Calendar{Name: "ops"}, []byte(raw), date(t, "2026-03-01"), date(t, "2026-04-01"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range planned {
				got = append(got, p.From.Format("01-02T15")+" "+p.Summary)
			}
			if joined := strings.Join(got, ","); joined != c.want {
				t.Errorf("got %s, want %s", joined, c.want)
			}
		})
	}
}

// TestWhatEventsSay: the three ways, and what the calendar says for them.
func TestWhatEventsSay(t *testing.T) {
	for _, c := range []struct {
		name     string
		calendar jenner.Calendar
		lines    string
		want     string
	}{
		{"nothing", jenner.Calendar{}, "", "approve it"},
		{"nothing, the calendar lowers", jenner.Calendar{Effect: jenner.PlannedLower}, "", "lower 20% it"},
		{"nothing, the calendar says how much", jenner.Calendar{Effect: jenner.PlannedLower, LowerBy: 0.5}, "", "lower 50% it"},
		{"a property", jenner.Calendar{Effect: jenner.PlannedLower, LowerBy: 0.5}, "X-JENNER-EFFECT:freeze", "freeze it"},
		{"a share", jenner.Calendar{LowerBy: 0.5}, "X-JENNER-EFFECT:lower 30%", "lower 30% it"},
		{"no share", jenner.Calendar{LowerBy: 0.5}, "X-JENNER-EFFECT:lower", "lower 50% it"},
		{"services alone", jenner.Calendar{Services: jenner.Selector{Names: []string{"a"}}}, "X-JENNER-SERVICES:b\\,c", "approve it (b c)"},
		{"services of the calendar", jenner.Calendar{Services: jenner.Selector{Names: []string{"a"}}}, "X-JENNER-EFFECT:freeze", "freeze it (a)"},
		{"a category among others", jenner.Calendar{}, "CATEGORIES:Work,JENNER-FREEZE\nCATEGORIES:Home", "freeze it"},
		{"a line", jenner.Calendar{}, `DESCRIPTION:Hello.\nJenner:  Freeze   b\, a\nBye`, "freeze it (a b)"},
		{"a line without backslashes", jenner.Calendar{}, `DESCRIPTION:jenner: freeze b, a`, "freeze it (a b)"},
		{"a line with a share", jenner.Calendar{}, `DESCRIPTION:jenner: lower 0.3 a`, "lower 30% it (a)"},
		{"a line without a share", jenner.Calendar{}, `DESCRIPTION:jenner: lower a`, "lower 20% it (a)"},
		{"only the effect", jenner.Calendar{}, `DESCRIPTION:jenner:approve`, "approve it"},
		{"within a sentence", jenner.Calendar{}, `DESCRIPTION:write jenner: freeze to freeze`, "approve it"},
		{"HTML", jenner.Calendar{}, `DESCRIPTION:<div>A &amp\; B</div><b>jenner:&nbsp\;freeze</b> a<br/>more`, "freeze it (a)"},
		{"all three agree", jenner.Calendar{}, "X-JENNER-EFFECT:lower\nCATEGORIES:jenner-lower\nDESCRIPTION:jenner: lower 5% a", "lower 5% it (a)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.calendar.Name = "ops"
			planned, err := calendar.Parse(c.calendar, in("", "DTSTART:20260301T100000Z\nDURATION:PT1H\n"+c.lines),
				date(t, "2026-03-01"), date(t, "2026-04-01"))
			if err != nil || len(planned) != 1 {
				t.Fatal(planned, err)
			}
			if _, got, _ := strings.Cut(told(planned)[0], " "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestSelectorIsKept: a calendar for a tier stays one for a tier, where its events name no services.
func TestSelectorIsKept(t *testing.T) {
	raw := in("", "DTSTART:20260301T100000Z\nDURATION:PT1H")
	tier := jenner.Calendar{Name: "ops", Services: jenner.Selector{Tier: []int{1}}}
	planned, err := calendar.Parse(tier, raw, date(t, "2026-03-01"), date(t, "2026-04-01"))
	if err != nil || len(planned) != 1 || !slices.Equal(planned[0].Services.Tier, []int{1}) {
		t.Errorf("%v, %v", planned, err)
	}
}
