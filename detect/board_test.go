package detect

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/jenner-heal/jenner"
)

// clock is a time that the test moves.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{time.Date(2026, 5, 14, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time { return c.at }

func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

func fires(service, name string) jenner.Alert {
	return jenner.Alert{
		Fingerprint: jenner.Fingerprint(service, name), Kind: jenner.AlertRule, Service: service, Name: name,
		Status: jenner.Firing,
	}
}

func resolves(service, name string) jenner.Alert {
	alert := fires(service, name)
	alert.Status = jenner.Resolved
	return alert
}

func names(alerts []jenner.Alert) []string {
	list := []string{}
	for _, alert := range alerts {
		list = append(list, alert.Service+"/"+alert.Name)
	}
	return list
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestBoardKeepsWhenAnAlertBegan(t *testing.T) {
	at := newClock()
	board := NewBoard(at.now)
	began := at.at
	board.Put(fires("shop", "slow"))
	at.pass(5 * time.Second)
	again := fires("shop", "slow")
	again.StartsAt = at.at
	board.Put(again)
	got, _ := board.Get(again.Fingerprint)
	if !got.StartsAt.Equal(began) || !got.SeenAt.Equal(at.at) {
		t.Errorf("starts %s, seen %s; want %s, %s", got.StartsAt, got.SeenAt, began, at.at)
	}
	late := again
	late.SeenAt = began
	board.Put(late)
	if got, _ := board.Get(again.Fingerprint); !got.SeenAt.Equal(at.at) {
		t.Errorf("SeenAt went back to %s", got.SeenAt)
	}
}

func TestBoardTellsChangesOnly(t *testing.T) {
	board := NewBoard(newClock().now)
	changes, stop := board.Subscribe(10)
	board.Put(resolves("shop", "slow")) // never fired: no change
	board.Put(fires("shop", "slow"))
	board.Put(fires("shop", "slow"))
	board.Put(resolves("shop", "slow"))
	board.Put(resolves("shop", "slow"))
	board.Put(fires("shop", "slow"))
	stop()
	stop()
	board.Put(resolves("shop", "slow"))
	var got []string
	for alert := range changes {
		got = append(got, string(alert.Status))
	}
	same(t, "changes", got, []string{"firing", "resolved", "firing"})
}

func TestL1ResolvedAlertsAreNeverAmongTheFiring(t *testing.T) {
	at := newClock()
	board := NewBoard(at.now)
	board.Put(fires("shop", "slow"))
	at.pass(time.Second)
	board.Put(fires("shop", "down"))
	board.Put(fires("bank", "down"))
	board.Put(resolves("shop", "slow"))
	same(t, "firing", names(board.Firing("shop")), []string{"shop/down"})
	if all := board.AllFiring(); len(all) != 2 {
		t.Errorf("all firing: %v", names(all))
	}
	got, known := board.Get(fires("shop", "slow").Fingerprint)
	if !known || got.Status != jenner.Resolved || !got.EndsAt.Equal(at.at) || !got.StartsAt.Before(got.EndsAt) {
		t.Errorf("the resolved alert is %+v, %v", got, known)
	}
}

func TestBoardForgetsResolvedAlerts(t *testing.T) {
	at := newClock()
	board := NewBoard(at.now)
	for _, name := range []string{"a", "b"} {
		board.Put(fires("shop", name))
		board.Put(resolves("shop", name))
	}
	at.pass(time.Minute)
	board.Put(fires("shop", "b")) // it came back, so its first end does not count any more
	at.pass(RememberResolved - time.Minute)
	if _, known := board.Get(fires("shop", "a").Fingerprint); known {
		t.Error("a resolved alert is remembered for longer than RememberResolved")
	}
	if _, known := board.Get(fires("shop", "b").Fingerprint); !known {
		t.Error("a firing alert was forgotten")
	}
}

func TestBoardRestoresInSilence(t *testing.T) {
	at := newClock()
	board := NewBoard(at.now)
	changes, stop := board.Subscribe(10)
	old := fires("shop", "slow")
	old.SeenAt = at.at.Add(-time.Hour)
	old.StartsAt = at.at.Add(-2 * time.Hour)
	board.Restore([]jenner.Alert{old})
	got, _ := board.Get(old.Fingerprint)
	if !got.SeenAt.Equal(old.SeenAt) || !got.StartsAt.Equal(old.StartsAt) {
		t.Errorf("a restored alert must keep its age: %+v", got)
	}
	board.Put(resolves("shop", "slow"))
	stop()
	if first := <-changes; first.Status != jenner.Resolved {
		t.Errorf("subscribers heard %s first, want resolved", first.Status)
	}
}

func TestBoardWithdrawsInSilence(t *testing.T) {
	board := NewBoard(newClock().now)
	board.Put(fires("shop", "slow"))
	changes, stop := board.Subscribe(10)
	board.Withdraw(fires("shop", "slow").Fingerprint, "nobody's")
	stop()
	if alert, told := <-changes; told {
		t.Errorf("subscribers heard of %+v", alert)
	}
	if _, known := board.Get(fires("shop", "slow").Fingerprint); known || len(board.AllFiring()) != 0 {
		t.Error("the alert is still there")
	}
}

func TestL20StormIsBoundedAndCounted(t *testing.T) {
	board := NewBoard(newClock().now)
	board.SetLimit(100)
	changes, stop := board.Subscribe(10)
	board.Put(fires("shop", "healed"))
	board.Put(resolves("shop", "healed"))
	for i := range 1000 {
		board.Put(fires("shop", fmt.Sprint("storm-", i)))
	}
	stop()
	if firing := len(board.AllFiring()); firing != 100 {
		t.Errorf("%d alerts fire, want 100: firing ones push out resolved ones, and nothing pushes out firing ones", firing)
	}
	var last jenner.Alert
	heard := 0
	for last = range changes {
		heard++
		if heard == 10 {
			break
		}
	}
	if last.Name != "storm-99" {
		t.Errorf("a slow subscriber must lose the oldest, but its newest is %s", last.Name)
	}
	want := Drops{Full: 900, Slow: 102 - 10}
	if got := board.Drops(); got != want || board.Dropped() != want.Full+want.Slow {
		t.Errorf("drops are %+v (%d), want %+v", got, board.Dropped(), want)
	}
}

func TestBoardCountsWhatItCannotRead(t *testing.T) {
	board := NewBoard(newClock().now)
	odd := fires("shop", "slow")
	odd.Status = "perhaps"
	board.Put(odd)
	if _, known := board.Get(odd.Fingerprint); known || board.Drops().Unreadable != 1 {
		t.Errorf("drops are %+v", board.Drops())
	}
}

// However alerts come and go, the board agrees with a list that is kept by hand, and stays within its limit.
func TestBoardAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := newClock()
		board := NewBoard(at.now)
		limit := rapid.IntRange(1, 6).Draw(t, "limit")
		board.SetLimit(limit)
		changes, stop := board.Subscribe(1000)
		firing, told := map[string]bool{}, 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			name := strconv.Itoa(rapid.IntRange(0, 8).Draw(t, "alert"))
			if rapid.Bool().Draw(t, "fire") {
				board.Put(fires("shop", name))
				if !firing[name] && len(firing) < limit {
					firing[name] = true
					told++
				}
			} else {
				board.Put(resolves("shop", name))
				if firing[name] {
					delete(firing, name)
					told++
				}
			}
			at.pass(time.Duration(rapid.IntRange(0, 300).Draw(t, "seconds")) * time.Second)
			if got := board.Firing("shop"); len(got) != len(firing) {
				t.Fatalf("%d fire, want %d", len(got), len(firing))
			}
			for _, alert := range board.AllFiring() {
				if !firing[alert.Name] {
					t.Fatalf("%s fires", alert.Name)
				}
			}
			if len(board.alerts) > limit || board.ended.Len() != len(board.endings) ||
				board.ended.Len()+len(firing) != len(board.alerts) {
				t.Fatalf("%d alerts of %d, %d ended (%d), %d firing",
					len(board.alerts), limit, board.ended.Len(), len(board.endings), len(firing))
			}
		}
		stop()
		if len(changes) != told {
			t.Fatalf("%d changes were told, want %d", len(changes), told)
		}
	})
}

// TestL20OneServiceNeverFillsTheBoard: the alerts of the others still find room.
func TestL20OneServiceNeverFillsTheBoard(t *testing.T) {
	board := NewBoard(time.Now)
	for i := range LimitOfService + 7 {
		board.Put(jenner.Alert{Name: "noisy", Service: "checkout", Target: jenner.TargetRef{Kind: "pod", Name: strconv.Itoa(i)}, Status: jenner.Firing})
	}
	board.Put(jenner.Alert{Name: "down", Service: "stock", Status: jenner.Firing})
	if got := board.Drops(); got.Crowded != 7 || board.Dropped() != 7 {
		t.Errorf("dropped %+v", got)
	}
	if len(board.Firing("stock")) != 1 || len(board.Firing("checkout")) != LimitOfService {
		t.Errorf("%d alerts of stock and %d of checkout", len(board.Firing("stock")), len(board.Firing("checkout")))
	}
}
