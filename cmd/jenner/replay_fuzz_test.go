package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/app"
)

// FuzzReplayFile: any bytes of a file are an error that names it, or past incidents, each with an alert and a service.
// Each can be replayed through the shop's files, comes to a decision or says why not, and to the same one again.
func FuzzReplayFile(f *testing.F) {
	docs, err := app.Read([]string{"../../examples/shop/jenner"}, providers, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	alert := jenner.Alert{Service: "inventory", Name: "ready-failing", Kind: "probe", Status: jenner.Firing, Fingerprint: "f", StartsAt: at, SeenAt: at}
	shown := shownIncident{Phase: "resolved", Incident: jenner.Incident{ID: "i-1", Service: "inventory", OpenedAt: at, Alerts: []jenner.Alert{alert}},
		Timeline: []jenner.Entry{{Kind: jenner.EntryScene, Data: jenner.Raw(jenner.Scene{At: at, Firing: []jenner.Alert{alert},
			Probes: []jenner.ProbeState{{}}, Answers: map[string]jenner.Answer{"up": {}}})}, {Kind: "run"}, {Kind: jenner.EntryScene, Data: jenner.Raw(1)}}}
	whole, list := jenner.Raw(shown), jenner.Raw([]jenner.Alert{alert, alert})
	for _, raw := range []string{string(whole), string(whole) + "\n" + string(whole), string(whole[:len(whole)/2]), string(list), string(list[:len(list)-2]), ``, ` `, `null`, `{}`, `[]`, `[null]`, `[{}]`,
		`{"incident":{"id":"x"}}`, `{"incident":{"id":"x","alerts":[{}]}}`, `{"incident":{"id":"x","id":"","service":"inventory"}}`, `[{"service":"inventory","name":"crashed","starts_at":"9999-12-31T23:59:59Z"}]`,
		`[{"service":"inventory","name":"a","starts_at":"0001-01-01T00:00:00Z"}]`, `[{"service":"nobody","name":"a"},{"service":"checkout","name":"b","status":"resolved"}]`, `[{"service":"inventory","name":"a","starts_at":NaN}]`,
		`{"incident":{"id":"x","service":"inventory"},"timeline":[{"kind":"scene"}]}`, `{"incident":{"id":"x","service":"inventory"},"timeline":[{"kind":"scene","data":null}]}`,
		`{"incident":{"id":"x","service":"inventory"},"timeline":[{"kind":"scene","data":{"at":"2026-03-04T05:06:07Z","answers":{"":{}},"probes":[null]}}]}`, "\xff", "[" + strings.Repeat("[", 20000), string(list) + " x"} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		pasts, err := fromFile("past.json", raw)
		if err != nil {
			if pasts != nil || !strings.Contains(err.Error(), "past.json") {
				t.Errorf("%d incidents and the error %v", len(pasts), err)
			}
			return
		}
		r := &replaying{docs: docs, out: io.Discard}
		for _, one := range pasts {
			if one.id == "" || one.service == "" || len(one.scene.Firing) == 0 && one.then == nil {
				t.Fatalf("%q gives the incident %+v", raw, one)
			}
			if len(pasts) > 20 {
				continue // one by one they are as good
			}
			first, err := r.one(t.Context(), one)
			if err != nil {
				t.Fatalf("%q cannot be replayed: %v", raw, err)
			}
			now := decided(first.Now)
			if first.Now.Nothing == "" && first.Now.Decision.Outcome == "" || !json.Valid(jenner.Raw(first)) {
				t.Errorf("%q came to nothing: %+v", raw, first)
			}
			if second, err := r.one(t.Context(), one); err != nil || decided(second.Now) != now || second.Same != first.Same {
				t.Errorf("%q came to %q, and again to %q (%v)", raw, now, decided(second.Now), err)
			}
		}
	})
}
