package jenner_test

import (
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

func TestAGameDayBegins(t *testing.T) {
	zone := time.FixedZone("there", 2*3600)
	now := time.Date(2026, 3, 1, 12, 30, 0, 0, zone)
	for written, want := range map[string]time.Time{
		"":                          now,
		"now":                       now,
		"14:00":                     time.Date(2026, 3, 1, 14, 0, 0, 0, zone),
		"14:00:30":                  time.Date(2026, 3, 1, 14, 0, 30, 0, zone),
		"2026-03-02 09:15":          time.Date(2026, 3, 2, 9, 15, 0, 0, zone),
		"2026-03-02T09:15:01":       time.Date(2026, 3, 2, 9, 15, 1, 0, zone),
		"2026-03-02T09:15:01+01:00": time.Date(2026, 3, 2, 8, 15, 1, 0, time.UTC),
	} {
		if got, err := (jenner.Gameday{At: written}).Begins(now); err != nil || !got.Equal(want) {
			t.Errorf("%q begins at %s (%v), not at %s", written, got, err, want)
		}
	}
	for _, written := range []string{"soon", "25:00", "2026-13-01 10:00", "5m"} {
		if _, err := (jenner.Gameday{At: written}).Begins(now); err == nil {
			t.Errorf("%q is read as a time", written)
		}
	}
}

func TestAGameDayLasts(t *testing.T) {
	day := jenner.Gameday{Faults: []jenner.GamedayFault{{At: jenner.Duration(5 * time.Minute), For: jenner.Duration(2 * time.Minute)}, {At: jenner.Duration(6 * time.Minute)}}}
	if got := day.Length(); got != 8*time.Minute {
		t.Errorf("it lasts %s, not a minute after the last fault", got)
	}
	day.Lasts = jenner.Duration(time.Hour)
	if got := day.Length(); got != time.Hour {
		t.Errorf("it lasts %s, not as it says", got)
	}
}

func TestAWordNamesAService(t *testing.T) {
	target := jenner.TargetRef{Kind: "process", Name: "web-1"}
	for _, c := range []struct {
		word jenner.Word
		want bool
	}{
		{jenner.Word{Service: "shop"}, true},
		{jenner.Word{Service: "shop/web-1"}, true},
		{jenner.Word{Service: "web-1"}, true},
		{jenner.Word{Service: "bank", Text: "because of shop"}, false},
		{jenner.Word{Text: "it is the SHOP, I think"}, true},
		{jenner.Word{Text: "web-1: gone"}, true},
		{jenner.Word{Text: "the workshop is fine"}, false},
		{jenner.Word{}, false},
	} {
		if got := c.word.Names("shop", target); got != c.want {
			t.Errorf("%+v names it: %t", c.word, got)
		}
	}
}
