package calendar_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/calendar"
)

// FuzzParse: whatever is read, it is an error, or events in order that overlap the window.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"google.ics", "outlook.ics", "thunderbird.ics"} {
		raw := file(f, name)
		f.Add(raw, int64(1772323200), uint16(14))
		f.Add([]byte(strings.ReplaceAll(string(raw), "\r\n", "\n")), int64(1798000000), uint16(400))
	}
	for _, rule := range []string{
		"FREQ=YEARLY;BYWEEKNO=53;BYDAY=SU", "FREQ=MONTHLY;BYSETPOS=-1;BYDAY=MO,TU", "FREQ=HOURLY;INTERVAL=7;BYHOUR=3;BYDAY=FR",
		"FREQ=WEEKLY;WKST=SU;BYDAY=SA;BYSETPOS=1;COUNT=9", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29", "FREQ=YEARLY;BYYEARDAY=-365,366;INTERVAL=3",
	} {
		f.Add(in("X-WR-TIMEZONE:Asia/Beirut", "DTSTART:20240229T003000\nDURATION:P1DT1H\nRRULE:"+rule), int64(1772323200), uint16(100))
	}
	f.Add(in("BEGIN:VTIMEZONE\nTZID:Mine\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:-0330\n"+
		"RRULE:FREQ=YEARLY\nEND:STANDARD\nEND:VTIMEZONE", "DTSTART;TZID=Mine:20260101T000000\nRDATE;VALUE=PERIOD:20260301T100000/PT5H\nDURATION:PT1H"),
		int64(1772323200), uint16(1))
	f.Fuzz(func(t *testing.T, raw []byte, begin int64, days uint16) {
		from := time.Unix(begin%(1<<38), 0)
		until := from.AddDate(0, 0, int(days))
		planned, err := calendar.Parse(jenner.Calendar{Name: "ops"}, raw, from, until)
		if err != nil {
			if len(planned) != 0 || len(err.Error()) > 2000 || strings.Contains(err.Error(), "please report") {
				t.Errorf("%d events and the error %v", len(planned), err)
			}
			return
		}
		if !slices.IsSortedFunc(planned, func(a, b jenner.Planned) int { return a.From.Compare(b.From) }) {
			t.Errorf("not in order: %v", told(planned))
		}
		for _, p := range planned {
			if !p.From.Before(p.Until) || !p.From.Before(until) || !p.Until.After(from) || p.Calendar != "ops" || p.Effect == "" {
				t.Errorf("%+v is not an event of [%v, %v)", p, from, until)
			}
		}
	})
}
