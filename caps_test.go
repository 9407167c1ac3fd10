package jenner_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// TestWhatADrillIsAboutIsNotTaken: an entry of kind drill keeps other drills away and nobody else, until it is given back.
func TestWhatADrillIsAboutIsNotTaken(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	about := func(by string, until time.Time) jenner.LedgerEntry {
		return jenner.LedgerEntry{ID: by + "/about/shop", Kind: jenner.LedgerDrill, By: by, Service: "shop", Until: until}
	}
	fault := jenner.LedgerEntry{ID: "f", Kind: jenner.LedgerFault, By: "d-1", Service: "shop", Target: jenner.TargetRef{Kind: "process", Name: "a"}, Until: now.Add(time.Hour)}
	drill := []jenner.Cap{{Scope: jenner.CapDrill, Name: "shop", Max: 1}}
	later := now.Add(time.Hour)
	if about("d-1", later).Holds(now) {
		t.Error("an entry of kind drill holds a target")
	}
	for name, test := range map[string]struct {
		caps      []jenner.Cap
		held, put []jenner.LedgerEntry
		taken     bool
	}{
		"two drills":                    {drill, []jenner.LedgerEntry{about("d-1", later)}, []jenner.LedgerEntry{about("d-2", later)}, true},
		"the same drill again":          {drill, []jenner.LedgerEntry{about("d-1", later)}, []jenner.LedgerEntry{about("d-1", later)}, false},
		"one that gave it back":         {drill, []jenner.LedgerEntry{about("d-1", now)}, []jenner.LedgerEntry{about("d-2", later)}, false},
		"a fault is no drill":           {drill, []jenner.LedgerEntry{fault}, []jenner.LedgerEntry{about("d-2", later)}, false},
		"about something else":          {[]jenner.Cap{{Scope: jenner.CapDrill, Name: "bank", Max: 1}}, []jenner.LedgerEntry{about("d-1", later)}, []jenner.LedgerEntry{about("d-2", later)}, false},
		"it takes none of all":          {[]jenner.Cap{{Scope: jenner.CapAll, Max: 1}}, []jenner.LedgerEntry{about("d-1", later), about("d-2", later)}, []jenner.LedgerEntry{fault}, false},
		"nor of the service":            {[]jenner.Cap{{Scope: jenner.CapService, Name: "shop", Max: 1}}, []jenner.LedgerEntry{about("d-1", later), about("d-2", later)}, []jenner.LedgerEntry{fault}, false},
		"two faults count all the same": {[]jenner.Cap{{Scope: jenner.CapAll, Max: 0}}, []jenner.LedgerEntry{fault}, nil, true},
	} {
		err := jenner.CheckCaps(test.caps, test.held, test.put, now)
		if errors.Is(err, jenner.ErrTaken) != test.taken {
			t.Errorf("%s: %v", name, err)
		}
		if test.taken && test.caps[0].Scope == jenner.CapDrill && !strings.Contains(err.Error(), "drills d-1 and d-2 are about shop") {
			t.Errorf("%s: nobody is told who: %v", name, err)
		}
	}
}
