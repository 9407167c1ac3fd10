package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jenner-heal/jenner/config"
)

// The condition of documents, and its reasons.
const (
	conditionReady = "Ready"
	reasonInForce  = "InForce"      // as it is written
	reasonOlder    = "OlderInForce" // an older version is, for this one is wrong
	reasonLeftOut  = "LeftOut"      // it is wrong, and no version of it is in force
)

// status is what Jenner says of one document.
type status struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Problems           []string           `json:"problems,omitempty"`
	Warnings           []string           `json:"warnings,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
	LastValid          *lastValid         `json:"lastValid,omitempty"`
}

// lastValid is the last version without a mistake.
type lastValid struct {
	Generation int64          `json:"generation"`
	Spec       map[string]any `json:"spec"`
}

// Tell says in the status of each object what became of it. It returns at once.
func (s *Show) Tell(standings []config.Standing) {
	for _, standing := range standings {
		object, known := s.watched.byOrigin(standing.Object.Origin)
		if !known {
			continue // discovered, or gone meanwhile
		}
		was, is := statusOf(object), statusOf(object)
		is.say(object, standing, time.Now())
		if !reflect.DeepEqual(was, is) {
			s.statuses.put(standing.Object.Origin, told{object, is})
		}
	}
}

// told is a status that is to be written.
type told struct {
	object *unstructured.Unstructured
	status status
}

func statusOf(object *unstructured.Unstructured) status {
	var s status
	content, _, _ := unstructured.NestedFieldNoCopy(object.Object, "status")
	raw, err := json.Marshal(content)
	if err != nil || json.Unmarshal(raw, &s) != nil {
		return status{}
	}
	return s
}

// say writes down what became of an object.
func (s *status) say(object *unstructured.Unstructured, standing config.Standing, now time.Time) {
	origin := standing.Object.Origin
	s.ObservedGeneration = object.GetGeneration()
	s.Problems, s.Warnings = lines(standing.Problems, origin), lines(standing.Warnings, origin)
	ready := metav1.Condition{Type: conditionReady, Status: metav1.ConditionFalse, ObservedGeneration: s.ObservedGeneration}
	switch standing.Choice {
	case config.ChoseSpec:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionTrue, reasonInForce, "in force as it is written"
		if spec, ok := object.Object["spec"].(map[string]any); ok {
			s.LastValid = &lastValid{s.ObservedGeneration, spec}
		}
	case config.ChoseBefore:
		ready.Reason, ready.Message = reasonOlder, "an older version stays in force: "+short(s.Problems)
		if s.LastValid != nil {
			ready.Message = fmt.Sprintf("generation %d stays in force: %s", s.LastValid.Generation, short(s.Problems))
		}
	default:
		ready.Reason, ready.Message = reasonLeftOut, "left out: "+short(s.Problems)
	}
	var last metav1.Condition
	for _, condition := range s.Conditions {
		if condition.Type == conditionReady {
			last = condition
		}
	}
	ready.LastTransitionTime = last.LastTransitionTime
	if last.Status != ready.Status {
		ready.LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
	}
	s.Conditions = []metav1.Condition{ready}
}

// lines are problems without the name of the object in whose status they stand.
func lines(problems config.Problems, origin string) []string {
	var list []string
	for _, problem := range problems {
		if problem.File == origin {
			problem.File = ""
			text := problem.Message
			if problem.Path != "" {
				text = problem.Path + ": " + text
			}
			list = append(list, text)
			continue
		}
		list = append(list, problem.String())
	}
	return list
}

// short is the first of several problems.
func short(problems []string) string {
	switch len(problems) {
	case 0:
		return "it does not fit the other documents"
	case 1:
		return problems[0]
	}
	return fmt.Sprintf("%s (and %d more)", problems[0], len(problems)-1)
}

// writeStatus puts the whole status in place, as long as it is about what is written in the object now.
func (s *Show) writeStatus(ctx context.Context, _ string, t told) error {
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": t.object.GetUID()},
		{"op": "test", "path": "/metadata/generation", "value": t.object.GetGeneration()},
		{"op": "add", "path": "/status", "value": t.status},
	})
	if err != nil {
		return err
	}
	plural := documentKind(strings.ToLower(t.object.GetKind())).resource()
	_, err = s.conn.Dynamic.Resource(plural).Namespace(t.object.GetNamespace()).Patch(ctx, t.object.GetName(), types.JSONPatchType,
		patch, metav1.PatchOptions{FieldManager: manager}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) {
		return nil // it is gone, or it has changed since: there will be another status
	}
	return err
}

func documentKind(word string) kind {
	for _, k := range documents {
		if k.word == word {
			return k
		}
	}
	return kind{}
}
