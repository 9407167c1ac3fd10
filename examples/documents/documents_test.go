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
	"wait_for_probe": "", "page_oncall": "", "run": "", "terminate_connections": "postgres", "cancel_queries": "postgres",
	"fence": "postgres", "promote": "postgres", "stop": "postgres"}

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
func (names) Source(string, jenner.Params) ([]strict.Problem, error)   { return nil, nil }
func (names) Target(string, jenner.Params) ([]strict.Problem, error)   { return nil, nil }
func (names) Notifier(string, jenner.Params) ([]strict.Problem, error) { return nil, nil }

func (names) Alive(kind string) bool { return kind == "process" || kind == "postgres" }

func (names) Reasons() []string { return nil }

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
		"gamedays": len(docs.Gamedays),
		"channels": len(docs.Channels), "teams": len(docs.Teams), "calendars": len(docs.Calendars),
		"limits":     docs.Limits.MaxTargetsAtOnce,
		"prometheus": len(docs.Prometheus), "catalogues": len(docs.Catalogues)} {
		if count == 0 {
			t.Errorf("there is no example of %s", kind)
		}
	}
}

// TestEveryFieldOfAnExperimentIsShown looks for fields that no example says anything of.
func TestEveryFieldOfAnExperimentIsShown(t *testing.T) {
	loaded, err := config.Load("experiments.yaml")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	var see func(value reflect.Value)
	see = func(value reflect.Value) {
		switch value.Kind() {
		case reflect.Pointer:
			if !value.IsNil() {
				see(value.Elem())
			}
		case reflect.Slice:
			for i := range value.Len() {
				see(value.Index(i))
			}
		case reflect.Struct:
			for i := range value.NumField() {
				name := value.Type().Name() + "." + value.Type().Field(i).Name
				shown[name] = shown[name] || !value.Field(i).IsZero()
				see(value.Field(i))
			}
		}
	}
	for _, experiment := range loaded.Documents.Experiments {
		see(reflect.ValueOf(experiment))
	}
	for name, is := range shown {
		if !is && name != "FaultSpec.Params" && name != "Pick.Count" {
			t.Errorf("%s is not shown", name)
		}
	}
	if len(shown) < 40 {
		t.Errorf("only these were looked at: %v", shown)
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
