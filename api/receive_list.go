package api

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
)

// listAlerts answers as an Alertmanager does whoever asks for alerts, such as amtool: with all that fire on Jenner's board.
// Filters are not read.
func (rc *Receive) listAlerts(*http.Request) any {
	list := []any{}
	now := rc.Now()
	for _, alert := range rc.Firing() {
		labels := maps.Clone(alert.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		labels[jenner.AlertName] = alert.Name
		ends := alert.ValidUntil
		if ends.IsZero() {
			ends = now.Add(jenner.DefaultResendEvery)
		}
		list = append(list, map[string]any{
			"labels": labels, "annotations": map[string]string{"summary": alert.Summary, "jenner_service": alert.Service},
			"startsAt": alert.StartsAt, "endsAt": ends, "updatedAt": alert.SeenAt, "fingerprint": alert.Fingerprint,
			"generatorURL": "", "receivers": []map[string]string{{"name": "jenner"}},
			"status": map[string]any{"state": "active", "silencedBy": []string{}, "inhibitedBy": []string{}},
		})
	}
	return list
}

// started is when this process began to answer.
var started = time.Now()

// listStatus says what an Alertmanager's status says, as far as there is something to say.
func (rc *Receive) listStatus(*http.Request) any {
	names := []string{}
	for _, receiver := range rc.Receivers() {
		names = append(names, receiver.Name)
	}
	slices.Sort(names)
	return map[string]any{
		"cluster":     map[string]any{"status": "disabled", "peers": []any{}},
		"config":      map[string]string{"original": ""},
		"uptime":      started,
		"versionInfo": map[string]string{"version": "jenner", "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": ""},
		"receivers":   names,
	}
}
