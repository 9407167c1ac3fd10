package line

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestRestsGiveWhatIsDueInOrder holds them against a plain map.
func TestRestsGiveWhatIsDueInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rests, plain, now := newRests(), map[key]time.Time{}, time.Unix(0, 0)
		for range rapid.IntRange(1, 60).Draw(t, "changes") {
			k := key{"test", fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "id"))}
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				rests.forget(k)
				delete(plain, k)
			case 1:
				now = now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "time")) * time.Millisecond)
				due, next := rests.take(now)
				for _, one := range due {
					if at, known := plain[one]; !known || at.After(now) {
						t.Fatalf("%s is given at %s and is due at %s (%t)", one, now, at, known)
					}
					delete(plain, one)
				}
				want := rescan
				for one, at := range plain {
					if !at.After(now) {
						t.Fatalf("%s is due and not given", one)
					}
					want = min(want, at.Sub(now))
				}
				if next != want {
					t.Fatalf("the next one is due in %s, want %s", next, want)
				}
			default:
				due := now.Add(time.Duration(rapid.IntRange(-100, 2000).Draw(t, "due")) * time.Millisecond)
				first := true
				for one, at := range plain {
					first = first && (one == k || !at.Before(due))
				}
				if plain[k] = due; rests.put(k, due) && !first {
					t.Fatalf("%s is said to be the next one", k)
				}
			}
			if len(rests.queue) != len(plain) || len(rests.byKey) != len(plain) {
				t.Fatalf("%d and %d rest, want %d", len(rests.queue), len(rests.byKey), len(plain))
			}
		}
	})
}
