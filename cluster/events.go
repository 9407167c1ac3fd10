package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner"
)

// The reasons of events.
const (
	ReasonActed       = "JennerActed"
	ReasonAsked       = "JennerAsked"
	ReasonRecommended = "JennerRecommended"
	ReasonWaits       = "JennerWaits"
	ReasonRefused     = "JennerRefused"
	ReasonResolved    = "JennerResolved"
	ReasonEscalated   = "JennerEscalated"
)

// reasons are those of decisions.
var reasons = map[jenner.DecisionOutcome]string{jenner.DecideAct: ReasonActed, jenner.DecideAsk: ReasonAsked,
	jenner.DecideRecommend: ReasonRecommended, jenner.DecideWait: ReasonWaits, jenner.DecideRefuse: ReasonRefused}

// happening is one thing that becomes an event.
type happening struct {
	at       time.Time
	incident string
	service  string
	target   jenner.TargetRef
	reason   string
	note     string
}

// voice is what is known of the events that were told. Only the goroutine that writes them uses it, but for next.
type voice struct {
	next   atomic.Int64
	spoken map[string]spoken        // by what is said of what
	limits map[string]*rate.Limiter // by what it is said of
}

// spoken is an event that is counted on where the same happens again.
type spoken struct {
	namespace, name string
	count           int32
	at              time.Time
}

const (
	// seriesFor is for how long the same is counted on one event.
	seriesFor = 10 * time.Minute
	// eventsBurst is how many events one object may have at once, and eventsEvery after which time it may have one more.
	eventsBurst = 20
	eventsEvery = 30 * time.Second
	// eventTooOld is an event that nobody needs any more.
	eventTooOld = 10 * time.Minute
	maxNote     = 1000 // the API server takes 1024 bytes
)

// hear queues an event for each decision of a change, and for its end.
func (s *Show) hear(change jenner.Change) {
	put := func(h happening) {
		s.events.put(fmt.Sprint(s.voice.next.Add(1)), h)
	}
	for _, entry := range change.Timeline {
		var decision jenner.Decision
		if entry.Kind == jenner.EntryDecision && json.Unmarshal(entry.Data, &decision) == nil && reasons[decision.Outcome] != "" {
			put(happening{at: entry.At, incident: change.Record.ID, service: decision.Service, target: decision.Target,
				reason: reasons[decision.Outcome], note: sentence(decision)})
		}
	}
	if !change.Record.Ended {
		return
	}
	var incident jenner.Incident
	if json.Unmarshal(change.Record.State, &incident) != nil {
		return
	}
	best, _ := incident.Diagnosis.Best()
	end := happening{at: change.Record.Updated, incident: incident.ID, service: incident.Service, target: best.Target, note: incident.Outcome}
	if best.Service != "" {
		end.service = best.Service
	}
	switch {
	case change.Record.Phase == jenner.PhaseEscalated:
		end.reason = ReasonEscalated
	case change.Record.Phase == jenner.PhaseResolved && len(incident.Runs) > 0:
		end.reason = ReasonResolved
	default:
		return
	}
	put(end)
}

// writeEvent writes one event, or counts it on one that said the same.
func (s *Show) writeEvent(ctx context.Context, _ string, h happening) error {
	if time.Since(h.at) > eventTooOld {
		s.tally.dropped(whatEvents)
		return nil
	}
	regarding, err := s.regarding(ctx, h)
	if err != nil {
		return err
	}
	about := fmt.Sprint(regarding.Kind, regarding.Namespace, regarding.Name, regarding.UID)
	if !s.voice.may(about) {
		s.tally.dropped(whatEvents)
		return nil
	}
	event := eventOf(h, regarding)
	key := about + h.reason + h.note
	if before, said := s.voice.spoken[key]; said && time.Since(before.at) < seriesFor {
		before.count, before.at = before.count+1, time.Now()
		patch, err := json.Marshal(map[string]any{"series": eventsv1.EventSeries{Count: before.count, LastObservedTime: metav1.NewMicroTime(h.at)}})
		if err != nil {
			return err
		}
		_, err = s.conn.EventsV1().Events(before.namespace).Patch(ctx, before.name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
		if err == nil {
			s.voice.spoken[key] = before
			return nil
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	made, err := s.conn.EventsV1().Events(event.Namespace).Create(ctx, event, metav1.CreateOptions{FieldManager: manager})
	if err != nil {
		return err
	}
	s.voice.remember(key, spoken{made.Namespace, made.Name, 1, time.Now()})
	return nil
}

func (v *voice) may(about string) bool {
	if v.limits == nil {
		v.limits = map[string]*rate.Limiter{}
	}
	limit := v.limits[about]
	if limit == nil {
		if len(v.limits) > maxRemembered {
			clear(v.limits)
		}
		limit = rate.NewLimiter(rate.Every(eventsEvery), eventsBurst)
		v.limits[about] = limit
	}
	return limit.Allow()
}

// maxRemembered bounds what is kept in memory of events and of what they were about.
const maxRemembered = 5_000

func (v *voice) remember(key string, one spoken) {
	if v.spoken == nil || len(v.spoken) > maxRemembered {
		v.spoken = map[string]spoken{}
	}
	v.spoken[key] = one
}

func eventOf(h happening, regarding corev1.ObjectReference) *eventsv1.Event {
	kind := corev1.EventTypeWarning
	if h.reason == ReasonActed || h.reason == ReasonResolved {
		kind = corev1.EventTypeNormal
	}
	namespace := regarding.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault // the place of events about what has no namespace
	}
	host, _ := os.Hostname() // empty where it cannot be had, and then it is said to be nobody's
	note := h.note + " (incident " + h.incident + ")"
	if len(note) > maxNote {
		note = note[:maxNote]
	}
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "jenner-"},
		EventTime:  metav1.NewMicroTime(h.at), ReportingController: Group + "/" + manager, ReportingInstance: "jenner-" + host,
		Type: kind, Reason: h.reason, Action: "Decide", Note: note, Regarding: regarding,
	}
}
