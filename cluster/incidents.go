package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/jenner-heal/jenner"
)

// Labels of an incident's object.
const (
	labelService = Group + "/service"
	labelEnded   = Group + "/ended"
)

// mirror is what is known of the incidents' objects. Only the goroutine that writes them uses it.
type mirror struct {
	written map[string]string // name to the hash of what was written last, of those that go on
	ended   []endedObject     // the oldest first
}

type endedObject struct {
	name string
	at   time.Time
}

func (s *Show) incidentObjects() dynamic.ResourceInterface {
	return s.conn.Dynamic.Resource(incidents.resource()).Namespace(s.conn.Namespace)
}

// takeUp brings the objects of an earlier Jenner and the incidents of the store together. It tries until ctx ends; false: it
// has ended.
func (s *Show) takeUp(ctx context.Context, open []jenner.Record) bool {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = writeAgainFirst, writeAgainMost
	for {
		list, err := s.incidentObjects().List(ctx, metav1.ListOptions{})
		if err == nil {
			s.compare(ctx, list.Items, open)
			return true
		}
		if refused(err) {
			s.Logger.Warn("the incidents cannot be shown as objects: they cannot be listed", "error", err)
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// compare queues what has to be written so that the objects say what the store says.
func (s *Show) compare(ctx context.Context, objects []unstructured.Unstructured, open []jenner.Record) {
	shown := map[string]bool{}
	for _, object := range objects {
		name := object.GetName()
		shown[name] = true
		if object.GetLabels()[labelEnded] == "true" {
			at, _, _ := unstructured.NestedString(object.Object, "status", "endedAt")
			ended, err := time.Parse(time.RFC3339, at)
			if err != nil {
				ended = object.GetCreationTimestamp().Time
			}
			s.mirror.ended = append(s.mirror.ended, endedObject{name, ended})
			continue
		}
		record, err := s.Record(ctx, name)
		if err != nil {
			record = lostRecord(object)
		}
		s.incidents.put(name, record)
	}
	for _, record := range open {
		if !shown[record.ID] {
			s.incidents.put(record.ID, record)
		}
	}
	slices.SortFunc(s.mirror.ended, func(a, b endedObject) int { return a.at.Compare(b.at) })
}

// lostRecord is an incident that is shown as open and that the store does not know.
func lostRecord(object unstructured.Unstructured) jenner.Record {
	service, _, _ := unstructured.NestedString(object.Object, "spec", "service")
	opened := object.GetCreationTimestamp().Time
	return jenner.Record{Line: incidentLine, ID: object.GetName(), Subject: service, Phase: phaseUnknown, Ended: true, Created: opened,
		Updated: time.Now(), State: jenner.Raw(jenner.Incident{ID: object.GetName(), Service: service, OpenedAt: opened,
			Outcome: "the Jenner that had it has lost its data; nobody knows how it ended"})}
}

// phaseUnknown is shown of an incident that no store knows any more.
const phaseUnknown jenner.Phase = "unknown"

// writeIncident brings one object up to date, where what it says has changed, and lets the oldest ended ones go.
func (s *Show) writeIncident(ctx context.Context, name string, record jenner.Record) error {
	object, err := incidentObject(record)
	if err != nil {
		s.Logger.Warn("an incident cannot be shown", "incident", name, "error", err)
		return nil
	}
	says, news := jenner.Hash(object), false
	if s.mirror.written[name] != says {
		raw, err := json.Marshal(object)
		if err != nil {
			return err
		}
		force := true
		if _, err := s.incidentObjects().Patch(ctx, name, types.ApplyPatchType, raw, metav1.PatchOptions{FieldManager: manager, Force: &force}); err != nil {
			return err
		}
		s.mirror.written[name], news = says, true
	}
	if !record.Ended {
		if !news {
			return errNoNews
		}
		return nil
	}
	delete(s.mirror.written, name)
	if !slices.ContainsFunc(s.mirror.ended, func(e endedObject) bool { return e.name == name }) {
		s.mirror.ended = append(s.mirror.ended, endedObject{name, record.Updated})
	}
	return s.forget(ctx)
}

// forget deletes the oldest ended incidents beyond those that are kept.
func (s *Show) forget(ctx context.Context) error {
	for len(s.mirror.ended) > s.Keep {
		err := s.incidentObjects().Delete(ctx, s.mirror.ended[0].name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		s.mirror.ended = s.mirror.ended[1:]
	}
	return nil
}

// incidentObject is an incident as it is applied. It holds nothing that changes without saying anything new.
func incidentObject(record jenner.Record) (map[string]any, error) {
	var incident jenner.Incident
	if err := json.Unmarshal(record.State, &incident); err != nil {
		return nil, err
	}
	labels := map[string]any{labelEnded: fmt.Sprint(record.Ended)}
	if fits(incident.Service) {
		labels[labelService] = incident.Service
	}
	status := map[string]any{"phase": string(record.Phase)}
	set := func(key, value string) {
		if value != "" {
			status[key] = value
		}
	}
	if best, known := incident.Diagnosis.Best(); known {
		set("cause", string(best.Cause))
		set("confidence", fmt.Sprintf("%.2f", float64(best.Confidence)))
		set("target", best.Target.String())
	}
	set("policy", incident.Policy.Name)
	set("runbook", runbookOf(incident))
	if n := len(incident.Decisions); n > 0 {
		set("decision", sentence(incident.Decisions[n-1]))
	}
	set("outcome", incident.Outcome)
	set("symptomOf", incident.SymptomOf)
	alerts := map[string]bool{}
	for _, alert := range incident.Alerts {
		alerts[alert.Name] = true
	}
	if len(alerts) > 0 {
		status["alerts"] = slices.Sorted(maps.Keys(alerts))
	}
	if record.Ended {
		set("endedAt", record.Updated.UTC().Format(time.RFC3339))
	}
	return map[string]any{
		"apiVersion": Group + "/" + Version, "kind": incidents.name(),
		"metadata": map[string]any{"name": record.ID, "labels": labels},
		"spec":     map[string]any{"service": incident.Service, "openedAt": incident.OpenedAt.UTC().Format(time.RFC3339)},
		"status":   status,
	}, nil
}

// runbookOf is the one that runs or ran last, or the one that was decided about.
func runbookOf(incident jenner.Incident) string {
	if run := incident.Run(); run != nil {
		return run.Runbook.Name
	}
	if n := len(incident.Decisions); n > 0 {
		return incident.Decisions[n-1].Runbook
	}
	return ""
}

// sentence is a decision in words.
func sentence(decision jenner.Decision) string {
	text := fmt.Sprintf("%s: %s on %s", decision.Outcome, decision.Runbook, decision.Target)
	if stopper := decision.Stopper(); stopper.Guard != "" {
		text += fmt.Sprintf("; guard %s: %s", stopper.Guard, stopper.Reason)
	}
	return text
}

// fits tells whether a text may be the value of a label.
func fits(value string) bool {
	if value == "" || len(value) > 63 {
		return false
	}
	ends := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' }
	return ends(value[0]) && ends(value[len(value)-1]) &&
		!strings.ContainsFunc(value, func(r rune) bool { return r > 127 || !ends(byte(r)) && !strings.ContainsRune("-_.", r) })
}
