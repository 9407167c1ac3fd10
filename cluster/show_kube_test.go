//go:build kube

package cluster

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/jenner-heal/jenner"
)

// showing runs a show until the test ends. Its store knows these incidents.
func (y *yard) showing(keep int, docs *jenner.Documents, open ...jenner.Record) *Show {
	y.t.Helper()
	ctx, cancel := context.WithCancel(y.t.Context())
	watched, err := y.Watch(ctx, WatchOptions{Logger: quietLog()})
	if err != nil {
		y.t.Fatal(err)
	}
	show := y.Show(ShowOptions{Watched: watched, Docs: func() *jenner.Documents { return docs }, Logger: quietLog(), Keep: keep,
		Record: func(_ context.Context, id string) (jenner.Record, error) {
			for _, record := range open {
				if record.ID == id {
					return record, nil
				}
			}
			return jenner.Record{}, jenner.ErrNotFound
		}}, NewTally())
	ended := make(chan struct{})
	go func() { defer close(ended); show.Run(ctx, open) }()
	y.t.Cleanup(func() { cancel(); <-ended })
	return show
}

func (y *yard) shown() map[string]*unstructured.Unstructured {
	y.t.Helper()
	list, err := y.Dynamic.Resource(incidents.resource()).Namespace(y.Namespace).List(y.t.Context(), metav1.ListOptions{})
	if err != nil {
		y.t.Fatal(err)
	}
	all := map[string]*unstructured.Unstructured{}
	for i := range list.Items {
		all[list.Items[i].GetName()] = &list.Items[i]
	}
	return all
}

func statusText(object *unstructured.Unstructured, field string) string {
	if object == nil {
		return ""
	}
	text, _, _ := unstructured.NestedString(object.Object, "status", field)
	return text
}

func named(id string, phase jenner.Phase, ended bool) jenner.Record {
	record := sick(phase, ended)
	record.ID, record.Updated = id, time.Now()
	return record
}

// TestIncidentsAreShown: made, brought up to date, bounded in number, and taken up by the next Jenner; one that no store knows
// any more does not stay open for ever.
func TestIncidentsAreShown(t *testing.T) {
	y := newYard(t)
	show := y.showing(2, &jenner.Documents{})
	show.Committed(jenner.Change{Record: named("i-0", jenner.PhaseActing, false)})
	y.until("the incident is shown", func() bool { return statusText(y.shown()["i-0"], "phase") == "acting" })
	if object := y.shown()["i-0"]; statusText(object, "cause") != "crashed" || statusText(object, "confidence") != "0.88" || statusText(object, "runbook") != "restart" {
		t.Errorf("it is shown as %v", object.Object["status"])
	}
	// What the server shows is counted when its answer is here, which is a moment later.
	written := func() float64 { return show.tally.count(show.tally.wrote, whatIncidents) }
	y.until("that is counted", func() bool { return written() == 1 })
	for range 50 {
		show.Committed(jenner.Change{Record: named("i-0", jenner.PhaseActing, false)})
	}
	show.Committed(jenner.Change{Record: named("i-0", jenner.PhaseVerifying, false)})
	y.until("the next phase is shown", func() bool { return statusText(y.shown()["i-0"], "phase") == "verifying" })
	y.until("that is counted", func() bool { return written() > 1 })
	if more := written() - 1; more != 1 {
		t.Errorf("50 commits that say nothing new and one that does are %v writes", more)
	}
	for i := range 5 {
		show.Committed(jenner.Change{Record: named(fmt.Sprintf("i-%d", i), jenner.PhaseResolved, true)})
	}
	y.until("the oldest ended ones are gone", func() bool {
		all := y.shown()
		return len(all) == 2 && all["i-3"] != nil && all["i-4"] != nil
	})
	show.Committed(jenner.Change{Record: named("i-5", jenner.PhaseActing, false)})
	show.Committed(jenner.Change{Record: named("i-6", jenner.PhaseActing, false)})
	y.until("both are shown", func() bool { return len(y.shown()) == 4 })
	y.showing(2, &jenner.Documents{}, named("i-5", jenner.PhaseVerifying, false), named("i-7", jenner.PhaseDetected, false))
	y.until("the next Jenner has taken up what it knows and ended what it does not", func() bool {
		all := y.shown()
		return statusText(all["i-5"], "phase") == "verifying" && statusText(all["i-7"], "phase") == "detected" &&
			statusText(all["i-6"], "phase") == "unknown" && all["i-6"].GetLabels()[labelEnded] == "true" && all["i-3"] == nil
	})
}

func (y *yard) events() []eventsv1.Event {
	y.t.Helper()
	list, err := y.EventsV1().Events(y.Namespace).List(y.t.Context(), metav1.ListOptions{})
	if err != nil {
		y.t.Fatal(err)
	}
	var ours []eventsv1.Event
	for _, event := range list.Items {
		if strings.HasPrefix(event.Reason, "Jenner") {
			ours = append(ours, event)
		}
	}
	return ours
}

// TestDecisionsAreEvents about the workload where the target is one, else about the service's custom resource, else about the
// incident; what is said again is counted.
func TestDecisionsAreEvents(t *testing.T) {
	y := newYard(t)
	labels := map[string]string{"app": "web"}
	none := int32(0)
	web, err := y.AppsV1().Deployments(y.Namespace).Create(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{Replicas: &none, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "none"}}}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	y.mustApply("service front", "{tier: 1}")
	target := jenner.Target{Kind: "deployment", Name: "front-web", Params: jenner.Params{"object": []byte(`"web"`)}}
	show := y.showing(10, &jenner.Documents{Services: []jenner.Service{{Name: "shop", Targets: []jenner.Target{target}}, {Name: "front"}}})
	decide := func(service string, on jenner.TargetRef) {
		show.Committed(jenner.Change{Record: named("i-1", jenner.PhasePlanned, false), Timeline: []jenner.Entry{{At: time.Now(), Kind: jenner.EntryDecision,
			Data: jenner.Raw(jenner.Decision{Outcome: jenner.DecideRefuse, Runbook: "restart", Service: service, Target: on})}}})
	}
	about := func(kind string) *eventsv1.Event {
		for _, event := range y.events() {
			if event.Regarding.Kind == kind {
				return &event
			}
		}
		return nil
	}
	decide("shop", target.Ref())
	y.until("an event about the Deployment", func() bool { return about("Deployment") != nil })
	event := about("Deployment")
	if event.Regarding.UID != web.UID || event.Reason != ReasonRefused || event.Type != corev1.EventTypeWarning ||
		!strings.Contains(event.Note, "refuse: restart on deployment/front-web") || !strings.Contains(event.Note, "i-1") {
		t.Errorf("the event is %+v", event)
	}
	decide("shop", target.Ref())
	decide("shop", target.Ref())
	y.until("the same is counted on it", func() bool { series := about("Deployment").Series; return series != nil && series.Count == 3 })
	if all := y.events(); len(all) != 1 {
		t.Errorf("the same three times are %d events", len(all))
	}
	decide("front", jenner.TargetRef{})
	y.until("an event about the custom resource", func() bool {
		found := about("Service")
		return found != nil && found.Regarding.UID == y.get("service front").GetUID()
	})
	decide("nobody", jenner.TargetRef{})
	y.until("an event about the incident", func() bool { return about("Incident") != nil })
}
