// Package documents holds one example of every kind of document, in every form it may be written in.
//
// It is for readers and for editors to try things on. It is not for the demo, whose documents belong to the shop.
package documents

import (
	"reflect"
	"testing"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
	"github.com/jenner-heal/jenner/internal/strict"
)

// verbs are the actions and faults that these documents may use, with the kinds of targets they work on.
var verbs = map[string]string{"restart": "process", "kill": "process", "query_metrics": "", "wait_for_metric": "",
	"wait_for_probe": "", "page_oncall": "", "run": ""}

// names knows the verbs. That parameters are right is tested where their owners are.
type names struct{ t *testing.T }

func (n names) known(name, kind string) (string, []strict.Problem, error) {
	if serves, known := verbs[name]; !known || serves != "" && serves != kind {
		n.t.Errorf("the documents use %s on the kind %q, which is not among %v", name, kind, verbs)
	}
	return name, nil, nil
}

func (n names) Action(name, kind string, _ jenner.Params) (string, []strict.Problem, error) {
	return n.known(name, kind)
}

func (n names) Fault(name, kind string, _ jenner.Params) (string, []strict.Problem, error) {
	return n.known(name, kind)
}

func (names) Probe(string, jenner.Params) ([]strict.Problem, error)    { return nil, nil }
func (names) Target(string, jenner.Params) ([]strict.Problem, error)   { return nil, nil }
func (names) Notifier(string, jenner.Params) ([]strict.Problem, error) { return nil, nil }

func TestTheDocumentsHaveNoMistake(t *testing.T) {
	loaded, err := config.Load(".")
	if err != nil {
		t.Fatal(err)
	}
	if problems := loaded.Check(names{t}); len(problems) > 0 {
		t.Errorf("problems:\n%v", problems)
	}
	if warnings := loaded.Warnings(); len(warnings) > 0 {
		t.Errorf("warnings:\n%v", warnings)
	}
	docs := loaded.Documents
	for kind, count := range map[string]int{"services": len(docs.Services), "signatures": len(docs.Signatures),
		"runbooks": len(docs.Runbooks), "policies": len(docs.Policies), "experiments": len(docs.Experiments),
		"channels": len(docs.Channels), "teams": len(docs.Teams), "calendars": len(docs.Calendars),
		"limits": docs.Limits.MaxTargetsAtOnce} {
		if count == 0 {
			t.Errorf("there is no example of %s", kind)
		}
	}
}

// TestEveryFieldOfABrakeIsShown looks for a zero in what the examples say of policies' brakes.
func TestEveryFieldOfABrakeIsShown(t *testing.T) {
	loaded, err := config.Load("brakes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	policy := loaded.Documents.Policies[0]
	for _, part := range []any{policy.Promotion, policy.Approval, policy.CircuitBreaker, policy.Recurrence,
		policy.ErrorBudget, policy.CostBudget, &loaded.Documents.Calendars[0], &loaded.Documents.Teams[0], &loaded.Documents.Limits} {
		value := reflect.ValueOf(part).Elem()
		for i := range value.NumField() {
			if field := value.Type().Field(i); value.Field(i).IsZero() {
				t.Errorf("%s of %s is not shown", field.Name, value.Type().Name())
			}
		}
	}
	step, target := loaded.Documents.Runbooks[0].Steps[0], loaded.Documents.Services[0].Targets[0]
	if policy.Modes == nil || policy.Automation == "" || policy.MaxConcurrent == 0 || step.Cost == 0 || step.Through == "" ||
		step.Through != target.ManagedBy {
		t.Errorf("modes, automation, max_concurrent, cost, through or managed_by is not shown: %+v, %+v, %+v", policy, step, target)
	}
}
