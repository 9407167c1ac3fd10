package app

import (
	"fmt"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/telemetry"
)

// serverStands raises the alert that a server of metrics does not answer, and resolves it. It is about the service that the
// server is; where it is none, people see it and no incident is opened.
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
}
