package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// diary is a scheduler whose drills are only written down, over a real store that outlives it.
type diary struct {
	*scheduler
	began, told []string
	block       string
}

func newDiary(store *sqlite.Store, experiments ...jenner.Experiment) *diary {
	d := &diary{}
	d.scheduler = &scheduler{now: time.Now, experiments: func() []jenner.Experiment { return experiments }, value: store.Value,
		putValue: store.PutValue, logger: slog.New(slog.DiscardHandler),
		blocked: func(context.Context, jenner.Experiment) string { return d.block },
		begin: func(_ context.Context, experiment jenner.Experiment) (string, error) {
			d.began = append(d.began, experiment.Name+" "+time.Now().UTC().Format("02T15:04"))
			return "d-1", nil
		},
		tell: func(_ context.Context, kind string, told scheduled) {
			d.told = append(d.told, fmt.Sprintf("%s %s %s %s", kind, told.Experiment, told.Due.UTC().Format("02T15:04"), told.Why))
		}}
	return d
}

// during runs the scheduler for a while.
func (d *diary) during(t *testing.T, lasting time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), lasting)
	defer cancel()
	d.run(ctx)
}

func openStore(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func on(cron, zone string, window time.Duration) *jenner.Schedule {
	return &jenner.Schedule{Cron: cron, Timezone: zone, Window: jenner.Duration(window)}
}

// TestScheduledDrillsBegin: each at its time, none for the time before anybody asked, and again after a restart only what was
// not begun. The fake clock begins on Saturday 2000-01-01 at midnight UTC.
func TestScheduledDrillsBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		nightly := jenner.Experiment{Name: "nightly", Schedule: on("0 3 * * *", "Europe/Berlin", time.Hour)}
		weekdays := jenner.Experiment{Name: "weekdays", Schedule: on("30 1 * * 1-5", "", time.Hour)}
		unscheduled := jenner.Experiment{Name: "by-hand"}
		store := openStore(t, dir)
		first := newDiary(store, nightly, weekdays, unscheduled)
		first.during(t, 10*time.Minute)
		time.Sleep(105 * time.Minute)
		first.during(t, 10*time.Minute) // over 02:00 on Saturday
		if want := []string{"nightly 01T02:00"}; !slices.Equal(first.began, want) {
			t.Errorf("on Saturday began %q, want %q", first.began, want)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24*time.Hour + 5*time.Minute) // over 02:00 on Sunday, within the window
		store = openStore(t, dir)
		defer store.Close()
		second := newDiary(store, nightly, weekdays, unscheduled)
		second.during(t, 5*time.Minute)
		time.Sleep(23*time.Hour + 10*time.Minute)
		second.during(t, 40*time.Minute) // 01:25 to 02:05 on Monday
		if want := []string{"nightly 02T02:10", "weekdays 03T01:30", "nightly 03T02:00"}; !slices.Equal(second.began, want) {
			t.Errorf("after the restart began %q, want %q", second.began, want)
		}
	})
}

// TestMissedRunsAreNotMadeUpFor: what is blocked waits within its window; after it the run is missed, and told so with the
// reason.
func TestMissedRunsAreNotMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t, t.TempDir())
		defer store.Close()
		d := newDiary(store, jenner.Experiment{Name: "hourly", Schedule: on("0 * * * *", "", 20*time.Minute)})
		d.during(t, 30*time.Minute)
		d.block = "ann stopped Jenner"
		d.during(t, 40*time.Minute) // to 01:10
		d.block = ""
		d.during(t, 5*time.Minute)
		d.block = "ann stopped Jenner"
		d.during(t, 70*time.Minute) // to 02:25
		d.block = ""
		d.during(t, 30*time.Minute) // to 02:55
		if want := []string{"hourly 01T01:10"}; !slices.Equal(d.began, want) {
			t.Errorf("began %q, want %q", d.began, want)
		}
		want := []string{"drill.scheduled hourly 01T01:00 ", "drill.missed hourly 01T02:00 ann stopped Jenner"}
		if !slices.Equal(d.told, want) {
			t.Errorf("told %q, want %q", d.told, want)
		}
		time.Sleep(5 * time.Hour) // Jenner does not run
		d.during(t, time.Minute)
		if last := d.told[len(d.told)-1]; !strings.HasPrefix(last, "drill.missed hourly 01T03:00 Jenner did not run") || len(d.began) != 1 {
			t.Errorf("after five hours: told %q, began %q", last, d.began)
		}
	})
}

// TestAScheduleThatChanges: the times of the new one that are past do not count.
func TestAScheduleThatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t, t.TempDir())
		defer store.Close()
		newDiary(store, jenner.Experiment{Name: "e", Schedule: on("0 12 * * *", "", time.Hour)}).during(t, 90*time.Minute)
		d := newDiary(store, jenner.Experiment{Name: "e", Schedule: on("0 1 * * *", "", time.Hour)})
		d.during(t, 10*time.Minute)
		if len(d.began) > 0 {
			t.Errorf("it began at a time that was past when the schedule was written: %q", d.began)
		}
		time.Sleep(23 * time.Hour)
		d.during(t, 30*time.Minute) // over 01:00 on Sunday
		if want := []string{"e 02T01:00"}; !slices.Equal(d.began, want) {
			t.Errorf("began %q, want %q", d.began, want)
		}
	})
}

// TestNothingBeginsThatCannotBeKept: where the store does not keep that a time is used, nothing begins, for it could begin
// twice.
func TestNothingBeginsThatCannotBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t, t.TempDir())
		defer store.Close()
		d := newDiary(store, jenner.Experiment{Name: "e", Schedule: on("0 * * * *", "", time.Hour)})
		d.during(t, time.Minute)
		d.putValue = func(context.Context, string, []byte) error { return errors.New("the disk is full") }
		d.during(t, 2*time.Hour)
		if len(d.began) > 0 {
			t.Errorf("began %q", d.began)
		}
	})
}

// TestTimesAreUsedAtMostOnce: whenever it is looked, each time of the schedule is used once at most, none before it came and
// none later than the window.
func TestTimesAreUsedAtMostOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"}).Draw(t, "zone")
		cron := rapid.SampledFrom([]string{"*/7 * * * *", "30 2 * * *", "0 3 * * 1-5", "0 0 1 * *", "@hourly"}).Draw(t, "cron")
		times, err := timesOf(jenner.Schedule{Cron: cron, Timezone: zone})
		if err != nil {
			t.Fatal(err)
		}
		window := time.Duration(rapid.IntRange(1, 300).Draw(t, "window")) * time.Minute
		now := time.Date(2026, 3, 27, 0, 0, 0, 0, time.UTC) // two days before the clocks change in Berlin
		until, last := now, now
		for range rapid.IntRange(1, 40).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(1, 500).Draw(t, "minutes")) * time.Minute)
			due, missed := dueAt(times, until, now, window)
			switch {
			case !due.IsZero() && !missed.IsZero():
				t.Fatalf("%v is due and %v was missed", due, missed)
			case !due.IsZero() && (due.After(now) || now.Sub(due) > window || !due.After(last)):
				t.Fatalf("%v is due at %v, with a window of %v, after %v", due, now, window, last)
			case !missed.IsZero() && (now.Sub(missed) <= window || !missed.After(last)):
				t.Fatalf("%v was missed at %v, with a window of %v, after %v", missed, now, window, last)
			}
			next := times.Next(until)
			if came := !next.After(now); came != (!due.IsZero() || !missed.IsZero()) {
				t.Fatalf("the next time after %v is %v, and at %v due is %v, missed %v", until, next, now, due, missed)
			}
			if !due.IsZero() || !missed.IsZero() {
				until, last = now, now
			}
		}
	})
}

// TestTheClockWasWrong: what was handled in a far future does not keep the schedule from going on.
func TestTheClockWasWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t, t.TempDir())
		defer store.Close()
		experiment := jenner.Experiment{Name: "e", Schedule: on("0 * * * *", "", time.Hour)}
		wrong := handled{Until: time.Now().AddDate(1, 0, 0), Schedule: jenner.Hash(experiment.Schedule)}
		if err := store.PutValue(t.Context(), scheduleKey("e"), jenner.Raw(wrong)); err != nil {
			t.Fatal(err)
		}
		d := newDiary(store, experiment)
		d.during(t, 90*time.Minute)
		if want := []string{"e 01T01:00"}; !slices.Equal(d.began, want) {
			t.Errorf("began %q, want %q", d.began, want)
		}
	})
}
