package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/await"
	"github.com/jenner-heal/jenner/internal/catalog"
	"github.com/jenner-heal/jenner/provider/core"
)

const quietShop = `
kind: service
name: shop
slis: [{name: load, promql: load, below: 1}]
---
kind: calendar
name: changes
ics: changes.ics
effect: %EFFECT%
---
kind: experiment
name: quiet
hypothesis: nothing is done
service: shop
expect: {no_action_for: 1h}
schedule: {cron: 0 3 * * *}
`

const wholeDay = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20200101T000000Z\r\n" +
	"DTSTART:20200101T000000Z\r\nDTEND:20400101T000000Z\r\nSUMMARY:moving\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

// TestWhenNoScheduledDrillMayBegin: everything that keeps one from beginning, each by itself.
func TestWhenNoScheduledDrillMayBegin(t *testing.T) {
	for name, test := range map[string]struct {
		effect string // of the calendar's event
		ics    string
		spoil  func(t *testing.T, a *App)
		want   string
	}{
		"nothing":             {effect: "lower", ics: wholeDay},
		"a freeze":            {effect: "freeze", ics: wholeDay, want: `"moving" of calendar changes is on until`},
		"a person decides":    {effect: "approve", ics: wholeDay, want: `"moving" of calendar changes is on until`},
		"nobody knows":        {effect: "lower", ics: "nonsense", want: "nobody knows what is planned"},
		"the kill switch":     {effect: "lower", ics: wholeDay, want: "ann stopped Jenner", spoil: func(t *testing.T, a *App) { hold(t)(a.Holds.Stop("ann", "")) }},
		"a pause":             {effect: "lower", ics: wholeDay, want: "shop is paused by ann", spoil: func(t *testing.T, a *App) { hold(t)(a.Holds.Pause("shop", time.Time{}, "ann", "")) }},
		"a drill":             {effect: "lower", ics: wholeDay, want: "about shop is open", spoil: openDrill},
		"no service any more": {effect: "lower", ics: wholeDay, want: "there is no service shop", spoil: func(_ *testing.T, a *App) { a.docs.Store(&jenner.Documents{}) }},
	} {
		t.Run(name, func(t *testing.T) {
			a := quietApp(t, test.effect, test.ics)
			if test.spoil != nil {
				test.spoil(t, a)
			}
			experiment := jenner.Experiment{Name: "quiet", Service: "shop"}
			await.OK(t, "the answer is right", func() error { // a calendar is read a moment after the start
				why := a.noDrillNow(t.Context(), experiment)
				if test.want == "" && why == "" || test.want != "" && strings.Contains(why, test.want) {
					return nil
				}
				return fmt.Errorf("a drill may not begin because of %q, want %q", why, test.want)
			})
		})
	}
}

func hold(t *testing.T) func(jenner.Hold, error) {
	return func(_ jenner.Hold, err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func openDrill(t *testing.T, a *App) {
	if _, err := a.Drill(t.Context(), a.Docs().Experiments[0]); err != nil {
		t.Fatal(err)
	}
}

// quietApp is a started Jenner of one service about which nothing is asked.
func quietApp(t *testing.T, effect, ics string) *App {
	t.Helper()
	dir := t.TempDir()
	for file, text := range map[string]string{"shop.yaml": strings.Replace(quietShop, "%EFFECT%", effect, 1), "changes.ics": ics} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := New(Options{Config: []string{dir}, Data: t.TempDir(), Catalog: catalog.Merge(core.Provider), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	return a
}
