package calendar_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/calendar"
	"github.com/jenner-heal/jenner/internal/await"
)

// event is an event that began an hour ago and lasts for a while.
func event(summary string, lasts time.Duration, lines string) string {
	from := time.Now().Add(-time.Hour).UTC()
	return fmt.Sprintf("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:%s\nSUMMARY:%s\nDTSTART:%s\nDTEND:%s\n%sEND:VEVENT\nEND:VCALENDAR\n",
		summary, summary, from.Format("20060102T150405Z"), from.Add(lasts).Format("20060102T150405Z"), lines)
}

// shelf is a folder with calendars and a reader that runs, in the time of a bubble.
type shelf struct {
	*calendar.Reader
	dir string
	log *journal
}

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// onShelf runs a story with a reader of calendars in files.
func onShelf(t *testing.T, story func(t *testing.T, s *shelf)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{dir: dir, log: &journal{}}
		s.Reader = calendar.New(calendar.Options{Logger: slog.New(slog.NewTextHandler(s.log, nil))})
		ctx, stop := context.WithCancel(t.Context())
		var ran sync.WaitGroup
		ran.Go(func() { s.Run(ctx) })
		story(t, s)
		stop()
		ran.Wait()
	})
}

func (s *shelf) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// is waits for what goes on at this instant, and tells what is on and the gaps.
func (s *shelf) is(t *testing.T, when, want, gap string) {
	t.Helper()
	synctest.Wait()
	planned, gaps := s.Planned(checkout, time.Now())
	var names []string
	for _, p := range planned {
		names = append(names, p.Summary)
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("%s: on is %q, want %q", when, got, want)
	}
	if joined := strings.Join(gaps, "\n"); gap == "" && joined != "" || !strings.Contains(joined, gap) {
		t.Errorf("%s: gaps are %q, want %q", when, joined, gap)
	}
}

// TestAFileIsReadAgain: at once when it is set, soon after it has changed, and whatever happens to it on the way.
func TestAFileIsReadAgain(t *testing.T) {
	onShelf(t, func(t *testing.T, s *shelf) {
		s.write(t, "ops.ics", event("first", 4*time.Hour, ""))
		s.is(t, "before Set", "", "")
		s.Set([]jenner.Calendar{{Name: "ops", ICS: "ops.ics", Dir: s.dir}})
		s.is(t, "after Set", "first", "")
		s.write(t, "ops.ics", event("the-second", 4*time.Hour, ""))
		s.is(t, "as it changes", "first", "")
		time.Sleep(2 * time.Second)
		s.is(t, "after it has changed", "the-second", "")
		s.write(t, "ops.ics", event("third", 4*time.Hour, "X-JENNER-EFFECT:frz\n"))
		time.Sleep(2 * time.Second)
		s.is(t, "with a mistake", "the-second", `effect "frz" is not known`)
		time.Sleep(time.Minute)
		if n := strings.Count(s.log.String(), "level=ERROR"); n != 1 {
			t.Errorf("a mistake is logged %d times:\n%s", n, s.log)
		}
		if err := os.Remove(filepath.Join(s.dir, "ops.ics")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		s.is(t, "gone", "the-second", "no such file")
		s.write(t, "ops.ics", event("fourth", 4*time.Hour, ""))
		time.Sleep(2 * time.Second)
		s.is(t, "back", "fourth", "")
		if !strings.Contains(s.log.String(), "can be read again") {
			t.Errorf("the log does not say so:\n%s", s.log)
		}
	})
}

// TestSetKeepsWhatIsTheSame: only what has changed is unread, also where documents moved to other lines.
func TestSetKeepsWhatIsTheSame(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.ics", "b.ics"} {
		text := strings.Replace(freeze, "SUMMARY:it", "SUMMARY:"+name, 1)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := jenner.Calendar{Name: "a", ICS: "a.ics", Dir: dir, Source: jenner.Source{File: "x.yaml", Line: 1}}
	b := jenner.Calendar{Name: "b", ICS: "b.ics", Dir: dir}
	r := calendar.New(calendar.Options{})
	r.Set([]jenner.Calendar{a, b})
	if err := r.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.Source.Line, b.Effect = 9, jenner.PlannedFreeze
	r.Set([]jenner.Calendar{b, a})
	events, gaps := r.Planned(checkout, noon)
	// The clock of the reader is not that of the event: a is read in the future, which is not too old.
	if len(events) != 1 || events[0].Summary != "a.ics" || !cmp.Equal(gaps, []string{"calendar b: was not read yet"}) {
		t.Errorf("on: %v, gaps: %v", told(events), gaps)
	}
	r.Set(nil)
	if events, gaps := r.Planned(checkout, noon); events != nil || gaps != nil {
		t.Errorf("on: %v, gaps: %v", events, gaps)
	}
}

// TestItGrowsTooOld: where nobody reads any more, three times Every is the most, and a quarter of an hour at least.
func TestItGrowsTooOld(t *testing.T) {
	for every, most := range map[time.Duration]time.Duration{
		0: 15 * time.Minute, time.Second: 15 * time.Minute, 10 * time.Minute: 30 * time.Minute, 24 * time.Hour: 72 * time.Hour,
	} {
		d := newDesk(t, nil, body(freeze))
		d.Set([]jenner.Calendar{{Name: "ops", ICS: write(t, freeze), Every: jenner.Duration(every)}})
		if err := d.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, gaps := d.Planned(checkout, noon.Add(most)); gaps != nil {
			t.Errorf("every %v: after %v the gaps are %v", every, most, gaps)
		}
		if _, gaps := d.Planned(checkout, noon.Add(most+time.Second)); len(gaps) != 1 || !strings.Contains(gaps[0], "was last read") {
			t.Errorf("every %v: after more than %v the gaps are %v", every, most, gaps)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ops.ics")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRunKeepsItYoung: a file that nobody touches is read every Every, and never too old.
func TestRunKeepsItYoung(t *testing.T) {
	onShelf(t, func(t *testing.T, s *shelf) {
		s.write(t, "ops.ics", event("again", 2*time.Hour, "RRULE:FREQ=HOURLY;INTERVAL=3\n"))
		s.Set([]jenner.Calendar{{Name: "ops", ICS: "ops.ics", Dir: s.dir, Every: jenner.Duration(10 * time.Minute)}})
		s.is(t, "at first", "again", "")
		time.Sleep(time.Hour)
		s.is(t, "as it ends", "", "")
		time.Sleep(time.Hour - time.Second)
		s.is(t, "before it comes again", "", "")
		time.Sleep(time.Second)
		s.is(t, "as it comes again", "again", "")
	})
}

// TestTheWindowMoves: a calendar that is read once in a long while is right in between.
func TestTheWindowMoves(t *testing.T) {
	d := newDesk(t, nil, nil)
	d.Set([]jenner.Calendar{{Name: "ops", ICS: write(t, strings.Replace(freeze, "X-JENNER", "RRULE:FREQ=DAILY\nX-JENNER", 1)),
		Every: jenner.Duration(90 * 24 * time.Hour)}})
	if err := d.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, days := range []int{1, 7, 8, 9, 30, 100, 5} {
		now := noon.AddDate(0, 0, days)
		events, gaps := d.Planned(checkout, now)
		if len(events) != 1 || !events[0].Covers(checkout, now) || gaps != nil {
			t.Errorf("after %d days: on: %v, gaps: %v", days, told(events), gaps)
		}
	}
}

// TestTooManyAhead: a window that cannot be worked out is a gap, and the events of the last good reading stay.
func TestTooManyAhead(t *testing.T) {
	path := write(t, freeze)
	d := newDesk(t, nil, nil)
	d.Set([]jenner.Calendar{{Name: "ops", ICS: path}})
	if err := d.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	hourly := "DTSTART:20260101T100000Z\nDURATION:P366D\nRRULE:FREQ=HOURLY\n"
	var raw strings.Builder
	raw.WriteString("BEGIN:VCALENDAR\n")
	for range 20 {
		raw.WriteString("BEGIN:VEVENT\n" + hourly + "END:VEVENT\n")
	}
	raw.WriteString("END:VCALENDAR\n")
	if err := os.WriteFile(path, []byte(raw.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Read(t.Context()); err == nil {
		t.Error("no error")
	}
	if events, gaps := d.on(); !cmp.Equal(events, frozen) || len(gaps) != 1 || !strings.Contains(gaps[0], "more than 20000") {
		t.Errorf("on: %v, gaps: %v", events, gaps)
	}
}

// TestWhomAGapConcerns: those that the calendar is about, and those that its events name.
func TestWhomAGapConcerns(t *testing.T) {
	path := write(t, strings.Replace(freeze, "X-JENNER", "X-JENNER-SERVICES:payments\nX-JENNER", 1))
	d := newDesk(t, nil, nil)
	d.Set([]jenner.Calendar{{Name: "ops", ICS: path, Services: jenner.Selector{Tier: []int{1}}}})
	concerned := func() string {
		var names []string
		for _, service := range []jenner.Service{checkout, {Name: "payments", Tier: 2}, {Name: "mail", Tier: 3}} {
			if _, gaps := d.Planned(service, noon.Add(time.Hour)); gaps != nil {
				names = append(names, service.Name)
			}
		}
		return strings.Join(names, " ")
	}
	if got := concerned(); got != "checkout" {
		t.Errorf("before it is read: %s", got)
	}
	if err := d.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := concerned(); got != "checkout payments" {
		t.Errorf("when it is too old: %s", got)
	}
}

// TestUpcoming: events of all calendars in order, those that are on included, far beyond the window too.
func TestUpcoming(t *testing.T) {
	d := newDesk(t, nil, nil)
	monthly := string(in("", "DTSTART:20260102T100000Z\nDURATION:PT1H\nRRULE:FREQ=MONTHLY"))
	d.Set([]jenner.Calendar{{Name: "a", ICS: write(t, monthly)}, {Name: "b", ICS: write(t, freeze)}, {Name: "c", ICS: "none"}})
	if err := d.Read(t.Context()); err == nil {
		t.Error("c was read")
	}
	want := append(append([]string{}, frozen...), "2026-03-02T10:00:00Z/2026-03-02T11:00:00Z approve it",
		"2026-04-02T10:00:00Z/2026-04-02T11:00:00Z approve it")
	if diff := cmp.Diff(want, told(d.Upcoming(noon, 40*24*time.Hour))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestManyAtOnce is for the race detector.
func TestManyAtOnce(t *testing.T) {
	d := newDesk(t, nil, body(freeze))
	path := write(t, freeze)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { d.Run(ctx) })
	for n := range 4 {
		all.Go(func() {
			for i := range 50 {
				switch n {
				case 0:
					d.Set([]jenner.Calendar{{Name: "ops", ICS: path}, {Name: fmt.Sprint(i % 3), ICS: path}})
				case 1:
					_ = d.Read(ctx)
				case 2:
					d.Planned(checkout, noon.AddDate(0, 0, i))
				default:
					d.Upcoming(noon, time.Hour)
				}
			}
		})
	}
	await.True(t, "both events are in force", func() bool { events, _ := d.on(); return len(events) == 2 })
	stop()
	all.Wait()
}

// BenchmarkPlanned is what each decision pays.
func BenchmarkPlanned(b *testing.B) {
	path := filepath.Join(b.TempDir(), "ops.ics")
	raw := strings.Replace(freeze, "X-JENNER", "RRULE:FREQ=HOURLY;COUNT=500\nX-JENNER", 1)
	if err := os.WriteFile(path, []byte(raw), 0o600); err != nil {
		b.Fatal(err)
	}
	r := calendar.New(calendar.Options{Now: func() time.Time { return noon }})
	r.Set([]jenner.Calendar{{Name: "ops", ICS: path}})
	if err := r.Read(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r.Planned(checkout, noon)
	}
}
