package app

import (
	"context"
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/telemetry"
)

// serverStands raises the alert that a server of metrics does not answer, and resolves it. It is about the service that the
// server is; where it is none, no incident is opened, and people are told after a while.
func (a *App) serverStands(status telemetry.ServerStatus) {
	server, now := status.Server, time.Now()
	service, _ := a.Docs().Service(server.Service)
	alert := jenner.Alert{
		Fingerprint: jenner.Fingerprint(jenner.TelemetryDown, server.Name, service.Name),
		Name:        jenner.TelemetryDown, Kind: jenner.AlertEvent, Service: service.Name, Status: jenner.Resolved,
		Severity: jenner.SeverityPage, SeenAt: now, Labels: map[string]string{"server": server.Name},
	}
	if len(service.Targets) > 0 {
		alert.Target = service.Targets[0].Ref()
	}
	if !status.Up {
		alert.Status, alert.StartsAt = jenner.Firing, status.Since
		alert.Summary = fmt.Sprintf("the server of metrics %s does not answer: %s", server.Name, status.Why)
	}
	a.World.Board.Put(alert)
	if !status.Up && service.Name == "" && now.Sub(status.Since) >= serverPatience && a.blind[server.Name] != status.Since {
		if a.blind == nil {
			a.blind = map[string]time.Time{}
		}
		a.blind[server.Name] = status.Since
		go a.tellBlind(alert, server)
	}
}

// serverPatience is how long a server may give no answer before people are told.
const serverPatience = time.Minute

// tellBlind tells people that what depends on a server is not seen.
func (a *App) tellBlind(alert jenner.Alert, server jenner.Prometheus) {
	err := a.router.Notify(context.WithoutCancel(a.running), server.EscalationChannel, notify.Message{
		Key: alert.Name + "/" + server.Name + "/" + alert.StartsAt.UTC().Format(time.RFC3339), At: time.Now(), Severity: jenner.SeverityPage,
		Title: "nothing that depends on the metrics of " + server.Name + " is noticed, resolved or done",
		Body:  fmt.Sprintf("%s\nIt is asked at %s since %s without an answer.", alert.Summary, server.URL, alert.StartsAt.UTC().Format(time.RFC3339)),
	})
	if err != nil {
		a.Logger.Error("not everybody could be told that a server of metrics does not answer", "server", server.Name, "error", err)
	}
}
