package api

import (
	"encoding/json"
	"testing"

	"github.com/jenner-heal/jenner"
)

// fuzzed feeds bodies to one form. Whatever comes, what is taken has labels, a status and a size that the board can carry.
func fuzzed(f *testing.F, form jenner.ReceiverFrom, more ...string) {
	for _, seed := range append(more, testdata(f, form), "", "null", "[]", "{}", `[null]`, `{"alerts":[null]}`) {
		f.Add([]byte(seed))
	}
	rc := &Receive{}
	receiver := jenner.Receiver{Name: "one", From: form, Read: reading}
	f.Fuzz(func(t *testing.T, body []byte) {
		read, err := rc.parse(receiver, body, now)
		if err != nil && len(read.alerts) > 0 {
			t.Fatalf("in spite of %v there are alerts", err)
		}
		if err == nil && !json.Valid(body) {
			t.Fatal("it is no JSON, and was read")
		}
		for _, alert := range read.alerts {
			firing := alert.Status == jenner.Firing
			if !readable(alert.Labels) || !firing && alert.Status != jenner.Resolved {
				t.Fatalf("it was taken: %+v", alert)
			}
			if firing && !alert.Until.IsZero() && !alert.Until.After(now) {
				t.Fatalf("it fires, and nobody vouches for it: %+v", alert)
			}
		}
		if read.truncated < 0 || read.unreadable < 0 || read.whole && read.truncated+read.unreadable > 0 {
			t.Fatalf("it counts wrongly: %+v", read)
		}
	})
}

func FuzzPrometheus(f *testing.F) {
	fuzzed(f, jenner.FromPrometheus, `[{"labels":{"a":"b"},"endsAt":"0001-01-01T00:00:00Z"}]`)
}

func FuzzAlertmanager(f *testing.F) {
	fuzzed(f, jenner.FromAlertmanager, `{"version":"4","truncatedAlerts":-1,"alerts":[{"status":"firing","labels":{"a":"b"}}]}`)
}

func FuzzGrafana(f *testing.F) {
	fuzzed(f, jenner.FromGrafana, `{"version":"1","alerts":[{"status":"firing","labels":{"a":"b"},"annotations":null}]}`)
}

func FuzzWebhook(f *testing.F) {
	fuzzed(f, jenner.FromWebhook, `{"checks":[{"id":1e300,"name":[],"state":"up","since":-1,"where":{"a":{}},"text":null,"prio":1}]}`)
}
