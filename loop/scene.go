package loop

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jenner-heal/jenner"
)

// watcher is a telemetry that remembers what it was asked and what it said.
type watcher struct {
	jenner.Telemetry
	scene   jenner.Scene
	asked   map[string]bool
	answers int // so many are kept
}

// How much of a scene is kept at most.
const (
	maxSceneAnswers = 50
	maxSceneSamples = 20
	maxSceneProbes  = 200
	maxSceneChanges = 100
)

func newWatcher(telemetry jenner.Telemetry, now time.Time) *watcher {
	scene := jenner.Scene{At: now, Answers: map[string]jenner.Answer{}, About: map[string]map[string]jenner.Answer{}}
	return &watcher{Telemetry: telemetry, scene: scene, asked: map[string]bool{}}
}

func (w *watcher) Query(ctx context.Context, promql string) (jenner.Answer, error) {
	answer, err := w.Telemetry.Query(ctx, promql)
	if err == nil && w.answers < maxSceneAnswers {
		into := w.scene.Answers
		if question, _ := jenner.Asked(ctx); question.Service != "" {
			if into = w.scene.About[question.Service]; into == nil {
				into = map[string]jenner.Answer{}
				w.scene.About[question.Service] = into
			}
		}
		if _, again := into[promql]; !again {
			w.answers++
		}
		into[promql] = jenner.Answer{Samples: answer.Samples[:min(len(answer.Samples), maxSceneSamples)]}
	}
	return answer, err
}

func (w *watcher) Probe(service, name string) (jenner.ProbeState, bool) {
	state, known := w.Telemetry.Probe(service, name)
	if known {
		w.keep(state)
	}
	return state, known
}

func (w *watcher) Probes(service string) []jenner.ProbeState {
	states := w.Telemetry.Probes(service)
	for _, state := range states {
		w.keep(state)
	}
	return states
}

func (w *watcher) keep(state jenner.ProbeState) {
	key := state.Service + "\x00" + state.Name + "\x00" + state.Target.String()
	if !w.asked[key] && len(w.scene.Probes) < maxSceneProbes {
		w.asked[key] = true
		w.scene.Probes = append(w.scene.Probes, state)
	}
}

// firing remembers the alerts that a diagnosis looked at.
func (w *watcher) firing(look func(service string) []jenner.Alert) func(service string) []jenner.Alert {
	return func(service string) []jenner.Alert {
		alerts := look(service)
		for _, alert := range alerts {
			same := func(other jenner.Alert) bool { return other.Fingerprint == alert.Fingerprint }
			if !slices.ContainsFunc(w.scene.Firing, same) && len(w.scene.Firing) < maxAlerts {
				w.scene.Firing = append(w.scene.Firing, alert)
			}
		}
		return alerts
	}
}

// changes remembers the changes that a diagnosis looked at.
func (w *watcher) changes(look func(string, time.Time) []jenner.ChangeEvent) func(string, time.Time) []jenner.ChangeEvent {
	if look == nil {
		return nil
	}
	return func(service string, since time.Time) []jenner.ChangeEvent {
		events := look(service, since)
		for _, event := range events {
			if !slices.Contains(w.scene.Changes, event) && len(w.scene.Changes) < maxSceneChanges {
				w.scene.Changes = append(w.scene.Changes, event)
			}
		}
		return events
	}
}

// SceneOf is what was seen of a recorded incident last before anything was done about it: from then on Jenner's own actions
// were seen as well. The incident's alerts of that time are always in it. Where nobody kept a scene, for the incident was
// never diagnosed, or by an older version, it is the alerts alone, at the time when it was opened, and recorded is false. An
// error says that a scene cannot be read.
func SceneOf(incident jenner.Incident, timeline []jenner.Entry) (scene jenner.Scene, recorded bool, err error) {
	for _, entry := range timeline {
		if entry.Kind == "run" {
			break
		}
		if entry.Kind == jenner.EntryScene {
			scene, recorded = jenner.Scene{}, true
			if err := json.Unmarshal(entry.Data, &scene); err != nil {
				return scene, true, fmt.Errorf("the scene of incident %s at %s cannot be read: %w", incident.ID,
					entry.At.Format(time.RFC3339), err)
			}
		}
	}
	if !recorded {
		scene.At = incident.OpenedAt
	}
	for _, alert := range incident.Alerts {
		same := func(other jenner.Alert) bool { return other.Fingerprint == alert.Fingerprint }
		over := alert.StartsAt.After(scene.At) || !alert.EndsAt.IsZero() && alert.EndsAt.Before(scene.At)
		if slices.ContainsFunc(scene.Firing, same) || recorded && over {
			continue
		}
		alert.Status, alert.EndsAt = jenner.Firing, time.Time{}
		if alert.SeenAt.IsZero() || alert.SeenAt.After(scene.At) {
			alert.SeenAt = scene.At
		}
		scene.Firing = append(scene.Firing, alert)
	}
	return scene, recorded, nil
}

// describeScene says in a line how much was looked at.
func describeScene(scene jenner.Scene) string {
	numbers := len(scene.Answers)
	for _, answers := range scene.About {
		numbers += len(answers)
	}
	return fmt.Sprintf("%d alerts, %d probes and %d numbers were looked at", len(scene.Firing), len(scene.Probes), numbers)
}

// past is the telemetry of a scene: it answers what was asked then, and nothing else.
type past struct{ scene jenner.Scene }

func (p past) Query(ctx context.Context, promql string) (jenner.Answer, error) {
	question, _ := jenner.Asked(ctx)
	answer, known := p.scene.About[question.Service][promql]
	if !known {
		answer, known = p.scene.Answers[promql]
	}
	if !known {
		return answer, fmt.Errorf("nobody asked for %s then", strings.TrimSpace(promql))
	}
	return answer, nil
}

func (p past) changes(service string, since time.Time) []jenner.ChangeEvent {
	var events []jenner.ChangeEvent
	for _, event := range p.scene.Changes {
		if event.Service == service && !event.At.Before(since) {
			events = append(events, event)
		}
	}
	return events
}

func (p past) Probe(service, name string) (jenner.ProbeState, bool) {
	for _, state := range p.scene.Probes {
		if state.Service == service && state.Name == name {
			return state, true
		}
	}
	return jenner.ProbeState{}, false
}

func (p past) Probes(service string) []jenner.ProbeState {
	var states []jenner.ProbeState
	for _, state := range p.scene.Probes {
		if state.Service == service {
			states = append(states, state)
		}
	}
	return states
}
