package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/notify"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// followLook gathers the changes of so long: an incident goes through several phases within moments.
const followLook = time.Second

// follow tells the channels that show incidents how they stand, until ctx ends: soon after a change, also of what a person
// has, and every notify.FollowEvery.
func (a *App) follow(ctx context.Context) {
	look := time.NewTicker(followLook)
	defer look.Stop()
	var told time.Time
	var handed []string
	for {
		now := a.intake.Handed()
		if a.router.Following() && (told.IsZero() || time.Since(told) >= notify.FollowEvery || !slices.Equal(now, handed) || a.changedSince()) {
			standing, err := a.standing(ctx, now)
			if err != nil && ctx.Err() == nil {
				a.Logger.Error("nobody can be shown how incidents stand", "error", err)
			} else if err == nil {
				a.router.Follow(ctx, standing)
			}
			told, handed = time.Now(), now
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// changedSince tells whether an incident has changed since it was asked last.
func (a *App) changedSince() bool { return a.changed.Swap(false) }

// standing are the incidents that are open, and those that a person has and whose alerts fire on.
func (a *App) standing(ctx context.Context, handed []string) ([]notify.Standing, error) {
	records, err := a.Store.List(ctx, loop.IncidentLine, sqlite.ListFilter{OpenOnly: true})
	if err != nil {
		return nil, err
	}
	for _, id := range handed {
		record, err := a.Store.Load(ctx, loop.IncidentLine, id)
		switch {
		case errors.Is(err, jenner.ErrNotFound): // forgotten since
		case err != nil:
			return nil, err
		default:
			records = append(records, record)
		}
	}
	all := make([]notify.Standing, 0, len(records))
	for _, record := range records {
		var incident jenner.Incident
		if err := json.Unmarshal(record.State, &incident); err != nil {
			return nil, fmt.Errorf("incident %s cannot be read: %w", record.ID, err)
		}
		all = append(all, standingOf(&incident, record.Phase))
	}
	return all, nil
}

func standingOf(incident *jenner.Incident, phase jenner.Phase) notify.Standing {
	one := notify.Standing{Incident: incident.ID, Service: incident.Service, Phase: phase, Severity: incident.Severity(),
		OpenedAt: incident.OpenedAt, Channel: incident.Policy.EscalationChannel, Paged: incident.Paged, Body: incident.Outcome}
	one.Title = fmt.Sprintf("%s: %s", incident.Service, phase)
	if cause, known := incident.Diagnosis.Best(); known {
		one.Title += fmt.Sprintf(", %s on %s", cause.Cause, cause.Service)
	}
	if one.Paged {
		one.Body = loop.Context(incident)
	}
	return one
}
