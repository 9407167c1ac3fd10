package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/jenner-heal/jenner"
	"github.com/jenner-heal/jenner/config"
)

// Teams, calendars, limits, and what a policy says of its brakes mean what is written; kinds are told by the shape.
func TestBrakesLoadAsTheyStand(t *testing.T) {
	docs := mustLoad(t, "testdata/brakes.yaml").Documents
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	minute := jenner.Duration(time.Minute)
	want := &jenner.Documents{
		Policies: []jenner.Policy{{
			Name: "brakes", IncidentType: "overloaded", Runbooks: []string{"grow"}, Mode: jenner.ModeAuto,
			Modes:      map[string]jenner.Mode{"production": jenner.ModeApprove, "staging": jenner.ModeAuto},
			Automation: jenner.AutomationHuman,
			Promotion: &jenner.Promotion{Start: jenner.ModeRecommend, Decisions: 30, Success: 0.9, Proven: 5,
				ProofAge: 14 * 24 * 60 * minute},
			Approval:           &jenner.Approval{By: []string{"owner", "ana"}, Count: 2, Expires: 15 * minute},
			AttemptsResetAfter: 60 * minute, MaxConcurrent: 2,
			CircuitBreaker: &jenner.Breaker{Failures: 4, Window: 120 * minute, OpenFor: 30 * minute},
			Recurrence:     &jenner.Recurrence{Times: 3, Window: 12 * 60 * minute},
			ErrorBudget:    &jenner.BudgetRule{SLO: "availability", AskBelow: 0.5, RecommendBelow: 0.1},
			CostBudget:     &jenner.CostBudget{Max: 12.5, Window: 7 * 24 * 60 * minute},
		}},
		Runbooks: []jenner.Runbook{{Name: "grow",
			Steps: []jenner.Step{{Name: "one", Action: "restart", Cost: 2.5, Through: "argocd"}}}},
		Services: []jenner.Service{{Name: "shop", Targets: []jenner.Target{{Kind: "process", Name: "web", ManagedBy: "argocd",
			Dir: dir, Params: jenner.Params{"start": []byte(`"./web"`)}}}}},
		Teams: []jenner.Team{{Name: "ops", Members: []string{"ana", "ben"}}},
		Calendars: []jenner.Calendar{{Name: "campaigns", ICS: "plans/campaigns.ics", Every: 10 * minute, Dir: dir,
			Services: jenner.Selector{Tier: []int{1}}, Effect: jenner.PlannedLower, LowerBy: 0.3}},
		Limits: jenner.Limits{MaxTargetsAtOnce: 8, MaxTargetsOfService: 2},
	}
	if diff := cmp.Diff(want, docs, cmpopts.IgnoreTypes(jenner.Source{})); diff != "" {
		t.Errorf("the documents differ (-want +got):\n%s", diff)
	}
	if got := docs.Limits.Source; got != (jenner.Source{File: "testdata/brakes.yaml", Line: 36}) {
		t.Errorf("the limits stand at %+v, want testdata/brakes.yaml:36", got)
	}
}

// Mistakes of form do not hide those of meaning in other documents, and bring no mistakes that only follow from them.
func TestMistakesOfBothSorts(t *testing.T) {
	world, err := os.ReadFile("testdata/world.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archive(t, "testdata/bad-both.txtar") {
		t.Run(file.Name, func(t *testing.T) {
			text, problems, warnings := marked(file.Name, string(file.Data))
			dir := t.TempDir()
			write(t, dir, file.Name, text)
			write(t, dir, "world.yaml", string(world))
			loaded, gotProblems, gotWarnings := config.CheckFiles(names, dir)
			if loaded != nil {
				t.Errorf("loaded %+v in spite of mistakes of form", loaded)
			}
			if diff := cmp.Diff(problems, told(dir, gotProblems)); diff != "" {
				t.Errorf("the problems differ (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(warnings, told(dir, gotWarnings)); diff != "" {
				t.Errorf("the warnings differ (-want +got):\n%s", diff)
			}
			if _, err := config.Load(dir); err == nil || len(strings.Split(err.Error(), "\n")) > len(problems) {
				t.Errorf("Load says %v, want the mistakes of form alone", err)
			}
		})
	}
}

func TestCheckFilesOfRightForm(t *testing.T) {
	if loaded, problems, warnings := config.CheckFiles(names, "testdata/world.yaml"); loaded == nil || problems != nil || warnings != nil {
		t.Errorf("a folder without mistakes: got %v, %v and %v", loaded, problems, warnings)
	}
	loaded, problems, warnings := config.CheckFiles(names, write(t, t.TempDir(), "a.yaml", service("a")+"depends_on: [b]\n"))
	if loaded == nil || len(problems) != 1 || warnings != nil || !strings.Contains(problems[0].Message, `unknown service "b"`) {
		t.Errorf("a mistake of meaning alone: got %v, %v and %v", loaded, problems, warnings)
	}
	if loaded, problems, _ := config.CheckFiles(names, "testdata/nowhere"); loaded != nil || len(problems) != 1 {
		t.Errorf("a folder that is not there: got %v and %v", loaded, problems)
	}
}
