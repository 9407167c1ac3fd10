package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/loop"
	"github.com/jenner-heal/jenner/store/sqlite"
)

// past is one incident to be replayed.
type past struct {
	id, service string
	scene       jenner.Scene
	recorded    bool             // the scene is what was seen then; else there are only the alerts
	then        *jenner.Incident // nil: only alerts are known
}

// find gives the incidents that an argument means: one in the store, or those in a file.
func (r *replaying) find(ctx context.Context, arg string) ([]past, error) {
	raw, err := os.ReadFile(arg)
	switch {
	case err == nil:
		return fromFile(arg, raw)
	case !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s is no file with incidents or alerts: %w", arg, err)
	case r.store == nil:
		return nil, fmt.Errorf("there is no file %s, and incidents cannot be looked up: %w", arg, r.noStore)
	}
	record, err := r.store.Load(ctx, loop.IncidentLine, arg)
	if errors.Is(err, jenner.ErrNotFound) {
		return nil, fmt.Errorf("there is neither an incident nor a file %q; `jenner incidents` lists the incidents", arg)
	}
	if err != nil {
		return nil, err
	}
	one, err := r.load(ctx, record)
	return []past{one}, err
}

func (r *replaying) load(ctx context.Context, record jenner.Record) (past, error) {
	shown, err := readIncident(record)
	if err != nil {
		return past{}, err
	}
	if shown.Timeline, err = r.store.Timeline(ctx, loop.IncidentLine, record.ID); err != nil {
		return past{}, err
	}
	return fromShown(shown)
}

func fromShown(shown shownIncident) (past, error) {
	incident := shown.Incident
	scene, recorded, err := loop.SceneOf(incident, shown.Timeline)
	return past{id: incident.ID, service: incident.Service, then: &incident, scene: scene, recorded: recorded}, err
}

func fromFile(path string, raw []byte) ([]past, error) {
	var alerts []jenner.Alert
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		if err := json.Unmarshal(raw, &alerts); err != nil {
			return nil, fmt.Errorf("%s is not a list of alerts: %w", path, err)
		}
		return fromAlerts(path, alerts)
	}
	var pasts []past
	decoder := json.NewDecoder(bytes.NewReader(raw))
	for {
		var shown shownIncident
		err := decoder.Decode(&shown)
		if errors.Is(err, io.EOF) && len(pasts) > 0 {
			return pasts, nil
		}
		if err == nil && (shown.Incident.ID == "" || shown.Incident.Service == "") {
			err = errors.New("it has no incident with an id and a service")
		}
		if err != nil {
			return nil, fmt.Errorf("%s is neither what `jenner incidents ID --json` prints nor a list of alerts: %w", path, err)
		}
		one, err := fromShown(shown)
		if err == nil {
			err = timely(one.scene.At)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		pasts = append(pasts, one)
	}
}

// timely refuses the times around which no others can be written: JSON has the years from 0 to 9999.
func timely(at time.Time) error {
	if year := at.UTC().Year(); year < 1 || year > 9000 {
		return fmt.Errorf("%d is not the year of an incident", year)
	}
	return nil
}

// fromAlerts makes one incident of each service that has an alert in a list.
func fromAlerts(path string, alerts []jenner.Alert) ([]past, error) {
	if len(alerts) == 0 {
		return nil, fmt.Errorf("%s has no alert in it", path)
	}
	at := time.Time{}
	for i, alert := range alerts {
		if alert.Service == "" || alert.Name == "" {
			return nil, fmt.Errorf("%s: alert %d needs a service and a name", path, i+1)
		}
		if alert.Fingerprint == "" {
			alerts[i].Fingerprint = jenner.Fingerprint(alert.Service, alert.Name, alert.Target.String())
		}
		for _, moment := range []time.Time{alert.StartsAt, alert.SeenAt} {
			if moment.After(at) {
				at = moment
			}
		}
	}
	if at.IsZero() {
		at = time.Now()
	}
	if err := timely(at); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	scene, _, err := loop.SceneOf(jenner.Incident{OpenedAt: at, Alerts: alerts}, nil)
	var pasts []past
	seen := map[string]bool{}
	for i, alert := range alerts {
		if !seen[alert.Service] {
			seen[alert.Service] = true
			pasts = append(pasts, past{id: fmt.Sprintf("%s#%d", path, i+1), service: alert.Service, scene: scene})
		}
	}
	return pasts, err
}

// explains is the incident about a service that was open at a time: the one that the incident was a symptom of, or any.
func (r *replaying) explains(ctx context.Context, one past) func(service string, at time.Time) (string, bool) {
	return func(service string, at time.Time) (string, bool) {
		if r.store == nil {
			return "", false
		}
		records, err := r.store.List(ctx, loop.IncidentLine, sqlite.ListFilter{Subject: service})
		if err != nil {
			return "", false // the replay itself fails over the same store
		}
		for _, record := range records {
			if one.then != nil && record.ID == one.then.SymptomOf {
				return record.ID, true
			}
		}
		for _, record := range records {
			open := !record.Created.After(at) && (!record.Ended || record.Updated.After(at))
			if open && record.ID != one.id {
				return record.ID, true
			}
		}
		return "", false
	}
}
