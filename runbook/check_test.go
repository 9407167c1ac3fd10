package runbook_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/internal/strict"
	"github.com/jenner-heal/jenner/runbook"
)

func step(name, condition string) jenner.Step {
	return jenner.Step{Name: name, Action: "restart", Condition: condition}
}

func TestCheckFindsEveryMistake(t *testing.T) {
	book := jenner.Runbook{
		Name:        "r",
		Trigger:     &jenner.Trigger{Alert: "pool >"},
		RevertAfter: jenner.Duration(time.Hour),
		Steps: []jenner.Step{
			{Name: "", Action: ""},
			step("b", `c.failed`),
			step("c", `c.failed || b.passed`),
			step("b", `steps["d"].failed`),
			{Name: "d", Action: "core.wait_for_probe", Params: jenner.Params{"timeout": []byte(`"0"`)}},
			{Name: "e", Action: "wait_for_metric", Params: jenner.Params{"timeout": []byte(`"5s"`)}},
			{Name: "f", Action: "x", Undo: &jenner.UndoStep{}, BlastRadius: jenner.BlastRadius{"pods": {}, "max_": {}, "max_a": {}},
				Retry: &jenner.Retry{Delay: jenner.Duration(time.Minute), MaxDelay: jenner.Duration(time.Second)}},
		},
	}
	want := []strict.Problem{
		{Path: "/trigger/alert", Message: "trigger `pool >` is not PromQL: 1:7: parse error: unexpected end of input"},
		{Path: "/steps/0/name", Message: `step 1 of runbook "r" has no name`},
		{Path: "/steps/0/action", Message: `step "" has no action`},
		{Path: "/steps/1/condition", Message: "condition `c.failed` of step \"b\" asks for step \"c\", which comes later"},
		{Path: "/steps/2/condition", Message: "condition `c.failed || b.passed` of step \"c\" asks for the step's own outcome"},
		{Path: "/steps/3/name", Message: `runbook "r" has two steps called "b"`},
		{Path: "/steps/3/condition", Message: "condition `steps[\"d\"].failed` of step \"b\" asks for step \"d\", which comes later"},
		{Path: "/steps/4/params/timeout", Message: `step "d" waits and needs the parameter timeout, such as timeout: 30s`},
		{Path: "/steps/6/undo/action", Message: `the undo of step "f" has no action`},
		{Path: "/steps/6/retry/attempts", Message: `step "f" is tried 0 times; it must be at least once`},
		{Path: "/steps/6/retry/max_delay", Message: `max_delay 1s of step "f" is shorter than its delay 1m`},
		{Path: "/steps/6/blast_radius/max_", Message: `blast radius "max_" of step "f" must be max_ and a unit, such as max_connections`},
		{Path: "/steps/6/blast_radius/pods", Message: `blast radius "pods" of step "f" must be max_ and a unit, such as max_connections`},
		{Path: "/revert_after", Message: `runbook "r" has revert_after without revert_when`},
	}
	if diff := cmp.Diff(want, runbook.Check(book)); diff != "" {
		t.Errorf("the problems differ (-want +got):\n%s", diff)
	}
}

func TestCheckOfARunbookWithoutMistakes(t *testing.T) {
	book := jenner.Runbook{Name: "r", RevertWhen: `probe("partner", "ready").passing_for > duration("5s") && a.passed`,
		Steps: []jenner.Step{step("a", ""), step("b-1", "a.passed"), step("c", `steps["b-1"].skipped`)}}
	if problems := runbook.Check(book); problems != nil {
		t.Errorf("got %v", problems)
	}
	if got := runbook.StepNames(book); !slices.Equal(got, []string{"a", "b-1", "c"}) {
		t.Errorf("the steps are %v", got)
	}
	if problems := runbook.Check(jenner.Runbook{Name: "none"}); len(problems) != 1 || problems[0].Path != "/steps" {
		t.Errorf("a runbook without steps: got %v", problems)
	}
}

func TestHandledByALaterCondition(t *testing.T) {
	book := jenner.Runbook{Steps: []jenner.Step{
		step("asked", ""), step("read", ""), step("by-key", ""), step("never", "asked.failed"),
		step("last", `read.output != null || steps["by-key"].skipped || steps.later.failed`),
		step("later", `last.passed == false && read.output == 1 && steps["by-key"].skipped && "never" == "ever"`),
		step("broken", "never.failed &&"),
	}}
	for i, want := range []bool{true, false, true, false, true, false, false} {
		if got := runbook.Handled(book, i); got != want {
			t.Errorf("Handled(%s) is %v, want %v", book.Steps[i].Name, got, want)
		}
	}
	if runbook.Handled(book, -1) || runbook.Handled(book, 7) {
		t.Error("a step that is not there is handled")
	}
}

func TestProbesThatAConditionNames(t *testing.T) {
	condition, err := runbook.Compile(`probe("a").failing && (probe("s", "b").slow || probe(a.output).passing)`, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	want := []runbook.ProbeRef{{Name: "a"}, {Service: "s", Name: "b"}}
	if diff := cmp.Diff(want, condition.Probes()); diff != "" {
		t.Errorf("the probes differ (-want +got):\n%s", diff)
	}
}
