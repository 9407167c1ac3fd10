package app

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
)

// FuzzKillSwitch: whatever stands in the file, it stops every service for ever, until it is taken away.
func FuzzKillSwitch(f *testing.F) {
	for _, raw := range []string{``, `null`, `{}`, `[]`, `0`, "\xff", `{"scope":"shop","until":"1970-01-01T00:00:00Z"}`, `{"scope":""}`, `{"by":1}`,
		`{"at":"9999-12-31T23:59:59Z","by":"ann","by":"bob"}`, `{"until":"x"}`, `{"scope":`, `NaN`, strings.Repeat("[", 20000)} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		holds := NewHolds(dir, time.Now)
		if err := os.WriteFile(filepath.Join(dir, KillSwitchFile), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, service := range []string{"shop", ""} {
			if hold, held := holds.Held(service); !held || hold.Scope != jenner.HoldAll || !hold.Until.IsZero() || !json.Valid(jenner.Raw(hold)) {
				t.Fatalf("%q holds %q: %v, %+v", raw, service, held, hold)
			}
		}
		if _, err := holds.Stop("ann", "again"); err != nil {
			t.Fatal(err)
		}
		if after, err := os.ReadFile(filepath.Join(dir, KillSwitchFile)); err != nil || string(after) != string(raw) {
			t.Errorf("a second stop made %q of %q (%v)", after, raw, err)
		}
		if _, on, err := holds.Resume(); err != nil || !on {
			t.Fatalf("it cannot be taken away: %v, %v", on, err)
		}
		if hold, held := holds.Held("shop"); held {
			t.Errorf("it was taken away and still holds: %+v", hold)
		}
	})
}

// FuzzPauses: whatever stands in a file of the pauses, and whatever its name is, it pauses the service that its name
// says and no other. Only a time that has come ends it; a file that cannot be read pauses. Resuming takes it away.
func FuzzPauses(f *testing.F) {
	for _, name := range []string{"shop.json", "a%2Fb.json", "%73hop.json", "my shop.json", ".json", "all.json", "%zz.json", "shop.json.json", "shop", "shop.JSON", ".draft-1",
		"..json", "...json", "%2E%2E%2Fkill-switch.json", "\xff.json", "%ff.json", "shop%00.json", strings.Repeat("a", 250) + ".json"} {
		f.Add(name, []byte(`{"scope":"other","by":"ann","at":"2026-01-01T00:00:00Z"}`))
		f.Add(name, []byte(`{"scope":"all"`))
	}
	for _, raw := range []string{``, `null`, `[]`, `{"until":"1970-01-01T00:00:00Z"}`, `{"until":"2999-01-01T00:00:00Z"}`, `{"until":"x"}`, `{"until":null}`, `{"by":1}`,
		`{"until":"0001-01-01T00:00:00Z"}`, `{"until":"2999-01-01T00:00:00Z","until":"1970-01-01T00:00:00Z"}`, "\xff", `{} {}`, `{"until":"1970-01-01T00:00:00Z"} {`} {
		f.Add("shop.json", []byte(raw))
	}
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		holds := NewHolds(t.TempDir(), func() time.Time { return now })
		if _, err := holds.Pause("payments", time.Time{}, "ann", ""); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(holds.pauses, name)
		if name != filepath.Base(path) || name == "payments.json" || os.WriteFile(path, raw, 0o600) != nil {
			return // no name for a file
		}
		escaped, is := strings.CutSuffix(name, ".json")
		service, err := url.PathUnescape(escaped)
		var written jenner.Hold
		over := json.Unmarshal(raw, &written) == nil && !written.Until.IsZero() && !written.Until.After(now)
		want := is && err == nil && !over
		if hold, held := holds.Held(service); want && !held || !want && held && service != "payments" {
			t.Fatalf("%q with %q: %q is held: %v, %+v", name, raw, service, held, hold)
		}
		for _, other := range []string{"shop", "other", "", "a", name, written.Scope} {
			if hold, held := holds.Held(other); held && other != "payments" && (!want || other != service && service != jenner.HoldAll) {
				t.Fatalf("%q with %q holds %q: %+v", name, raw, other, hold)
			}
		}
		if _, held := holds.Held("payments"); !held {
			t.Errorf("the pause of payments is lost beside %q", name)
		}
		if !is || err != nil {
			return
		}
		if _, was, err := holds.Unpause(service); err != nil || !was {
			t.Fatalf("the pause of %q by the file %q cannot be ended: %v, %v", service, name, was, err)
		}
		if slices.ContainsFunc(holds.Pauses(), func(hold jenner.Hold) bool { return hold.Scope == service }) {
			t.Errorf("the pause of %q was ended and is still there", service)
		}
	})
}

// Pauses that cannot be looked at are no word that there are none: everything is held, and the reason says why.
func TestPausesThatCannotBeLookedAtHoldEverything(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, PausesDir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	hold, held := NewHolds(dir, time.Now).Held("shop")
	if !held || hold.Scope != jenner.HoldAll || !strings.Contains(hold.Reason, filepath.Join(dir, PausesDir)) {
		t.Errorf("held: %v, %+v", held, hold)
	}
}
