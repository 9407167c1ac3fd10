package app

import (
	"context"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/api"
	"github.com/jenner-heal/jenner/detect"
)

// receive takes the alerts of other systems over the HTTP port.
func (a *App) receive() *api.Receive {
	return &api.Receive{Receivers: a.receivers, Taker: a.taker,
		Firing: a.World.Board.AllFiring, Status: a.alertsStatus, Now: time.Now, Logger: a.Logger}
}

func (a *App) receivers() []jenner.Receiver { return a.Docs().Receivers }

// isOpen tells whether an incident about a service is open.
func (a *App) isOpen(service string) bool {
	_, open := a.intake.Open(service)
	return open
}

// AlertsStatus is what GET /api/alerts answers.
type AlertsStatus struct {
	Received map[string]map[string]uint64 `json:"received"` // by receiver and result
	Dropped  map[string]uint64            `json:"dropped"`  // from the board, by reason
	Unmapped []detect.Nobody              `json:"unmapped"` // those that no service was found for
}

func (a *App) alertsStatus() any {
	return AlertsStatus{Received: a.taker.Counts(), Dropped: a.dropped(), Unmapped: a.taker.Nobodys()}
}

// tidyEvery is how often alerts are looked for whose senders fell silent long ago.
const tidyEvery = time.Minute

func (a *App) tidyTaken(ctx context.Context) {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			a.taker.Tidy()
		}
	}
}
